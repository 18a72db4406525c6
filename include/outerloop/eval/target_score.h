/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/eval/target_score.h
 * One work item of an evaluation: a target task under one seed, scored as it is and adapted.
 *
 *   (1) θ_0 = θ                                       in context: no step is taken
 *   (2) θ_{j+1}, m, v = inner(θ_j, ∇L_A(θ_j), m, v)   adaptation, j = 0, 1, ...
 *   (3) score_J = metric of argmin_option L(prompt of row and option; θ_J)   J in {0} and `counts`
 *
 * Beside the scores in context, where `pmi` asks for it, those by pointwise mutual information
 * [nats a token], which takes away what makes an option likely whatever the input:
 *
 *   (4) PMI = metric of argmin_option L(prompt of row and option; θ) - L(null prompt of option; θ)
 *
 * where a null prompt has the same demonstrations and the input "N/A". MetaICL's published code
 * does it so (its `is_null` and `use_calibration`).
 *
 * L_A is the mean loss of the leave-one-out prompts of the task's k-shot file: each of its k rows
 * is the target once, with the k-1 others as demonstrations. Every step uses all k prompts, so
 * that adaptation draws nothing at random and J steps mean the same for every learner. The inner
 * optimizer is the learner's own, started as its `moments` say (ol_learner_start_moments); learners
 * without an inner loop, and the untrained model, adapt with the same settings. Counts are reached
 * one after the other: θ_8 is four steps from θ_4. θ itself is never written to, so every item
 * starts from the same bits.
 *
 * An adaptation that runs into a loss that is not finite leaves nothing to predict with: that count
 * and those after it score 0, with predicted = -1 and NaN as option losses, and `diverged` says so.
 * It is the score of this rate on this task, and no reason to lose the other results of a run.
 *
 * Cost in forward passes of a prompt: options of all rows for each J scored, and 3 k a step. Of
 * the prompts scored, tokens that consecutive ones begin with alike, demonstrations and the input
 * of a row, go through the model once for a chunk of them (objective.h); those of adaptation, each
 * with a demonstration less, share nothing. Memory does not grow with the rows.
 *
 * Local, no MPI; one thread.
 */
#ifndef OUTERLOOP_EVAL_TARGET_SCORE_H
#define OUTERLOOP_EVAL_TARGET_SCORE_H

#include "outerloop/eval/result.h"  /* ol_eval_result, ol_metric */
#include "outerloop/meta/learner.h" /* ol_learner_spec, ol_state_view */

/** A target task under one seed, as prompts. Everything is borrowed. */
typedef struct ol_eval_target {
    const char *name; /**< for messages                                                       */
    ol_metric metric;
    int rows;                   /**< test rows                                                */
    const int *options_per_row; /**< [rows], each at least 1                                  */
    const char *const *options; /**< [prompts->B] text of each option, rows in order          */
    const char *const *gold;    /**< [rows] true output                                       */
    const ol_batch *prompts;    /**< one prompt a (row, option), rows in order                */
    const ol_batch *support;    /**< leave-one-out prompts; NULL when nothing is to be adapted */
    const ol_batch *nulls;      /**< null prompts, each once; NULL without PMI                */
    const int *null_of;         /**< [prompts->B] the null prompt of each prompt's option     */
} ol_eval_target;

/** What to score. */
typedef struct ol_eval_spec {
    ol_learner_spec learner; /**< the inner optimizer; adam.lr is the rate of adaptation; stop is
                                  asked before every step and every chunk of prompts             */
    bool in_context;         /**< score θ itself                                                 */
    bool pmi;                /**< (4) too; wants in_context                                      */
    const int *counts;       /**< [n_counts] adaptation steps to score after, ascending, above 0 */
    int n_counts;
} ol_eval_spec;

/** How many scorings that makes of a target: in context, PMI, then counts. */
int ol_eval_scorings(const ol_eval_spec *spec);

/** What scoring i comes after: a count, OL_STEPS_IN_CONTEXT or OL_STEPS_PMI. */
int ol_eval_steps(const ol_eval_spec *spec, int i);

/** Most bytes of one arena that ol_eval_target_score needs for a target. */
size_t ol_eval_target_bytes(const ol_model *model, const ol_eval_spec *spec,
                            const ol_eval_target *target);

/**
 * Score a target, in context and after each count.
 * @param state   θ and the moments of the learner, unchanged
 * @param ws      scratch, ol_eval_target_bytes; rewound on success
 * @param result  overwritten; *owned by the caller* (ol_eval_result_finish)
 * Errors: OL_EDATA when a prompt does not fit the model or rows and options do not match;
 * OL_EUSAGE when counts are given and there is no support, or counts do not ascend; OL_ENOMEM;
 * OL_ESTOPPED when spec->learner.stop said so: scored again from its start, it gives the same bits.
 * Nothing is then left to free.
 */
ol_status ol_eval_target_score(const ol_model *model, const ol_eval_spec *spec,
                               const ol_eval_target *target, ol_state_view state, ol_arena *ws,
                               ol_eval_result *result);

#endif
