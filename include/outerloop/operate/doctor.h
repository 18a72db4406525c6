/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/operate/doctor.h
 * A few seconds' look at where a run would take place: one line a finding, and the fix for each that
 * is not well.
 *
 *     ok       MPI: Open MPI v4.1.4, 4 ranks on 1 host
 *     warning  binding: no rank is bound to cores; mpirun --bind-to core
 *     fault    output: runs: cannot write there: ...
 *
 * A warning costs speed or may cost a run; with a fault a run fails, or is many times too slow.
 */
#ifndef OUTERLOOP_OPERATE_DOCTOR_H
#define OUTERLOOP_OPERATE_DOCTOR_H

#include <stdio.h>

#include "outerloop/comm/comm.h" /* ol_comm */

typedef struct ol_doctor_tally {
    int ok, warnings, faults;
} ol_doctor_tally;

/**
 * Limits of memory of this process: to be looked at before MPI starts, which may wait for ever where
 * there is too little. Local.
 * @param out    where findings go; NULL: nowhere, for processes that are not the first
 * @param tally  added to
 * @return false when nothing should be started here
 */
bool ol_doctor_limits(FILE *out, ol_doctor_tally *tally);

/** MPI could not be started as it was built: one fault in the words of ol_status_message. Local. */
void ol_doctor_launch(FILE *out, ol_doctor_tally *tally);

/**
 * Look at ranks, cores, products, memory, clocks and the folder. Collective; rank 0 writes.
 * @param folder  where results would go; made when it is not there, and left as it was found
 * @param tally   added to, the same on every rank
 * Errors: OL_EMPI, OL_ENOMEM; what is wrong with the place is a finding, no error.
 * Cost: some seconds; 8 MiB are written and removed.
 */
ol_status ol_doctor(ol_comm *comm, const char *folder, FILE *out, ol_doctor_tally *tally);

#endif
