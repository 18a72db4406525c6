/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file dense.h
 * Every family written as plainly as it can be: one prompt, every row, every logit, loops in double
 * over tensors found by Hugging Face's names. An adapter is merged into the weights it stands beside.
 */
#ifndef TESTS_MODEL_DENSE_H
#define TESTS_MODEL_DENSE_H

#include "outerloop/model/model.h"

/* Mean nats of the scored tokens of one prompt of n tokens. theta [P], the frozen tensors in the
 * model's block; scale: of an adapter. */
double dense_loss(const ol_model *model, double scale, const double *theta, int n,
                  const int32_t *tokens, const uint8_t *mask);

#endif
