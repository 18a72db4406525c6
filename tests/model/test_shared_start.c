/* SPDX-License-Identifier: BSD-3-Clause */
/* Losses of prompts that begin alike: computed together they are those of each prompt alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/rng.h"
#include "outerloop/kernel/gemm.h"
#include "outerloop/model/objective.h"

enum { VOCAB = 40, CONTEXT = 60 };

/* Together and alone the same products are done in other shapes, whose sums round otherwise. That is
 * no more than a change of an ulp in every weight, which moves a loss of these models by at most 7e-6
 * of itself in float32, measured over 400 prompts: 2e-5 is three of those. (With weights twice as
 * large it is 5e-4: random blocks amplify.) A wrong row moves it by 1e-2. */
#ifdef OL_F64
static const double tolerance = 1e-13;
#else
static const double tolerance = 2e-5;
#endif

static const ol_model_spec specs[] = {
    {.family = OL_GPT2, .layers = 3, .heads = 2, .width = 16, .tied = true},
    {.family = OL_LLAMA,
     .layers = 3,
     .heads = 4,
     .kv_heads = 2,
     .width = 16,
     .rope_theta = 100,
     .rope_scaling = OL_ROPE_LLAMA3,
     .rope_factor = 4,
     .rope_low_freq_factor = 0.5,
     .rope_high_freq_factor = 3,
     .rope_original_context = 20},
    {.family = OL_QWEN2,
     .layers = 2,
     .heads = 2,
     .kv_heads = 1,
     .width = 16,
     .tied = true,
     .rope_theta = 1000},
    {.family = OL_QWEN3,
     .layers = 3,
     .heads = 4,
     .kv_heads = 2,
     .head_dim = 6,
     .width = 16,
     .tied = true,
     .rope_theta = 100},
};

enum { SPECS = sizeof specs / sizeof *specs };

static ol_model *make_model(int which, ol_real **theta)
{
    ol_model_spec spec = specs[which];
    ol_model *model;

    spec.vocab = VOCAB;
    spec.context = CONTEXT;
    assert_int_equal(ol_model_create(&spec, NULL, &model), OL_OK);
    *theta = malloc(model->P * sizeof **theta);
    assert_non_null(*theta);
    ol_model_random(model, 9, *theta, NULL);
    for (size_t i = 0; i < model->P; i++)
        (*theta)[i] *= 2; /* far from uniform predictions, so that a wrong row shows */
    return model;
}

/* Prompt of the first n tokens of a text that `branch` changes from token `at` on; the last
   `scored` are scored. */
static void add(ol_batch *batch, int n, int at, int branch, int scored)
{
    int32_t tokens[CONTEXT];
    uint8_t mask[CONTEXT] = {0};
    ol_rng text = ol_rng_stream(1, OL_RNG_TEST, 0, 0);
    ol_rng other = ol_rng_stream(1, OL_RNG_TEST, 1, (uint32_t)branch);

    for (int j = 0; j < n; j++) {
        const uint32_t a = ol_rng_below(&text, VOCAB), b = ol_rng_below(&other, VOCAB);
        tokens[j] = (int32_t)(j < at ? a : b);
        mask[j] = j >= n - scored;
    }
    assert_int_equal(ol_batch_append(batch, n, tokens, mask), OL_OK);
}

static void losses_of(const ol_model *model, const ol_batch *batch, const ol_real *theta,
                      double *losses)
{
    ol_arena ws;

    assert_int_equal(
        ol_arena_init(&ws, "test",
                      ol_objective_bytes(model, ol_batch_extent(batch), OL_PRODUCT, false)),
        OL_OK);
    ol_objective_losses(model, batch, theta, &ws, losses);
    assert_true(ws.used == 0);
    ol_arena_finish(&ws);
}

/* Returns the share of products that is done together, of those that are done alone. */
static double assert_each_alone_of(int which, const ol_batch *batch)
{
    double *together = calloc((size_t)batch->B, sizeof *together), flops[3];
    ol_real *theta;
    ol_model *model = make_model(which, &theta);

    assert_non_null(together);
    flops[0] = ol_gemm_flops();
    losses_of(model, batch, theta, together);
    flops[1] = ol_gemm_flops();
    for (int b = 0; b < batch->B; b++) {
        const int64_t at = batch->offsets[b];
        ol_batch one = {0};
        double alone;

        assert_int_equal(ol_batch_append(&one, batch->offsets[b + 1] - at, batch->tokens + at,
                                         batch->loss_mask + at),
                         OL_OK);
        losses_of(model, &one, theta, &alone);
        if (!(fabs(alone - together[b]) <= tolerance * fabs(alone)))
            fail_msg("%s: prompt %d: %.17g together, %.17g alone",
                     ol_model_families[specs[which].family], b, together[b], alone);
        ol_batch_finish(&one);
    }
    flops[2] = ol_gemm_flops();
    free(together);
    free(theta);
    ol_model_destroy(model);
    return (flops[1] - flops[0]) / (flops[2] - flops[1]);
}

static void assert_each_alone(const ol_batch *batch, double most)
{
    for (int which = 0; which < SPECS; which++) {
        const double share = assert_each_alone_of(which, batch);

        if (!(share < most))
            fail_msg("%s: %.2f of the products are done", ol_model_families[specs[which].family],
                     share);
    }
}

static void a_tree_of_rows_and_options(void **state)
{
    ol_batch batch = {0};

    (void)state;
    for (int row = 0; row < 4; row++)
        for (int option = 0; option < 3; option++) {
            add(&batch, 34 + option, 20, 10 * row, 3); /* same row, longer scored piece */
            add(&batch, 36, 32, 10 * row + option, 4); /* other option after the shared start */
        }
    assert_each_alone(&batch, 0.7);
    ol_batch_finish(&batch);
}

static void repeated_nested_and_unlike_prompts(void **state)
{
    ol_batch batch = {0};

    (void)state;
    add(&batch, 30, 30, 0, 2);
    add(&batch, 30, 30, 0, 2);  /* the same again: no row of its own                  */
    add(&batch, 12, 12, 0, 2);  /* a part of it                                       */
    add(&batch, 50, 50, 0, 9);  /* goes on where the part before it ended             */
    add(&batch, 25, 0, 3, 24);  /* nothing in common; all but its first token scored  */
    add(&batch, 25, 0, 3, 5);   /* the same tokens, other ones scored                 */
    add(&batch, 25, 24, 3, 1);  /* differs in the last token alone, which no row reads */
    add(&batch, 2, 2, 0, 1);    /* one row                                            */
    add(&batch, 60, 59, 5, 40); /* as long as the context                             */
    assert_each_alone(&batch, 0.9);
    ol_batch_finish(&batch);
}

static void more_prompts_than_a_chunk_holds(void **state)
{
    ol_batch batch = {0};

    (void)state;
    for (int i = 0; i < 400; i++)
        add(&batch, 50 + i % 4, 40 + i % 7, i, 1 + i % 5);
    for (int i = 0; i < 900; i++)
        add(&batch, 30, 30, 0, 2); /* no rows of their own, yet rows of the head */
    assert_each_alone(&batch, 0.4);
    ol_batch_finish(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_of_rows_and_options),
        cmocka_unit_test(repeated_nested_and_unlike_prompts),
        cmocka_unit_test(more_prompts_than_a_chunk_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
