/* SPDX-License-Identifier: BSD-3-Clause */
/* What the writers of checkpoints share. */
#ifndef RUN_SNAPSHOT_PARTS_H
#define RUN_SNAPSHOT_PARTS_H

#include "outerloop/model/model.h"
#include "outerloop/run/job.h" /* ol_job */
#include "outerloop/store/checkpoint.h"

enum { OL_SHAPE_NOTES = 32, OL_MOST_STARTS = 8 /* checkpoints that stand on one another */ };

/* Attributes of /model: what must agree for a checkpoint to be of use. Returns how many. */
int ol_snapshot_notes(const ol_model *model, ol_checkpoint_note notes[OL_SHAPE_NOTES]);

/* The tensors of a state for a checkpoint, of θ alone where there is no job; `tensors` keeps their
 * names. Both are the caller's. */
ol_status ol_snapshot_tensors(const ol_model *model, const ol_job *job, const ol_state *state,
                              ol_tensor **tensors, ol_checkpoint_tensor **out, int *n);

/* The job that made a checkpoint; `path` stands for it in messages. *job is the caller's. */
ol_status ol_snapshot_job(const ol_checkpoint *file, const char *path, ol_job **job);

/* How random streams are keyed, for the attribute rng. */
extern const char ol_snapshot_rng[];

#endif
