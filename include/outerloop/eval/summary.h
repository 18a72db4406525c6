/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/eval/summary.h
 * Scores of learners, brought down to what a table says: means with their intervals, worst seeds,
 * and differences between two learners.
 *
 * With s(task, seed) the score of a learner at one step count, the mean over its trainings where it
 * was trained several times:
 *
 *   (1) mean  = mean over tasks of the mean over seeds of s      interval: bootstrap.h
 *   (2) worst = mean over tasks of the least s over seeds        as MetaICL reports it
 *
 * Local.
 */
#ifndef OUTERLOOP_EVAL_SUMMARY_H
#define OUTERLOOP_EVAL_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/eval/bootstrap.h" /* ol_interval */
#include "outerloop/eval/score.h"     /* ol_metric */

/** One score of a learner. */
typedef struct ol_eval_score {
    const char *task;  /**< borrowed                                                          */
    const char *group; /**< of targets that it belongs to, borrowed; NULL or "": to none      */
    int seed;
    int steps;        /**< of adaptation before scoring, or OL_STEPS_* (score.h)              */
    int64_t training; /**< seed of the training: tells runs from several starts apart         */
    ol_metric metric;
    double score;            /**< 0..1                                                        */
    double chance, majority; /**< what guessing, and always the commonest answer, score; or NaN */
} ol_eval_score;

/** Is it of a target of that group? Of any, where that is NULL. */
bool ol_eval_is_in(const ol_eval_score *score, const char *group);

/** All scores of a learner: one row of the table. Borrowed. */
typedef struct ol_eval_learner {
    const char *name;
    const ol_eval_score
        *scores; /**< [n] in any order; of equal (task, seed, steps, training) the last counts */
    size_t n;
    double seconds;       /**< wall time of a training; NaN or below 0 where there was none */
    double before, after; /**< query loss around the inner loop, over the last tenth of training
                               [nats]; NaN where there is no inner loop                     */
    const char *task;     /**< summaries and differences are of this one alone; NULL: of all   */
} ol_eval_learner;

/** What a learner has at one step count. */
typedef struct ol_eval_summary {
    ol_interval score;       /**< (1), NaN when tasks is 0 */
    double worst;            /**< (2), NaN when tasks is 0 */
    double chance, majority; /**< means over tasks as (1); NaN where a task has none */
    int tasks;
    int seeds;        /**< the most that any task has */
    int trainings;    /**< different ones             */
    unsigned metrics; /**< 1 << metric of each that occurs */
} ol_eval_summary;

/** (1) and (2) over the scores at `steps`. @param group  of these targets alone; NULL: of all.
 *  Errors: OL_ENOMEM. */
ol_status ol_eval_summarise(const ol_eval_learner *learner, int steps, const char *group,
                            ol_eval_summary *summary);

/**
 * Mean of a less b over what both have, paired by task, seed and training; by task and seed alone
 * where they have no training in common.
 * @param difference  NaN when they have no task in common
 * Errors: OL_ENOMEM.
 */
ol_status ol_eval_compare(const ol_eval_learner *a, const ol_eval_learner *b, int steps,
                          const char *group, ol_interval *difference);

#endif
