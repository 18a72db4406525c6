/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/cross_entropy.h"

#include <math.h>
#include <string.h>

#include "outerloop/kernel/gemm.h"  /* ol_gemm_nn, ol_gemm_nt, ol_gemm_tn */
#include "outerloop/kernel/vmath.h" /* ol_vmath_exp */

enum { BLOCK_REALS = 1 << 21, LEAST_ROWS = 16 }; /* logits of a block: 8 MiB, or 16 rows */

/* Rows whose logits are there at one time. */
static int block_rows(ol_cross_entropy_dim d)
{
    const int fit = BLOCK_REALS / d.V > LEAST_ROWS ? BLOCK_REALS / d.V : LEAST_ROWS;

    return d.M < fit ? d.M : fit;
}

size_t ol_cross_entropy_scratch(ol_cross_entropy_dim d)
{
    return 2 * (size_t)block_rows(d) * (size_t)d.V + ol_weight_scratch(d.C);
}

/* Turn logits into probabilities in place; returns (1). */
static double softmax_row(int V, int32_t target, ol_real *z)
{
    ol_real top = z[0], sum = 0;

#pragma omp simd reduction(max : top)
    for (int j = 0; j < V; j++)
        top = z[j] > top ? z[j] : top;
    const double chosen = (double)z[target] - (double)top;

    for (int j = 0; j < V; j++)
        z[j] -= top;
    ol_vmath_exp((size_t)V, z, z);
#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < V; j++)
        sum += z[j];
    const ol_real inverse = 1 / sum;

    for (int j = 0; j < V; j++)
        z[j] *= inverse;
    return log((double)sum) - chosen;
}

/* Logits of rows i .. i+n-1 as probabilities in p, their losses in loss (NULL: not wanted). */
static void probabilities(ol_cross_entropy_dim d, int i, int n, const ol_real *h,
                          const ol_weight *w, const int32_t *target, double *loss, ol_real *p,
                          ol_real *panel)
{
    ol_weight_nt(n, 1, (ol_mat){h + (size_t)i * (size_t)d.C, d.C}, w, 0, (ol_mat_out){p, d.V},
                 panel);
    for (int r = 0; r < n; r++) {
        const double nats = softmax_row(d.V, target[i + r], p + (size_t)r * (size_t)d.V);

        if (loss)
            loss[i + r] = nats;
    }
}

static ol_real *panel_of(ol_cross_entropy_dim d, ol_real *scratch)
{
    return scratch + 2 * (size_t)block_rows(d) * (size_t)d.V;
}

void ol_cross_entropy_loss(ol_cross_entropy_dim d, const ol_real *h, const ol_weight *w,
                           const int32_t *target, double *loss, ol_real *scratch)
{
    const int step = block_rows(d);

    for (int i = 0; i < d.M; i += step)
        probabilities(d, i, d.M - i < step ? d.M - i : step, h, w, target, loss, scratch,
                      panel_of(d, scratch));
}

/* z_bar in place of p, and R{z_bar} in place of R{z} when it is not NULL. */
static void adjoint_row(int V, int32_t target, ol_real weight, ol_real *p, ol_real *z_dot)
{
    if (z_dot) {
        ol_real along = 0;

#pragma omp simd reduction(+ : along)
        for (int j = 0; j < V; j++)
            along += p[j] * z_dot[j];
        for (int j = 0; j < V; j++)
            z_dot[j] = weight * p[j] * (z_dot[j] - along);
    }
    for (int j = 0; j < V; j++)
        p[j] *= weight;
    p[target] -= weight;
}

/* R{z} of n rows. */
static void logit_tangents(ol_cross_entropy_dim d, int n, ol_dual h, const ol_weight *w,
                           ol_real *z_dot, ol_real *panel)
{
    const ol_mat_out to = {z_dot, d.V};

    if (h.dot)
        ol_weight_nt(n, 1, (ol_mat){h.dot, d.C}, w, 0, to, panel);
    else
        memset(z_dot, 0, (size_t)n * (size_t)d.V * sizeof *z_dot);
    if (w->at.dot)
        ol_gemm_nt(n, d.V, d.C, 1, (ol_mat){h.v, d.C}, (ol_mat){w->at.dot, w->ld}, 1, to);
}

/* (2) or (3) for n rows, whose z_bar is z.v and R{z_bar} z.dot. */
static void products(ol_pass pass, ol_cross_entropy_dim d, int n, ol_dual z, ol_dual h,
                     const ol_weight *w, ol_dual h_bar, ol_dual w_bar, ol_real *panel)
{
    const ol_mat z_bar = {z.v, d.V}, z_bar_dot = {z.dot, d.V};
    const ol_mat hs = {h.v, d.C};

    if ((pass & OL_PRIMAL) && h_bar.v)
        ol_weight_nn(n, 1, z_bar, w, 0, (ol_mat_out){h_bar.v, d.C}, panel);
    if ((pass & OL_PRIMAL) && w_bar.v)
        ol_gemm_tn(d.V, d.C, n, 1, z_bar, hs, 1, (ol_mat_out){w_bar.v, w->ld});
    if (!(pass & OL_TANGENT))
        return;
    if (h_bar.dot) {
        ol_weight_nn(n, 1, z_bar_dot, w, 0, (ol_mat_out){h_bar.dot, d.C}, panel);
        if (w->at.dot)
            ol_gemm_nn(n, d.C, d.V, 1, z_bar, (ol_mat){w->at.dot, w->ld}, 1,
                       (ol_mat_out){h_bar.dot, d.C});
    }
    if (w_bar.dot) {
        ol_gemm_tn(d.V, d.C, n, 1, z_bar_dot, hs, 1, (ol_mat_out){w_bar.dot, w->ld});
        if (h.dot)
            ol_gemm_tn(d.V, d.C, n, 1, z_bar, (ol_mat){h.dot, d.C}, 1,
                       (ol_mat_out){w_bar.dot, w->ld});
    }
}

void ol_cross_entropy_adjoint(ol_pass pass, ol_cross_entropy_dim d, ol_dual h, const ol_weight *w,
                              const int32_t *target, const ol_real *weight, double *loss,
                              ol_dual h_bar, ol_dual w_bar, ol_real *scratch)
{
    const int step = block_rows(d);
    const int tangent = (pass & OL_TANGENT) != 0;
    const ol_dual z = {scratch, tangent ? scratch + (size_t)step * (size_t)d.V : NULL};
    ol_real *panel = panel_of(d, scratch);

    for (int i = 0; i < d.M; i += step) {
        const int n = d.M - i < step ? d.M - i : step;
        const size_t at = (size_t)i * (size_t)d.C;

        probabilities(d, i, n, h.v, w, target, pass & OL_PRIMAL ? loss : NULL, z.v, panel);
        if (tangent)
            logit_tangents(d, n, ol_dual_at(h, at), w, z.dot, panel);
        for (int r = 0; r < n; r++)
            adjoint_row(d.V, target[i + r], weight[i + r], z.v + (size_t)r * (size_t)d.V,
                        tangent ? z.dot + (size_t)r * (size_t)d.V : NULL);
        products(pass, d, n, z, ol_dual_at(h, at), w, ol_dual_at(h_bar, at), w_bar, panel);
    }
}
