/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/record/snapshot.h
 * The state of a run as a checkpoint, and back: what store/checkpoint.h does not know about models.
 *
 * A snapshot is θ, the shared moments and a few numbers; random streams are keyed by (seed, step,
 * episode), so that the step alone says where they stand. It does not depend on the number of ranks.
 */
#ifndef OUTERLOOP_RECORD_SNAPSHOT_H
#define OUTERLOOP_RECORD_SNAPSHOT_H

#include "outerloop/base/file.h"        /* PATH_MAX */
#include "outerloop/collective/state.h" /* ol_shared_state */
#include "outerloop/comm/comm.h"        /* ol_comm */
#include "outerloop/job/job.h"          /* ol_job */
#include "outerloop/meta/outer.h"       /* ol_state, ol_model */
#include "outerloop/store/checkpoint.h" /* ol_checkpoint_tensor */

enum { OL_RUN_ID_TEXT = 64 };

/** Where a run stands, besides its state; plain data. */
typedef struct ol_run_mark {
    int64_t step;     /**< meta-steps done                              */
    int64_t tokens;   /**< of all episodes so far                       */
    double seconds;   /**< of training so far, over all starts          */
    int64_t restarts; /**< times that the run was gone on with          */
    char run_id[OL_RUN_ID_TEXT];
} ol_run_mark;

/** A new run id: time, host and process, "20260131T120000Z-node1-4711". Local. */
void ol_run_id_make(const char *host, char run_id[OL_RUN_ID_TEXT]);

/**
 * Write a checkpoint of `job` and then remove those that job->train no longer keeps. Local, rank 0.
 * @param path  PATH_MAX bytes, set to the new file's path
 * Errors: OL_EIO, nothing earlier harmed; OL_ENOMEM. A failure to remove is a warning.
 */
ol_status ol_snapshot_write(const char *folder, const ol_job *job, const ol_model *model,
                            const ol_state *state, const ol_run_mark *mark, char path[PATH_MAX]);

/**
 * Go on from the newest checkpoint of a folder that is whole and this job's own; others are passed
 * over with a warning. Rank 0 chooses and reads, and gives everything
 * to the others. Collective.
 * @param shared  that the state is in
 * @param state  overwritten when there is a checkpoint, else unchanged
 * @param mark   overwritten then too
 * @param found  false when there is no checkpoint at all
 * Errors: OL_EDATA when there are files but none is whole and of this job and model; OL_EMPI.
 */
ol_status ol_snapshot_resume(ol_comm *comm, const char *folder, const ol_job *job,
                             const ol_model *model, const ol_shared_state *shared, ol_state *state,
                             ol_run_mark *mark, bool *found);

/**
 * Fill in what a job's model starts from: random values of its seed, or what its checkpoint holds
 * (model.path: a checkpoint, or a folder of them, of which the newest whole one serves). A checkpoint
 * of part of a model stands on the start of its own job, which is made first; adapters that it does
 * not have start as peft's do. Local.
 * @param theta  [P] overwritten; NULL: not wanted
 * @param block  [model->frozen_bytes] overwritten; NULL: not wanted
 * Errors: OL_EUSAGE when the shapes differ, both named; OL_EDATA.
 */
ol_status ol_snapshot_start(const ol_job *job, const ol_model *model, ol_real *theta, void *block);

/**
 * The whole model of a checkpoint (or of the newest of a folder), as its job trains it, with all
 * matrices as reals. Local.
 * @param job, model, theta  *owned by the caller*, who starts with NULLs and frees them also after
 *                           an error, and model->block before the model
 * Errors: OL_EDATA, OL_ENOMEM.
 */
ol_status ol_snapshot_load(const char *path, ol_job **job, ol_model **model, ol_real **theta);

/**
 * The tensors of a state for a checkpoint, of θ alone where there is no job. Local.
 * @param tensors  *owned by the caller*; keeps the names of `out`
 * @param out      [n] *owned by the caller*; both also after an error
 * Errors: OL_ENOMEM.
 */
ol_status ol_snapshot_tensors(const ol_model *model, const ol_job *job, const ol_state *state,
                              ol_tensor **tensors, ol_checkpoint_tensor **out, int *n);

/** How random streams are keyed, for the attribute rng. */
extern const char ol_snapshot_rng[];

#endif
