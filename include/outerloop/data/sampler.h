/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/data/sampler.h
 * Training episodes: which task, which rows, which prompts, as a function of (seed, step, episode).
 *
 * Tasks are drawn uniformly over the training list of a setting, without replacement inside a
 * meta-step; when a meta-step has more episodes than there are tasks, a second round begins after
 * all were drawn. In an episode `support + query` distinct rows are targets, each of one prompt,
 * and every prompt has `shots` demonstrations from the same task, in random order. A demonstration is
 * never its own prompt's target, nor a target of the other side: no answer of the query side is
 * seen while adapting, and none of the support side while scoring. This is never relaxed; a task
 * with too few rows for it is refused when the sampler is made. The rows needed are
 *
 *     max(support + query,  shots + 1 + query if support > 0,  shots + 1 + support if query > 0)
 *
 * A row that repeats an earlier one of its task (same input, same output) is left out, so that
 * distinct rows are distinct texts; so is, as a target only, a row whose scored piece is empty
 * (channel without an input).
 *
 * Episode n of step s is the same on any rank and for any N > n: streams OL_RNG_TASKS (step,
 * round) and OL_RNG_EPISODE (step, n) of `seed`. Every training row is tokenized once, when the
 * sampler is made; drawing copies tokens. Local; drawing changes nothing.
 */
#ifndef OUTERLOOP_DATA_SAMPLER_H
#define OUTERLOOP_DATA_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "outerloop/base/batch.h"     /* ol_episode     */
#include "outerloop/base/status.h"    /* ol_status      */
#include "outerloop/data/cut.h"       /* ol_cut         */
#include "outerloop/data/task.h"      /* ol_holdout     */
#include "outerloop/text/prompt.h"    /* ol_prompt_spec */
#include "outerloop/text/tokenizer.h" /* ol_tokenizer   */

typedef struct ol_sampler ol_sampler;

/** Transparent; strings are borrowed while ol_sampler_create runs. */
typedef struct ol_sampler_spec {
    const char *root, *setting;
    ol_variant variant;
    int shots;                  /**< demonstrations a prompt                                  */
    int max_tokens;             /**< a prompt's cap, see text/prompt.h                        */
    int max_tokens_per_example; /**< an example's cap                                         */
    int train_cap;              /**< first rows of each task that may be used; 0 = all        */
    ol_holdout holdout;         /**< training tasks that are not trained on                   */
    int support, query;         /**< prompts of each side; either may be 0, not both          */
    bool demonstrations;        /**< false: prompts are the target alone, as if shots were 0  */
    uint64_t seed;
} ol_sampler_spec;

/**
 * Read and tokenize the training file of each task of the setting (ol_task_train_path).
 * @param tokenizer  borrowed while it runs
 * @param out        owned by the caller, ol_sampler_destroy; NULL on error
 * Errors: OL_EUSAGE for a spec out of range; OL_EDATA for a file at fault or a task with too few
 * rows; OL_ENOMEM. Memory: 4 bytes a token of the rows used and 40 a row.
 */
ol_status ol_sampler_create(const ol_sampler_spec *spec, ol_tokenizer *tokenizer, ol_sampler **out);

/** Free it. Accepts NULL. */
void ol_sampler_destroy(ol_sampler *sampler);
OL_DROPS(ol_sampler, ol_sampler_destroy)

/**
 * Build episode n of the N of meta-step `step`; 0 <= n < N.
 * @param out  its batches are cleared and filled, their memory reused; zero at first, and ended by
 *             ol_batch_finish of both sides
 * Errors: OL_ENOMEM. Cost: copying the tokens.
 */
ol_status ol_sampler_draw(const ol_sampler *sampler, uint32_t step, int N, int n, ol_episode *out);

/** Which rows an episode is made of. Row numbers count the rows kept of a task. */
typedef struct ol_episode_rows {
    int task;     /**< index into the training list                                      */
    int prompts;  /**< support + query                                                   */
    int shots;    /**< demonstrations of each                                            */
    int *targets; /**< [prompts], the support side first                                 */
    int *demos;   /**< [prompts, shots], in the order in which they stand in the prompt  */
} ol_episode_rows;

/** The rows that ol_sampler_draw would use. @param out owned by the caller,
 *  ol_episode_rows_finish. Errors: OL_ENOMEM. */
ol_status ol_sampler_rows(const ol_sampler *sampler, uint32_t step, int N, int n,
                          ol_episode_rows *out);

/** Accepts NULL and a zero struct. */
void ol_episode_rows_finish(ol_episode_rows *rows);

/** What an episode will cost a model. */
typedef struct ol_episode_cost {
    ol_prompts_size support, query;
    int task;   /**< index into the training list    */
    ol_cut cut; /**< what max_tokens takes of prompts */
} ol_episode_cost;

/** Exact lengths of all N episodes of a meta-step, from the rows alone; no tokens are copied.
 *  @param out  [N]. Errors: OL_ENOMEM. Cost: the random numbers, those of the tasks once a round. */
ol_status ol_sampler_costs(const ol_sampler *sampler, uint32_t step, int N, ol_episode_cost *out);

/** Training tasks. */
int ol_sampler_tasks(const ol_sampler *sampler);

/** Name of task i. Borrowed from the sampler. */
const char *ol_sampler_task(const ol_sampler *sampler, int task);

/** Rows kept of task i. */
int ol_sampler_task_rows(const ol_sampler *sampler, int task);

/** What max_tokens_per_example takes from the kept rows of task i; prompts are counted by
 *  ol_sampler_costs, as they are drawn. Borrowed. */
const ol_cut *ol_sampler_cut(const ol_sampler *sampler, int task);

/** Line of a kept row in its file, from 1. */
int ol_sampler_row_line(const ol_sampler *sampler, int task, int row);

/** Tokens of the longest prompt that task i can give. */
int ol_sampler_longest(const ol_sampler *sampler, int task);

/** Refuse, before any work, prompts that a model of that context cannot hold. Errors: OL_EDATA
 *  naming the task, both lengths and the keys to change. */
ol_status ol_sampler_check_context(const ol_sampler *sampler, int context);

#endif
