/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/linear.h"

#include <assert.h>

#include "outerloop/kernel/gemm.h" /* ol_gemm_nn, ol_gemm_nt, ol_gemm_tn */

/* Every row of y becomes b: the product is then added to it. */
static void spread_bias(ol_linear_dim d, const ol_real *b, ol_real *y)
{
    for (int i = 0; i < d.n; i++) {
        ol_real *row = y + (size_t)i * (size_t)d.ldy;

        for (int j = 0; j < d.out; j++)
            row[j] = b[j];
    }
}

static void add_column_sums(ol_linear_dim d, const ol_real *y_bar, ol_real *b_bar)
{
    for (int i = 0; i < d.n; i++) {
        const ol_real *row = y_bar + (size_t)i * (size_t)d.ldy;

        for (int j = 0; j < d.out; j++)
            b_bar[j] += row[j];
    }
}

void ol_linear_forward(ol_pass pass, ol_linear_dim d, ol_dual x, ol_dual w, ol_dual b, ol_dual y)
{
    assert(d.n > 0 && d.in > 0 && d.out > 0 && d.ldw >= d.out && d.ldy >= d.out);
    if (pass & OL_PRIMAL) {
        spread_bias(d, b.v, y.v);
        ol_gemm_nn(d.n, d.out, d.in, 1, (ol_mat){x.v, d.in}, (ol_mat){w.v, d.ldw}, 1,
                   (ol_mat_out){y.v, d.ldy}); /* y = x W + b          (1) */
    }
    if (pass & OL_TANGENT) {
        spread_bias(d, b.dot, y.dot);
        ol_gemm_nn(d.n, d.out, d.in, 1, (ol_mat){x.dot, d.in}, (ol_mat){w.v, d.ldw}, 1,
                   (ol_mat_out){y.dot, d.ldy}); /* R{y} = R{x} W + R{b} (3) */
        ol_gemm_nn(d.n, d.out, d.in, 1, (ol_mat){x.v, d.in}, (ol_mat){w.dot, d.ldw}, 1,
                   (ol_mat_out){y.dot, d.ldy}); /*      + x R{W}        (3) */
    }
}

void ol_linear_backward(ol_pass pass, ol_linear_dim d, ol_dual x, ol_dual w, ol_dual y_bar,
                        bool add_x, ol_dual x_bar, ol_dual w_bar, ol_dual b_bar)
{
    const ol_real keep = add_x ? 1 : 0;

    if ((pass & OL_PRIMAL) && x_bar.v)
        ol_gemm_nt(d.n, d.in, d.out, 1, (ol_mat){y_bar.v, d.ldy}, (ol_mat){w.v, d.ldw}, keep,
                   (ol_mat_out){x_bar.v, d.in}); /* x_bar = y_bar Wᵀ         (2) */
    if ((pass & OL_PRIMAL) && w_bar.v)
        ol_gemm_tn(d.in, d.out, d.n, 1, (ol_mat){x.v, d.in}, (ol_mat){y_bar.v, d.ldy}, 1,
                   (ol_mat_out){w_bar.v, d.ldw}); /* W_bar += xᵀ y_bar        (2) */
    if ((pass & OL_PRIMAL) && b_bar.v)
        add_column_sums(d, y_bar.v, b_bar.v);
    if (!(pass & OL_TANGENT))
        return;
    if (x_bar.dot) {
        ol_gemm_nt(d.n, d.in, d.out, 1, (ol_mat){y_bar.dot, d.ldy}, (ol_mat){w.v, d.ldw}, keep,
                   (ol_mat_out){x_bar.dot, d.in}); /* R{x_bar} = R{y_bar} Wᵀ  (4) */
        ol_gemm_nt(d.n, d.in, d.out, 1, (ol_mat){y_bar.v, d.ldy}, (ol_mat){w.dot, d.ldw}, 1,
                   (ol_mat_out){x_bar.dot, d.in}); /*   + y_bar R{W}ᵀ         (4) */
    }
    if (w_bar.dot) {
        ol_gemm_tn(d.in, d.out, d.n, 1, (ol_mat){x.dot, d.in}, (ol_mat){y_bar.v, d.ldy}, 1,
                   (ol_mat_out){w_bar.dot, d.ldw}); /* R{W_bar} += R{x}ᵀ y_bar (4) */
        ol_gemm_tn(d.in, d.out, d.n, 1, (ol_mat){x.v, d.in}, (ol_mat){y_bar.dot, d.ldy}, 1,
                   (ol_mat_out){w_bar.dot, d.ldw}); /*   + xᵀ R{y_bar}         (4) */
    }
    if (b_bar.dot)
        add_column_sums(d, y_bar.dot, b_bar.dot);
}
