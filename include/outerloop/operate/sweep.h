/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/operate/sweep.h
 * A sweep made ready to be queued: every element read, checked against its data and model, written
 * as a job file of its own, and one script that runs them as an array.
 */
#ifndef OUTERLOOP_OPERATE_SWEEP_H
#define OUTERLOOP_OPERATE_SWEEP_H

#include "outerloop/conf/sweep.h"   /* ol_conf_sweep */
#include "outerloop/operate/plan.h" /* ol_comm, PATH_MAX */

typedef struct ol_sweep {
    ol_conf_sweep conf;
    char job[PATH_MAX];    /**< found: beside the sweep's file, or as it is named               */
    char folder[PATH_MAX]; /**< of job files and script                                        */
    int dearest;           /**< element with the most gradient evaluations, from 0             */
    size_t bytes;          /**< most memory of a rank of any element                           */
} ol_sweep;

/**
 * Read a sweep and check every element as `run` would; the first that is wrong is named. Nothing is
 * written. Collective.
 * @param folder  where job files would go; NULL: the folder `sweep` beside those of the elements
 * @param ranks   for the memory of a rank; 0: keys are checked, data and models are not
 * @param out     overwritten; *owned by the caller* (ol_sweep_finish)
 * Errors: as ol_run_job before any work, "FILE: element N: ..." in front.
 */
ol_status ol_sweep_read(ol_comm *comm, const char *path, const char *folder, int ranks,
                        ol_sweep *out);

/** Accepts a zero struct. */
void ol_sweep_finish(ol_sweep *sweep);

/** The job of element i, from 0: for ol_run_job and ol_plan_job. */
ol_job_source ol_sweep_source(const ol_sweep *sweep, int i);

/** Name of the job file of element i. Errors: OL_EUSAGE (too long). */
ol_status ol_sweep_job_name(const ol_sweep *sweep, int i, char path[PATH_MAX]);

/**
 * Write the job files, and submit.sbatch, sized by a plan of the dearest element. Local.
 * Errors: OL_EIO, OL_ENOMEM.
 */
ol_status ol_sweep_write(const ol_sweep *sweep, const ol_plan *plan, const char *program);

#endif
