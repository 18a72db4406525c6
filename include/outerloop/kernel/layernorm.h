/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/layernorm.h
 * LayerNorm over the last dimension [Ba et al. 2016], as one dual operator.
 *
 * Shapes: x, y [n,C]; weight g, bias b [C]; mean μ, r [n]. With ⟨·⟩ the mean over a row:
 *
 *   (1) r = 1/√(⟨(x-μ)²⟩ + ε),  x̂ = (x-μ) r,  y = x̂ g + b
 *   (2) h = y_bar g;  A = h - ⟨h⟩ - x̂ ⟨h x̂⟩;  x_bar += r A;  g_bar += y_bar x̂;  b_bar += y_bar
 *   (3) R{r} = -r² ⟨x̂ R{x}⟩,  R{x̂} = r (R{x} - ⟨R{x}⟩ - x̂ ⟨x̂ R{x}⟩),
 *       R{y} = R{x̂} g + x̂ R{g} + R{b}
 *   (4) R{h} = R{y_bar} g + y_bar R{g};
 *       R{A} = R{h} - ⟨R{h}⟩ - R{x̂} ⟨h x̂⟩ - x̂ ⟨R{h} x̂ + h R{x̂}⟩;
 *       R{x_bar} += R{r} A + r R{A};  R{g_bar} += R{y_bar} x̂ + y_bar R{x̂};  R{b_bar} += R{y_bar}
 *
 * x_bar is added to: LayerNorm reads the residual stream, whose adjoint it joins.
 * Cost: a few memory-bound passes over x. Local, allocates nothing, cannot fail.
 */
#ifndef OUTERLOOP_KERNEL_LAYERNORM_H
#define OUTERLOOP_KERNEL_LAYERNORM_H

#include "outerloop/kernel/dual.h"

typedef struct ol_layernorm_dim {
    int n, C;
    double eps;
} ol_layernorm_dim;

/** (1), (3). Overwrites y, and mean and rstd in the primal pass; the tangent pass reads them. */
void ol_layernorm_forward(ol_pass pass, ol_layernorm_dim d, ol_dual x, ol_dual weight, ol_dual bias,
                          ol_real *mean, ol_real *rstd, ol_dual y);

/** (2), (4). Adds to x_bar, weight_bar and bias_bar. @param row  scratch [2·C] */
void ol_layernorm_backward(ol_pass pass, ol_layernorm_dim d, ol_dual x, ol_dual weight,
                           const ol_real *mean, const ol_real *rstd, ol_dual y_bar, ol_real *row,
                           ol_dual x_bar, ol_dual weight_bar, ol_dual bias_bar);

#endif
