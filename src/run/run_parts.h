/* SPDX-License-Identifier: BSD-3-Clause */
/* A job run once, and what is run before it, as the files of `run` share it. */
#ifndef RUN_RUN_PARTS_H
#define RUN_RUN_PARTS_H

#include "outerloop/comm/comm.h" /* ol_comm */
#include "outerloop/job/job.h"   /* ol_job */
#include "outerloop/record/folder.h" /* ol_run_folder */
#include "outerloop/record/score_book.h"

/* All stages of a job, the same on all ranks, with its own seed and settings. Collective.
 * book: what was scored is added on rank 0, that of earlier starts too.
 * Errors: as ol_run_job. */
ol_status ol_run_once(ol_comm *comm, const ol_job *job, bool resume, bool *work_started,
                      ol_score_book *book);

/* True when the job or an arm has a grid to choose from. */
bool ol_tune_wanted(const ol_job *job);

/* Choose from the grids of a job, by training on fewer tasks and scoring the others, and add the
 * settings that make it the job with the choice, which has no grids left. See src/run/tune.c.
 * folder: rank 0's, of the job, whose log is open now and then. Collective. Errors: as ol_run_job. */
ol_status ol_tune(ol_comm *comm, const ol_job *job, const ol_run_folder *folder, bool resume,
                  bool *work_started, ol_conf_sets *choice);

#endif
