/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/attention.h
 * Causal attention over ragged sequences, with H query heads and G groups of keys and values
 * (G = H: multi-head, G < H: grouped [Ainslie et al. 2023]), as a dual operator.
 *
 * q = x[0] [m,H·D], k = x[1], v = x[2] [n,G·D], o = y [m,H·D]; n rows in all, m = rows->query_start[B]
 * queries: all rows, or in the last block of a model only those that predict a scored token. Query
 * row i sees the keys at positions 0 .. query_position[i] of its sequence; head h uses group
 * h·G/H. For one sequence and head, σ = 1/√D:
 *
 *   (1) S = σ q kᵀ,  P = softmax over the visible keys,  o = P v
 *   (2) P_bar = o_bar vᵀ;  S_bar = P (P_bar - Σ P P_bar);
 *       q_bar = σ S_bar k;  k_bar = σ S_barᵀ q;  v_bar = Pᵀ o_bar        k, v: summed over a group
 *   (3) R{S} = σ (R{q} kᵀ + q R{k}ᵀ);  R{P} = P (R{S} - Σ P R{S});  R{o} = R{P} v + P R{v}
 *   (4) R{P_bar} = R{o_bar} vᵀ + o_bar R{v}ᵀ;
 *       R{S_bar} = R{P} (P_bar - Σ P P_bar) + P (R{P_bar} - Σ (R{P} P_bar + P R{P_bar}));
 *       R{q_bar} = σ (R{S_bar} k + S_bar R{k});  R{k_bar} = σ (R{S_bar}ᵀ q + S_barᵀ R{q});
 *       R{v_bar} = R{P}ᵀ o_bar + Pᵀ R{o_bar}
 *
 * P is never stored: blocks of query rows compute it again from the log of its normaliser (the
 * state, [m,H]), so memory is linear in tokens. Keys that no query of a block sees are not computed.
 * q_bar, k_bar and v_bar are always overwritten.
 *
 * Where sequences share rows (rows->shared; forward, values only), the keys and values of each are
 * brought together by position; those it shares stand there from the sequence before.
 *
 * Cost in flop, each over visible (query, key) pairs of all heads: (1) 4D, (2) 10D, (3) 8D + 2D,
 * (4) 22D, less where tangents are NULL.
 */
#ifndef OUTERLOOP_KERNEL_ATTENTION_H
#define OUTERLOOP_KERNEL_ATTENTION_H

#include "outerloop/kernel/operator.h"

extern const ol_operator ol_attention;

#endif
