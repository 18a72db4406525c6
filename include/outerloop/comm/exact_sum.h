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
 *     in a node, each round       every rank owns a slice of the sum, to which it adds that slice of
 *                                 the vectors of all ranks, read where they lie
 *     between nodes, once         ranks that own the same slice on all nodes, a column, add theirs
 *                                 up (alltoallv of float64 sums)
 *     at the end, once            (1), gathered along the columns; a node has one copy
 *
 *     slice   node 0   node 1   node 2          columns
 *       0     rank 0   rank 2   rank 4    ->    one reduce-scatter, one all-gather
 *       1     rank 1   rank 3   rank 5    ->    one reduce-scatter, one all-gather
 *
 * So a node's memory passes each vector on once, which is the least that a sum of them can take: a rank
 * that added its own episodes up first would move five times the bytes, in and out of float64.
 *
 * Only the ranks of a node wait for each other in a round. Ranks of a node that has more of them than
 * others form several groups that count as nodes: of as many ranks as divides the ranks of every node
 * (ol_comm_sharing). A rank alone neither sends nor waits.
 *
 * The vectors and the result are in memory that the node's ranks share (node.h). Where there is no
 * room for that, ranks pass slices on in messages (alltoallv, allgatherv), of the same bits, in twice
 * the time.
 *
 * With R ranks a node, C nodes, n elements of 4 bytes:
 * Memory beside the vectors: 8·n/R bytes of sums (16·n/R where a second layer is needed), 4·n/R of the
 * result, and at most 8 MiB of buffer between nodes, one for all vectors.
 * Traffic a rank: 4·n·(R-1)/R read in a node each round; between nodes 12·n/R·(C-1)/C a meta-step: 8
 * for the sums (8 more in the pieces of a million elements where an element needed a second layer), 4
 * for the result. With messages in a node: 4·n·(R-1)/R sent each round and once at the end.
 *
 *     ol_exact_sum_begin(sum);
 *     for (int round = 0; round < schedule.rounds && go_on; round++) {
 *         int n = ol_schedule_episode(&schedule, rank, round);
 *         ... local work, which leaves its vectors in ol_exact_sum_vector(sum, 0), ... ...
 *         status = ol_exact_sum_round(sum, status, n >= 0 && good, &go_on);
 *     }
 *     OL_TRY(ol_comm_agree(comm, status));
 *     OL_TRY(ol_exact_sum_finish(sum, scales));
 *     ... ol_exact_sum_result(sum, 0), ... ...
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
 * Errors: OL_ENOMEM, OL_EMPI, OL_EUSAGE (node.h). Where the ranks of a node find no room for memory that
 * they share (node.h), a warning says so and they send each other messages.
 */
ol_status ol_exact_sum_create(ol_comm *comm, ol_sum_type type, int count, const size_t *lengths,
                              ol_exact_sum **out);

/** Free. Collective. Accepts NULL (on all ranks). */
void ol_exact_sum_destroy(ol_exact_sum *sum);

/** Bytes that ol_exact_sum_create takes on a rank beside its vectors, for plans. @param sharing  ranks of
 *  a node, @param nodes  of so many */
size_t ol_exact_sum_bytes(ol_sum_type type, int count, const size_t *lengths, int sharing,
                          int nodes);

/** Bytes of other ranks' vectors that a rank maps and reads, its slice of each: resident in it too, though
 *  a node has them once. Of the results it reads its own slice alone, where the ranks step one state. */
size_t ol_exact_sum_mapped(ol_sum_type type, int count, const size_t *lengths, int sharing);

/** Vector i of this rank [lengths[i]], to be written between two rounds and left to the sum during them;
 *  on a 64-byte boundary. Borrowed from the sum. Local. */
void *ol_exact_sum_vector(const ol_exact_sum *sum, int i);

/** Whether ranks add up each other's vectors where they lie; false where messages pass them on, or a
 *  rank is alone. The same on all ranks. Local. */
bool ol_exact_sum_in_place(const ol_exact_sum *sum);

/** Start new sums at zero. Local. */
void ol_exact_sum_begin(ol_exact_sum *sum);

/**
 * One round: add this rank's vectors.
 * @param mine   what came of own work
 * @param gives  false when this rank has no episode in this round, its episode was dropped, or `mine` is
 *               no OL_OK: its vectors are not looked at
 * @param go_on  false when this rank or another of its node has failed: there is no next round. Then
 *               as without failure, ol_comm_agree tells everyone
 * @return own failure: `mine`, or OL_ENOMEM, OL_EMPI; OL_OK when another rank's ends the rounds
 * Collective over the node: nobody returns before all have read what they want of the vectors.
 */
ol_status ol_exact_sum_round(ol_exact_sum *sum, ol_status mine, bool gives, bool *go_on);

/** Give every rank (1), the same bits. @param scales  [count]
 *  Collective. Errors: OL_EMPI, OL_ENOMEM (on all ranks). */
ol_status ol_exact_sum_finish(ol_exact_sum *sum, const double *scales);

/** (1) of the vectors i, after ol_exact_sum_finish and until the next round. Not to be written where it
 *  is not own vector i itself, in whose place it is unless ol_exact_sum_in_place: other ranks read it
 *  too. Borrowed from the sum. Local. */
void *ol_exact_sum_result(const ol_exact_sum *sum, int i);

/** Bytes of vectors and sums that this rank has moved since ol_exact_sum_begin. */
typedef struct ol_exact_sum_traffic {
    uint64_t node;    /**< in its node: read of other ranks' vectors, or sent to them */
    uint64_t between; /**< sent to other nodes                                        */
} ol_exact_sum_traffic;

ol_exact_sum_traffic ol_exact_sum_moved(const ol_exact_sum *sum);

#endif
