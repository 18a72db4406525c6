/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/optim/adam.h
 * SGD and AdamW on flat vectors, and the adjoint of their steps.
 *
 * AdamW [Loshchilov and Hutter 2019], step t = 1, 2, ... with c1 = 1/(1-β1^t), c2 = 1/(1-β2^t):
 *
 *   (1) m ← β1 m + (1-β1) g
 *   (2) v ← β2 v + (1-β2) g²
 *   (3) x ← (1 - α w) x - α c1 m / (s + ε),  s = √(c2 v + ρ)     w falls on spans with decay alone
 *
 * SGD: x ← x - α g; no moments, no decay.
 *
 * Adjoint of one AdamW step, from λx = dq/dx_next, λm = dq/dm_next, λv = dq/dv_next to those
 * before it, with s after the step:
 *
 *   (4) λm ← λm - α c1 λx / (s+ε)
 *   (5) λv ← λv + α c1 λx m_next c2 / (2 s (s+ε)²)        the slope of s is taken as 0 where s is 0
 *   (6) λg = (1-β1) λm + 2 (1-β2) g λv
 *   (7) λx ← (1 - α w) λx                                  the caller adds H λg
 *   (8) λm ← β1 λm,  λv ← β2 λv
 *
 * (4) and (5) are built by successive divisions by s+ε and s: no product of the three, which would
 * leave the range of a float where gradients are small.
 *
 * What ρ is for. From empty moments a first step is g/(|g| + ε): its slope jumps by 2/ε at g = 0, and
 * Δ through it is lost to the rounding of small g. ρ > 0 rounds that corner off, over |g| of about
 * √ρ; elements much smaller than that take steps in proportion to themselves. Worst relative error of
 * a float32 Δ (‖Δ32-Δ64‖/‖Δ64‖; 4 seeds, K = 1..3, all four `moments`, after 0, 1 and 20 steps):
 *
 *   ρ              0      1e-16   1e-14   1e-12   1e-10   1e-8
 *   α = 1e-4     2e-2     4e-2    4e-2    1e-3    3e-4    1e-5
 *   α = 1e-3     6e-2     2e-1    3e-2    4e-3    8e-4    1e-4
 *   α = 1e-2     2e-1     2e-1    4e-2    9e-3    1e-3    1e-4
 *
 * Hence OL_INNER_EPS_ROOT, for inner loops. Once v is well above 0 (`read` and the like after some
 * steps) every column is below 1e-6. An outer optimizer is not differentiated and has no need of it.
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
    double eps;          /**< ε: added to the root      */
    double eps_root;     /**< ρ: added under the root   */
    double weight_decay; /**< w                         */
} ol_adam_spec;

/** Default of ρ in inner loops. */
#define OL_INNER_EPS_ROOT 1e-8

#define OL_ADAM_SPEC_INIT                                                                          \
    {                                                                                              \
        .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .eps_root = 0.0,                    \
        .weight_decay = 0.0                                                                        \
    }

/**
 * The index-th of `count` even shares of spans, cut where the blocks of a step end: steps on all shares
 * make the bits of a step on the whole.
 * @param out  [n_spans] overwritten: spans within those given; may be `spans`
 * @return how many
 */
int ol_spans_share(int n_spans, const ol_span *spans, int index, int count, ol_span *out);

/** x ← x - α g on the spans. x, g [P]. */
void ol_sgd_step(double lr, int n_spans, const ol_span *spans, const ol_real *g, ol_real *x);

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
 * (4) to (8) for step k of the path, all before it replayed.
 * @param x       [P] overwritten by x after k steps, as ol_adam_replay makes it; not looked at with k = 0
 * @param lx      [P] λx, updated by (7)
 * @param lm, lv  [P] λm and λv, updated by (4), (5), (8); zero before the last step. Both NULL
 *                when the path has one step: they start from 0 and nobody reads them after
 * @param lg      [P] λg, overwritten by (6); may be path->g[k]
 */
void ol_adam_adjoint(const ol_adam_path *path, int k, ol_real *x, ol_real *lx, ol_real *lm,
                     ol_real *lv, ol_real *lg);

/** What is left of `steps` adjoints when gradients count as data: λx ← (1 - α w)^steps λx, (7) alone.
 *  @param lx  [P] updated */
void ol_adam_decay(const ol_adam_spec *spec, int n_spans, const ol_span *spans, int steps,
                   ol_real *lx);

#endif
