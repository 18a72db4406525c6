/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/data/cut.h
 * What the two caps on tokens take away: counted where rows are tokenized and prompts are measured
 * anyway, so that it costs nothing and is known before anything starts.
 *
 *   - max_tokens_per_example cuts an example, which loses the last tokens of its input;
 *   - max_tokens cuts a prompt, which loses its first tokens: demonstrations, as a rule.
 *
 * An example counts once, as its row is used: a training row; a row of a k-shot file; a test row
 * with its longest option. A prompt counts as often as it is drawn in training, and once for each
 * option of a test row and for each row to adapt on. Its tokens are those that the first cap left.
 */
#ifndef OUTERLOOP_DATA_CUT_H
#define OUTERLOOP_DATA_CUT_H

#include <stddef.h>
#include <stdint.h>

#include "outerloop/text/prompt.h" /* ol_example */

/** Counts of one task, or of several. Start from a zero struct. */
typedef struct ol_cut {
    int64_t rows, rows_cut;       /**< examples, and those that max_tokens_per_example cuts      */
    int64_t tokens, tokens_cut;   /**< of them uncut, and those cut off                          */
    int64_t prompts, prompts_cut; /**< prompts, and those that max_tokens cuts                 */
    int64_t prompt_tokens, prompt_tokens_cut;
    int64_t need_example; /**< max_tokens_per_example that would cut no example                */
    int64_t need_prompt;  /**< max_tokens that would cut no prompt, the other cap as it is     */
} ol_cut;

/** Those of a task. */
typedef struct ol_task_cut {
    const char *task; /**< its name, borrowed */
    ol_cut cut;
} ol_task_cut;

/** Count an example of `whole` tokens of which `kept` are left. */
void ol_cut_example(ol_cut *cut, size_t whole, size_t kept);

/** Count a prompt of `whole` tokens of which `kept` are left. */
void ol_cut_prompt(ol_cut *cut, size_t whole, size_t kept);

/** Add up. */
void ol_cut_add(ol_cut *sum, const ol_cut *more);

/** Part of n, 0 where n is. */
double ol_cut_share(int64_t part, int64_t n);

#endif
