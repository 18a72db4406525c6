/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrix products are counted: each walk does those that its derivatives take, to the last one, and
 * the table of objective.h holds where attention and adapters are small beside the linear maps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "outerloop/kernel/gemm.h"
#include "tiny.h"

enum { B = 6, ROWS = 8, ASK = 4, RANK = 1, VOCAB = 96, LAYERS = 6 };

static const ol_model_spec gpt2 = {.family = OL_GPT2,
                                   .layers = LAYERS,
                                   .heads = 2,
                                   .width = 128,
                                   .vocab = VOCAB,
                                   .context = ROWS + 1,
                                   .tied = true};
static const ol_model_spec llama = {.family = OL_LLAMA,
                                    .layers = LAYERS,
                                    .heads = 4,
                                    .kv_heads = 2,
                                    .width = 128,
                                    .hidden = 304,
                                    .vocab = VOCAB,
                                    .context = ROWS + 1,
                                    .rope_theta = 10000};

/* Floating-point operations of one walk each: losses, gradient, product with a tape and without. */
typedef struct count {
    double losses, gradient, product, untaped;
} count;

/* B prompts of ROWS + 1 tokens, no two alike from the first on, the last ASK of them scored. */
static ol_batch prompts(void)
{
    ol_batch batch = {0};
    int32_t tokens[ROWS + 1];
    uint8_t mask[ROWS + 1];

    for (int b = 0; b < B; b++) {
        for (int j = 0; j <= ROWS; j++) {
            tokens[j] = (b + 7 * j) % VOCAB;
            mask[j] = j > ROWS - ASK;
        }
        assert_int_equal(ol_batch_append(&batch, ROWS + 1, tokens, mask), OL_OK);
    }
    return batch;
}

static double lap(double *since)
{
    const double now = ol_gemm_flops(), spent = now - *since;

    *since = now;
    return spent;
}

static count walks_of(const ol_model *m, const ol_batch *batch, ol_wanted wanted)
{
    const ol_extent extent = ol_batch_extent(batch);
    ol_arena dry = ol_arena_dry("tape"), memory, ws;
    ol_real *theta = tiny_theta(m, 1), *g = tiny_reals(m->P), *u = tiny_normals(m->P, 2);
    double losses[B], flops;
    ol_tape *tape;
    count c;

    ol_tape_layout(&dry, m, extent);
    memory = tiny_arena(dry.peak);
    tape = ol_tape_layout(&memory, m, extent);
    ws = tiny_arena(ol_objective_bytes(m, extent, OL_PRODUCT, false));
    flops = ol_gemm_flops();
    ol_objective_losses(m, batch, theta, &ws, losses);
    c.losses = lap(&flops);
    ol_objective_grad(m, batch, theta, wanted, NULL, &ws, g);
    c.gradient = lap(&flops);
    ol_objective_grad(m, batch, theta, OL_OF_TRAINED, tape, &ws, g);
    lap(&flops);
    ol_objective_hvp(m, batch, theta, u, tape, &ws, g);
    c.product = lap(&flops);
    ol_objective_hvp(m, batch, theta, u, NULL, &ws, g);
    c.untaped = lap(&flops);
    ol_arena_finish(&memory), ol_arena_finish(&ws);
    free(theta), free(g), free(u);
    return c;
}

static count measured(const ol_model_spec *spec, const ol_trained_spec *trained, ol_wanted wanted)
{
    ol_batch batch = prompts();
    ol_model *m;
    void *block;
    count c;

    assert_int_equal(ol_model_create(spec, trained, &m), OL_OK);
    block = malloc(m->frozen_bytes + 1);
    assert_non_null(block);
    ol_model_random(m, 3, NULL, block);
    m->block = block;
    c = walks_of(m, &batch, wanted);
    free(block);
    ol_batch_finish(&batch);
    ol_model_destroy(m);
    return c;
}

static void equal(const char *what, double is, double expected)
{
    if (is != expected)
        fail_msg("%s: %.0f floating-point operations, not %.0f", what, is, expected);
}

static void equal_counts(const char *what, count is, count expected)
{
    char name[80];

    snprintf(name, sizeof name, "%s, losses", what);
    equal(name, is.losses, expected.losses);
    snprintf(name, sizeof name, "%s, gradient", what);
    equal(name, is.gradient, expected.gradient);
    snprintf(name, sizeof name, "%s, product", what);
    equal(name, is.product, expected.product);
    snprintf(name, sizeof name, "%s, product without tape", what);
    equal(name, is.untaped, expected.untaped);
}

/* A linear map of a block; GPT-2's q, k and v are three. */
typedef struct map {
    int in, out;
    bool of_all_rows; /* of the last block, too: k and v    */
    bool of_input;    /* reads the norm of the block's input */
} map;

static int maps_of(const ol_model_spec *s, map maps[7])
{
    const int C = s->width, D = C / s->heads, kv = (s->kv_heads ? s->kv_heads : s->heads) * D;
    const int F = s->hidden ? s->hidden : 4 * C;
    const map all[7] = {{C, C, false, true},  {C, kv, true, true},  {C, kv, true, true},
                        {C, C, false, false}, {C, F, false, false}, {F, C, false, false},
                        {C, F, false, false}};
    const int n = s->family == OL_GPT2 ? 6 : 7; /* no gate */

    memcpy(maps, all, sizeof all);
    return n;
}

static double rows_of(const map *f, bool last)
{
    return B * (last && !f->of_all_rows ? ASK : ROWS);
}

/* One product of every linear map of blocks first .. LAYERS-1; `inputs`: those of the first block that
 * read its input too. */
static double products(const ol_model_spec *s, int first, bool inputs)
{
    map maps[7];
    double sum = 0;

    for (int l = first; l < LAYERS; l++)
        for (int i = 0; i < maps_of(s, maps); i++)
            if (l > first || inputs || !maps[i].of_input)
                sum += 2 * rows_of(&maps[i], l == LAYERS - 1) * maps[i].in * maps[i].out;
    return sum;
}

/* One product of queries and keys in all blocks from `first` on. */
static double pairs(const ol_model_spec *s, int first)
{
    const double one = 2.0 * B * ROWS * s->width;

    return (LAYERS - 1 - first) * one * ROWS + one * ASK;
}

static double head(const ol_model_spec *s)
{
    return 2.0 * B * ASK * s->width * VOCAB;
}

/* Everything trained: 1, 3 and 6 products of every map; the head computes its logits once more for a
 * product. Attention: (1) 2, (2) 5, (3) 5, (2) and (4) together 15 products of pairs. */
static count of_all(const ol_model_spec *s)
{
    const double F = products(s, 0, true), A = pairs(s, 0), H = head(s);

    return (count){.losses = F + 2 * A + H,
                   .gradient = 3 * F + 7 * A + 3 * H,
                   .product = 6 * F + 20 * A + 7 * H,
                   .untaped = 8 * F + 27 * A + 9 * H};
}

static void test_all_trained(void **state)
{
    const ol_model_spec *const specs[] = {&gpt2, &llama};

    (void)state;
    for (int i = 0; i < 2; i++) {
        const count c = measured(specs[i], NULL, OL_OF_TRAINED);
        const double F = c.losses;

        equal_counts("all trained", c, of_all(specs[i]));
        assert_true(c.gradient > 2.95 * F && c.gradient < 3.1 * F);
        assert_true(c.product > 5.9 * F && c.product < 6.3 * F);
        assert_true(c.untaped > 7.9 * F && c.untaped < 8.4 * F);
        assert_true(2 * c.gradient + c.product < 12.4 * F); /* an episode */
    }
}

/* Products with A, which are a, and with B, b, of adapters in blocks first .. LAYERS-1 beside some of
 * the maps: what a walk takes of them where the map's input moves, and what where it does not. */
typedef struct low {
    int a, b, still_a, still_b;
} low;

static double lows(const ol_model_spec *s, int first, unsigned beside, low n)
{
    map maps[7];
    double sum = 0;

    for (int l = first; l < LAYERS; l++)
        for (int i = 0; i < maps_of(s, maps); i++) {
            const bool still = l == first && maps[i].of_input;
            const double each = 2 * rows_of(&maps[i], l == LAYERS - 1) * RANK;

            if (!(beside >> i & 1))
                continue;
            sum += each * maps[i].in * (still ? n.still_a : n.a);
            sum += each * maps[i].out * (still ? n.still_b : n.b);
        }
    return sum;
}

/* Adapters beside every map: no product for a frozen weight's gradient, and none back to the input of
 * the first block, nor with its tangent. */
static count of_adapters(const ol_model_spec *s)
{
    const double F = products(s, 0, true), back = products(s, 0, false), H = head(s);
    const double A = pairs(s, 0);
    const double product = 2 * back + 20 * A + 3 * H + lows(s, 0, ~0u, (low){6, 7, 2, 6});

    /* without a tape: forward and back, where nothing is wanted of the adapters themselves */
    return (count){.losses = F + 2 * A + H + lows(s, 0, ~0u, (low){1, 1, 1, 1}),
                   .gradient = F + back + 7 * A + 2 * H + lows(s, 0, ~0u, (low){3, 3, 2, 3}),
                   .product = product,
                   .untaped =
                       product + F + back + 7 * A + 2 * H + lows(s, 0, ~0u, (low){2, 2, 1, 1})};
}

static void test_adapters(void **state)
{
    const ol_model_spec *const specs[] = {&gpt2, &llama};
    const ol_trained_spec lora = {.trained = {1, (const char *const[]){"lora"}},
                                  .targets = {1, (const char *const[]){"all-linear"}},
                                  .rank = RANK,
                                  .alpha = 1};

    (void)state;
    for (int i = 0; i < 2; i++) {
        const count c = measured(specs[i], &lora, OL_OF_TRAINED);
        const double F = c.losses;

        equal_counts("adapters", c, of_adapters(specs[i]));
        assert_true(c.gradient > 1.9 * F && c.gradient < 2.1 * F);
        assert_true(c.product > 1.9 * F && c.product < 2.4 * F);
        assert_true(c.untaped > 3.9 * F && c.untaped < 4.4 * F);
        assert_true(2 * c.gradient + c.product < 6.4 * F); /* an episode */
    }
}

/* Adapters of q and v in blocks first .. LAYERS-1: nothing before them but the forward pass, and keys
 * have adjoints only where they move. A product of pairs: of the adjoints (2) 4 in the first of the
 * blocks and 5 in others, of tangents 14 and 19. */
static count of_q_and_v(const ol_model_spec *s, int first)
{
    const unsigned beside = 1u << 0 | 1u << 2;
    const double F = products(s, 0, true), back = products(s, first, false), H = head(s);
    const double A = pairs(s, 0), end = pairs(s, first);
    const double one = end - (first + 1 < LAYERS ? pairs(s, first + 1) : 0);
    const double product =
        2 * back + 19 * end - 5 * one + 3 * H + lows(s, first, beside, (low){6, 7, 2, 6});

    return (count){.losses = F + 2 * A + H + lows(s, first, beside, (low){1, 1, 1, 1}),
                   .gradient = F + 2 * A + back + 5 * end - one + 2 * H +
                               lows(s, first, beside, (low){3, 3, 2, 3}),
                   .product = product,
                   .untaped = product + F + 2 * A + back + 5 * end - one + 2 * H +
                              lows(s, first, beside, (low){2, 2, 1, 1})};
}

static void test_some_adapters(void **state)
{
    const ol_trained_spec at_the_end = {
        .trained = {1, (const char *const[]){"lora"}},
        .targets = {2, (const char *const[]){"layers.5.self_attn.q_proj",
                                             "layers.5.self_attn.v_proj"}},
        .rank = RANK,
        .alpha = 1};
    ol_trained_spec everywhere = at_the_end;

    (void)state;
    everywhere.targets.items = (const char *const[]){"q_proj", "v_proj"};
    equal_counts("adapters of q and v", measured(&llama, &everywhere, OL_OF_TRAINED),
                 of_q_and_v(&llama, 0));
    equal_counts("adapters at the end", measured(&llama, &at_the_end, OL_OF_TRAINED),
                 of_q_and_v(&llama, LAYERS - 1));
}

/* Everything trained, the last block's attention moved: the gradient of that goes back no further. */
static void test_moved_at_the_end(void **state)
{
    const ol_trained_spec adapted = {
        .adapts = {1, (const char *const[]){"model.layers.5.self_attn.*"}}};
    const ol_model_spec *s = &llama;
    const double F = products(s, 0, true), A = pairs(s, 0), H = head(s);
    const int last = LAYERS - 1;
    const double inputs = products(s, last, true) - products(s, last, false);
    const double o = 2.0 * B * ASK * s->width * s->width;

    (void)state;
    equal("attention moved, gradient", measured(s, &adapted, OL_OF_ADAPTED).gradient,
          F + 2 * A + 2 * H + products(s, last, false) + inputs + o + 5 * pairs(s, last));
}

/* The head alone: trained by itself, or moved alone where everything is trained. */
static void test_head_alone(void **state)
{
    const ol_patterns names = {1, (const char *const[]){"lm_head.weight"}};
    const ol_trained_spec trained = {.trained = names}, adapted = {.adapts = names};
    ol_model_spec untied[] = {gpt2, llama};

    (void)state;
    for (int i = 0; i < 2; i++) {
        const ol_model_spec *s = &untied[i];
        const double F = products(s, 0, true), A = pairs(s, 0), H = head(s);
        count c;

        untied[i].tied = false;
        equal_counts("head trained", measured(s, &trained, OL_OF_TRAINED),
                     (count){.losses = F + 2 * A + H,
                             .gradient = F + 2 * A + 2 * H,
                             .product = 3 * H,
                             .untaped = F + 2 * A + 4 * H});
        c = measured(s, &adapted, OL_OF_ADAPTED);
        equal("head adapted, gradient", c.gradient, F + 2 * A + 2 * H);
        assert_true(c.product < 2 * F + 10 * A + 5 * H + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_trained),   cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_some_adapters), cmocka_unit_test(test_moved_at_the_end),
        cmocka_unit_test(test_head_alone),
    };

    return cmocka_run_group_tests_name("products", tests, NULL, NULL);
}
