/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/eval/table.h
 * The table that a comparison ends in: learners down, step counts across, mean and worst seed.
 *
 *     unseen tasks (10 tasks, 5 seeds; score in %, mean and worst seed)
 *
 *                       in context       1 step         4 steps        wall time
 *     learner          mean  worst     mean  worst     mean  worst
 *     untrained        33.1   29.4     35.0   30.2     38.8   31.9     -
 *     metaicl          51.2   46.0     52.7   47.1     55.3   49.9     1 min 02 s
 *     maml             52.9   47.5     57.0   51.3     60.8   54.6     1 min 05 s
 *
 * With s(task, seed) the score of a learner at one step count:
 *
 *   (1) mean  = mean over tasks of the mean over seeds of s
 *   (2) worst = mean over tasks of the least s over seeds      as MetaICL reports it
 *
 * Below it, the same for the tasks of unseen domains, where there are any. Where tasks are of
 * groups, there is a table for each group instead, in order of their first task. ASCII, at most 100
 * columns wide: more step counts than fit go into further blocks below. Local.
 */
#ifndef OUTERLOOP_EVAL_TABLE_H
#define OUTERLOOP_EVAL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "outerloop/base/text.h" /* ol_text */

/** One score of a learner. */
typedef struct ol_eval_score {
    const char *task; /**< borrowed                                     */
    int seed;
    int steps;         /**< of adaptation before scoring; 0 in context       */
    bool unseen;       /**< the task is of an unseen domain                  */
    const char *group; /**< borrowed; of targets that are told apart; NULL or "": none */
    double score;      /**< 0..1                                             */
} ol_eval_score;

/** All scores of a learner: one row of the table. Borrowed. */
typedef struct ol_eval_learner {
    const char *name;
    const ol_eval_score
        *scores; /**< [n] in any order; of equal (task, seed, steps) the last counts */
    size_t n;
    double seconds; /**< wall time of training; NaN or below 0 where there was none */
} ol_eval_learner;

/** Mean and worst seed of a set of scores. */
typedef struct ol_eval_summary {
    double mean;  /**< (1), NaN when tasks is 0 */
    double worst; /**< (2), NaN when tasks is 0 */
    int tasks;
    int seeds; /**< the most that any task has */
} ol_eval_summary;

/** (1) and (2) over the scores at `steps`, of unseen domains only when asked. Errors: OL_ENOMEM. */
ol_status ol_eval_summarise(const ol_eval_learner *learner, int steps, bool unseen_only,
                            ol_eval_summary *summary);

/** Append the table, learners in the order given. Nothing is appended when there are no scores.
 *  Errors: OL_ENOMEM. */
ol_status ol_eval_table(const ol_eval_learner *learners, size_t n, ol_text *text);

#endif
