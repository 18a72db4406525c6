/* SPDX-License-Identifier: BSD-3-Clause */
/* A job run once, and what is run before it, as the files of `run` share it. */
#ifndef RUN_RUN_PARTS_H
#define RUN_RUN_PARTS_H

#include "outerloop/comm/comm.h" /* ol_comm */
#include "outerloop/job/job.h"   /* ol_job */
#include "outerloop/record/score_book.h"

/* All stages of a job with its own seed and settings. Collective.
 * job: the same on all ranks; taken, whatever comes of it.
 * book: what was scored is added on rank 0, that of earlier starts too.
 * Errors: as ol_run_job. */
ol_status ol_run_once(ol_comm *comm, ol_job *job, bool resume, bool *work_started,
                      ol_score_book *book);

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

/* Choose from the grids of a job, by training on fewer tasks and scoring the others, and add the
 * settings that make it the job with the choice, which has no grids left. See src/run/tune.c.
 * Collective. Errors: as ol_run_job. */
ol_status ol_tune(ol_comm *comm, const ol_job *job, bool resume, bool *work_started,
                  set_list *choice);

#endif
