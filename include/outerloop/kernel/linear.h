/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/linear.h
 * Linear map y = x W + b, as one dual operator.
 *
 * Shapes: x [n,in], W [in,out] with rows ldw apart, b [out], y [n,out] with rows ldy apart; x is
 * contiguous. So y may be a block of columns of a wider buffer, W a block of columns of a wider
 * weight.
 *
 *   (1) y      = x W + b               (3) R{y}      = R{x} W + x R{W} + R{b}
 *   (2) x_bar  = y_bar Wᵀ              (4) R{x_bar}  = R{y_bar} Wᵀ + y_bar R{W}ᵀ
 *       W_bar += xᵀ y_bar                  R{W_bar} += R{x}ᵀ y_bar + xᵀ R{y_bar}
 *       b_bar += Σ_n y_bar                 R{b_bar} += Σ_n R{y_bar}
 *
 * Cost: 2·n·in·out flop a product. Local, allocates nothing, cannot fail.
 */
#ifndef OUTERLOOP_KERNEL_LINEAR_H
#define OUTERLOOP_KERNEL_LINEAR_H

#include <stdbool.h>

#include "outerloop/kernel/dual.h"

typedef struct ol_linear_dim {
    int n, in, out;
    int ldw, ldy;
} ol_linear_dim;

/** (1), (3). Overwrites y. */
void ol_linear_forward(ol_pass pass, ol_linear_dim d, ol_dual x, ol_dual w, ol_dual b, ol_dual y);

/** (2), (4). x_bar is overwritten, or added to when `add_x` is set. */
void ol_linear_backward(ol_pass pass, ol_linear_dim d, ol_dual x, ol_dual w, ol_dual y_bar,
                        bool add_x, ol_dual x_bar, ol_dual w_bar, ol_dual b_bar);

#endif
