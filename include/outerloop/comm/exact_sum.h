/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/comm/exact_sum.h
 * Sums of a meta-step's vectors over all episodes, with the same bits on any number of ranks.
 *
 *   (1) out = (float or double)(scale · fl64(Σ x))      over the vectors given, in any order
 *
 * Addition of floats is not associative, so an ordinary sum depends on who adds what first. Here
 * nothing is rounded before the end (expansion.h), so (1) is a function of the vectors alone, and
 * ranks may add in the order that costs least:
 *
 *     in a node, each round       every rank owns a slice of the sum and gets it from the others
 *                                 (alltoallv of floats through shared memory), which it adds
 *     between nodes, once         ranks that own the same slice on all nodes, a column, add theirs
 *                                 up in the same way (alltoallv of float64 sums)
 *     at the end, once            (1), gathered along the columns, then in the nodes
 *
 *     slice   node 0   node 1   node 2          columns
 *       0     rank 0   rank 2   rank 4    ->    one reduce-scatter, one all-gather
 *       1     rank 1   rank 3   rank 5    ->    one reduce-scatter, one all-gather
 *
 * Only the ranks of a node wait for each other in a round. Ranks of a node that has more of them than
 * others form several groups that count as nodes: of as many ranks as divides the ranks of every node
 * (ol_comm_sharing). A rank alone sends nothing.
 *
 * With R ranks a node, C nodes, n elements of 4 bytes:
 * Memory: 8·n/R bytes of sums (16·n/R where a second layer is needed) and at most 8 MiB of buffer, one for
 * all vectors. Vectors are sent from where they are.
 * Traffic a rank: 4·n·(R-1)/R in a node each round and once at the end; between nodes
 * 12·n/R·(C-1)/C a meta-step: 8 for the sums (8 more in the segments of a million elements where an
 * element needed a second layer), 4 for the result.
 *
 *     ol_exact_sum_begin(sum);
 *     for (int round = 0; round < schedule.rounds && go_on; round++) {
 *         int n = ol_schedule_episode(&schedule, rank, round);
 *         ... local work ...
 *         status = ol_exact_sum_round(sum, status, n >= 0 && good ? vectors : NULL, &go_on);
 *     }
 *     OL_TRY(ol_comm_agree(comm, status));
 *     OL_TRY(ol_exact_sum_finish(sum, scales, vectors));
 */
#ifndef OUTERLOOP_COMM_EXACT_SUM_H
#define OUTERLOOP_COMM_EXACT_SUM_H

#include <stdbool.h>

#include "outerloop/comm/comm.h"      /* ol_comm */
#include "outerloop/comm/expansion.h" /* ol_sum_type */

typedef struct ol_exact_sum ol_exact_sum;

/**
 * For `count` vectors, that many sums side by side. @param comm  borrowed, outlives the sum
 * @param lengths  [count] elements of each, the same on all ranks
 * @param out  *owned by the caller* (ol_exact_sum_destroy). Collective: fails on all ranks or none.
 * Errors: OL_ENOMEM, OL_EMPI.
 */
ol_status ol_exact_sum_create(ol_comm *comm, ol_sum_type type, int count, const size_t *lengths,
                              ol_exact_sum **out);

/** Free. Local. Accepts NULL. */
void ol_exact_sum_destroy(ol_exact_sum *sum);

/** Bytes that ol_exact_sum_create takes on a rank, for plans. @param sharing  ranks of a node,
 *  @param nodes  of so many */
size_t ol_exact_sum_bytes(ol_sum_type type, int count, const size_t *lengths, int sharing,
                          int nodes);

/** Start new sums at zero. Local. */
void ol_exact_sum_begin(ol_exact_sum *sum);

/**
 * One round: add this rank's vectors.
 * @param mine   what came of own work; x is not looked at when it is no OL_OK
 * @param x      [count] borrowed, unchanged; NULL when this rank has no episode in this round or its
 *               episode was dropped
 * @param go_on  false when this rank or another of its node has failed: there is no next round. Then
 *               as without failure, ol_comm_agree tells everyone
 * @return own failure: `mine`, or OL_ENOMEM, OL_EMPI; OL_OK when another rank's ends the rounds
 * Collective over the node.
 */
ol_status ol_exact_sum_round(ol_exact_sum *sum, ol_status mine, const void *const *x, bool *go_on);

/** Give every rank (1), the same bits. @param scales  [count] @param out  [count] vectors,
 *  overwritten. Collective. Errors: OL_EMPI, OL_ENOMEM (on all ranks). */
ol_status ol_exact_sum_finish(ol_exact_sum *sum, const double *scales, void *const *out);

/** Bytes of vectors and sums that this rank has sent to others since ol_exact_sum_begin. */
typedef struct ol_exact_sum_traffic {
    uint64_t node;    /**< to ranks of its node */
    uint64_t between; /**< to other nodes       */
} ol_exact_sum_traffic;

ol_exact_sum_traffic ol_exact_sum_sent(const ol_exact_sum *sum);

#endif
