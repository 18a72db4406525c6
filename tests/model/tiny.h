/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file tiny.h
 * Small models and ragged batches for tests of the numeric rooms.
 */
#ifndef TESTS_MODEL_TINY_H
#define TESTS_MODEL_TINY_H

#include <stdlib.h>
#include <string.h>

#include "outerloop/base/rng.h"
#include "outerloop/model/objective.h"

/* n reals; a test without memory cannot go on. */
static inline ol_real *tiny_reals(size_t n)
{
    ol_real *x = calloc(n, sizeof *x);

    if (!x)
        abort();
    return x;
}

/* n standard normals of that stream. */
static inline ol_real *tiny_normals(size_t n, uint32_t stream)
{
    ol_rng rng = ol_rng_stream(5, OL_RNG_TEST, stream, 1);
    ol_real *x = tiny_reals(n);

    for (size_t i = 0; i < n; i++)
        x[i] = (ol_real)ol_rng_normal(&rng);
    return x;
}

static inline ol_model *tiny_model(int layers, int context)
{
    const ol_model_spec spec = {.layers = layers,
                                .heads = 2,
                                .width = 8,
                                .vocab = 13,
                                .context = context,
                                .norm_eps = 1e-5,
                                .tied = true};
    ol_model *model = NULL;

    if (ol_model_create(&spec, NULL, &model) != OL_OK)
        abort();
    return model;
}

/* Parameters far from the small ones that training starts from, so that every nonlinearity bends:
 * random ones, and 0.3 times a normal on top. */
static inline ol_real *tiny_theta(const ol_model *model, uint32_t stream)
{
    ol_real *theta = tiny_normals(model->P, stream), *start = tiny_reals(model->P);

    ol_model_random(model, stream, start, NULL);
    for (size_t i = 0; i < model->P; i++)
        theta[i] = start[i] + (ol_real)0.3 * theta[i];
    free(start);
    return theta;
}

/* B prompts of least..most tokens, all below `words`. Each token but the first is scored with
 * chance 1/3, the one before the last always, the last one in every other prompt. */
static inline ol_batch tiny_batch(int B, int least, int most, int words, uint32_t stream)
{
    ol_rng rng = ol_rng_stream(6, OL_RNG_TEST, stream, 2);
    int32_t *tokens = calloc((size_t)most, sizeof *tokens);
    uint8_t *mask = calloc((size_t)most, 1);
    ol_batch batch = {0};

    if (!tokens || !mask)
        abort();
    for (int b = 0; b < B; b++) {
        const int n = least + (int)ol_rng_below(&rng, (uint32_t)(most - least + 1));

        for (int j = 0; j < n; j++) {
            tokens[j] = (int32_t)ol_rng_below(&rng, (uint32_t)words);
            mask[j] = j > 0 && j < n - 2 ? ol_rng_below(&rng, 3) == 0 : 0;
        }
        mask[n - 2] = n > 2;
        mask[n - 1] = b % 2 == 0 || n == 2;
        if (ol_batch_append(&batch, n, tokens, mask) != OL_OK)
            abort();
    }
    free(tokens);
    free(mask);
    return batch;
}

/* An arena of exactly so many bytes: one too few and it aborts. They read as NaN at first, so that
 * what is read before it is written shows. */
static inline ol_arena tiny_arena(size_t bytes)
{
    ol_arena arena;

    if (ol_arena_init(&arena, "test", bytes) != OL_OK)
        abort();
    memset(ol_arena_take(&arena, bytes), 0xff, bytes);
    ol_arena_rewind(&arena, 0);
    return arena;
}

#endif
