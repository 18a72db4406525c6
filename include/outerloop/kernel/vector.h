/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/vector.h
 * Flat vectors of reals, and the spans that say where weight decay falls.
 * Sums are taken in double, in a fixed order: the same bits for the same input. Local, cannot fail.
 */
#ifndef OUTERLOOP_KERNEL_VECTOR_H
#define OUTERLOOP_KERNEL_VECTOR_H

#include <stdbool.h>

#include "outerloop/base/real.h" /* ol_real */

/** A run of parameters that one rule holds for. */
typedef struct ol_span {
    size_t offset;
    size_t size;
    bool decay; /**< weight decay falls on it: tensors of two or more dimensions */
} ol_span;

/** y += a x. */
void ol_vector_axpy(size_t n, ol_real a, const ol_real *x, ol_real *y);

/** x *= a. */
void ol_vector_scale(size_t n, ol_real a, ol_real *x);

/** x = 0. */
void ol_vector_zero(size_t n, ol_real *x);

/** Σ x y. */
double ol_vector_dot(size_t n, const ol_real *x, const ol_real *y);

/** √Σ x², in double. */
double ol_vector_norm(size_t n, const ol_real *x);

/** √Σ (x - y)², in double. */
double ol_vector_distance(size_t n, const ol_real *x, const ol_real *y);

/** True when every element is finite. */
bool ol_vector_finite(size_t n, const ol_real *x);

#endif
