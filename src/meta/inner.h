/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file inner.h (private to meta)
 * What the files of the learners share: an episode at hand, and the trajectory of an inner loop.
 *
 * Stored of a trajectory: the gradient of every step (K vectors of P), and the tapes of the last ones,
 * as many as the spec's storage says. Parameters and moments in between are walked again from θ and the gradients, which
 * costs a pass over memory and gives the same bits.
 */
#ifndef OUTERLOOP_META_INNER_H
#define OUTERLOOP_META_INNER_H

#include "outerloop/meta/learner.h"

extern const ol_learner ol_learner_maml, ol_learner_meta_sgd, ol_learner_reptile;
extern const ol_learner ol_learner_metaicl, ol_learner_multitask;

/* An episode, as the function of a learner gets it. */
typedef struct ol_task {
    const ol_model *model;
    const ol_learner_spec *spec;
    const ol_episode *episode;
    ol_state_view state;
    ol_arena *ws;
    const ol_contribution *out;
    double *inner_losses;
    ol_episode_report *report;
} ol_task;

/* Parts of learners with an inner loop: Δ, and the adapted moments that are carried. */
void ol_inner_declare(const ol_model *model, const ol_learner_spec *spec, ol_contribution *out);
size_t ol_inner_bytes(const ol_model *model, const ol_learner_spec *spec, ol_extent support,
                      ol_extent query);

/* Name one more part. */
void ol_contribution_add(ol_contribution *out, const char *name, size_t size,
                         ol_reduction reduction);

/* Forward loss of the query prompts. */
double ol_task_query_loss(const ol_task *task, const ol_real *theta);

/* The exact or first-order Δ, and dq/dα of the learner's own; maml's and meta-sgd's. */
ol_status ol_maml_episode(const ol_task *task);
double ol_maml_evaluations(const ol_learner_spec *spec, double support, double query);

typedef struct ol_trajectory {
    const ol_model *model;
    const ol_learner_spec *spec;
    int n_spans;
    const ol_span *spans; /* [n_spans] of what the inner loop moves                    */
    ol_state_view start;  /* θ and the moments the inner optimizer starts from; NULL = 0 */
    int K;                /* steps whose gradients are stored                          */
    ol_real **g;          /* [K][P]; on the way back each becomes its adjoint          */
    int n_tapes;
    ol_tape **tapes;  /* [n_tapes] of the last step, of the one before it, ...     */
    ol_real *x;       /* [P] θ_k                                                   */
    ol_real *m, *v;   /* [P] running moments, or NULL when they are not needed; once it
                             walks, the contribution's own where they are carried      */
    ol_real *lm, *lv; /* [P] adjoints of the moments, or NULL                      */
} ol_trajectory;

/* Inner steps whose tapes are kept, for a support of that extent: the last ones. */
int ol_trajectory_tapes(const ol_model *model, const ol_learner_spec *spec, ol_extent support);

/* Lay out the trajectory of `spec`. */
ol_trajectory ol_trajectory_layout(ol_arena *arena, const ol_model *model,
                                   const ol_learner_spec *spec, ol_extent support);

/* Walk the support of a task forward: x becomes θ_K, and the adapted moments go to the contribution
 * where they are carried. Errors: OL_ENONFINITE, OL_ESTOPPED. */
ol_status ol_trajectory_forward(ol_trajectory *t, const ol_task *task);

/* Walk back: l [O] begins as dq/dθ_K and, behind it, 0, and becomes dq/dθ and dq/d(own). Errors:
 * OL_ESTOPPED. */
ol_status ol_trajectory_backward(ol_trajectory *t, const ol_batch *support, ol_arena *ws,
                                 ol_real *l);

/* The same with the inner gradients taken as data: what remains of θ's is the decay of each step. */
void ol_trajectory_first_order(const ol_trajectory *t, ol_real *l);

/* One inner step: x, m, v moved along -g within the spans; own [E]. */
void ol_inner_step(const ol_model *model, const ol_learner_spec *spec, int n_spans,
                   const ol_span *spans, const ol_real *own, int64_t t, const ol_real *g,
                   ol_real *x, ol_real *m, ol_real *v);

/* Asked between pieces of work. Errors: OL_ESTOPPED. */
static inline ol_status heed_stop(const ol_learner_spec *spec)
{
    OL_CHECK(!spec->stop || !spec->stop(), OL_ESTOPPED, "asked to stop");
    return OL_OK;
}

#endif
