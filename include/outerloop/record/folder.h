/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/record/folder.h
 * The folder of a run: what is in it, whose it is, and whether it can be written.
 *
 *     OUTPUT/                        of a job without arms, or OUTPUT/NAME/ of each arm
 *       job.cfg                      the job as resolved; says whose folder this is
 *       metrics.h5, metrics.jsonl
 *       checkpoints/step-NNNNNN.h5
 *       log.txt
 *     OUTPUT/run.lock                while a run is at work in OUTPUT (lock.h)
 *     OUTPUT/job.cfg, log.txt        of a job with arms: the whole comparison
 *     OUTPUT/untrained/              scores of the start, where a job trains and then scores
 *     OUTPUT/suite/                  the built-in suite, where a job uses it
 *     OUTPUT/seed-N/                 with train_seeds: each is the folder of a job with that seed;
 *                                    OUTPUT itself has job.cfg and log.txt of the whole
 *     OUTPUT/tune/trained/           with tune.grid: the job whose arms are the cells of all grids, on
 *     OUTPUT/tune/untrained/         training tasks that are held out; and the start's adaptation
 *     OUTPUT/tune/choice.txt         what was chosen, as a table
 *
 * A folder belongs to a job when it holds a job.cfg, metrics or checkpoints. Other files in it
 * (logs of a batch system, notes) are nobody's business: they are not looked at nor touched.
 *
 * Local: rank 0 does it, and the caller makes its status everyone's.
 */
#ifndef OUTERLOOP_RECORD_FOLDER_H
#define OUTERLOOP_RECORD_FOLDER_H

#include <stdbool.h>

#include "outerloop/base/file.h" /* PATH_MAX */
#include "outerloop/base/text.h" /* ol_text */
#include "outerloop/job/job.h"   /* ol_job */

/** What stands in a folder before a run. */
typedef struct ol_run_claim {
    bool continues;       /**< the same job's run is there, to be gone on with              */
    bool same_evaluation; /**< its evaluation asked for the same: stored scores still count */
    bool finished;        /**< nothing is left to do but scores that were broken off        */
    int64_t step;         /**< of its newest checkpoint; 0 when there is none               */
    int steps;            /**< train.steps that it was going to                             */
    /** Its job.cfg was lost or damaged and is to be written anew: the warning that says so, for who
     *  writes it; else "". */
    char restored[2 * PATH_MAX + 1280];
} ol_run_claim;

/** Paths of a run, and what stood there. Plain data. */
typedef struct ol_run_folder {
    char path[PATH_MAX];
    char job[PATH_MAX];
    char metrics[PATH_MAX];
    char journal[PATH_MAX];
    char checkpoints[PATH_MAX];
    char log[PATH_MAX];
    ol_run_claim claim; /**< all zero until ol_run_folder_claim */
} ol_run_folder;

/** The paths of a run whose folder is `output`. Errors: OL_EUSAGE when one is too long. */
ol_status ol_run_folder_name(const char *output, ol_run_folder *folder);

/** Names of the folders below a job's output that it has to itself, a line each, those of them that
 *  this job does not make included. Errors: OL_ENOMEM. */
ol_status ol_run_folder_members(const ol_job *job, ol_text *names);

/**
 * May `job` run in that folder, which was named? folder->claim is set; nothing is written. The folder is the job's when its job.cfg is; where
 * that is missing, damaged or says otherwise, when its newest whole checkpoint is, or without any its
 * metrics.h5.
 * @param resume  go on with what is there, as far as it is the same job's
 * Errors: OL_EUSAGE when a run is there and resume is false, when it is another job's (the keys
 * that differ are listed), when it is trained further than train.steps already, or when there are
 * results and nothing tells whose.
 */
ol_status ol_run_folder_claim(ol_run_folder *folder, const ol_job *job, bool resume);

/** The same of the job's own folder, which is named first. */
ol_status ol_run_folder_own(const ol_job *job, bool resume, ol_run_folder *folder);

/** Make the folder, try to write into it, and remove what writers that were killed left there (names
 *  with .tmp-, .rebuild-, .write-test-). Who calls holds the folder (lock.h). Errors: OL_EIO. */
ol_status ol_run_folder_make(const ol_run_folder *folder);

/** Could it be made and written into? It is left as it was found. Errors: OL_EIO, in the words of
 *  ol_run_folder_make. */
ol_status ol_run_folder_check(const ol_run_folder *folder);

#endif
