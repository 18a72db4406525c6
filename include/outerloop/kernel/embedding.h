/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/embedding.h
 * Token and position embeddings, and the gathering of rows, as dual operators.
 *
 *   (1) x_i = wte[token_i] + wpe[position_i]      linear: tangents alike
 *   (2) wte_bar[token_i] += x_bar_i,  wpe_bar[position_i] += x_bar_i
 *   (3) y_i = x[row_i]                            (4) x_bar[row_i] += y_bar_i
 *
 * Rows are added in order, so sums have the same bits for the same batch. Local, cannot fail.
 */
#ifndef OUTERLOOP_KERNEL_EMBEDDING_H
#define OUTERLOOP_KERNEL_EMBEDDING_H

#include <stdint.h>

#include "outerloop/kernel/dual.h"

/** (1). x [n,C] overwritten. */
void ol_embedding_forward(ol_pass pass, int n, int C, const int32_t *token, const int *position,
                          ol_dual wte, ol_dual wpe, ol_dual x);

/** (2). */
void ol_embedding_backward(ol_pass pass, int n, int C, const int32_t *token, const int *position,
                           ol_dual x_bar, ol_dual wte_bar, ol_dual wpe_bar);

/** (3). y [n,C] overwritten. */
void ol_rows_gather(ol_pass pass, int n, int C, const int *row, ol_dual x, ol_dual y);

/** (4). */
void ol_rows_scatter(ol_pass pass, int n, int C, const int *row, ol_dual y_bar, ol_dual x_bar);

#endif
