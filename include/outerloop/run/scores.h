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

/** How the targets of an arm are scored. */
ol_evaluation_spec ol_scores_spec(const ol_arm *arm);

/**
 * Score all targets of an arm under setup->state that are not in the metrics yet. Collective.
 * @param metrics  NULL on ranks other than 0; rows that are in it count as done
 * Errors, the same on every rank: OL_ESTOPPED (what is done is stored); those of ol_evaluate.
 */
ol_status ol_score_targets(const ol_setup *setup, const ol_arm *arm, ol_metrics *metrics);

#endif
