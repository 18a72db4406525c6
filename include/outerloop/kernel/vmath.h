/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/vmath.h
 * exp of vectors: SLEEF's vector functions (1 ulp) where the build has them for this
 * machine, else libm's. Input and output may be the same buffer. Local, cannot fail.
 */
#ifndef OUTERLOOP_KERNEL_VMATH_H
#define OUTERLOOP_KERNEL_VMATH_H

#include "outerloop/base/real.h" /* ol_real */

/** y = exp x. */
void ol_vmath_exp(size_t n, const ol_real *x, ol_real *y);

#endif
