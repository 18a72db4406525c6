/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/weight.h
 * A matrix of weights as it is stored, and the two products with it.
 *
 * Trained weights are reals and may have a tangent. Frozen ones have none and may be stored as
 * bfloat16 (the upper half of a float32): a panel of rows is then widened into scratch just before
 * the product that needs it, so that a whole widened matrix never exists. Widening is exact; the
 * products are those of the widened matrix. Where products are made in bfloat16 (products.h) the
 * stored weights are a factor as they are.
 *
 * Cost of widening: one pass over the weights a product, 1/n of the product's own work.
 * Local, allocates nothing, cannot fail.
 */
#ifndef OUTERLOOP_KERNEL_WEIGHT_H
#define OUTERLOOP_KERNEL_WEIGHT_H

#include <stdint.h>

#include "outerloop/kernel/dual.h"
#include "outerloop/kernel/gemm.h" /* ol_mat */

/** W [rows,cols], or a vector [rows] with cols 1. A zero ol_weight is no weight at all. */
typedef struct ol_weight {
    ol_dual at;           /**< reals; .v NULL where bf16 is set, .dot NULL = tangent 0 */
    const uint16_t *bf16; /**< or bfloat16                                             */
    int rows, cols;
    int ld; /**< between rows: W may be a block of columns of a wider matrix           */
} ol_weight;

/** Reals of scratch that the products take for weights of that many columns. */
size_t ol_weight_scratch(int cols);

/** y [n,rows] = α x Wᵀ + β y     with x [n,cols]. */
void ol_weight_nt(int n, ol_real alpha, ol_mat x, const ol_weight *w, ol_real beta, ol_mat_out y,
                  ol_real *scratch);

/** y [n,cols] = α x W + β y      with x [n,rows]. */
void ol_weight_nn(int n, ol_real alpha, ol_mat x, const ol_weight *w, ol_real beta, ol_mat_out y,
                  ol_real *scratch);

/** Row i as reals: borrowed from the weight, or widened into `scratch` [cols]. */
const ol_real *ol_weight_row(const ol_weight *w, int i, ol_real *scratch);

/** The weight whose values are the tangent of w; w->at.dot must not be NULL. */
static inline ol_weight ol_weight_tangent(const ol_weight *w)
{
    return (ol_weight){.at = {.v = w->at.dot}, .rows = w->rows, .cols = w->cols, .ld = w->ld};
}

/** n reals as bfloat16, rounded to nearest, ties to even. */
void ol_bf16_from_reals(size_t n, const ol_real *x, uint16_t *y);

/** n bfloat16 as reals: exact. */
void ol_bf16_to_reals(size_t n, const uint16_t *x, ol_real *y);

#endif
