/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/comm/schedule.h
 * Which rank does which episode of a meta-step.
 *
 *   (1) position p = 0 .. N-1: episodes by predicted cost, dearest first, ties by number
 *   (2) position p is done by rank p % size in round p / size
 *
 * In each round a rank has at most one episode, and as costs fall along the positions those of one
 * round are alike. Rounds matter within a node only, whose ranks add up their vectors after each
 * (exact_sum.h): they wait for the dearest of theirs, and for other nodes at the end alone. Results
 * do not depend on the order, as sums are exact.
 *
 * Local but for ol_schedule_gather.
 */
#ifndef OUTERLOOP_COMM_SCHEDULE_H
#define OUTERLOOP_COMM_SCHEDULE_H

#include "outerloop/comm/comm.h" /* ol_comm */

typedef struct ol_schedule {
    int N;            /**< episodes                                                         */
    int size;         /**< ranks                                                            */
    int rounds;       /**< ceil(N / size)                                                   */
    int *order;       /**< [N] episode at position p                                        */
    int *position;    /**< [N] position of episode n                                        */
    double imbalance; /**< (3) Σ_rounds max cost · size / Σ cost, 1 is perfect: predicted time over
                           that of evenly spread work, at most (of a single node)                                       */
    double *sorted_costs; /**< [N] cost at position p                                      */
    double *pack;         /**< scratch of ol_schedule_gather, grown as needed              */
    size_t pack_bytes;
} ol_schedule;

/** Allocate for N >= 1 episodes on `size` ranks, with all costs equal. Errors: OL_ENOMEM. */
ol_status ol_schedule_init(ol_schedule *schedule, int N, int size);

/** Free. Accepts NULL and a zero struct. */
void ol_schedule_finish(ol_schedule *schedule);

/** Order the episodes of the next meta-step. @param costs  [N], >= 0, any unit, the same on all
 *  ranks. Allocates nothing. */
void ol_schedule_plan(ol_schedule *schedule, const double *costs);

/** The episode of a rank in a round, -1 when it has none. */
int ol_schedule_episode(const ol_schedule *schedule, int rank, int round);

/** The rank that does episode n. */
int ol_schedule_rank(const ol_schedule *schedule, int episode);

/**
 * Give every rank the numbers of every episode (losses, norms, seconds), to be summed by episode
 * number: the same bits on any number of ranks.
 * @param rows  [N, width]; on entry the rows of own episodes are set, on return all are
 * Collective: one message in the node and one between nodes. Errors: OL_EMPI, OL_ENOMEM (on all ranks; only when width
 * grows).
 */
ol_status ol_schedule_gather(ol_schedule *schedule, ol_comm *comm, int width, double *rows);

#endif
