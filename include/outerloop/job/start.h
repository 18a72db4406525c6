/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/job/start.h
 * What a job starts from, as far as it can be known without its tensors: the checkpoint that a path
 * means, whose it is, and the shape of its model. Local.
 */
#ifndef OUTERLOOP_JOB_START_H
#define OUTERLOOP_JOB_START_H

#include "outerloop/base/file.h"        /* PATH_MAX      */
#include "outerloop/job/job.h"          /* ol_job        */
#include "outerloop/model/model.h"      /* ol_model      */
#include "outerloop/store/checkpoint.h" /* ol_checkpoint */

enum {
    OL_SHAPE_NOTES = 32, /**< attributes of /model, at most         */
    OL_MOST_STARTS = 8   /**< checkpoints that stand on one another */
};

/** The checkpoint that a path means: itself, or the newest of a folder of them or of a run; "" where
 *  a folder has none. Errors: OL_EDATA when there are some and none is whole. */
ol_status ol_start_find(const char *path, char found[PATH_MAX]);

/** The same, where there must be one. Errors: OL_EDATA. */
ol_status ol_start_path(const char *path, char found[PATH_MAX]);

/** The job that made a checkpoint. @param path  stands for it in messages
 *  @param job  *owned by the caller* (ol_job_destroy). Errors: OL_EDATA, OL_ENOMEM. */
ol_status ol_start_job(const ol_checkpoint *file, const char *path, ol_job **job);

/**
 * What the checkpoint that a job starts from is called: the name of the job, or arm, that made it;
 * "start" where that cannot be read.
 * Errors: OL_EDATA when there is no such checkpoint.
 */
ol_status ol_start_name(const ol_job *job, char *name, size_t size);

/**
 * The shape of a job's model: its own keys, or that of what model.path names. Keys of `model` that the
 * job gives another value than the preset must be as the checkpoint has them.
 * Errors: OL_EUSAGE naming what differs, OL_EDATA.
 */
ol_status ol_start_shape(const ol_job *job, ol_model_spec *spec);

/** Attributes of /model: what must agree for a checkpoint to be of use. Returns how many. */
int ol_start_notes(const ol_model *model, ol_checkpoint_note notes[OL_SHAPE_NOTES]);

/** The shape that they tell. Errors: OL_EDATA. */
ol_status ol_start_read_shape(const ol_archive *archive, const char *path, ol_model_spec *spec);

/** Compare them with a model. Errors: OL_EUSAGE naming what differs, OL_EDATA. */
ol_status ol_start_check_shape(const ol_checkpoint *file, const char *path, const ol_model *model);

#endif
