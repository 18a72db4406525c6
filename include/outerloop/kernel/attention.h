/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/attention.h
 * Causal multi-head attention over ragged sequences, as one dual operator.
 *
 * Sequences are packed one after the other. Keys and values have a row for every token; queries may
 * have fewer (the last block of a model needs them only where a token is scored). Query row i sees
 * the keys at positions 0 .. position[i] of its sequence. For one sequence and head, σ = 1/√D:
 *
 *   (1) S = σ q kᵀ,  P = softmax over the visible keys,  o = P v
 *   (2) P_bar = o_bar vᵀ;  S_bar = P (P_bar - Σ P P_bar);
 *       q_bar = σ S_bar k;  k_bar = σ S_barᵀ q;  v_bar = Pᵀ o_bar
 *   (3) R{S} = σ (R{q} kᵀ + q R{k}ᵀ);  R{P} = P (R{S} - Σ P R{S});  R{o} = R{P} v + P R{v}
 *   (4) R{P_bar} = R{o_bar} vᵀ + o_bar R{v}ᵀ;
 *       R{S_bar} = R{P} (P_bar - Σ P P_bar) + P (R{P_bar} - Σ (R{P} P_bar + P R{P_bar}));
 *       R{q_bar} = σ (R{S_bar} k + S_bar R{k});  R{k_bar} = σ (R{S_bar}ᵀ q + S_barᵀ R{q});
 *       R{v_bar} = R{P}ᵀ o_bar + Pᵀ R{o_bar}
 *
 * P is never stored: blocks of query rows compute it again from the log of its normaliser, so
 * memory is linear in tokens. Keys that no query of a block sees are not computed.
 *
 * Cost in flop, each over visible (query, key) pairs of all heads: (1) 4C, (2) 10C, (3) 8C + 2C,
 * (4) 22C. Local, allocates nothing, cannot fail.
 */
#ifndef OUTERLOOP_KERNEL_ATTENTION_H
#define OUTERLOOP_KERNEL_ATTENTION_H

#include "outerloop/kernel/dual.h"

typedef struct ol_attention_dim {
    int H, D;               /**< heads and head size; C = H·D                            */
    int B;                  /**< sequences                                               */
    const int *key_start;   /**< [B+1] first row of k and v of each sequence             */
    const int *query_start; /**< [B+1] first row of q and o of each sequence             */
    const int *position;    /**< [query_start[B]] in the sequence, ascending within it   */
    int ldq;                /**< between rows of q and q_bar                             */
    int ldkv;               /**< between rows of k, v and k_bar, v_bar                   */
} ol_attention_dim;

/** Head h of q, k, v is columns h·D .. h·D+D-1 of its buffer. */
typedef struct ol_attention_io {
    ol_dual q, k, v; /**< inputs                                                       */
    ol_real *lse;    /**< [query rows, H] log of the normaliser; written by (1), read after */
} ol_attention_io;

/** Reals of scratch for sequences of at most `longest` tokens. */
size_t ol_attention_scratch(int longest);

/** (1), (3). Overwrites o [query rows, C]. */
void ol_attention_forward(ol_pass pass, ol_attention_dim d, ol_attention_io io, ol_dual o,
                          ol_real *scratch);

/** (2), (4). Overwrites q_bar, k_bar, v_bar, laid out as q, k, v. */
void ol_attention_backward(ol_pass pass, ol_attention_dim d, ol_attention_io io, ol_dual o_bar,
                           ol_dual q_bar, ol_dual k_bar, ol_dual v_bar, ol_real *scratch);

#endif
