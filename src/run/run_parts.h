/* SPDX-License-Identifier: BSD-3-Clause */
/* A job run once, and what is run before it, as the files of `run` share it. */
#ifndef RUN_RUN_PARTS_H
#define RUN_RUN_PARTS_H

#include "outerloop/comm/comm.h" /* ol_comm */
#include "outerloop/run/job.h"   /* ol_job */
#include "score_book.h"

struct ol_setup;

/* All stages of a job with its own seed and settings. Collective.
 * job: the same on all ranks; taken, whatever comes of it.
 * book: what was scored is added on rank 0, that of earlier starts too.
 * Errors: as ol_run_job. */
ol_status ol_run_once(ol_comm *comm, ol_job *job, bool resume, bool *work_started,
                      score_book *book);

/* Read a job and look at it, as ol_run_job would before any work, and refused in its words: of one
 * with train_seeds the first of them.
 * job: as the file has it; *owned by the caller*. setup: *owned by the caller*; its own job is
 * another. Collective. Errors: as ol_run_job before any work; nothing is then left to free. */
ol_status ol_run_look(ol_comm *comm, const char *path, const char *const *sets, size_t n_sets,
                      bool resume, ol_job **job, struct ol_setup **setup);

/* Settings of a job, "path=value" each, as ol_job_read takes them. Start from a zero struct. */
typedef struct set_list {
    char **items; /* [n] */
    size_t n;
} set_list;

/* Add one, copied. Errors: OL_ENOMEM. */
ol_status ol_set_list_add(set_list *list, const char *set);

/* "output=PATH", quoted, for a path may look like another value. */
ol_status ol_set_list_add_output(set_list *list, const char *path);

void ol_set_list_finish(set_list *list);
#define AUTO_SETS OL_AUTO(ol_set_list_finish) set_list

/* True when the job or an arm has a grid to choose from. */
bool ol_tune_wanted(const ol_job *job);

/* Choose from the grids of a job, by training on fewer tasks and scoring the others, and add the
 * settings that make it the job with the choice, which has no grids left. See src/run/tune.c.
 * Collective. Errors: as ol_run_job. */
ol_status ol_tune(ol_comm *comm, const ol_job *job, bool resume, bool *work_started,
                  set_list *choice);

/* The job that ol_tune runs to choose for the arms (trained) or for the start; NULL when there is
 * nothing to choose. *owned by the caller*. Local. Errors: as ol_tune. */
ol_status ol_tune_job(const ol_job *job, bool trained, ol_job **out);

#endif
