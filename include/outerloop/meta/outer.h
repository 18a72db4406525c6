/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/meta/outer.h
 * The outer update: from the mean gradient over episodes to the next θ.
 *
 *   (1) G     = mean_i Δ_i, times max_grad_norm/‖G‖ when ‖G‖ exceeds max_grad_norm > 0
 *   (2) m, v, t become what `moments` carries from the inner loops (learner.h)
 *   (3) θ, m, v = AdamW(θ, G, m, v, t+1);  t ← t+1
 *
 * Local: every rank does it on equal inputs and gets equal bits.
 */
#ifndef OUTERLOOP_META_OUTER_H
#define OUTERLOOP_META_OUTER_H

#include "outerloop/meta/learner.h"

/** θ, the moments of the outer optimizer, and the count of optimizer steps. */
typedef struct ol_state {
    ol_real *theta; /**< [P] */
    ol_real *m;     /**< [P] */
    ol_real *v;     /**< [P] */
    int64_t t;
} ol_state;

typedef struct ol_outer_spec {
    ol_adam_spec adam;    /**< adam.lr is the rate of this very step */
    double max_grad_norm; /**< 0: no clipping                        */
} ol_outer_spec;

/** Learning-rate schedules of the outer loop. */
typedef enum ol_schedule_shape { OL_CONSTANT, OL_LINEAR, OL_COSINE } ol_schedule_shape;

/**
 * Rate of step s = 0..steps-1: it rises linearly over the first `warmup` steps to `lr` (step
 * warmup-1 already has lr) and then stays, or falls linearly or as half a cosine to 0 at `steps`.
 */
double ol_schedule_rate(ol_schedule_shape shape, double lr, int64_t warmup, int64_t steps,
                        int64_t s);

/** Spans of a model for weight decay, one a tensor. @param spans [model->n_params] overwritten */
void ol_model_spans(const ol_model *model, ol_span *spans);

/** Lay out a zero-filled state in an arena (uninitialised when dry). */
ol_state ol_state_layout(ol_arena *arena, const ol_model *model);

static inline ol_state_view ol_state_borrow(const ol_state *state)
{
    return (ol_state_view){state->theta, state->m, state->v, state->t};
}

/**
 * (1) to (3).
 * @param G       [P] mean over episodes of Δ; clipped in place
 * @param mean_m  [P] mean of the adapted m under carry, else NULL
 * @param mean_v  [P] mean of the adapted v under carry and carry_v, else NULL
 * @return ‖G‖ before clipping
 */
double ol_outer_update(const ol_model *model, const ol_learner_spec *learner,
                       const ol_outer_spec *spec, const ol_span *spans, ol_real *G,
                       const ol_real *mean_m, const ol_real *mean_v, ol_state *state);

#endif
