/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/embedding.h
 * Token embeddings and learned positions, as dual operators.
 *
 *   ol_embedding   (1) y_i  = w[token_i]        (2) w_bar[token_i]    += y_bar_i     w[0] [V,C]
 *   ol_positions   (3) y_i += w[position_i]     (4) w_bar[position_i] += y_bar_i     w[0] [T,C]
 *
 * Linear: tangents alike. Rows are added in order, so sums have the same bits for the same batch.
 */
#ifndef OUTERLOOP_KERNEL_EMBEDDING_H
#define OUTERLOOP_KERNEL_EMBEDDING_H

#include "outerloop/kernel/operator.h"

extern const ol_operator ol_embedding, ol_positions;

#endif
