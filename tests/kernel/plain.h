/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file plain.h
 * The value of every operator by plain loops in double, as the headers write it: what tests hold
 * operators against, and what the benchmark shows beside them.
 */
#ifndef TESTS_KERNEL_PLAIN_H
#define TESTS_KERNEL_PLAIN_H

#include "outerloop/kernel/operator.h"

/**
 * y [n,out] of a call; of operators with OL_ADDS, what they add. At most 256 keys are visible.
 * Aborts for an operator that has no loop.
 * @param frequency  [head_dim/2] of rotary angles; others do not read it
 */
void plain_forward(const ol_operator *op, const ol_call *c, const double *frequency, double *y);

double plain_gelu(double x);
double plain_silu(double x);

#endif
