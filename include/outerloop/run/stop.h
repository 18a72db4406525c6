/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/stop.h
 * Being asked to stop: by a signal, or by a file.
 *
 * SIGUSR1, SIGUSR2, SIGTERM and a first SIGINT raise a flag and nothing else; so does a file named
 * STOP in a folder of the run, which works where nobody can send signals. The run looks at the
 * flag between pieces of work, saves, and ends with exit code 85 (OL_ESTOPPED).
 *
 * The same signal again, more than two seconds after the first, takes its default effect: the
 * process ends with nothing saved. (Launchers and batch systems deliver one request twice at times,
 * a person does not in so short a time.) A STOP file is removed when it is obeyed, so that the run
 * can be resumed without a thought.
 *
 * mpirun kills its ranks one second after a SIGTERM or SIGINT of its own, and then reports 1 whatever
 * they say; it passes SIGUSR1 on and gives them all the time they need.
 *
 * One per process. ol_stop_agree is collective, all else local.
 */
#ifndef OUTERLOOP_RUN_STOP_H
#define OUTERLOOP_RUN_STOP_H

#include <stdbool.h>

#include "outerloop/comm/comm.h" /* ol_comm */

/** Begin to catch the signals, with no request pending. */
void ol_stop_install(void);

/** Give the signals their former effect back. */
void ol_stop_remove(void);

/** Look for FOLDER/STOP from now on, at most four times a second; borrowed. Two folders at most (the
 *  job's and the arm's); NULL for none. Rank 0 is the one to call it. */
void ol_stop_watch(const char *folder, const char *arm_folder);

/** Watch one more folder, whatever ol_stop_watch is told: that of several jobs in a row. Borrowed;
 *  NULL: none. ol_stop_remove forgets it. */
void ol_stop_watch_whole(const char *folder);

/** True when this process was asked to stop. Cheap; for the inside of long work. */
bool ol_stop_wanted(void);

/**
 * True on all ranks when any was asked to stop. Rank 0 then says why, once, and removes the STOP
 * file. Collective. Errors: OL_EMPI.
 */
ol_status ol_stop_agree(ol_comm *comm, bool *stop);

#endif
