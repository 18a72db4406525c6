/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/norm.h
 * LayerNorm [Ba et al. 2016] and RMSNorm [Zhang and Sennrich 2019], as dual operators.
 *
 * A row of x[0] is `heads` pieces (0 or 1: one) of C reals, each normalised by itself: qwen3 does so
 * for every head of q and k. w[0] = g [C], w[1] = b [C] (LayerNorm). With ⟨·⟩ the mean over a piece,
 * μ = ⟨x⟩ for LayerNorm and 0 for RMSNorm, and terms in ⟨h⟩, ⟨R{h}⟩, ⟨R{x}⟩ of LayerNorm alone:
 *
 *   (1) r = 1/√(⟨(x-μ)²⟩ + ε),  x̂ = (x-μ) r,  y = x̂ g + b
 *   (2) h = y_bar g;  A = h - ⟨h⟩ - x̂ ⟨h x̂⟩;  x_bar = r A;  g_bar += y_bar x̂;  b_bar += y_bar
 *   (3) R{r} = -r² ⟨x̂ R{x}⟩,  R{x̂} = r (R{x} - ⟨R{x}⟩ - x̂ ⟨x̂ R{x}⟩),
 *       R{y} = R{x̂} g + x̂ R{g} + R{b}
 *   (4) R{h} = R{y_bar} g + y_bar R{g};
 *       R{A} = R{h} - ⟨R{h}⟩ - R{x̂} ⟨h x̂⟩ - x̂ ⟨R{h} x̂ + h R{x̂}⟩;
 *       R{x_bar} = R{r} A + r R{A};  R{g_bar} += R{y_bar} x̂ + y_bar R{x̂};  R{b_bar} += R{y_bar}
 *
 * State: μ and r of every piece. Cost: a few memory-bound passes over x.
 */
#ifndef OUTERLOOP_KERNEL_NORM_H
#define OUTERLOOP_KERNEL_NORM_H

#include "outerloop/kernel/operator.h"

extern const ol_operator ol_layernorm, ol_rmsnorm;

#endif
