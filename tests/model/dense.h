/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file dense.h
 * GPT-2 written as plainly as it can be: one prompt, every row, every logit, loops in double.
 */
#ifndef TESTS_MODEL_DENSE_H
#define TESTS_MODEL_DENSE_H

#include "outerloop/model/model.h"

/* Mean nats of the scored tokens of one prompt of n tokens. theta [P] in double. */
double dense_loss(const ol_model *model, const double *theta, int n, const int32_t *tokens,
                  const uint8_t *mask);

#endif
