/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/snapshot.h
 * The state of a run as a checkpoint, and back: what store/checkpoint.h does not know about models.
 *
 * A snapshot is θ, the shared moments and a few numbers; random streams are keyed by (seed, step,
 * episode), so that the step alone says where they stand. It does not depend on the number of ranks.
 */
#ifndef OUTERLOOP_RUN_SNAPSHOT_H
#define OUTERLOOP_RUN_SNAPSHOT_H

#include "outerloop/base/file.h"  /* PATH_MAX */
#include "outerloop/comm/comm.h"  /* ol_comm */
#include "outerloop/meta/outer.h" /* ol_state, ol_model */
#include "outerloop/run/job.h"    /* ol_job */

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
 * @param state  overwritten when there is a checkpoint, else unchanged
 * @param mark   overwritten then too
 * @param found  false when there is no checkpoint at all
 * Errors: OL_EDATA when there are files but none is whole and of this job and model; OL_EMPI.
 */
ol_status ol_snapshot_resume(ol_comm *comm, const char *folder, const ol_job *job,
                             const ol_model *model, ol_state *state, ol_run_mark *mark,
                             bool *found);

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

/** The checkpoint that a path means: itself, or the newest of a folder of them or of a run; "" where
 *  a folder has none. Local. Errors: OL_EDATA when there are some and none is whole. */
ol_status ol_snapshot_find(const char *path, char found[PATH_MAX]);

/**
 * The shape of a job's model: its own keys, or that of what model.path names. Keys of `model` that the
 * job gives another value than the preset must be as the checkpoint has them. Local.
 * Errors: OL_EUSAGE naming what differs, OL_EDATA.
 */
ol_status ol_snapshot_shape(const ol_job *job, ol_model_spec *spec);

/**
 * Write the model of a Hugging Face folder or GGUF file as a checkpoint at meta-step 0, its tensors by
 * name and the texts beside them (run/package.h). Local.
 * @param out     path of the new file
 * @param params  set to the number of values
 * Errors: OL_EDATA (the source), OL_EIO, OL_ENOMEM.
 */
ol_status ol_snapshot_import(const char *from, const char *out, size_t *params);

/**
 * The whole model of a checkpoint (or of the newest of a folder), as its job trains it, with all
 * matrices as reals. Local.
 * @param job, model, theta  *owned by the caller*, who starts with NULLs and frees them also after
 *                           an error, and model->block before the model
 * Errors: OL_EDATA, OL_ENOMEM.
 */
ol_status ol_snapshot_load(const char *path, ol_job **job, ol_model **model, ol_real **theta);

/**
 * What the checkpoint that a job starts from is called: the name of the job, or arm, that made it;
 * "start" where that cannot be read. Local.
 * Errors: OL_EDATA when there is no such checkpoint.
 */
ol_status ol_snapshot_name(const ol_job *job, char *name, size_t size);

#endif
