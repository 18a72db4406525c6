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
 * A tape holds the activations of one batch between the walks over the model. ol_objective_grad
 * either forgets it (the batch then goes through in chunks of whole prompts, so that memory does
 * not grow with the batch) or keeps it for a Hessian-vector product at the same θ, which then
 * computes tangents only: 6 forward passes' worth of matrix products instead of 8.
 *
 * Cost, in forward passes: losses 1; gradient 3; Hessian-vector product 6 with a kept tape, else 8.
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

/** A kept tape: activations and adjoints of one batch at one θ. Opaque; lives in an arena. */
typedef struct ol_tape ol_tape;

/**
 * Lay out a tape for batches within `extent`. Run on a dry arena it only counts and returns NULL.
 * @return borrowed from the arena
 */
ol_tape *ol_tape_layout(ol_arena *arena, const ol_model *model, ol_extent extent);

/** Scratch bytes that the three functions below need for batches within `extent`; `tape` says
 *  whether a kept tape is used (its own bytes not included). */
size_t ol_objective_bytes(const ol_model *model, ol_extent extent, bool tape);

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
 * (2) and (3).
 * @param tape  NULL, or a tape within whose extent the batch lies: filled for ol_objective_hvp
 * @param grad  [P] overwritten
 * @return L(θ) in nats
 */
double ol_objective_grad(const ol_model *model, const ol_batch *batch, const ol_real *theta,
                         ol_tape *tape, ol_arena *ws, ol_real *grad);

/**
 * (4), added: hv += H u.
 * @param tape  NULL (everything is computed again), or the tape that ol_objective_grad filled for
 *              the same batch and θ
 * @param u     [P] borrowed
 * @param hv    [P] added to; not u
 */
void ol_objective_hvp(const ol_model *model, const ol_batch *batch, const ol_real *theta,
                      const ol_real *u, ol_tape *tape, ol_arena *ws, ol_real *hv);

#endif
