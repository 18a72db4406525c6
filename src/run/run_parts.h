/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of `run` share: parts of a setup, a job run once, and what is run before it. */
#ifndef RUN_RUN_PARTS_H
#define RUN_RUN_PARTS_H

#include "outerloop/record/score_book.h" /* ol_score_book */
#include "outerloop/run/setup.h"         /* ol_setup */

/* Names of rows: the start's, and what each arm scores. A job that only scores the start in context
 * keeps one arm, itself, for all would score the same. Rank 0 reads the start. Collective. */
ol_status ol_setup_name_rows(ol_setup *s);

/* Find the bounds of all episodes of each arm's training, so that memory is taken once: their exact
 * lengths are known from the random streams. Every rank looks at its share of the meta-steps, once for
 * all arms that draw the same. Collective. */
ol_status ol_setup_bound_episodes(ol_setup *s);

/* Tasks, overlap, rows left out, tokens cut. Rank 0 speaks. */
void ol_setup_describe_data(const ol_setup *setup);

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
