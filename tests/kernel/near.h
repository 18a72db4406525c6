/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file near.h
 * Results in the precision that a test is compiled for, against those of plain loops in double.
 *
 * A sum of n products of size 1 rounds to within n ε, a vector function to a few ε: 200 ε of the
 * largest value leaves an order to sums of up to 150 terms.
 */
#ifndef TESTS_KERNEL_NEAR_H
#define TESTS_KERNEL_NEAR_H

#include <float.h>

#include "outerloop/base/real.h"

#ifdef OL_F64
#define EPSILON DBL_EPSILON
#else
#define EPSILON ((double)FLT_EPSILON)
#endif

/* Fails the test, in the name of `what`, when an element is not within 200 ε of the largest. */
void near(const char *what, size_t n, const double *expected, const ol_real *got);

#endif
