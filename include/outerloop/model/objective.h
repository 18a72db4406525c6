/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/model/objective.h
 * The loss of a batch of prompts as a function of θ: value, gradient, Hessian-vector product.
 *
 *   (1) L_b(θ) = mean over the scored tokens j of prompt b of  -log p_θ(token j | tokens before j)
 *   (2) L(θ)   = mean over the prompts of L_b(θ)                                   [nats a token]
 *   (3) g      = ∇L(θ)
 *   (4) H u    = d/dε ∇L(θ + ε u) at ε = 0, as the tangent of the backward pass: exact.
 *
 * Batches are ragged and nothing is padded: rows that no scored token depends on are never
 * computed, logits only where a token is scored, and the last block only for those rows.
 *
 * A batch goes through in chunks of whole prompts, so that what a walk passes through does not grow
 * with it. A tape holds, for a whole batch, what a Hessian-vector product reads of the walks of the
 * gradient; what is cheap is made again instead (src/model/graph.h). ol_objective_grad fills a tape
 * that it is given. ol_objective_hvp then computes tangents only; without a full tape it walks each
 * chunk first, and gets the same bits.
 *
 * Cost in forward passes' worth of matrix products:
 *
 *   |                        | everything trained | all weights frozen (LoRA) |
 *   |------------------------|--------------------|---------------------------|
 *   | losses                 | 1                  | 1                         |
 *   | gradient               | 3                  | 2                         |
 *   | Hessian-vector product | 6                  | 2                         |
 *   | the same without tape  | 8                  | 4                         |
 *
 * so one second-order episode with K = 1 takes 3 + 3 + 6 = 12 or 2 + 2 + 2 = 6, less what a first
 * trained tensor further up saves. Memory of a tape, in reals a token and block: 17 C of a GPT-2 with
 * everything trained; of llama with LoRA on q and v 4 C + 2 H·D + 3 F + 2 G·D; and a little.
 *
 * Local, allocates nothing, thread-safe on different arenas. Kernels cannot fail: a loss that is
 * not finite is returned as it is, and callers look.
 *
 * Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian".
 */
#ifndef OUTERLOOP_MODEL_OBJECTIVE_H
#define OUTERLOOP_MODEL_OBJECTIVE_H

#include "outerloop/base/batch.h"  /* ol_batch */
#include "outerloop/model/model.h" /* ol_model */

/** Upper bounds on a batch, for sizing memory before any batch is there. */
typedef struct ol_extent {
    int prompts;     /**< B                                  */
    int64_t tokens;  /**< of all prompts together            */
    int64_t longest; /**< of the longest prompt              */
    int64_t scored;  /**< scored tokens of all prompts       */
} ol_extent;

/** The extent of a batch. */
ol_extent ol_batch_extent(const ol_batch *batch);

/** The least extent that bounds both. */
ol_extent ol_extent_max(ol_extent a, ol_extent b);

/** Gradient with respect to what: all that is trained, or what of it the inner loop moves. Where
 *  that is a part, adjoints go no further back than its first tensor. */
typedef enum ol_wanted { OL_OF_TRAINED, OL_OF_ADAPTED } ol_wanted;

/** What is kept of the walks of one batch at one θ. Opaque; lives in an arena. */
typedef struct ol_tape ol_tape;

/**
 * Lay out a tape for batches within `extent`. Run on a dry arena it only counts and returns NULL.
 * @return borrowed from the arena
 */
ol_tape *ol_tape_layout(ol_arena *arena, const ol_model *model, ol_extent extent);

/** What is to be done, each including those before it. */
typedef enum ol_work { OL_LOSSES, OL_GRADIENT, OL_PRODUCT } ol_work;

/** Scratch bytes of all work up to `most` for batches within `extent`; `tape` says whether gradients
 *  and products are given a tape (its own bytes not included). */
size_t ol_objective_bytes(const ol_model *model, ol_extent extent, ol_work most, bool tape);

/**
 * (1) for each prompt: mean nats per scored token. What consecutive prompts begin with alike (the
 * demonstrations of a task, the input before its options) is computed once for a chunk of them, so
 * prompts that share much should stand together.
 * @param theta   [P] borrowed
 * @param ws      scratch, ol_objective_bytes; rewound
 * @param losses  [B] overwritten
 */
void ol_objective_losses(const ol_model *model, const ol_batch *batch, const ol_real *theta,
                         ol_arena *ws, double *losses);

/**
 * The same, for batches that take long.
 * @param stop  asked before every chunk of prompts: true ends it. NULL: never
 * @return false when it was ended: losses are then undefined
 */
bool ol_objective_losses_unless(bool (*stop)(void), const ol_model *model, const ol_batch *batch,
                                const ol_real *theta, ol_arena *ws, double *losses);

/**
 * (2) and (3).
 * @param tape  NULL, or a tape within whose extent the batch lies: filled for ol_objective_hvp
 * @param grad  [P] overwritten; 0 where not wanted
 * @return L(θ) in nats
 */
double ol_objective_grad(const ol_model *model, const ol_batch *batch, const ol_real *theta,
                         ol_wanted wanted, ol_tape *tape, ol_arena *ws, ol_real *grad);

/**
 * (4), added: hv += H u, all of it that is trained.
 * @param tape  NULL, or a tape within whose extent the batch lies: either full, of the same batch and
 *              θ, or not (then it is filled on the way). It is not full afterwards
 * @param u     [P] borrowed; counts as 0 where the inner loop moves nothing
 * @param hv    [P] added to; not u
 */
void ol_objective_hvp(const ol_model *model, const ol_batch *batch, const ol_real *theta,
                      const ol_real *u, ol_tape *tape, ol_arena *ws, ol_real *hv);

#endif
