/* SPDX-License-Identifier: BSD-3-Clause */
/* The choice of what is trained: adapters as peft names, shapes and starts them, the frozen block,
 * values that do not depend on the choice, and choices that name nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "outerloop/kernel/weight.h"
#include "tiny.h"

#define WORDS(...)                                                                                 \
    (ol_patterns)                                                                                  \
    {                                                                                              \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), (const char *const[])         \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static ol_model_spec small(int family)
{
    return (ol_model_spec){.family = family,
                           .layers = 2,
                           .heads = 4,
                           .kv_heads = family == OL_GPT2 ? 0 : 2,
                           .width = 24,
                           .hidden = 40,
                           .vocab = 30,
                           .context = 16,
                           .rope_theta = 10000};
}

static ol_model *make(int family, ol_trained_spec trained)
{
    const ol_model_spec spec = small(family);
    ol_model *model = NULL;

    if (ol_model_create(&spec, &trained, &model) != OL_OK)
        fail_msg("%s", ol_status_message());
    return model;
}

static ol_trained_spec lora(int rank, ol_patterns targets)
{
    static const char *const word[] = {"lora"};

    return (ol_trained_spec){.trained = {1, word}, .targets = targets, .rank = rank, .alpha = 16};
}

/* Adapters in the order of the modules, A before B; nothing else is trained. */
static void has_adapters(const ol_model *model, int n, const char *const *modules,
                         const int (*shapes)[2])
{
    size_t at = 0;

    assert_true(model->lora);
    assert_int_equal(model->n_params, 2 * n);
    for (int i = 0; i < 2 * n; i++) {
        const ol_param *p = &model->params[i];
        char name[128];

        snprintf(name, sizeof name, "base_model.model.%s.lora_%c.weight", modules[i / 2],
                 i % 2 ? 'B' : 'A');
        assert_string_equal(p->name, name);
        assert_int_equal(p->rows, i % 2 ? shapes[i / 2][1] : 3);
        assert_int_equal(p->cols, i % 2 ? 3 : shapes[i / 2][0]);
        assert_int_equal(p->offset, at);
        at += (size_t)(p->rows * p->cols);
    }
    assert_int_equal(model->P, at);
}

static void test_adapters_of_gpt2(void **state)
{
    static const char *const c_attn[] = {"transformer.h.0.attn.c_attn",
                                         "transformer.h.1.attn.c_attn"};
    static const char *const c_proj[] = {
        "transformer.h.0.attn.c_proj", "transformer.h.0.mlp.c_proj", "transformer.h.1.attn.c_proj",
        "transformer.h.1.mlp.c_proj"};
    ol_model *model = make(OL_GPT2, lora(3, WORDS("c_attn")));

    (void)state;
    has_adapters(model, 2, c_attn, (const int[][2]){{24, 72}, {24, 72}});
    ol_model_destroy(model);
    model = make(OL_GPT2, lora(3, WORDS("c_proj")));
    has_adapters(model, 4, c_proj, (const int[][2]){{24, 24}, {40, 24}, {24, 24}, {40, 24}});
    ol_model_destroy(model);
    model = make(OL_GPT2, lora(3, WORDS("attn.c_proj", "transformer.h.1.mlp.c_proj")));
    assert_int_equal(model->n_params, 6);
    assert_null(ol_model_param(model, "base_model.model.transformer.h.0.mlp.c_proj.lora_A.weight"));
    ol_model_destroy(model);
    model = make(OL_GPT2, lora(3, WORDS("all-linear"))); /* of blocks: the head has none */
    assert_int_equal(model->n_params, 2 * 2 * 4);
    ol_model_destroy(model);
}

static void test_adapters_of_llamas(void **state)
{
    static const char *const q_v[] = {
        "model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj",
        "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj"};

    (void)state;
    for (int f = OL_LLAMA; f <= OL_QWEN3; f++) {
        ol_model *model = make(f, lora(3, WORDS("q_proj", "v_proj")));

        has_adapters(model, 4, q_v, (const int[][2]){{24, 24}, {24, 12}, {24, 24}, {24, 12}});
        ol_model_destroy(model);
        model = make(f, lora(3, WORDS("all-linear")));
        assert_int_equal(model->n_params, 2 * 2 * 7);
        ol_model_destroy(model);
        model = make(f, lora(3, WORDS("layers.1.mlp.down_proj")));
        has_adapters(model, 1, (const char *const[]){"model.layers.1.mlp.down_proj"},
                     (const int[][2]){{40, 24}});
        ol_model_destroy(model);
    }
}

/* peft's start: A uniform in ±1/√in, whose deviation is 1/√(3 in), and B 0. */
static void test_start_of_adapters(void **state)
{
    ol_model *model = make(OL_QWEN3, lora(32, WORDS("all-linear")));
    ol_real *theta = tiny_reals(model->P);

    (void)state;
    ol_model_random(model, 1, theta, NULL);
    for (int i = 0; i < model->n_params; i++) {
        const ol_param *p = &model->params[i];
        double largest = 0, square = 0;

        for (size_t j = 0; j < p->size; j++) {
            largest = fmax(largest, fabs((double)theta[p->offset + j]));
            square += pow((double)theta[p->offset + j], 2);
        }
        if (i % 2 == 1) {
            assert_true(largest == 0);
            continue;
        }
        assert_true(largest <= 1 / sqrt(p->cols) && largest > 0.95 / sqrt(p->cols));
        assert_true(fabs(sqrt(square / (double)p->size * 3 * p->cols) - 1) < 0.1);
        if (i > 0)
            assert_memory_not_equal(theta, theta + p->offset, 24 * sizeof *theta);
    }
    free(theta);
    ol_model_destroy(model);
}

/* The values of a tensor wherever it is, as reals. */
static ol_real *values_of(const ol_model *model, const char *name, const ol_real *theta,
                          const char *block)
{
    const ol_param *p = ol_model_param(model, name);
    const bool trained = p != NULL;
    ol_real *x;

    if (!p)
        p = ol_model_frozen(model, name);
    assert_non_null(p);
    x = tiny_reals(p->size);
    if (trained)
        memcpy(x, theta + p->offset, p->size * sizeof *x);
    else if (p->bf16)
        ol_bf16_to_reals(p->size, (const uint16_t *)(const void *)(block + p->offset), x);
    else
        memcpy(x, block + p->offset, p->size * sizeof *x);
    return x;
}

/* Each tensor of `all` has in a model of another choice the same random values, but rounded where it
 * is stored so. */
static void same_values(const ol_model *all, const ol_real *theta, ol_model *other)
{
    ol_real *other_theta = tiny_reals(other->P);
    char *block = calloc(other->frozen_bytes + 1, 1);

    assert_non_null(block);
    ol_model_random(other, 7, other_theta, NULL);
    ol_model_random(other, 7, NULL, block);
    for (int i = 0; i < all->n_params; i++) {
        const ol_param *p = &all->params[i], *there = ol_model_frozen(other, p->name);
        ol_real *a = values_of(all, p->name, theta, NULL);
        ol_real *b = values_of(other, p->name, other_theta, block);
        uint16_t rounded;

        for (size_t j = 0; there && there->bf16 && j < p->size; j++) {
            ol_bf16_from_reals(1, &a[j], &rounded);
            ol_bf16_to_reals(1, &rounded, &a[j]);
        }
        assert_memory_equal(a, b, p->size * sizeof *a);
        free(a), free(b);
    }
    free(other_theta);
    free(block);
    ol_model_destroy(other);
}

static void test_values_of_a_tensor(void **state)
{
    (void)state;
    for (int f = 0; ol_model_families[f]; f++) {
        ol_model *all = make(f, (ol_trained_spec){0});
        ol_real *theta = tiny_reals(all->P);
        ol_trained_spec adapter = lora(3, WORDS("all-linear"));

        ol_model_random(all, 7, theta, NULL);
        same_values(all, theta, make(f, adapter));
        adapter.targets = WORDS(f == OL_GPT2 ? "c_attn" : "v_proj");
        adapter.frozen_bf16 = true;
        same_values(all, theta, make(f, adapter));
        same_values(all, theta, make(f, (ol_trained_spec){.trained = WORDS("*.1.*")}));
        same_values(all, theta,
                    make(f, (ol_trained_spec){.trained = WORDS("*.0.*", "lm_head.weight"),
                                              .frozen_bf16 = true}));
        free(theta);
        ol_model_destroy(all);
    }
}

static void check_block(const ol_model *model, bool bf16)
{
    size_t end = 0;

    for (int i = 0; i < model->n_frozen; i++) {
        const ol_param *p = &model->frozen[i];

        assert_true(p->bf16 == (bf16 && p->cols > 0)); /* norms and biases stay reals */
        assert_true(p->offset % 64 == 0 && p->offset >= end && p->offset < end + 64);
        assert_false(p->adapts);
        assert_ptr_equal(ol_model_frozen(model, p->name), p);
        assert_null(ol_model_param(model, p->name));
        end = p->offset + p->size * (p->bf16 ? 2 : sizeof(ol_real));
    }
    assert_true(model->frozen_bytes >= end && model->frozen_bytes < end + 64);
}

/* Tensors of the block are aligned, apart, and bfloat16 where they may be. */
static void test_block(void **state)
{
    (void)state;
    for (int f = 0; ol_model_families[f]; f++)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            ol_model *all = make(f, (ol_trained_spec){.frozen_bf16 = bf16});
            ol_trained_spec choice = lora(3, WORDS("all-linear"));
            ol_model *model;

            choice.frozen_bf16 = bf16;
            model = make(f, choice);
            assert_int_equal(model->n_frozen, all->n_params);
            check_block(model, bf16);
            ol_model_destroy(model);
            choice = (ol_trained_spec){.trained = WORDS("*.0.*", "*norm*"), .frozen_bf16 = bf16};
            choice.trained.n = f == OL_GPT2 ? 1 : 2;
            model = make(f, choice);
            assert_int_equal(model->n_frozen + model->n_params, all->n_params);
            check_block(model, bf16);
            ol_model_destroy(model);
            ol_model_destroy(all);
        }
}

/* Storing a tensor touches its own bytes and no others. */
static void test_put(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        ol_model *model = make(
            OL_QWEN2, (ol_trained_spec){.trained = WORDS("lm_head.weight"), .frozen_bf16 = bf16});
        unsigned char *block = malloc(model->frozen_bytes);

        assert_non_null(block);
        for (int i = 0; i < model->n_frozen; i++) {
            const ol_param *p = &model->frozen[i];
            const size_t bytes = p->size * (p->bf16 ? 2 : sizeof(ol_real));
            ol_real *x = tiny_normals(p->size, 1);

            memset(block, 0x55, model->frozen_bytes);
            ol_frozen_put(p, x, block);
            for (size_t j = 0; j < model->frozen_bytes; j++)
                if (j < p->offset || j >= p->offset + bytes)
                    assert_int_equal(block[j], 0x55);
            if (p->bf16)
                for (size_t j = 0; j < p->size; j++) {
                    uint16_t bits;

                    ol_bf16_from_reals(1, &x[j], &bits);
                    assert_memory_equal(block + p->offset + 2 * j, &bits, sizeof bits);
                }
            else
                assert_memory_equal(block + p->offset, x, bytes);
            free(x);
        }
        free(block);
        ol_model_destroy(model);
    }
}

static int adapting(const ol_model *model)
{
    int n = 0;

    for (int i = 0; i < model->n_params; i++)
        n += model->params[i].adapts;
    return n;
}

/* Patterns choose what they match, of what is trained. */
static void test_patterns(void **state)
{
    ol_model *model = make(OL_LLAMA, (ol_trained_spec){.trained = WORDS("all")});

    (void)state;
    assert_int_equal(model->n_frozen, 0);
    assert_int_equal(adapting(model), model->n_params);
    ol_model_destroy(model);
    model = make(OL_LLAMA, (ol_trained_spec){.trained = WORDS("*norm*", "model.layers.1.*"),
                                             .adapts = WORDS("*.1.mlp.*")});
    assert_int_equal(model->n_params, 1 + 2 + 9); /* final norm, norms of block 0, block 1 */
    assert_int_equal(adapting(model), 3);
    assert_true(ol_model_param(model, "model.layers.1.mlp.up_proj.weight")->adapts);
    assert_false(ol_model_param(model, "model.norm.weight")->adapts);
    assert_non_null(ol_model_frozen(model, "model.layers.0.mlp.up_proj.weight"));
    ol_model_destroy(model);
    model = make(OL_GPT2, (ol_trained_spec){.trained = WORDS("lora"),
                                            .adapts = WORDS("*lora_B*"),
                                            .targets = WORDS("c_fc"),
                                            .rank = 1,
                                            .alpha = 1});
    assert_int_equal(adapting(model), 2);
    ol_model_destroy(model);
}

static void refused(int family, ol_trained_spec trained, const char *said)
{
    const ol_model_spec spec = small(family);
    ol_model *model = NULL;

    assert_int_equal(ol_model_create(&spec, &trained, &model), OL_EUSAGE);
    assert_null(model);
    if (!strstr(ol_status_message(), said))
        fail_msg("no \"%s\" in: %s", said, ol_status_message());
}

static void test_refusals(void **state)
{
    const char *many[65];
    ol_trained_spec t;

    (void)state;
    for (int i = 0; i < 65; i++)
        many[i] = "q_proj";
    refused(OL_GPT2, (ol_trained_spec){.trained = WORDS("h.0.*", "h.2.*")},
            "model.trained: \"h.2.*\" names no tensor; there are 29, from wte.weight to "
            "lm_head.weight");
    refused(OL_GPT2, (ol_trained_spec){.trained = WORDS("h")}, "model.trained: \"h\" names");
    refused(OL_GPT2, (ol_trained_spec){.trained = WORDS("all", "h.0.*")}, "model.trained: \"all\"");
    refused(OL_GPT2, (ol_trained_spec){.trained = WORDS("lora", "h.0.*")},
            "model.trained: \"lora\"");
    refused(OL_LLAMA, (ol_trained_spec){.adapts = WORDS("*norm*", "h.1.*")},
            "learner.inner.adapts: \"h.1.*\" names no tensor");
    t = (ol_trained_spec){.trained = WORDS("*norm*"), .adapts = WORDS("lm_head.weight")};
    refused(OL_LLAMA, t, "learner.inner.adapts: \"lm_head.weight\" names no tensor; there are 5");
    t = lora(3, WORDS("q_proj"));
    t.adapts = WORDS("lm_head.weight");
    refused(OL_LLAMA, t, "learner.inner.adapts: \"lm_head.weight\"");
    refused(
        OL_LLAMA, lora(3, WORDS("q_proj", "c_attn")),
        "model.lora.targets: \"c_attn\" names no linear map of this model; its blocks have "
        "self_attn.q_proj, self_attn.k_proj, self_attn.v_proj, self_attn.o_proj, mlp.gate_proj");
    refused(OL_GPT2, lora(3, WORDS("q_proj")),
            "have attn.c_attn, attn.c_proj, mlp.c_fc, mlp.c_proj");
    refused(OL_GPT2, lora(3, WORDS("attn")), "model.lora.targets: \"attn\"");
    refused(OL_GPT2, lora(3, WORDS("_attn")), "model.lora.targets: \"_attn\"");
    refused(OL_GPT2, lora(3, WORDS("wte")), "model.lora.targets: \"wte\"");
    refused(OL_GPT2, lora(3, WORDS("lm_head")), "model.lora.targets: \"lm_head\"");
    refused(OL_GPT2, lora(3, WORDS("")), "model.lora.targets: \"\"");
    refused(OL_LLAMA, lora(3, WORDS("layers.2.self_attn.q_proj")), "layers.2.self_attn.q_proj");
    refused(OL_LLAMA, lora(3, (ol_patterns){0}), "model.lora.targets: name 1 to 64 modules");
    refused(OL_LLAMA, lora(3, (ol_patterns){65, many}), "model.lora.targets: name 1 to 64");
    refused(OL_LLAMA, lora(0, WORDS("q_proj")), "model.lora: rank (0) must be at least 1");
    t = lora(3, WORDS("q_proj"));
    t.alpha = 0;
    refused(OL_LLAMA, t, "alpha (0) above 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adapters_of_gpt2),
        cmocka_unit_test(test_adapters_of_llamas),
        cmocka_unit_test(test_start_of_adapters),
        cmocka_unit_test(test_values_of_a_tensor),
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests_name("trained", tests, NULL, NULL);
}
