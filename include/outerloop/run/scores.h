/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/scores.h
 * The stages eval and adapt of one row of the final table: score, and store for the table.
 *
 * Targets go through in portions of a few tasks. After each its rows are in metrics, so that a run
 * that is stopped here loses one portion at most; what an earlier start stored is read back instead
 * of being done again. How large a portion is does not change any number.
 */
#ifndef OUTERLOOP_RUN_SCORES_H
#define OUTERLOOP_RUN_SCORES_H

#include "outerloop/record/metrics.h" /* ol_metrics */
#include "outerloop/run/setup.h"      /* ol_setup */

/** What is scored. Everything is borrowed. */
typedef struct ol_scoring {
    const char *name;  /**< of the row: "untrained", or the arm's           */
    const ol_job *job; /**< its learner adapts; its eval and stages count   */
    const ol_model *model;
    ol_targets *targets;
    ol_state_view state;
    const ol_run_folder *folder;
    ol_metrics *metrics; /**< NULL on ranks other than 0; rows that are in it count as done */
} ol_scoring;

/** How targets of a job are scored. */
ol_evaluation_spec ol_scores_spec(const ol_job *job, ol_targets *targets);

/**
 * Score all targets that are not in the metrics yet. Collective.
 * Errors, the same on every rank: OL_ESTOPPED (what is done is stored); those of ol_evaluate.
 */
ol_status ol_score_targets(ol_setup *setup, const ol_scoring *scoring);

#endif
