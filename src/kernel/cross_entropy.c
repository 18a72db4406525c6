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

/* Scratch of one block: z and R{z} [2n,V], h, R{h} and h again [3n,C], a panel of w. */
size_t ol_cross_entropy_scratch(ol_cross_entropy_dim d)
{
    const size_t rows = (size_t)block_rows(d);

    return 2 * rows * (size_t)d.V + 3 * rows * (size_t)d.C + ol_weight_scratch(d.C);
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

/* Logits in p as probabilities; losses in loss (NULL: not wanted). */
static void softmax_rows(ol_cross_entropy_dim d, int n, const int32_t *target, double *loss,
                         ol_real *p)
{
    for (int r = 0; r < n; r++) {
        const double nats = softmax_row(d.V, target[r], p + (size_t)r * (size_t)d.V);

        if (loss)
            loss[r] = nats;
    }
}

static ol_real *rows_of(ol_cross_entropy_dim d, ol_real *scratch)
{
    return scratch + 2 * (size_t)block_rows(d) * (size_t)d.V;
}

static ol_real *panel_of(ol_cross_entropy_dim d, ol_real *scratch)
{
    return rows_of(d, scratch) + 3 * (size_t)block_rows(d) * (size_t)d.C;
}

void ol_cross_entropy_loss(ol_cross_entropy_dim d, const ol_real *h, const ol_weight *w,
                           const int32_t *target, double *loss, ol_real *scratch)
{
    const int step = block_rows(d);

    for (int i = 0; i < d.M; i += step) {
        const int n = d.M - i < step ? d.M - i : step;

        ol_weight_nt(n, 1, (ol_mat){h + (size_t)i * (size_t)d.C, d.C}, w, 0,
                     (ol_mat_out){scratch, d.V}, panel_of(d, scratch));
        softmax_rows(d, n, target + i, loss + i, scratch);
    }
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

/* One block of rows. */
typedef struct block {
    ol_cross_entropy_dim d;
    int n;
    ol_dual h, z;   /* z [n,V] becomes z_bar, and R{z} R{z_bar}, which stands behind it */
    ol_real *twice; /* h, R{h} and h again, one behind the other; where R{h} is not 0   */
    ol_real *panel;
} block;

/* Rows behind each other are multiplied in one go: a vocabulary's weights are read once for both. */
static void stack(const block *b)
{
    const size_t size = (size_t)b->n * (size_t)b->d.C;

    memcpy(b->twice, b->h.v, size * sizeof *b->twice);
    memcpy(b->twice + size, b->h.dot, size * sizeof *b->twice);
    memcpy(b->twice + 2 * size, b->h.v, size * sizeof *b->twice);
}

/* z, and R{z} where it is wanted. */
static void logits(const block *b, const ol_weight *w)
{
    const int C = b->d.C, V = b->d.V;
    const bool both = b->z.dot && b->h.dot;

    if (both)
        stack(b);
    ol_weight_nt(both ? 2 * b->n : b->n, 1, (ol_mat){both ? b->twice : b->h.v, C}, w, 0,
                 (ol_mat_out){b->z.v, V}, b->panel);
    if (b->z.dot && !both)
        memset(b->z.dot, 0, (size_t)b->n * (size_t)V * sizeof *b->z.dot);
    if (b->z.dot && w->at.dot)
        ol_gemm_nt(b->n, V, C, 1, (ol_mat){b->h.v, C}, (ol_mat){w->at.dot, w->ld}, 1,
                   (ol_mat_out){b->z.dot, V});
}

/* (2) or (3), from z_bar and R{z_bar}. */
static void products(ol_pass pass, const block *b, const ol_weight *w, ol_dual h_bar, ol_dual w_bar)
{
    const int n = b->n, C = b->d.C, V = b->d.V;
    const ol_mat z_bar = {b->z.v, V}, z_bar_dot = {b->z.dot, V}, h = {b->h.v, C};

    if ((pass & OL_PRIMAL) && h_bar.v)
        ol_weight_nn(n, 1, z_bar, w, 0, (ol_mat_out){h_bar.v, C}, b->panel);
    if ((pass & OL_PRIMAL) && w_bar.v)
        ol_gemm_tn(V, C, n, 1, z_bar, h, 1, (ol_mat_out){w_bar.v, w->ld});
    if (!(pass & OL_TANGENT))
        return;
    if (h_bar.dot) {
        ol_weight_nn(n, 1, z_bar_dot, w, 0, (ol_mat_out){h_bar.dot, C}, b->panel);
        if (w->at.dot)
            ol_gemm_nn(n, C, V, 1, z_bar, (ol_mat){w->at.dot, w->ld}, 1,
                       (ol_mat_out){h_bar.dot, C});
    }
    if (w_bar.dot && b->h.dot) /* z_barᵀ R{h} + R{z_bar}ᵀ h */
        ol_gemm_tn(V, C, 2 * n, 1, z_bar, (ol_mat){b->twice + (size_t)n * (size_t)C, C}, 1,
                   (ol_mat_out){w_bar.dot, w->ld});
    else if (w_bar.dot)
        ol_gemm_tn(V, C, n, 1, z_bar_dot, h, 1, (ol_mat_out){w_bar.dot, w->ld});
}

void ol_cross_entropy_adjoint(ol_pass pass, ol_cross_entropy_dim d, ol_dual h, const ol_weight *w,
                              const int32_t *target, const ol_real *weight, double *loss,
                              ol_dual h_bar, ol_dual w_bar, ol_real *scratch)
{
    const int step = block_rows(d);
    const bool tangent = (pass & OL_TANGENT) != 0;

    for (int i = 0; i < d.M; i += step) {
        const int n = d.M - i < step ? d.M - i : step;
        const size_t at = (size_t)i * (size_t)d.C;
        const block b = {.d = d,
                         .n = n,
                         .h = ol_dual_at(h, at),
                         .z = {scratch, tangent ? scratch + (size_t)n * (size_t)d.V : NULL},
                         .twice = rows_of(d, scratch),
                         .panel = panel_of(d, scratch)};

        logits(&b, w);
        softmax_rows(d, n, target + i, pass & OL_PRIMAL ? loss + i : NULL, b.z.v);
        for (int r = 0; r < n; r++)
            adjoint_row(d.V, target[i + r], weight[i + r], b.z.v + (size_t)r * (size_t)d.V,
                        tangent ? b.z.dot + (size_t)r * (size_t)d.V : NULL);
        products(pass, &b, w, ol_dual_at(h_bar, at), w_bar);
    }
}
