/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/optim/adam.h
 * SGD and AdamW on flat vectors, and the adjoint of their steps.
 *
 * AdamW [Loshchilov and Hutter 2019], step t = 1, 2, ... with c1 = 1/(1-β1^t), c2 = 1/(1-β2^t):
 *
 *   (1) m ← β1 m + (1-β1) g
 *   (2) v ← β2 v + (1-β2) g²
 *   (3) x ← (1 - α w) x - α c1 m / (√(c2 v) + ε)          w falls on spans with decay alone
 *
 * SGD: x ← x - α g; no moments, no decay.
 *
 * Adjoint of one AdamW step, from λx = dq/dx_next, λm = dq/dm_next, λv = dq/dv_next to those
 * before it, with s = √(c2 v_next):
 *
 *   (4) λm ← λm - α c1 λx / (s+ε)
 *   (5) λv ← λv + α c1 λx m_next c2 / (2 s (s+ε)²)        0 where v_next is 0
 *   (6) λg = (1-β1) λm + 2 (1-β2) g λv
 *   (7) λx ← (1 - α w) λx                                  the caller adds H λg
 *   (8) λm ← β1 λm,  λv ← β2 λv
 *
 * Local, allocates nothing, cannot fail. Cost: memory-bound passes over P.
 */
#ifndef OUTERLOOP_OPTIM_ADAM_H
#define OUTERLOOP_OPTIM_ADAM_H

#include <stdint.h>

#include "outerloop/kernel/vector.h" /* ol_span */

typedef struct ol_adam_spec {
    double lr; /**< α */
    double beta1;
    double beta2;
    double eps;          /**< ε */
    double weight_decay; /**< w */
} ol_adam_spec;

#define OL_ADAM_SPEC_INIT                                                                          \
    {                                                                                              \
        .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.0                 \
    }

/** x ← x - α g. x, g [P]. */
void ol_sgd_step(size_t P, double lr, const ol_real *g, ol_real *x);

/**
 * (1) to (3), in place.
 * @param t     number of this step, from 1
 * @param g     [P] borrowed
 * @param x, m, v  [P] updated
 */
void ol_adam_step(const ol_adam_spec *spec, int n_spans, const ol_span *spans, int64_t t,
                  const ol_real *g, ol_real *x, ol_real *m, ol_real *v);

/** The optimizer steps of an inner loop from its start: all that is needed to walk it again. */
typedef struct ol_adam_path {
    const ol_adam_spec *spec;
    int n_spans;
    const ol_span *spans;
    int64_t t0;              /**< steps taken before the loop                */
    const ol_real *x0;       /**< [P] parameters at the start                */
    const ol_real *m0, *v0;  /**< [P] moments at the start; NULL means 0     */
    const ol_real *const *g; /**< g[k] [P]: gradient of step k               */
} ol_adam_path;

/**
 * Walk the path again to x after k steps: bit for bit the x that ol_adam_step made. m and v pass
 * through registers, so that no copy of theirs is ever stored.
 * @param x  [P] overwritten
 */
void ol_adam_replay(const ol_adam_path *path, int k, ol_real *x);

/**
 * (4) to (8) for step k of the path, its moments replayed.
 * @param lx      [P] λx, updated by (7)
 * @param lm, lv  [P] λm and λv, updated by (4), (5), (8); zero before the last step. Both NULL
 *                when the path has one step: they start from 0 and nobody reads them after
 * @param lg      [P] λg, overwritten by (6)
 */
void ol_adam_adjoint(const ol_adam_path *path, int k, ol_real *lx, ol_real *lm, ol_real *lv,
                     ol_real *lg);

/** What is left of `steps` adjoints when gradients count as data: λx ← (1 - α w)^steps λx, (7) alone.
 *  @param lx  [P] updated */
void ol_adam_decay(const ol_adam_spec *spec, int n_spans, const ol_span *spans, int steps,
                   ol_real *lx);

#endif
