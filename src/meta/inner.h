/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file inner.h (private to meta)
 * The trajectory of one inner loop: what is stored on the way to θ_K, and the way back.
 *
 * Stored: the gradient of every step (K vectors of P), and under OL_KEEP the tape of the last one.
 * Parameters and moments in between are walked again from θ and the gradients, which costs a pass
 * over memory and gives the same bits.
 */
#ifndef OUTERLOOP_META_INNER_H
#define OUTERLOOP_META_INNER_H

#include "outerloop/meta/learner.h"

typedef struct ol_trajectory {
    const ol_model *model;
    const ol_learner_spec *spec;
    const ol_span *spans; /* [model->n_params]                                         */
    ol_state_view start;  /* θ and the moments the inner optimizer starts from; NULL = 0 */
    int K;                /* steps whose gradients are stored; 0 when none are needed  */
    ol_real **g;          /* [K][P]                                                    */
    ol_tape *tape;        /* of the last step, or NULL                                 */
    ol_real *x;           /* [P] θ_k                                                   */
    ol_real *m, *v;       /* [P] running moments, or NULL when they are not needed     */
    ol_real *lm, *lv;     /* [P] adjoints of the moments, or NULL                      */
    ol_real *lg;          /* [P] adjoint of a gradient, or NULL                        */
} ol_trajectory;

/* Lay out the trajectory of `spec`. */
ol_trajectory ol_trajectory_layout(ol_arena *arena, const ol_model *model,
                                   const ol_learner_spec *spec, ol_extent support);

/* Walk forward: x becomes θ_K, m and v the adapted moments. losses [K].
 * Errors: OL_ENONFINITE, OL_ESTOPPED. */
ol_status ol_trajectory_forward(ol_trajectory *t, const ol_batch *support, ol_state_view state,
                                ol_arena *ws, double *losses);

/* Walk back: lx = dq/dθ_K becomes dq/dθ. Leaves x at θ_0. Errors: OL_ESTOPPED. */
ol_status ol_trajectory_backward(ol_trajectory *t, const ol_batch *support, ol_arena *ws,
                                 ol_real *lx);

/* The same with the inner gradients taken as data: what remains is the decay of each step. */
void ol_trajectory_first_order(const ol_trajectory *t, ol_real *lx);

/* One inner step: x, m, v moved along -g. */
void ol_inner_step(const ol_model *model, const ol_learner_spec *spec, const ol_span *spans,
                   int64_t t, const ol_real *g, ol_real *x, ol_real *m, ol_real *v);

#endif
