/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/data/make.h
 * A user's own file of rows as a task in MetaICL's layout (data/task.h).
 *
 * The file is one of
 *
 *   - FILE.tsv: a row a line, in columns: input, output, and, where rows have options of their own,
 *     one more for each option. A first line that begins "input<TAB>output" is a heading.
 *   - FILE.jsonl: {"input": ..., "output": ...} a line, "options": [...] where rows have their own.
 *
 * Either no row has options, and the distinct outputs are the labels of a classification; or every
 * row has, and the output is among them: a multi-choice task.
 *
 * A target gets one test file for all seeds (`test` rows) and, from the other rows, a train and a
 * dev file of `shots` rows for each seed, in which labels are as balanced as the rows allow. A
 * training task gets all rows in one file. Which row goes where follows from the file alone. Rows
 * that repeat an earlier one are left out.
 *
 * The task goes into `train` or `test` of config/SETTING.json, which is made when it is not there.
 * Local.
 */
#ifndef OUTERLOOP_DATA_MAKE_H
#define OUTERLOOP_DATA_MAKE_H

#include <stdbool.h>

#include "outerloop/base/status.h" /* ol_status */

/** What to make of which file. Everything is borrowed. */
typedef struct ol_make_spec {
    const char *file, *task, *root;
    const char *setting;    /**< to write or to extend                                         */
    const char *train_from; /**< a new setting trains on what this one does; NULL: on nothing  */
    bool train;             /**< make a training task, else a target                           */
    int shots;              /**< of a target's k-shot files, above 0                           */
    const int *seeds;       /**< [n_seeds]                                                     */
    int n_seeds;
    int test; /**< rows of a target's test file; 0 = half of all */
} ol_make_spec;

/** What was made. */
typedef struct ol_made {
    int rows, repeats;   /**< distinct rows, and others left out                  */
    int labels;          /**< of a classification; 0 where rows have options      */
    int test;            /**< rows of the test file; 0 of a training task         */
    bool setting_is_new; /**< else it was extended                                */
} ol_made;

/**
 * Make the task.
 * Errors: OL_EDATA with file and line for rows at fault, or too few of them; OL_EUSAGE for a name
 * that cannot name a folder and for a task that is there already, which is not touched; OL_EIO.
 */
ol_status ol_task_make(const ol_make_spec *spec, ol_made *made);

#endif
