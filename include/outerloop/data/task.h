/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/data/task.h
 * Task folders in MetaICL's layout: rows, task descriptions, settings, and which file serves.
 *
 *     ROOT/config/SETTING.json        lists of task names: train, test, unseen_domain_test; and
 *                                     groups, lists of `test` by name, which tables show apart
 *     ROOT/config/tasks/TASK.json     task_type; options, where all rows share them
 *     ROOT/data/TASK/TASK_K_SEED_SPLIT.jsonl     one row a line; SPLIT is train, dev or test
 *
 * Everything read is checked, and a fault is told with file, line and remedy. Local.
 */
#ifndef OUTERLOOP_DATA_TASK_H
#define OUTERLOOP_DATA_TASK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/file.h"   /* PATH_MAX  */
#include "outerloop/base/status.h" /* ol_status */

/** One line: {"task": ..., "input": ..., "output": ..., "options": [...]}, all of it UTF-8. */
typedef struct ol_row {
    char *input;
    char *output;   /**< one of the options, where there are any        */
    char **options; /**< [n_options]; none in free-form tasks           */
    int n_options;
    int line; /**< in its file, from 1, for messages */
} ol_row;

/** The rows of one file, owned. */
typedef struct ol_rows {
    ol_row *rows; /**< [n] */
    int n;
    char *path; /**< the file they came from */
} ol_rows;

/**
 * Read the first `limit` rows of a file (0: all of them).
 * @param task  that every row must name; NULL: any
 * @param out   owned by the caller, ol_rows_finish; zero on error
 * Errors: OL_EDATA naming file and line for a row that is not UTF-8, not a JSON object, lacks one
 * of the four fields or has it of another type, is of another task, has its output outside its
 * options, for an empty line, and for a file without rows; OL_ENOMEM.
 */
ol_status ol_rows_read(const char *path, const char *task, int limit, ol_rows *out);

/** The same of a test file, where an output outside its options is no error: the caller judges. */
ol_status ol_rows_read_test(const char *path, const char *task, int limit, ol_rows *out);

/** Take out the rows i with keep[i] false; the others keep their order and their lines. */
void ol_rows_filter(ol_rows *rows, const bool *keep);

/** Free them. Accepts NULL and a zero struct. */
void ol_rows_finish(ol_rows *rows);
#define OL_AUTO_ROWS OL_AUTO(ol_rows_finish) ol_rows

/** Take out the rows that repeat an earlier one: same input, same output. Errors: OL_ENOMEM. */
ol_status ol_rows_drop_repeats(ol_rows *rows);

/** False when the row has no option but empty ones: MetaICL then sets no newline before its tail. */
bool ol_row_is_labelled(const ol_row *row);

/** What ROOT/config/tasks/TASK.json says. */
typedef struct ol_task_config {
    bool is_classification; /**< scored by macro-F1, else by accuracy */
    char *type;             /**< "classification", "multi-choice" or "free-form"              */
    char **options;         /**< [n_options], often none: rows then bring their own            */
    int n_options;
} ol_task_config;

/** @param out owned by the caller. Errors: OL_EDATA naming the file, OL_ENOMEM. */
ol_status ol_task_config_read(const char *root, const char *task, ol_task_config *out);

/** Accepts NULL and a zero struct. */
void ol_task_config_finish(ol_task_config *config);

/** Names in a list of a setting. */
typedef struct ol_names {
    char **names; /**< [n] */
    int n;
} ol_names;

/** Targets that are told apart, as {"groups": {"new labels": ["task", ...]}}. */
typedef struct ol_group {
    char *name;
    ol_names tasks; /**< a part of test */
} ol_group;

/** What ROOT/config/SETTING.json says. */
typedef struct ol_setting {
    char *path; /**< its file, for messages              */
    ol_names train, test;
    ol_names unseen_domain_test; /**< a part of test; empty when absent   */
    ol_group *groups;            /**< [n_groups] in the file's order; none when absent */
    int n_groups;
    bool held_out; /**< `test` are training tasks: ol_setting_hold_out */
} ol_setting;

/** Training tasks to be kept apart: how many, and the seed that draws them. n = 0: none. */
typedef struct ol_holdout {
    int n;
    uint64_t seed;
} ol_holdout;

/** The settings of a folder, sorted. @param out owned by the caller, ol_names_finish. Errors:
 *  OL_EDATA when there is no ROOT/config, OL_ENOMEM. */
ol_status ol_settings_list(const char *root, ol_names *out);

/** Accepts a zero struct. */
void ol_names_finish(ol_names *names);

/** @param out owned by the caller. Errors: OL_EDATA (an unknown setting lists those there are),
 *  OL_ENOMEM. */
ol_status ol_setting_read(const char *root, const char *setting, ol_setting *out);

/**
 * Hold training tasks out: they leave `train` and take the place of `test`, so that settings can be
 * chosen without a look at the targets. Drawn at random among those that can be scored (all but the
 * free-form ones), kept in the file's order; stream OL_RNG_HELD. With n = 0 nothing happens.
 * Errors: OL_EUSAGE when fewer than n can be scored, or none would be left to train on; those of
 * ol_task_config_read.
 */
ol_status ol_setting_hold_out(const char *root, ol_holdout holdout, ol_setting *setting);

/** Accepts NULL and a zero struct. */
void ol_setting_finish(ol_setting *setting);

/** Name of the first group that a task is in; "" for none. Borrowed. */
const char *ol_setting_group(const ol_setting *setting, const char *task);

/** True when `name` is in the list. */
bool ol_names_have(const ol_names *names, const char *name);

/**
 * The file that trains a task: `<task>_<k>_100_train.jsonl` with the largest k there is. MetaICL
 * names it 16384, its cap; a task that has only a k-shot file is trained on that one.
 * @param named_in  the setting file that names the task, for the message; NULL when none does
 * @param k         the number in the file's name
 * Errors: OL_EDATA naming setting, task and the file looked for.
 */
ol_status ol_task_train_path(const char *root, const char *task, const char *named_in,
                             char path[PATH_MAX], int *k);

/**
 * The seeds of a target task's files of one split ("train", "dev" or "test"), ascending, each once;
 * none where there is no such folder.
 * @param seeds  owned by the caller, free
 * Errors: OL_EUSAGE for a path that is too long.
 */
ol_status ol_task_seeds(const char *root, const char *task, const char *split, int **seeds, int *n);

/**
 * The files that a target task is scored with: the k-shot file is `<task>_<k'>_<seed>_train.jsonl`
 * with the smallest k' >= shots (its first `shots` rows serve); the test file is that of k', or
 * of the smallest k above it that has one.
 * @param train  may be NULL; "" when shots is 0 and there is no k-shot file
 * Errors: OL_EDATA naming setting (when named_in is not NULL), task, and the file looked for and
 * the seeds there are, or the largest k there is.
 */
ol_status ol_task_target_paths(const char *root, const char *task, const char *named_in, int shots,
                               int seed, char train[PATH_MAX], char test[PATH_MAX]);

#endif
