/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/model/cost.h
 * Floating-point operations of walks over a model, foretold from lengths alone: by this episodes are
 * shared out and plans made, and `outerloop bench` shows it beside what the products counted.
 *
 * With the letters of the house (C width, H heads, G groups, D head size, F hidden, V vocabulary, L
 * blocks), n tokens, M scored tokens, n² the sum of squared lengths and Mn that of the keys that scored
 * tokens see, a forward pass takes
 *
 *   (1) f = 2 C [(L-1) (2HD + 2GD + eF) n  +  2GD n + (2HD + eF) M]      maps; e = 2 of GPT-2, else 3
 *         + 2 C V M                                                      logits
 *   (2) a = 4 HD [(L-1) (n² + 64 n)/2 + Mn]                              attention, in blocks of 64
 *
 * since in the last block only scored tokens ask. With s the share of the model's weights that is
 * trained (1: all, 0: an adapter),
 *
 *   (3) losses                  f + a
 *   (4) gradient                (2 + s) f + 3.5 a     forward, adjoints of inputs, and of weights
 *   (5) Hessian-vector product  (2 + 4 s) f + 8 a     twice of each that depends on a trained weight
 *   (6) the same, nothing kept  + 2 f + 3.5 a         forward and adjoints of inputs again
 *
 * Left out: an adapter's own small products.
 *
 * Local, cannot fail.
 */
#ifndef OUTERLOOP_MODEL_COST_H
#define OUTERLOOP_MODEL_COST_H

#include "outerloop/base/batch.h"  /* ol_prompts_size */
#include "outerloop/model/model.h" /* ol_model */

/** (3), in flop. */
double ol_cost_losses(const ol_model *model, const ol_prompts_size *prompts);

/** (4), in flop. */
double ol_cost_gradient(const ol_model *model, const ol_prompts_size *prompts);

/** (5), in flop. */
double ol_cost_product(const ol_model *model, const ol_prompts_size *prompts);

/** (6), what comes to (5), in flop. */
double ol_cost_again(const ol_model *model, const ol_prompts_size *prompts);

#endif
