/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/stop.h
 * Being asked to stop: by a signal, or by a file.
 *
 * SIGUSR1, SIGUSR2, SIGTERM and SIGINT raise a flag and nothing else; so does a file named STOP in a
 * folder of the run, which works where nobody can send signals. The run looks at the flag between
 * pieces of work, an inner step or a chunk of prompts at most, saves, and ends with exit code 85
 * (OL_ESTOPPED). The flag is raised once and stays: a signal that comes while MPI starts or a model
 * is read is obeyed as soon as there is something to save, or nothing to lose.
 *
 * A second signal, any of the four, more than two seconds after the first takes its default effect:
 * the process ends at once, with the latest checkpoint as it was. (Launchers and batch systems
 * deliver one request twice at times, as two signals too; a person does not in so short a time.) A
 * STOP file is removed when it is obeyed, so that the run can be resumed without a thought.
 *
 * What mpirun makes of signals of its own, and how to have them obeyed, is told in slurm/README.md.
 *
 * One per process. ol_stop_agree is collective, all else local.
 */
#ifndef OUTERLOOP_RUN_STOP_H
#define OUTERLOOP_RUN_STOP_H

#include <stdbool.h>

#include "outerloop/comm/comm.h" /* ol_comm */

/** Catch the signals from now on, for the rest of the process: the first thing that a program does
 *  which is to obey them. */
void ol_stop_install(void);

/** Whose folder it is: of several jobs in a row, of a job, of an arm. Each lies in those before it. */
typedef enum ol_stop_level {
    OL_STOP_WHOLE,
    OL_STOP_JOB,
    OL_STOP_ARM,
    OL_STOP_LEVELS
} ol_stop_level;

/** Look for FOLDER/STOP from now on, at most four times a second, and no longer in the folders of that
 *  level and of those in it. Borrowed; NULL: none. Rank 0 is the one to call it. */
void ol_stop_watch(ol_stop_level level, const char *folder);

/** From now on whoever is asked tells all ranks, in the middle of their work too. Borrowed; NULL: no
 *  longer. Local. */
void ol_stop_join(ol_comm *comm);

/** True when this process was asked to stop, or another one that it has joined. Cheap; for the inside
 *  of long work, where it also tells the others that this rank lives (ol_comm_attend). */
bool ol_stop_wanted(void);

/**
 * True on all ranks when any was asked to stop. Rank 0 then says why, once, and removes the STOP
 * file. Collective. Errors: OL_EMPI.
 */
ol_status ol_stop_agree(ol_comm *comm, bool *stop);

/** OL_ESTOPPED with where it stopped, and how to go on. */
ol_status ol_stop_here(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
