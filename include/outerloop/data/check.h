/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/data/check.h
 * What a task folder holds, and what is wrong with it: every file of its settings read, tokenized
 * and compared, and told as a table for people. Nothing is trained or written.
 *
 * For each setting, training tasks and targets apart, and for each task where one setting is asked
 * for:
 *
 *     rows     of the training files; of one test file of each target
 *     seeds    of the k-shot files of a target; "3-5" where targets differ
 *     median, 95 %, most   tokens of an example: its input and its (longest) output, uncut
 *     cut: examples        percent that lose part of their input to max_tokens_per_example
 *     cut: prompts         percent that lose their first tokens to max_tokens
 *     twice    rows that a file has twice
 *     seen     distinct test rows that stand in a training file of the setting, or in a k-shot file
 *              of the same task
 *
 * Prompts are those of a row after `shots` others: of a target, the k-shot file of each seed; of a
 * training task, where they are drawn at random, the rows that follow.
 *
 * Cost: reads and tokenizes every file once, whatever the number of settings; 40 bytes a row stay.
 * Local.
 */
#ifndef OUTERLOOP_DATA_CHECK_H
#define OUTERLOOP_DATA_CHECK_H

#include "outerloop/base/status.h"    /* ol_status      */
#include "outerloop/base/text.h"      /* ol_text        */
#include "outerloop/text/prompt.h"    /* ol_prompt_spec */
#include "outerloop/text/tokenizer.h" /* ol_tokenizer   */

/** What to look at. Everything is borrowed. */
typedef struct ol_check_spec {
    const char *root;
    const char *setting;     /**< NULL: all there are */
    ol_tokenizer *tokenizer; /**< NULL: no lengths    */
    ol_prompt_spec prompt;
} ol_check_spec;

/**
 * Check a folder and append what there is to tell: a table of at most 80 columns, and a line for
 * each fault with file and line.
 * @param faults  how many
 * Errors: OL_EDATA when there is no such folder or setting; OL_EUSAGE for a prompt out of range;
 * OL_ENOMEM.
 */
ol_status ol_data_check(const ol_check_spec *spec, ol_text *out, int *faults);

#endif
