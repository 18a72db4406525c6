/* SPDX-License-Identifier: BSD-3-Clause */
/* What must not matter to the objective, in f64: tapes, chunks, the room that a batch leaves, the
 * prompts beside a prompt, tokens after the last score. Where the same products are done the bits are
 * the same; what only sums in another order agrees to 1e-12. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cases.h"
#include "dense.h"
#include "outerloop/kernel/vector.h"

enum { CONTEXT = 128, WORDS = 13, MOST_ROWS = 1024 /* of a chunk, at these widths */ };

static bool every(int i)
{
    (void)i;
    return true;
}

/* Run a check in these cases. */
static void each_case(bool (*of)(int i), int context, ol_batch (*batch)(void),
                      void (*check)(setting *))
{
    for (int i = 0; i < cases_count(); i++) {
        setting s;

        if (!of(i))
            continue;
        s = case_make(i, context, batch());
        check(&s);
        case_finish(&s);
    }
}

static ol_batch few(void)
{
    return tiny_batch(4, 2, 40, WORDS, 3);
}

static ol_batch one_prompt(void)
{
    return tiny_batch(1, 30, 40, WORDS, 4);
}

/* 1150 rows or so: two chunks, no prompt in both. */
static ol_batch two_chunks(void)
{
    return tiny_batch(18, 50, 80, WORDS, 5);
}

static ol_extent twice(ol_extent e)
{
    return (ol_extent){2 * e.prompts, 2 * e.tokens, 2 * e.longest, 2 * e.scored};
}

/* A gradient on a tape of NaN, then the product, by the bits of those without a tape. With `empty` the
 * tape is first filled by a product. */
static void check_tape(const setting *s, ol_extent extent, ol_wanted wanted, bool empty)
{
    const char *const what = wanted == OL_OF_ADAPTED ? "tape of the adapted gradient" : "tape";
    const size_t P = s->model->P;
    taped t = tape_make(s->model, extent);
    ol_real *u = case_direction(s, 20), *hu = case_product(s, u, NULL, NULL), *taped_hu;
    ol_real *g = case_gradient(s, s->theta, wanted, NULL, NULL), *taped_g;

    if (empty) {
        taped_hu = case_product(s, u, t.tape, NULL);
        same_bits(s, "product on a tape that was not full", P, taped_hu, hu);
        free(taped_hu);
    }
    taped_g = case_gradient(s, s->theta, wanted, t.tape, NULL);
    same_bits(s, what, P, taped_g, g);
    taped_hu = case_product(s, u, t.tape, NULL);
    same_bits(s, what, P, taped_hu, hu);
    tape_finish(&t);
    fixed_free(u);
    free(g), free(hu), free(taped_g), free(taped_hu);
}

static void check_tapes(setting *s)
{
    const ol_extent extent = ol_batch_extent(&s->batch);

    check_tape(s, extent, OL_OF_TRAINED, true);
    check_tape(s, extent, OL_OF_ADAPTED, false);
    check_tape(s, twice(extent), OL_OF_TRAINED, false);
}

static void test_tapes(void **state)
{
    (void)state;
    each_case(every, CONTEXT, few, check_tapes);
    each_case(every, CONTEXT, one_prompt, check_tapes);
}

static void check_chunked_tape(setting *s)
{
    assert_true(ol_batch_tokens(&s->batch) > MOST_ROWS + 2 * s->batch.B);
    check_tape(s, ol_batch_extent(&s->batch), OL_OF_ADAPTED, true);
}

static void test_tapes_of_chunks(void **state)
{
    (void)state;
    each_case(case_is_its_choices, CONTEXT, two_chunks, check_chunked_tape);
}

/* A tape that held another batch is of this one once a product has used it up. Batches are only
 * read. */
static void check_other_batch(setting *s)
{
    const size_t P = s->model->P, n = (size_t)ol_batch_tokens(&s->batch);
    ol_batch other = tiny_batch(3, 5, 30, WORDS, 9), own = s->batch;
    taped t = tape_make(s->model, ol_extent_max(ol_batch_extent(&own), ol_batch_extent(&other)));
    ol_real *u = case_direction(s, 22), *hu = case_product(s, u, NULL, NULL), *taped_hu;

    s->batch = other;
    free(case_gradient(s, s->theta, OL_OF_TRAINED, t.tape, NULL));
    free(case_product(s, u, t.tape, NULL));
    s->batch = own;
    taped_hu = case_product(s, u, t.tape, NULL);
    same_bits(s, "on a tape that held another batch", P, taped_hu, hu);
    ol_batch_finish(&other);
    other = few();
    assert_memory_equal(own.tokens, other.tokens, n * sizeof *own.tokens);
    assert_memory_equal(own.loss_mask, other.loss_mask, n);
    ol_batch_finish(&other);
    tape_finish(&t);
    fixed_free(u);
    free(hu), free(taped_hu);
}

static void test_other_batch(void **state)
{
    (void)state;
    each_case(case_is_plain, CONTEXT, few, check_other_batch);
}

/* A batch is the mean of its prompts, each of which is a chunk by itself. */
static void check_mean_to(setting *s, double tolerance)
{
    const size_t P = s->model->P;
    const ol_batch whole = s->batch;
    ol_real *u = case_direction(s, 30), *mean = tiny_reals(P), *mean_hu = tiny_reals(P);
    double loss, sum = 0, one_loss;
    ol_real *g = case_gradient(s, s->theta, OL_OF_TRAINED, NULL, &loss);
    ol_real *hu = case_product(s, u, NULL, NULL);

    for (int b = 0; b < whole.B; b++) {
        int64_t offsets[2];

        s->batch = ol_batch_prompt(&whole, b, offsets);
        ol_real *one = case_gradient(s, s->theta, OL_OF_TRAINED, NULL, &one_loss);
        ol_real *one_hu = case_product(s, u, NULL, NULL);

        sum += one_loss;
        ol_vector_axpy(P, 1.0 / whole.B, one, mean);
        ol_vector_axpy(P, 1.0 / whole.B, one_hu, mean_hu);
        free(one), free(one_hu);
    }
    s->batch = whole;
    assert_true(fabs(sum / whole.B - loss) <= tolerance * loss);
    assert_true(fabs(case_loss(s, s->theta) - loss) <= tolerance * loss);
    near(s, "gradient in chunks", P, g, mean, tolerance);
    near(s, "Hessian product in chunks", P, hu, mean_hu, tolerance);
    fixed_free(u);
    free(mean), free(mean_hu), free(g), free(hu);
}

static void check_mean(setting *s)
{
    check_mean_to(s, 1e-12);
}

static void test_chunks(void **state)
{
    (void)state;
    each_case(case_is_plain, CONTEXT, two_chunks, check_mean);
}

/* Widths at which a chunk has fewer rows: 436, and 256 however wide; maps of few columns otherwise. */
static ol_model_spec wide(int width)
{
    return (ol_model_spec){.family = OL_LLAMA,
                           .layers = 2,
                           .heads = 2,
                           .kv_heads = 1,
                           .head_dim = 4,
                           .width = width,
                           .hidden = 6,
                           .vocab = WORDS,
                           .context = CONTEXT,
                           .rope_theta = 100};
}

static void test_wide(void **state)
{
    static const int widths[] = {300, 2048};
    const ol_trained_spec all = {0};

    (void)state;
    for (int i = 0; i < 2; i++) {
        const ol_model_spec spec = wide(widths[i]);
        setting s = setting_make("wide", &spec, &all, tiny_batch(8, 60, 80, WORDS, 6));

        assert_true(ol_batch_tokens(&s.batch) > 436 + 2 * s.batch.B);
        check_mean_to(&s, 1e-11); /* longer sums */
        check_tape(&s, ol_batch_extent(&s.batch), OL_OF_TRAINED, true);
        case_finish(&s);
    }
}

/* What walks pass through does not grow with the batch; what a tape keeps does, and nothing more. */
static void test_memory(void **state)
{
    static const int widths[] = {8, 300, 2048};
    const ol_extent small = {40, 4000, 128, 2000}, large = {80, 8000, 128, 4000};

    (void)state;
    for (int i = 0; i < 3; i++) {
        const ol_model_spec spec = wide(widths[i]);
        ol_arena dry[2] = {ol_arena_dry("tape"), ol_arena_dry("tape")};
        ol_model *m;

        assert_int_equal(ol_model_create(&spec, NULL, &m), OL_OK);
        for (int on_tape = 0; on_tape < 2; on_tape++) {
            const size_t a = ol_objective_bytes(m, small, OL_PRODUCT, on_tape);
            const size_t b = ol_objective_bytes(m, large, OL_PRODUCT, on_tape);

            assert_true(b >= a && b < a + 2000); /* 40 prompts more have their starts */
            assert_true(a >= ol_objective_bytes(m, small, OL_GRADIENT, on_tape));
        }
        assert_true(ol_objective_bytes(m, small, OL_PRODUCT, true) <
                    ol_objective_bytes(m, small, OL_PRODUCT, false));
        ol_tape_layout(&dry[0], m, small);
        ol_tape_layout(&dry[1], m, large);
        assert_true(dry[1].peak < 2 * dry[0].peak && dry[1].peak > 2 * dry[0].peak - 20000);
        ol_model_destroy(m);
    }
}

/* Reals that a tape keeps a token of one block more. */
static double kept_reals(ol_model_spec spec, const ol_trained_spec *trained)
{
    const ol_extent extent = {10, 1000, 100, 500};
    double bytes[2];

    for (int more = 0; more < 2; more++) {
        ol_arena dry = ol_arena_dry("tape");
        ol_model *m;

        spec.layers = 3 + more;
        assert_int_equal(ol_model_create(&spec, trained, &m), OL_OK);
        ol_tape_layout(&dry, m, extent);
        bytes[more] = (double)dry.peak;
        ol_model_destroy(m);
    }
    return (bytes[1] - bytes[0]) / (1000 * sizeof(ol_real));
}

static void keeps(ol_model_spec spec, ol_trained_spec trained, double reals)
{
    const double kept = kept_reals(spec, &trained);

    if (!(kept >= reals && kept < 1.01 * reals + 1))
        fail_msg("%s keeps %g reals a token and block, not %g", ol_model_families[spec.family],
                 kept, reals);
}

/* As objective.h says, but for statistics of norms, normalisers and the like: under 1 %. */
static void test_reals_of_a_tape(void **state)
{
    const ol_model_spec gpt2 = {
        .family = OL_GPT2, .heads = 4, .width = 1000, .vocab = WORDS, .context = CONTEXT};
    const ol_model_spec llama = {.family = OL_LLAMA,
                                 .heads = 8,
                                 .kv_heads = 2,
                                 .head_dim = 80,
                                 .width = 1000,
                                 .hidden = 1300,
                                 .vocab = WORDS,
                                 .context = CONTEXT,
                                 .rope_theta = 100};
    const ol_trained_spec lora = {.trained = {1, (const char *const[]){"lora"}},
                                  .targets = {2, (const char *const[]){"q_proj", "v_proj"}},
                                  .rank = 1,
                                  .alpha = 1};

    (void)state;
    keeps(gpt2, (ol_trained_spec){0}, 17 * 1000);
    keeps(llama, lora, 4 * 1000 + 2 * 8 * 80 + 3 * 1300 + 2 * 2 * 80);
    keeps(gpt2, (ol_trained_spec){.trained = {1, (const char *const[]){"ln_f.*"}}}, 0);
}

/* Prompts longer than a chunk, which then is as long as they are; and short ones between them. */
static ol_batch long_prompts(void)
{
    static const int lengths[] = {30, 1040, 2, 90, 40};
    ol_batch batch = {0};

    for (int i = 0; i < 5; i++) {
        ol_batch one = tiny_batch(1, lengths[i], lengths[i], WORDS, 50 + (uint32_t)i);

        assert_int_equal(ol_batch_extend(&batch, &one), OL_OK);
        ol_batch_finish(&one);
    }
    return batch;
}

static void check_long(setting *s)
{
    double losses[5];
    ol_arena ws =
        tiny_arena(ol_objective_bytes(s->model, ol_batch_extent(&s->batch), OL_LOSSES, false));

    ol_objective_losses(s->model, &s->batch, s->theta, &ws, losses);
    ol_arena_finish(&ws);
    for (int b = 0; b < s->batch.B; b++) {
        int64_t offsets[2];
        const ol_batch one = ol_batch_prompt(&s->batch, b, offsets);
        const double expected =
            dense_loss(s->model, s->scale, s->theta, (int)offsets[1], one.tokens, one.loss_mask);

        if (!(fabs(losses[b] - expected) <= 1e-12 * expected))
            fail_msg("%s: prompt %d: %.17g, not %.17g", s->name, b, losses[b], expected);
    }
    check_tape(s, ol_batch_extent(&s->batch), OL_OF_TRAINED, true);
}

static void test_long_prompts(void **state)
{
    (void)state;
    each_case(case_is_plain, 1040, long_prompts, check_long);
}

/* Tokens after the last scored one change nothing, in no bit. */
static void check_rows_after(setting *s)
{
    const int32_t tokens[] = {1, 2, 3, 4, 5, 6}, others[] = {1, 2, 3, 4, 12, 0};
    const uint8_t mask[] = {0, 0, 1, 1, 0, 0};
    const ol_batch kept = s->batch;
    ol_real *u = case_direction(s, 40), *g[3], *hu[3];
    double losses[3];

    for (int i = 0; i < 3; i++) {
        s->batch = (ol_batch){0};
        assert_int_equal(ol_batch_append(&s->batch, i == 2 ? 4 : 6, i == 1 ? others : tokens, mask),
                         OL_OK);
        losses[i] = case_loss(s, s->theta);
        g[i] = case_gradient(s, s->theta, OL_OF_TRAINED, NULL, NULL);
        hu[i] = case_product(s, u, NULL, NULL);
        assert_true(losses[i] == losses[0]);
        same_bits(s, "gradient, other tokens after", s->model->P, g[i], g[0]);
        same_bits(s, "product, other tokens after", s->model->P, hu[i], hu[0]);
        ol_batch_finish(&s->batch);
    }
    s->batch = kept;
    fixed_free(u);
    for (int i = 0; i < 3; i++)
        free(g[i]), free(hu[i]);
}

static void test_rows_after_the_last_score(void **state)
{
    (void)state;
    each_case(case_is_plain, CONTEXT, few, check_rows_after);
}

/* Nothing precedes a first token, so a mark on it changes no bit. */
static void check_first_mark(setting *s)
{
    const size_t P = s->model->P;
    ol_real *u = case_direction(s, 60), *g[2], *hu[2], *taped_hu;
    double losses[2];

    for (int marked = 0; marked < 2; marked++) {
        taped t;

        for (int b = 0; marked && b < s->batch.B; b++)
            s->batch.loss_mask[s->batch.offsets[b]] = 1;
        t = tape_make(s->model, ol_batch_extent(&s->batch));
        losses[marked] = case_loss(s, s->theta);
        g[marked] = case_gradient(s, s->theta, OL_OF_TRAINED, t.tape, NULL);
        hu[marked] = case_product(s, u, NULL, NULL);
        taped_hu = case_product(s, u, t.tape, NULL);
        same_bits(s, "product on a tape", P, taped_hu, hu[marked]);
        tape_finish(&t);
        free(taped_hu);
    }
    assert_true(losses[1] == losses[0]);
    same_bits(s, "gradient, first tokens marked", P, g[1], g[0]);
    same_bits(s, "product, first tokens marked", P, hu[1], hu[0]);
    fixed_free(u);
    free(g[0]), free(g[1]), free(hu[0]), free(hu[1]);
}

static void test_mark_on_the_first_token(void **state)
{
    (void)state;
    each_case(case_is_plain, CONTEXT, few, check_first_mark);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tapes),
        cmocka_unit_test(test_tapes_of_chunks),
        cmocka_unit_test(test_other_batch),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_reals_of_a_tape),
        cmocka_unit_test(test_long_prompts),
        cmocka_unit_test(test_rows_after_the_last_score),
        cmocka_unit_test(test_mark_on_the_first_token),
    };

    return cmocka_run_group_tests_name("tape", tests, NULL, NULL);
}
