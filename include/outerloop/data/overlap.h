/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/data/overlap.h
 * What training has seen of the tasks it is tested on: run before training, and recorded.
 *
 * Two kinds of overlap: a task named both in `train` and in `test` of a setting, and rows (same
 * input, same output) that stand in a training file and in a test file of a target. MetaICL's own
 * settings have one of the first kind (sick, in non_nli_to_nli). Finding them is no error here:
 * the report says what there is.
 *
 * Cost: reads every file of the setting once; 40 bytes a training row. Local.
 */
#ifndef OUTERLOOP_DATA_OVERLAP_H
#define OUTERLOOP_DATA_OVERLAP_H

#include <stdbool.h>
#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */
#include "outerloop/base/text.h"   /* ol_text   */
#include "outerloop/data/task.h"   /* ol_holdout */

/** A training task and a target task that share something. */
typedef struct ol_overlap_pair {
    char *train, *test; /**< task names                                                     */
    bool same_task;     /**< the two are one task                                           */
    int64_t rows;       /**< distinct rows of the target's test files that training holds   */
} ol_overlap_pair;

typedef struct ol_overlap {
    ol_overlap_pair
        *pairs; /**< [n], in the order of the setting's test list, then its train list */
    int n;
    int same_tasks;      /**< pairs with same_task                                          */
    int64_t shared_rows; /**< distinct test rows, summed over targets, seen in any training file */
    int64_t train_rows;  /**< rows looked at                                                */
    int64_t test_rows;   /**< distinct test rows looked at, summed over targets             */
} ol_overlap;

/**
 * Compare the training files of a setting (ol_task_train_path, the first `train_cap` rows, 0 =
 * all) with the test files of its targets for these seeds and shots (ol_task_target_paths); of
 * training tasks that are held out, with all rows of their training files.
 * @param out  owned by the caller, ol_overlap_finish; zero on error
 * Errors: OL_EDATA for a file missing or at fault, OL_ENOMEM.
 */
ol_status ol_overlap_find(const char *root, const char *setting, ol_holdout holdout, int train_cap,
                          const int *seeds, int n_seeds, int shots, ol_overlap *out);

/** Accepts NULL and a zero struct. */
void ol_overlap_finish(ol_overlap *overlap);

/** Append the report for people: one line in all, and one for each pair. Errors: OL_ENOMEM. */
ol_status ol_overlap_describe(const ol_overlap *overlap, ol_text *out);

#endif
