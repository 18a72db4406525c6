/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/linear.h
 * Linear maps, as dual operators: ol_linear with weights [out,in], as most models store them, and
 * ol_conv1d with weights [in,out], as GPT-2 does.
 *
 * x[0] [n,in], y [n,out], w[0] = W, w[1] = b [out] (or none). For ol_linear
 *
 *   (1) y      = x Wᵀ + b              (3) R{y}      = R{x} Wᵀ + x R{W}ᵀ + R{b}
 *   (2) x_bar  = y_bar W               (4) R{x_bar}  = R{y_bar} W + y_bar R{W}
 *       W_bar += y_barᵀ x                  R{W_bar} += R{y_bar}ᵀ x + y_barᵀ R{x}
 *       b_bar += Σ_n y_bar                 R{b_bar} += Σ_n R{y_bar}
 *
 * and for ol_conv1d the same with Wᵀ in place of W. W may be a block of columns of a wider matrix.
 *
 * Cost: 2·n·in·out flop a product. With trained weights (1) takes 1 product, (2) 2, (3) 2, (4) 4;
 * with frozen ones 1 each. Source of (3), (4): Pearlmutter 1994.
 */
#ifndef OUTERLOOP_KERNEL_LINEAR_H
#define OUTERLOOP_KERNEL_LINEAR_H

#include "outerloop/kernel/operator.h"

extern const ol_operator ol_linear, ol_conv1d;

#endif
