/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/batch.h
 * Ragged batches of prompts and the episode that two of them make.
 *
 * Prompt b is tokens[offsets[b] .. offsets[b+1]-1]. loss_mask[j] = 1 scores token j given those
 * before it in its prompt; nothing precedes the first token, so a mark on it counts for nothing.
 * Nothing is padded.
 */
#ifndef OUTERLOOP_BASE_BATCH_H
#define OUTERLOOP_BASE_BATCH_H

#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */

typedef struct ol_batch {
    int B;              /**< prompts                                  */
    int64_t *offsets;   /**< [B+1], offsets[0] = 0                    */
    int32_t *tokens;    /**< [offsets[B]], each 0..V-1                */
    uint8_t *loss_mask; /**< [offsets[B]], 0 or 1                     */
    int64_t capacity;   /**< tokens allocated; 0 for a borrowed batch */
    int room;           /**< prompts allocated                        */
} ol_batch;

/** One task drawn for one meta-step; the two sides are disjoint in their targets. */
typedef struct ol_episode {
    int task;         /**< index into the setting's training tasks */
    ol_batch support; /**< what the inner loop learns from         */
    ol_batch query;   /**< what the outer gradient is taken on     */
} ol_episode;

/** Append one prompt of n tokens (copied). The batch grows as needed; start from a zero batch.
 *  Errors: OL_ENOMEM. */
ol_status ol_batch_append(ol_batch *batch, int64_t n, const int32_t *tokens,
                          const uint8_t *loss_mask);

/** Append all prompts of `from`. Errors: OL_ENOMEM. */
ol_status ol_batch_extend(ol_batch *batch, const ol_batch *from);

/** Forget the prompts, keep the memory. */
void ol_batch_clear(ol_batch *batch);

/** Free what append allocated. Accepts NULL and a zero batch. */
void ol_batch_finish(ol_batch *batch);

/** Tokens of all prompts together. */
static inline int64_t ol_batch_tokens(const ol_batch *batch)
{
    return batch->B > 0 ? batch->offsets[batch->B] : 0;
}

/** Prompt b by itself. Borrows from the batch, and from `offsets` [2], which it writes. */
ol_batch ol_batch_prompt(const ol_batch *batch, int b, int64_t offsets[2]);

/** What the work of prompts follows from. */
typedef struct ol_prompts_size {
    int64_t prompts;
    int64_t longest; /**< tokens of the longest prompt                  */
    int64_t tokens;
    int64_t squares; /**< Σ over prompts of their length squared        */
    int64_t scored;  /**< scored tokens                                 */
    int64_t seen;    /**< Σ over scored tokens of their prompt's length */
} ol_prompts_size;

/** Add a prompt of that length. */
static inline void ol_prompts_size_add(ol_prompts_size *size, int64_t length, int64_t scored)
{
    size->prompts++;
    size->longest = length > size->longest ? length : size->longest;
    size->tokens += length;
    size->squares += length * length;
    size->scored += scored;
    size->seen += scored * length;
}

/** Of the prompts of a batch. */
ol_prompts_size ol_batch_size(const ol_batch *batch);

/** Tokens of the longest prompt. */
int64_t ol_batch_longest(const ol_batch *batch);

/**
 * Check a batch against a model before any work: at least one prompt, every token 0..V-1, every
 * prompt of 2..context+1 tokens (the last is predicted and not read) with at least one scored token
 * after its first.
 * `what` names the batch in the message. Errors: OL_EDATA.
 */
ol_status ol_batch_check(const ol_batch *batch, int V, int context, const char *what);

#endif
