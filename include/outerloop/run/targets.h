/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/targets.h
 * The target tasks of a setting under all seeds, ready to be evaluated: names, predicted work, and
 * the prompts of each (task, seed) when its turn comes.
 *
 * Opening reads and tokenizes every file once and keeps none of it, so that a missing file, a bad
 * row or a prompt longer than the model's context is found before any training, and the work of
 * each item is known: tokens of all its prompts.
 *
 * Demonstrations belong to what a learner was trained on: with them, the first `shots` rows of the
 * k-shot file stand before every test row; without (multitask), a test row stands alone, in context
 * means zero-shot, and adaptation takes each row of the k-shot file alone.
 *
 * Local: every rank opens the same targets.
 */
#ifndef OUTERLOOP_RUN_TARGETS_H
#define OUTERLOOP_RUN_TARGETS_H

#include "outerloop/collective/evaluate.h" /* ol_evaluation_spec */
#include "outerloop/data/target.h"         /* ol_variant, ol_tokenizer */
#include "outerloop/data/task.h"           /* ol_holdout */

typedef struct ol_targets ol_targets;

/** Which targets. Strings and seeds are borrowed for the life of the targets. */
typedef struct ol_targets_spec {
    const char *setting;
    ol_target_spec each; /**< of every one, but for its name and seed                  */
    const int *seeds;    /**< [n_seeds]                                                */
    int n_seeds;
    bool pmi;           /**< null prompts too, to score by PMI                        */
    int context;        /**< of the model, which every prompt must fit                */
    ol_holdout holdout; /**< training tasks in the place of the setting's targets, which are
                             then not read                                            */
} ol_targets_spec;

/** What reading all files of a target has shown, over its seeds. */
typedef struct ol_target_note {
    int scored, skipped; /**< test rows                                                */
    char *first_skipped; /**< what is wrong with the first skipped one; NULL: no such  */
} ol_target_note;

/**
 * Read and check all targets.
 * @param tokenizer  borrowed for the life of the targets
 * @param out        *owned by the caller* (ol_targets_close)
 * Errors: OL_EDATA with file and line, OL_ENOMEM.
 * Cost: tokenizing all prompts once.
 */
ol_status ol_targets_open(const ol_targets_spec *spec, ol_tokenizer *tokenizer, ol_targets **out);

/** Free. Accepts NULL. */
void ol_targets_close(ol_targets *targets);

/** Tasks. */
int ol_targets_tasks(const ol_targets *targets);

/** Their names, and what the caps on tokens take of each: [tasks]. Borrowed. */
const ol_task_cut *ol_targets_cuts(const ol_targets *targets);

/** What opening has shown of task i. Borrowed. */
const ol_target_note *ol_targets_note(const ol_targets *targets, int task);

/** A spec for ol_evaluate with everything set but `scoring`. Borrows from targets, which
 *  are also its payload: one evaluation at a time. */
ol_evaluation_spec ol_targets_evaluation(ol_targets *targets);

#endif
