/* SPDX-License-Identifier: BSD-3-Clause */
/* The tensors of every family, its parameters counted, random values, fields, and shapes that cannot
 * be. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tiny.h"

static ol_model *make(const ol_model_spec *spec)
{
    ol_model *model = NULL;

    if (ol_model_create(spec, NULL, &model) != OL_OK)
        fail_msg("%s", ol_status_message());
    return model;
}

/* A tensor as Hugging Face's state_dict has it; cols 0: a vector. */
typedef struct expected {
    const char *name;
    int rows, cols;
} expected;

/* L 2, C 8, V 13, 16 positions */
static const expected gpt2_ends[] = {
    {"wte.weight", 13, 8}, {"wpe.weight", 16, 8}, {"ln_f.weight", 8, 0}, {"ln_f.bias", 8, 0}, {0}};

static const expected gpt2_block[] = {{"h.%d.ln_1.weight", 8, 0},
                                      {"h.%d.ln_1.bias", 8, 0},
                                      {"h.%d.attn.c_attn.weight", 8, 24},
                                      {"h.%d.attn.c_attn.bias", 24, 0},
                                      {"h.%d.attn.c_proj.weight", 8, 8},
                                      {"h.%d.attn.c_proj.bias", 8, 0},
                                      {"h.%d.ln_2.weight", 8, 0},
                                      {"h.%d.ln_2.bias", 8, 0},
                                      {"h.%d.mlp.c_fc.weight", 8, 32},
                                      {"h.%d.mlp.c_fc.bias", 32, 0},
                                      {"h.%d.mlp.c_proj.weight", 32, 8},
                                      {"h.%d.mlp.c_proj.bias", 8, 0},
                                      {0}};

/* L 2, C 8, H 4, G 2, F 14, V 13; D is 2, in qwen3 6 */
static const expected llama_ends[] = {
    {"model.embed_tokens.weight", 13, 8}, {"model.norm.weight", 8, 0}, {0}};

#define LLAMA_BLOCK(q, kv)                                                                         \
    {"model.layers.%d.input_layernorm.weight", 8, 0},                                              \
        {"model.layers.%d.self_attn.q_proj.weight", q, 8},                                         \
        {"model.layers.%d.self_attn.k_proj.weight", kv, 8},                                        \
        {"model.layers.%d.self_attn.v_proj.weight", kv, 8},                                        \
        {"model.layers.%d.self_attn.o_proj.weight", 8, q},                                         \
        {"model.layers.%d.post_attention_layernorm.weight", 8, 0},                                 \
        {"model.layers.%d.mlp.gate_proj.weight", 14, 8},                                           \
        {"model.layers.%d.mlp.up_proj.weight", 14, 8},                                             \
    {                                                                                              \
        "model.layers.%d.mlp.down_proj.weight", 8, 14                                              \
    }

static const expected llama_block[] = {LLAMA_BLOCK(8, 4), {0}};

static const expected qwen2_block[] = {LLAMA_BLOCK(8, 4),
                                       {"model.layers.%d.self_attn.q_proj.bias", 8, 0},
                                       {"model.layers.%d.self_attn.k_proj.bias", 4, 0},
                                       {"model.layers.%d.self_attn.v_proj.bias", 4, 0},
                                       {0}};

static const expected qwen3_block[] = {LLAMA_BLOCK(24, 12),
                                       {"model.layers.%d.self_attn.q_norm.weight", 6, 0},
                                       {"model.layers.%d.self_attn.k_norm.weight", 6, 0},
                                       {0}};

static const struct {
    const expected *ends, *block;
    int head_dim;
} families[] = {
    [OL_GPT2] = {gpt2_ends, gpt2_block, 0},
    [OL_LLAMA] = {llama_ends, llama_block, 0},
    [OL_QWEN2] = {llama_ends, qwen2_block, 0},
    [OL_QWEN3] = {llama_ends, qwen3_block, 6},
};

static ol_model_spec small(int family, bool tied)
{
    return (ol_model_spec){.family = family,
                           .layers = 2,
                           .heads = 4,
                           .kv_heads = family == OL_GPT2 ? 0 : 2,
                           .head_dim = families[family].head_dim,
                           .width = 8,
                           .hidden = family == OL_GPT2 ? 0 : 14,
                           .vocab = 13,
                           .context = 16,
                           .tied = tied,
                           .rope_theta = 10000};
}

/* Find each tensor of a list; returns how many. */
static int find_all(const ol_model *model, const expected *list, int block)
{
    int n = 0;

    for (; list[n].name; n++) {
        const char *d = strstr(list[n].name, "%d");
        char name[96];

        snprintf(name, sizeof name, "%s", list[n].name);
        if (d)
            snprintf(name, sizeof name, "%.*s%d%s", (int)(d - list[n].name), list[n].name, block,
                     d + 2);
        const ol_param *p = ol_model_param(model, name);

        if (!p || p->rows != list[n].rows || p->cols != list[n].cols)
            fail_msg("%s: %s [%d,%d]", ol_model_families[model->spec.family],
                     p ? "other shape" : "no such tensor", list[n].rows, list[n].cols);
    }
    return n;
}

static void check_table(const ol_model *model)
{
    size_t at = 0;

    for (int i = 0; i < model->n_params; i++) {
        const ol_param *p = &model->params[i];

        assert_int_equal(p->offset, at);
        assert_int_equal(p->size, p->rows * (p->cols > 0 ? p->cols : 1));
        assert_ptr_equal(ol_model_param(model, p->name), p);
        assert_true(p->adapts && ol_param_decays(p) == (p->cols > 0));
        at += p->size;
    }
    assert_int_equal(at, model->P);
    assert_int_equal(model->n_frozen, 0);
    assert_int_equal(model->frozen_bytes, 0);
}

static void test_tensors(void **state)
{
    const expected head[] = {{"lm_head.weight", 13, 8}, {0}};

    (void)state;
    for (int f = 0; ol_model_families[f]; f++)
        for (int tied = 0; tied < 2; tied++) {
            const ol_model_spec spec = small(f, tied);
            ol_model *model = make(&spec);
            int n = find_all(model, families[f].ends, 0);

            n += find_all(model, families[f].block, 0) + find_all(model, families[f].block, 1);
            n += tied ? 0 : find_all(model, head, 0);
            assert_int_equal(model->n_params, n);
            check_table(model);
            assert_null(ol_model_param(model, "h.2.ln_1.bias"));
            assert_null(ol_model_param(model, ""));
            ol_model_destroy(model);
        }
    ol_model_destroy(NULL);
}

/* Parameters of published models, each as its card counts them. */
static const struct card {
    const char *name;
    int family, layers, width, heads, kv_heads, head_dim, hidden, vocab, context;
    bool tied;
    size_t P;
} cards[] = {
    {"gpt2", OL_GPT2, 12, 768, 12, 0, 0, 0, 50257, 1024, true, 124439808},
    {"gpt2-xl", OL_GPT2, 48, 1600, 25, 0, 0, 0, 50257, 1024, true, 1557611200},
    {"SmolLM2-135M", OL_LLAMA, 30, 576, 9, 3, 0, 1536, 49152, 8192, true, 134515008},
    {"SmolLM2-360M", OL_LLAMA, 32, 960, 15, 5, 0, 2560, 49152, 8192, true, 361821120},
    {"TinyLlama-1.1B", OL_LLAMA, 22, 2048, 32, 4, 0, 5632, 32000, 2048, false, 1100048384},
    {"Llama-3.2-1B", OL_LLAMA, 16, 2048, 32, 8, 64, 8192, 128256, 131072, true, 1235814400},
    {"Qwen2.5-0.5B", OL_QWEN2, 24, 896, 14, 2, 0, 4864, 151936, 32768, true, 494032768},
    {"Qwen3-0.6B", OL_QWEN3, 28, 1024, 16, 8, 128, 3072, 151936, 40960, true, 596049920},
};

static void test_counts(void **state)
{
    (void)state;
    for (const struct card *c = cards; c < cards + sizeof cards / sizeof *cards; c++) {
        const ol_model_spec spec = {.family = c->family,
                                    .layers = c->layers,
                                    .width = c->width,
                                    .heads = c->heads,
                                    .kv_heads = c->kv_heads,
                                    .head_dim = c->head_dim,
                                    .hidden = c->hidden,
                                    .vocab = c->vocab,
                                    .context = c->context,
                                    .tied = c->tied,
                                    .rope_theta = 10000};
        ol_model *model = make(&spec);

        if (model->P != c->P)
            fail_msg("%s: %zu parameters, not %zu", c->name, model->P, c->P);
        ol_model_destroy(model);
    }
}

static ol_model *make_least(int family, int heads, int width)
{
    const ol_model_spec spec = {.family = family,
                                .layers = 1,
                                .heads = heads,
                                .width = width,
                                .vocab = 5,
                                .context = 4,
                                .rope_theta = 1};

    return make(&spec);
}

/* What 0 stands for. */
static void test_defaults(void **state)
{
    ol_model *model;

    (void)state;
    for (int f = 0; ol_model_families[f]; f++) {
        model = make_least(f, 3, 24);
        assert_int_equal(model->spec.kv_heads, 3);
        assert_int_equal(model->spec.head_dim, 8);
        assert_int_equal(model->spec.hidden, f == OL_GPT2 ? 96 : 64); /* 8·24/3 */
        assert_true(model->spec.norm_eps == (f == OL_GPT2 || f == OL_LLAMA ? 1e-5 : 1e-6));
        assert_false(model->lora);
        ol_model_destroy(model);
    }
    model = make_least(OL_LLAMA, 5, 50);
    assert_int_equal(model->spec.hidden, 136); /* 8·50/3 = 133.3 */
    ol_model_destroy(model);
}

/* Standard deviation about `mean`. */
static double deviation(const ol_param *p, const ol_real *theta, double mean)
{
    double sum = 0;

    for (size_t i = 0; i < p->size; i++)
        sum += pow((double)theta[p->offset + i] - mean, 2);
    return sqrt(sum / (double)p->size);
}

/* Is the tensor one whose random values are smaller by √(2L)? */
static bool is_residual(const char *name)
{
    return strstr(name, "c_proj.weight") != NULL;
}

static void test_random(void **state)
{
    (void)state;
    for (int f = 0; ol_model_families[f]; f++) {
        ol_model_spec spec = small(f, false);
        spec.width = 48, spec.head_dim = 12, spec.hidden = 64, spec.vocab = 50, spec.context = 64;
        ol_model *model = make(&spec);
        ol_real *a = tiny_reals(model->P), *b = tiny_reals(model->P);

        ol_model_random(model, 1, a, NULL);
        ol_model_random(model, 1, b, NULL);
        assert_memory_equal(a, b, model->P * sizeof *a);
        ol_model_random(model, 2, b, NULL);
        for (int i = 0; i < model->n_params; i++) {
            const ol_param *p = &model->params[i];
            const bool matrix = p->cols > 0, ones = !matrix && !strstr(p->name, ".bias");
            const double std = 0.02 * sqrt(768.0 / 48) / (is_residual(p->name) ? sqrt(4) : 1);

            if (!matrix) {
                assert_true(deviation(p, a, ones ? 1 : 0) == 0);
                continue;
            }
            /* that of n normals is known to 1/√(2n): 5 of those */
            if (fabs(deviation(p, a, 0) / std - 1) > 5 / sqrt(2.0 * (double)p->size))
                fail_msg("%s: %g, not %g", p->name, deviation(p, a, 0), std);
            assert_memory_not_equal(a + p->offset, b + p->offset, p->size * sizeof *a);
            assert_memory_not_equal(a + p->offset, a + model->params[0].offset + (i ? 0 : 1),
                                    48 * sizeof *a);
        }
        free(a), free(b);
        ol_model_destroy(model);
    }
}

/* A deviation of one's own. */
static void test_init_std(void **state)
{
    ol_model_spec spec = small(OL_LLAMA, true);
    ol_model *model;
    ol_real *theta;

    (void)state;
    spec.init_std = 0.5;
    model = make(&spec);
    theta = tiny_reals(model->P);
    ol_model_random(model, 1, theta, NULL);
    assert_true(fabs(deviation(&model->params[0], theta, 0) - 0.5) < 0.2);
    free(theta);
    ol_model_destroy(model);
}

/* Every field of a shape can be read and set by its name, each its own. */
static void test_fields(void **state)
{
    int n = 0;

    (void)state;
    for (const ol_model_field *f = ol_model_fields; f->name; f++, n++) {
        ol_model_spec spec = OL_MODEL_SPEC_INIT;
        const double before = ol_model_field_get(&spec, f);
        const double value = f->kind == OL_FIELD_BOOL ? !before : before + 3;

        ol_model_field_set(&spec, f, value);
        assert_true(ol_model_field_get(&spec, f) == value);
        for (const ol_model_field *g = ol_model_fields; g->name; g++) {
            const ol_model_spec plain = OL_MODEL_SPEC_INIT;

            if (g == f)
                continue;
            assert_string_not_equal(g->name, f->name);
            assert_true(ol_model_field_get(&spec, g) == ol_model_field_get(&plain, g));
        }
    }
    assert_int_equal(n, 16);
}

static void refused(ol_model_spec spec, const char *said)
{
    ol_model *model = NULL;

    assert_int_equal(ol_model_create(&spec, NULL, &model), OL_EUSAGE);
    assert_null(model);
    if (!strstr(ol_status_message(), said))
        fail_msg("no \"%s\" in: %s", said, ol_status_message());
}

/* Each changes one good shape and is refused for it. */
static void test_impossible_shapes(void **state)
{
    const ol_model_spec good = OL_MODEL_SPEC_INIT;
    ol_model_spec bad;

    (void)state;
    bad = good, bad.heads = 3, refused(bad, "width 64 is not a multiple of heads 3");
    bad = good, bad.layers = 0, refused(bad, "layers (0,");
    bad = good, bad.layers = -1, refused(bad, "layers (-1,");
    bad = good, bad.layers = 1001, refused(bad, "layers (1001,");
    bad = good, bad.heads = 0, refused(bad, "heads (0)");
    bad = good, bad.width = 0, refused(bad, "width (0)");
    bad = good, bad.vocab = 0, refused(bad, "vocab (0)");
    bad = good, bad.context = 1, refused(bad, "context (1)");
    bad = good, bad.norm_eps = -1e-5, refused(bad, "norm_eps must not be negative, not -1e-05");
    bad = good, bad.norm_eps = NAN, refused(bad, "norm_eps");
    bad = good, bad.kv_heads = 2, refused(bad, "kv_heads 2: gpt2 has as many as heads, 4");
    bad = good, bad.head_dim = 8, refused(bad, "width 64 is not heads 4 times head_dim 8");
    bad = good, bad.width = 1 << 16, bad.vocab = 1 << 16, refused(bad, "2^31");
    bad = good, bad.width = 1 << 14, refused(bad, "2^31");
    bad = good, bad.context = 1 << 25, refused(bad, "context 33554432");
    bad = good, bad.hidden = 1 << 25, refused(bad, "hidden 33554432");
    bad = good, bad.hidden = -1, refused(bad, "hidden (-1)");
    bad = good, bad.kv_heads = -1, refused(bad, "kv_heads (-1)");
    bad = good, bad.head_dim = -8, refused(bad, "head_dim (-8)");
}

static void test_impossible_llamas(void **state)
{
    ol_model_spec good = OL_MODEL_SPEC_INIT, bad;

    (void)state;
    good.family = OL_LLAMA;
    bad = good, bad.kv_heads = 3, refused(bad, "heads 4 is not a multiple of kv_heads 3");
    bad = good, bad.kv_heads = 8, refused(bad, "heads 4 is not a multiple of kv_heads 8");
    bad = good, bad.head_dim = 15, refused(bad, "head_dim 15 must be even");
    bad = good, bad.head_dim = 1 << 24, refused(bad, "2^31");
    bad = good, bad.rope_theta = 0, refused(bad, "rope_theta above 0, not 0");
    bad = good, bad.family = OL_QWEN2, bad.head_dim = 32, refused(bad, "as in qwen2");
    good.rope_scaling = OL_ROPE_LLAMA3, good.rope_factor = 8, good.rope_original_context = 64;
    bad = good, bad.rope_original_context = 0, refused(bad, "rope_original_context (0)");
    bad = good, bad.rope_factor = 0.5, refused(bad, "rope_factor (0.5)");
    bad = good, bad.rope_low_freq_factor = 4, refused(bad, "rope_low_freq_factor (4)");
    for (int f = OL_LLAMA; f <= OL_QWEN3; f++) {
        ol_model *model;

        good.family = f;
        model = make(&good);
        ol_model_destroy(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors),           cmocka_unit_test(test_counts),
        cmocka_unit_test(test_defaults),          cmocka_unit_test(test_random),
        cmocka_unit_test(test_init_std),          cmocka_unit_test(test_fields),
        cmocka_unit_test(test_impossible_shapes), cmocka_unit_test(test_impossible_llamas),
    };

    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
