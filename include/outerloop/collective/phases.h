/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/collective/phases.h
 * What the stopwatches of all ranks say (base/phase.h), brought together and as a table.
 */
#ifndef OUTERLOOP_COLLECTIVE_PHASES_H
#define OUTERLOOP_COLLECTIVE_PHASES_H

#include "outerloop/base/phase.h" /* ol_phase_times */
#include "outerloop/base/text.h"  /* ol_text */
#include "outerloop/comm/comm.h"  /* ol_comm */

/** One phase over all ranks. */
typedef struct ol_phase_row {
    double seconds; /**< mean over ranks                */
    double most;    /**< of the slowest rank            */
    int slowest;    /**< which that is                  */
    int64_t calls;  /**< sum over ranks                 */
} ol_phase_row;

/**
 * Bring together what each rank's stopwatch read. Collective.
 * @param rows  [OL_PHASES] filled on rank 0, elsewhere untouched
 * Errors: OL_EMPI, OL_ENOMEM.
 */
ol_status ol_phases_gather(ol_comm *comm, const ol_phase_times *mine, ol_phase_row *rows);

/** Add the times of `more` to `sum`. */
void ol_phases_add(const ol_phase_times *more, ol_phase_times *sum);

/** The rows of one rank alone: [OL_PHASES]. */
void ol_phases_own(const ol_phase_times *mine, ol_phase_row *rows);

/**
 * Append a table for people, a line a phase that has any time, and the sum.
 * @param ranks  of one, the columns of the slowest rank are left out
 * Errors: OL_ENOMEM.
 */
ol_status ol_phases_text(const ol_phase_row *rows, int ranks, ol_text *out);

#endif
