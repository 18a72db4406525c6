/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/comm/ordered_sum.h
 * Sums over episodes with the same bits on any number of ranks.
 *
 *   (1) s = ((x_p0 + x_p1) + x_p2) + ...      by position (schedule.h), in float64
 *   (2) out = (float or double)(scale · s)
 *
 * Addition of floats is not associative, so a sum is a function of its order. MPI_Allreduce chooses
 * one by the number of ranks; here it is (1) always. Positions p = round·size + rank are added round
 * by round: the vector is cut into segments, each rank owns a slice of every segment and gets all
 * ranks' pieces of it (alltoallv), which it adds in order of rank. Absent and dropped episodes are
 * skipped, which is the same on any number of ranks too.
 *
 * Memory: 8·n/size bytes of sums and 8 MiB of buffer at most; x is sent from where it is.
 * Traffic per round and rank: n elements sent and received at most; at the end n more.
 *
 *     ol_ordered_sum_begin(sum);
 *     for (int round = 0; round < schedule.rounds; round++) {
 *         int n = ol_schedule_episode(&schedule, rank, round);
 *         ... local work ...
 *         OL_TRY(ol_comm_agree(comm, status));
 *         OL_TRY(ol_ordered_sum_add(sum, n >= 0 && good ? x : NULL));
 *     }
 *     OL_TRY(ol_ordered_sum_finish(sum, 1.0 / count, mean));
 */
#ifndef OUTERLOOP_COMM_ORDERED_SUM_H
#define OUTERLOOP_COMM_ORDERED_SUM_H

#include "outerloop/comm/comm.h" /* ol_comm */

/** Type of the vectors; the value is the element's size in bytes (so sizeof(ol_real) converts). */
typedef enum ol_sum_type {
    OL_SUM_F32 = 4,
    OL_SUM_F64 = 8,
} ol_sum_type;

typedef struct ol_ordered_sum ol_ordered_sum;

/**
 * For vectors of n elements. @param comm  borrowed, outlives the sum
 * @param out  *owned by the caller* (ol_ordered_sum_destroy). Collective: fails on all ranks or none.
 * Errors: OL_ENOMEM, OL_EMPI.
 */
ol_status ol_ordered_sum_create(ol_comm *comm, size_t n, ol_sum_type type, ol_ordered_sum **out);

/** Free. Local. Accepts NULL. */
void ol_ordered_sum_destroy(ol_ordered_sum *sum);

/** Bytes that ol_ordered_sum_create takes on a rank, for plans. */
size_t ol_ordered_sum_bytes(size_t n, ol_sum_type type, int size);

/** Start a new sum at zero. Local. */
void ol_ordered_sum_begin(ol_ordered_sum *sum);

/**
 * One round: add this rank's vector. @param x  [n], borrowed, unchanged; NULL when this rank has no
 * episode in this round or its episode was dropped. Collective. Errors: OL_EMPI.
 */
ol_status ol_ordered_sum_add(ol_ordered_sum *sum, const void *x);

/** Give every rank (2), the same bits. @param out  [n], overwritten. Collective. Errors: OL_EMPI. */
ol_status ol_ordered_sum_finish(ol_ordered_sum *sum, double scale, void *out);

#endif
