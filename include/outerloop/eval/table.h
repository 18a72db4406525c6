/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/eval/table.h
 * The table that a comparison ends in: learners down, step counts across.
 *
 *     new labels: 6 tasks, 5 seeds, 3 trainings; accuracy in %
 *
 *                            in context            1 step
 *     learner            mean       worst    mean       worst
 *     chance             25.0                25.0
 *     majority           31.2                31.2
 *     untrained          27   ±3    22       28   ±3    24
 *     maml               38   ±6    27       76.4 ±0.8  74.9
 *
 *     above its best rival, paired [95 % interval]
 *     maml              +11 [5, 17]         +48 [45, 52]
 *
 * Tasks that belong to groups have a part for each group. In front of them is one for all tasks,
 * unless there are several groups and every task is in one.
 *
 * Numbers have a decimal only where their interval is below ±1. Below the parts stand what
 * trainings took and gained in the inner loop, what the columns mean, and which inner loop gained
 * next to nothing; at the end a sentence that says who leads after the fewest steps of adaptation,
 * over all tasks, and by how much.
 *
 * UTF-8. At most `width` columns wide, at least 40: step counts that do not fit go into further
 * blocks below. Local.
 */
#ifndef OUTERLOOP_EVAL_TABLE_H
#define OUTERLOOP_EVAL_TABLE_H

#include <stddef.h>

#include "outerloop/base/text.h"    /* ol_text */
#include "outerloop/eval/summary.h" /* ol_eval_learner */

enum { OL_TABLE_WIDTH = 100 }; /**< where nothing says otherwise, and at most */

/** Decimals of what stands for this interval, in percent: as told above. */
int ol_interval_decimals(const ol_interval *interval);

/** A difference in points: "+11 [5, 17]", "+11.2" without an interval, "-" without a mean. */
enum { OL_INTERVAL_TEXT = 64 };
void ol_interval_difference(const ol_interval *difference, char text[OL_INTERVAL_TEXT]);

/**
 * Append the table, learners in the order given. Nothing is appended when there are no scores.
 * @param width  of the terminal, 0 when not known
 * Errors: OL_ENOMEM.
 */
ol_status ol_eval_table(const ol_eval_learner *learners, size_t n, int width, ol_text *text);

#endif
