/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/weight.h"

#include <string.h>

#include "outerloop/kernel/bf16.h" /* ol_bf16_round */

enum { PANEL_REALS = 1 << 16, LEAST_ROWS = 8 }; /* of a widened panel: it stays in the cache */

static int panel_rows(int cols)
{
    return PANEL_REALS / cols > LEAST_ROWS ? PANEL_REALS / cols : LEAST_ROWS;
}

size_t ol_weight_scratch(int cols)
{
    return (size_t)panel_rows(cols) * (size_t)cols;
}

void ol_bf16_to_reals(size_t n, const uint16_t *x, ol_real *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (ol_real)ol_bf16_widen(x[i]);
}

/* The bits of the float next to x on the side of 0, and its last one set unless it is x: rounding
 * these is rounding x, where rounding the float nearest to x would round twice. */
static uint32_t odd_bits(ol_real x)
{
    const float nearest = (float)x;
    uint32_t bits;

    memcpy(&bits, &nearest, sizeof bits);
    if ((ol_real)nearest != x && x == x)
        bits = (bits - ((x > 0) == ((ol_real)nearest > x))) | 1u;
    return bits;
}

void ol_bf16_from_reals(size_t n, const ol_real *x, uint16_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = ol_bf16_round(odd_bits(x[i]), x[i] != x[i]);
}

/* Rows i .. i+rows-1 as reals in scratch, contiguous. */
static ol_mat widen(const ol_weight *w, int i, int rows, ol_real *scratch)
{
    for (int r = 0; r < rows; r++)
        ol_bf16_to_reals((size_t)w->cols, w->bf16 + (size_t)(i + r) * (size_t)w->ld,
                         scratch + (size_t)r * (size_t)w->cols);
    return (ol_mat){scratch, w->cols};
}

const ol_real *ol_weight_row(const ol_weight *w, int i, ol_real *scratch)
{
    return w->bf16 ? widen(w, i, 1, scratch).at : w->at.v + (size_t)i * (size_t)w->ld;
}

void ol_weight_nt(int n, ol_real alpha, ol_mat x, const ol_weight *w, ol_real beta, ol_mat_out y,
                  ol_real *scratch)
{
    const int step = panel_rows(w->cols);

    if (!w->bf16) {
        ol_gemm_nt(n, w->rows, w->cols, alpha, x, (ol_mat){w->at.v, w->ld}, beta, y);
        return;
    }
    if (ol_gemm_with_bf16(true, n, w->rows, w->cols, alpha, x, w->bf16, w->ld, beta, y))
        return;
    for (int i = 0; i < w->rows; i += step) {
        const int rows = w->rows - i < step ? w->rows - i : step;

        ol_gemm_nt(n, rows, w->cols, alpha, x, widen(w, i, rows, scratch), beta,
                   (ol_mat_out){y.at + i, y.ld});
    }
}

void ol_weight_nn(int n, ol_real alpha, ol_mat x, const ol_weight *w, ol_real beta, ol_mat_out y,
                  ol_real *scratch)
{
    const int step = panel_rows(w->cols);

    if (!w->bf16) {
        ol_gemm_nn(n, w->cols, w->rows, alpha, x, (ol_mat){w->at.v, w->ld}, beta, y);
        return;
    }
    if (ol_gemm_with_bf16(false, n, w->cols, w->rows, alpha, x, w->bf16, w->ld, beta, y))
        return;
    for (int i = 0; i < w->rows; i += step) {
        const int rows = w->rows - i < step ? w->rows - i : step;

        ol_gemm_nn(n, w->cols, rows, alpha, (ol_mat){x.at + i, x.ld}, widen(w, i, rows, scratch),
                   i == 0 ? beta : 1, y);
    }
}
