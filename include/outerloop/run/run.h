/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/run.h
 * A job from its file to its final table: the command `outerloop run`.
 *
 *   1. read the job, the tasks, the tokenizer; refuse all bad input before anything is written
 *   2. for each arm in turn, from the same start: train, then score unseen tasks in context and
 *      after adaptation
 *   3. print one table: the untrained start and every arm
 *
 * Everything is the same bits on any number of ranks, and after any number of stops and resumes, on
 * other numbers of ranks too.
 */
#ifndef OUTERLOOP_RUN_RUN_H
#define OUTERLOOP_RUN_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "outerloop/comm/comm.h" /* ol_comm */
#include "outerloop/run/setup.h" /* ol_setup */

/**
 * Run a job: its settings are chosen where it has a tune.grid, then all of it is done once, or once
 * for each of its train_seeds. Collective.
 *
 * @param resume        go on with the run that is in the job's output, if there is one
 * @param work_started  false until all input was accepted: what fails before is the caller's
 *                      mistake, what fails after is the run's
 * Errors, the same on every rank with the same message, so that rank 0 can print it for all:
 * OL_EUSAGE, OL_EDATA, OL_EIO before any work; OL_ESTOPPED when it was asked to stop and everything
 * is saved; OL_ENONFINITE when too many meta-steps in a row dropped an episode (saved too); OL_EIO
 * when a last checkpoint cannot be written; OL_ENOMEM; OL_EMPI.
 */
ol_status ol_run_job(ol_comm *comm, ol_job_source source, bool resume, bool *work_started);

/** A job before any work. Start from a zero struct. */
typedef struct ol_run_look {
    ol_job *job;     /**< as the file has it                                */
    ol_job *first;   /**< with the first of its train_seeds; NULL without any */
    ol_setup *setup; /**< of that one                                       */
} ol_run_look;

/**
 * Read a job and look at it, as ol_run_job would before any work, and refused in its words. Collective.
 * @param out  overwritten; *owned by the caller* (ol_run_look_finish)
 * Errors: as ol_run_job before any work; nothing is then left to free.
 */
ol_status ol_run_look_at(ol_comm *comm, ol_job_source source, bool resume, ol_run_look *out);

void ol_run_look_finish(ol_run_look *look);
#define OL_AUTO_RUN_LOOK OL_AUTO(ol_run_look_finish) ol_run_look

/**
 * The job that is run to choose for the arms (trained) or for the start. Local.
 * @param out  *owned by the caller*; NULL when there is nothing to choose
 * Errors: as ol_run_job before any work.
 */
ol_status ol_tune_job(const ol_job *job, bool trained, ol_job **out);

/** The commit that the program was built from, as git names it; "unknown" where nobody knows. Static
 *  text. */
const char *ol_run_commit(void);

#endif
