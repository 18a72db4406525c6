/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/gelu.h
 * GELU in its tanh form [Hendrycks and Gimpel 2016], elementwise, as one dual operator.
 *
 * With a = √(2/π), c = 0.044715, u = a (x + c x³), t = tanh u, u' = a (1 + 3 c x²):
 *
 *   (1) y      = x (1 + t)/2
 *   (2) x_bar  = y_bar y',       y'  = (1 + t)/2 + x (1-t²) u'/2
 *   (3) R{y}   = y' R{x}
 *   (4) R{x_bar} = R{y_bar} y' + y_bar y'' R{x},
 *                  y'' = (1-t²) (u' + x (u''/2 - t u'²)),  u'' = 6 a c x
 *
 * All buffers [n]. Overwrites. Local, allocates nothing, cannot fail.
 */
#ifndef OUTERLOOP_KERNEL_GELU_H
#define OUTERLOOP_KERNEL_GELU_H

#include "outerloop/kernel/dual.h"

/** (1), (3). */
void ol_gelu_forward(ol_pass pass, size_t n, ol_dual x, ol_dual y);

/** (2), (4). */
void ol_gelu_backward(ol_pass pass, size_t n, ol_dual x, ol_dual y_bar, ol_dual x_bar);

#endif
