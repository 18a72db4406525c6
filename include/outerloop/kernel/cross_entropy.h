/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/cross_entropy.h
 * The head: logits of scored rows, softmax, cross-entropy, and all derivatives in one walk.
 *
 * Shapes: h [M,C] final hidden states of the scored rows; w [V,C], often the embedding; target and
 * weight [M]. With z = h wᵀ, p = softmax z and the total L = Σ_i weight_i ℓ_i:
 *
 *   (1) ℓ_i   = log Σ exp z_i - z_i[target_i]                                            [nats]
 *   (2) z_bar = weight (p - 1[target]);  h_bar = z_bar w;  w_bar += z_barᵀ h
 *   (3) R{z} = R{h} wᵀ + h R{w}ᵀ;  R{z_bar} = weight p (R{z} - Σ p R{z});
 *       R{h_bar} = R{z_bar} w + z_bar R{w};  R{w_bar} += R{z_bar}ᵀ h + z_barᵀ R{h}
 *
 * The adjoint of L is 1, so value and adjoint are computed together. Rows go through in blocks, so
 * that [M,V] logits are never stored, and a tangent pass computes them again.
 *
 * NULL tangents and adjoints are zero and not wanted, as for operators (operator.h).
 *
 * Cost: 2·M·C·V flop a product: one for (1), two more for (2), six more for (3); with a frozen w one
 * more for (2) and two more for (3). Local, allocates nothing, cannot fail.
 */
#ifndef OUTERLOOP_KERNEL_CROSS_ENTROPY_H
#define OUTERLOOP_KERNEL_CROSS_ENTROPY_H

#include <stdint.h>

#include "outerloop/kernel/dual.h"
#include "outerloop/kernel/weight.h" /* ol_weight */

typedef struct ol_cross_entropy_dim {
    int M, C, V;
} ol_cross_entropy_dim;

/** Reals of scratch. */
size_t ol_cross_entropy_scratch(ol_cross_entropy_dim d);

/** (1): loss [M] overwritten. */
void ol_cross_entropy_loss(ol_cross_entropy_dim d, const ol_real *h, const ol_weight *w,
                           const int32_t *target, double *loss, ol_real *scratch);

/**
 * (2) in the primal pass, (3) in the tangent pass.
 * @param loss   [M] overwritten by (1) in the primal pass
 * @param h_bar  [M,C] overwritten
 * @param w_bar  [V,C] added to; laid out as w: rows w->ld apart
 */
void ol_cross_entropy_adjoint(ol_pass pass, ol_cross_entropy_dim d, ol_dual h, const ol_weight *w,
                              const int32_t *target, const ol_real *weight, double *loss,
                              ol_dual h_bar, ol_dual w_bar, ol_real *scratch);

#endif
