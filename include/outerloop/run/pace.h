/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/pace.h
 * Do all processors still multiply as fast as they did in this run? A neighbour, or a second rank on the
 * same core, halves the rate of one of them, and with it that of all ranks, which wait for the slowest.
 *
 * Each rank multiplies for 20 ms when the run begins and about once a minute from then on, all at the
 * same time, so that what ranks take from each other shows as well. A rank is slow when it has less
 * than 0.6 of the best it ever had, three looks in a row; that is said once a run, with rank and host.
 * Clocks that fall with temperature, and short disturbances, stay below that.
 */
#ifndef OUTERLOOP_RUN_PACE_H
#define OUTERLOOP_RUN_PACE_H

#include <stdbool.h>

#include "outerloop/comm/comm.h" /* ol_comm */

/** Mean rate of products over so many seconds, in GFLOP/s: ol_gemm_pace, or a test's. */
typedef ol_status ol_pace_measure(double seconds, double *gflops);

/** What was seen so far; a zero struct is never looked at. */
typedef struct ol_pace {
    ol_pace_measure *measure; /**< NULL: looks do nothing                  */
    double best, latest;      /**< of this rank, GFLOP/s                   */
    double due;               /**< the next look, on the clock of the run  */
    int slow;                 /**< looks in a row that found this rank slow */
    bool said;
} ol_pace;

enum { OL_PACE_SECONDS = 60, /**< between looks */ OL_PACE_LOOKS = 3 };

/** First look; rank 0 tells what there is. Collective. Errors: OL_ENOMEM, OL_EMPI. */
ol_status ol_pace_start(ol_comm *comm, ol_pace_measure *measure, ol_pace *pace);

/**
 * A look where one is due, and the warning where it must be said. Collective.
 * @param now  ol_comm_seconds, or any clock that is the same on all ranks
 * Errors: OL_EMPI. A rank that cannot measure counts as fast.
 */
ol_status ol_pace_look(ol_comm *comm, double now, ol_pace *pace);

#endif
