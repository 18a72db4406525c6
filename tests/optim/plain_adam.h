/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file plain_adam.h
 * An AdamW step of one element in double, as adam.h writes it: what tests hold steps against, and
 * what the benchmark shows beside them.
 */
#ifndef TESTS_OPTIM_PLAIN_ADAM_H
#define TESTS_OPTIM_PLAIN_ADAM_H

#include <math.h>

#include "outerloop/optim/adam.h"

/* (1) to (3), in place; c1 and c2 are 1/(1-β^t). */
static inline void plain_adam(const ol_adam_spec *spec, bool decays, double c1, double c2, double g,
                              double *x, double *m, double *v)
{
    *m = spec->beta1 * *m + (1 - spec->beta1) * g;
    *v = spec->beta2 * *v + (1 - spec->beta2) * g * g;
    *x = *x * (decays ? 1 - spec->lr * spec->weight_decay : 1) -
         spec->lr * c1 * *m / (sqrt(c2 * *v + spec->eps_root) + spec->eps);
}

#endif
