/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/meta/outer.h
 * The outer update: from what the episodes left behind to the next θ. Each learner names its own
 * (ol_learner.outer); that of all but reptile is
 *
 *   (1) G     = mean_i Δ_i, times max_grad_norm/‖G‖ when ‖G‖ exceeds max_grad_norm > 0
 *   (2) m, v, t become what `moments` carries from the inner loops (learner.h)
 *   (3) θ, m, v = AdamW(θ, G, m, v, t+1);  t ← t+1
 *
 * and outer parameters of a learner's own take (1) and (3) by themselves, at a rate of their own and
 * without decay. Reptile does (2), and θ ← θ - ε G without (1) and (3): m and v are then the inner
 * loop's alone.
 *
 * Several ranks may keep one state together (collective/state.h). Then each does this on its share of
 * the elements, which are cut so that the bits are those of one that does all of it:
 *
 *     ol_outer_squares(model, learner, mean, index, count, squares);   own pieces of (1)
 *     ... all are here ...
 *     ol_outer_norms(squares, &share);
 *     learner->outer(spec, outer, &share, mean, state);                own share of (1) to (3)
 *     ... all are here ...
 *
 * Local. Cost: seven passes over the share.
 */
#ifndef OUTERLOOP_META_OUTER_H
#define OUTERLOOP_META_OUTER_H

#include "outerloop/meta/learner.h"

/** The outer state: θ and the learner's own, their moments, the count of optimizer steps. */
typedef struct ol_state {
    ol_real *theta; /**< [O] */
    ol_real *m;     /**< [O] */
    ol_real *v;     /**< [O] */
    int64_t t;
} ol_state;

typedef struct ol_outer_spec {
    ol_adam_spec adam;    /**< adam.lr is the rate of this very step: AdamW's, or ε        */
    double own_lr;        /**< of this very step, for the learner's own parameters         */
    double max_grad_norm; /**< 0: no clipping                                              */
} ol_outer_spec;

/** Learning-rate schedules of the outer loop. */
typedef enum ol_schedule_shape { OL_CONSTANT, OL_LINEAR, OL_COSINE } ol_schedule_shape;

/**
 * Rate of step s = 0..steps-1: it rises linearly over the first `warmup` steps to `lr` (step
 * warmup-1 already has lr) and then stays, or falls linearly or as half a cosine to 0 at `steps`.
 */
double ol_schedule_rate(ol_schedule_shape shape, double lr, int64_t warmup, int64_t steps,
                        int64_t s);

/** What one of those that keep a state together steps, and how long G is. */
typedef struct ol_outer_share {
    int n_spans;
    ol_span *spans;  /**< [model->n_params] of θ           */
    ol_span own;     /**< of the learner's own             */
    double norm;     /**< ‖G‖ over θ before clipping       */
    double own_norm; /**< and over the learner's own       */
} ol_outer_share;

/** Pieces that the squares of G are summed in: those of θ, then those of the learner's own. */
enum { OL_OUTER_PIECES = 1024, OL_OUTER_SQUARES = 2 * OL_OUTER_PIECES };

/** The spans of the index-th of `count` shares. @param share  its spans are the caller's */
void ol_outer_divide(const ol_model *model, const ol_learner_spec *learner, int index, int count,
                     ol_outer_share *share);

/** Squares of the mean's Δ, of the pieces of the index-th of `count`, each summed by itself.
 *  @param squares  [OL_OUTER_SQUARES] of which those are overwritten */
void ol_outer_squares(const ol_model *model, const ol_learner_spec *learner,
                      const ol_contribution *mean, int index, int count, double *squares);

/** The norms of a share, from the squares of all pieces. */
void ol_outer_norms(const double *squares, ol_outer_share *share);

/** All of it for a rank that keeps the state alone. @param spans  [model->n_params] for scratch
 *  @return ‖G‖ over θ before clipping */
double ol_outer_alone(const ol_model *model, const ol_learner_spec *learner,
                      const ol_outer_spec *outer, ol_span *spans, const ol_contribution *mean,
                      ol_state *state);

/** Spans of a model's trained tensors, or of those that the inner loop moves, one a tensor.
 *  @param spans  [model->n_params] overwritten
 *  @return how many */
int ol_model_spans(const ol_model *model, ol_wanted which, ol_span *spans);

/** Lay out a zero-filled state of O reals a vector in an arena (uninitialised when dry). */
ol_state ol_state_layout(ol_arena *arena, size_t O);

/** Where a learner starts from: θ, its own parameters at their start, empty moments, t = 0.
 *  @param theta  [P] */
void ol_state_start(const ol_model *model, const ol_learner_spec *spec, const ol_real *theta,
                    ol_state *state);

static inline ol_state_view ol_state_borrow(const ol_state *state)
{
    return (ol_state_view){state->theta, state->m, state->v, state->t};
}

/**
 * (1) to (3) on a share.
 * @param mean  what the episodes left behind, reduced
 */
void ol_outer_adamw(const ol_learner_spec *learner, const ol_outer_spec *spec,
                    const ol_outer_share *share, const ol_contribution *mean, ol_state *state);

/** (2) alone, on a share. */
void ol_outer_carry(const ol_learner_spec *learner, const ol_outer_share *share,
                    const ol_contribution *mean, ol_state *state);

#endif
