/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/train.h
 * The training of one arm: meta-steps until all are done, or somebody asks to stop.
 *
 * Meta-step s of an arm draws its episodes from the streams (seed, s, episode), so that where a run
 * stands is one number. Between meta-steps the ranks agree on whether to stop; a signal also ends
 * the meta-step at hand before its next episode, and that meta-step is done again on resuming.
 *
 * A checkpoint is written every checkpoint_every meta-steps, every checkpoint_minutes, at the end,
 * and before stopping. Before each, the digest of θ is compared over all ranks: they must hold the
 * same bits. One that cannot be written on the way is a warning, the first time, and is tried again
 * when the next is due; the last one must succeed.
 */
#ifndef OUTERLOOP_RUN_TRAIN_H
#define OUTERLOOP_RUN_TRAIN_H

#include "outerloop/record/metrics.h"  /* ol_metrics */
#include "outerloop/record/snapshot.h" /* ol_run_mark */
#include "outerloop/run/setup.h"       /* ol_setup, ol_arm */

/**
 * Train an arm from where `mark` and setup->state stand. Collective.
 * @param metrics  NULL on ranks other than 0
 * @param mark     updated
 * Errors, the same on every rank: OL_ESTOPPED (saved); OL_ENONFINITE when train.max_dropped meta-steps
 * in a row dropped an episode (saved, the message has advice); OL_EIO when the last checkpoint
 * cannot be written; OL_ENOMEM; OL_EMPI, also when ranks no longer hold the same bits.
 */
ol_status ol_train(ol_setup *setup, const ol_arm *arm, ol_metrics *metrics, ol_run_mark *mark);

#endif
