/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/lowrank.h
 * A low-rank product beside a linear map (LoRA, Hu et al. 2021), as a dual operator that adds to y.
 *
 * x[0] [n,in], y [n,out]; w[0] = A [r,in], w[1] = B [out,r], as peft stores them; s the scale.
 * With u = x Aᵀ [n,r], which the primal pass leaves as state:
 *
 *   (1) y     += s u Bᵀ
 *   (2) u_bar  = s y_bar B;  x_bar = u_bar A;  A_bar += u_barᵀ x;  B_bar += s y_barᵀ u
 *   (3) R{u}   = R{x} Aᵀ + x R{A}ᵀ;  R{y} += s (R{u} Bᵀ + u R{B}ᵀ)
 *   (4) R{u_bar} = s (R{y_bar} B + y_bar R{B});
 *       R{x_bar}  = R{u_bar} A + u_bar R{A};
 *       R{A_bar} += R{u_bar}ᵀ x + u_barᵀ R{x};   R{B_bar} += s (R{y_bar}ᵀ u + y_barᵀ R{u})
 *
 * Cost: 2·n·r·in or 2·n·r·out flop a product, small beside the linear map's own 2·n·in·out. With
 * frozen weights every pass takes one of each, and a tangent pass reads neither x nor y_bar.
 */
#ifndef OUTERLOOP_KERNEL_LOWRANK_H
#define OUTERLOOP_KERNEL_LOWRANK_H

#include "outerloop/kernel/operator.h"

extern const ol_operator ol_lowrank;

#endif
