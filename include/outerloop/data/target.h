/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/data/target.h
 * A target task as it is scored, and as it is adapted to: one (task, seed, shots, variant).
 *
 * Scoring. The first `shots` rows of the k-shot file, in file order, are the demonstrations of
 * every prompt. A test row gives one prompt per option, in the row's order: direct scores the
 * option after the input, channel the input after the option. The lowest mean loss wins.
 *
 * Adapting. Leave-one-out over the first `adapt_rows` rows of the k-shot file: row i is the
 * target, with its own output; its demonstrations are `shots` of the others, or all where there are
 * no more: the rows that follow it, going round, in file order. So adaptation prompts have the form
 * of those that are scored, whatever the number of rows. The caps are those of scoring.
 *
 * The k-shot file of scoring is that of `shots`, and so is the test file; that of adapting is the one of
 * `adapt_rows`, most often the same. Of a training task that is held out, the distinct rows of its training
 * file are put in an order that the seed draws (stream OL_RNG_ROWS): the first max(shots, adapt_rows) are
 * the k-shot file, and the next `rows` (0: all) the test file.
 *
 * Rows are kept as text and tokenized when asked for, so that memory does not grow with the number
 * of options. Files: ol_task_target_paths.
 *
 * A row without options takes those of the task's description. A test row that has less than two,
 * or an output that is none of them, cannot be scored: it is left out and counted, or refused. Rows
 * are numbered from 0 among those that are scored. Local.
 */
#ifndef OUTERLOOP_DATA_TARGET_H
#define OUTERLOOP_DATA_TARGET_H

#include <stdbool.h>

#include "outerloop/base/batch.h"     /* ol_batch     */
#include "outerloop/base/status.h"    /* ol_status    */
#include "outerloop/data/cut.h"       /* ol_cut       */
#include "outerloop/text/prompt.h"    /* ol_variant   */
#include "outerloop/text/tokenizer.h" /* ol_tokenizer */

typedef struct ol_target ol_target;

/** Transparent; strings are borrowed while ol_target_create runs. */
typedef struct ol_target_spec {
    const char *root;
    const char *named_in; /**< setting file that names the task, for messages; may be NULL   */
    const char *task;
    int seed;
    ol_variant variant;
    int shots;
    int max_tokens, max_tokens_per_example; /**< MetaICL: 1024, 256                          */
    int rows;                               /**< first test rows only; 0 = all               */
    int adapt_rows;                         /**< rows to adapt on; 0 = adaptation not wanted */
    bool held_out; /**< a training task kept apart: all its rows come from the training file    */
    bool strict;   /**< a test row that cannot be scored is an error; else it is skipped       */
} ol_target_spec;

/**
 * Read the files of a target task and tokenize its demonstrations.
 * @param tokenizer  borrowed for the life of the target
 * @param out        owned by the caller, ol_target_destroy; NULL on error
 * Errors: OL_EUSAGE for a spec out of range; OL_EDATA for a file at fault or with fewer than
 * `shots` or `adapt_rows` rows; OL_ENOMEM.
 */
ol_status ol_target_create(const ol_target_spec *spec, ol_tokenizer *tokenizer, ol_target **out);

/** Free it. Accepts NULL. */
void ol_target_destroy(ol_target *target);
OL_DROPS(ol_target, ol_target_destroy)
#define OL_AUTO_TARGET OL_AUTO(ol_target_drop) ol_target

/** Test rows that are scored. */
int ol_target_rows(const ol_target *target);

/** Test rows left out. @param first  what is wrong with the first, with file and line, borrowed;
 *  NULL when there is none */
int ol_target_skipped(const ol_target *target, const char **first);

/** What the caps took from every example tokenized and every prompt built so far. Borrowed. */
const ol_cut *ol_target_cut(const ol_target *target);

/** Options of a test row: the prompts it gives. */
int ol_target_options(const ol_target *target, int row);

/** Option i of a test row. Borrowed from the target. */
const char *ol_target_option(const ol_target *target, int row, int option);

/** Index of the right option of a test row. */
int ol_target_gold(const ol_target *target, int row);

/** How the predictions of a target are scored. */
typedef enum ol_metric { OL_ACCURACY, OL_MACRO_F1 } ol_metric;

/** Name of a metric as files write it: "accuracy", "macro_f1". Static text. */
const char *ol_metric_name(ol_metric metric);

/** Macro-F1 for classification, accuracy else. */
ol_metric ol_target_metric(const ol_target *target);

/** Append the prompts of a test row, one per option. Not const: tokenizing uses scratch memory.
 *  Errors: OL_EDATA naming file and line of a row whose scored piece is empty or too long,
 *  OL_ENOMEM. */
ol_status ol_target_row_prompts(ol_target *target, int row, ol_batch *out);

/**
 * Append the null prompts, for PMI: the demonstrations, then the input "N/A" with an option of a
 * test row; equal options share one.
 * @param null_of  [options of all rows, rows in order] which of them is an option's, from 0
 * Errors: as ol_target_row_prompts.
 */
ol_status ol_target_null_prompts(ol_target *target, ol_batch *out, int *null_of);

/** Append the adaptation prompts, adapt_rows of them. Errors: as ol_target_row_prompts. */
ol_status ol_target_adaptation(ol_target *target, ol_batch *out);

/** Build every prompt once, keep none: the longest, in tokens, or the first fault. */
ol_status ol_target_longest(ol_target *target, int *longest);

/** Refuse prompts that a model of that context cannot hold. Errors: OL_EDATA naming the task, both
 *  lengths and the keys to change; those of ol_target_longest. Cost: tokenizing the test rows. */
ol_status ol_target_check_context(ol_target *target, int context);

#endif
