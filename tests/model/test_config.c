/* SPDX-License-Identifier: BSD-3-Clause */
/* config.json and adapter_config.json: what is read from them, old spellings and new, and every
 * refusal by the name of its key. With a reference folder, also the texts that transformers and peft
 * wrote, whose models must have the tensors that these wrote beside them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "outerloop/base/file.h"
#include "outerloop/model/config.h"
#include "outerloop/store/archive.h"

#define GPT2                                                                                       \
    "\"model_type\":\"gpt2\",\"n_layer\":3,\"n_head\":4,\"n_embd\":32,\"n_positions\":64,"         \
    "\"vocab_size\":100"
#define SHAPE                                                                                      \
    "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"hidden_size\":16,"                        \
    "\"intermediate_size\":24,\"max_position_embeddings\":40,\"vocab_size\":61"
#define LLAMA "\"model_type\":\"llama\"," SHAPE
#define LLAMA3                                                                                     \
    "\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.5,\"high_freq_factor\":4,"      \
    "\"original_max_position_embeddings\":20"

static ol_model_spec read_model(const char *text)
{
    ol_model_spec spec;

    if (ol_config_read_model("config.json", text, &spec) != OL_OK)
        fail_msg("%s: %s", text, ol_status_message());
    return spec;
}

static void refused(const char *text, const char *said)
{
    ol_model_spec spec;

    assert_int_equal(ol_config_read_model("config.json", text, &spec), OL_EDATA);
    if (strncmp(ol_status_message(), "config.json:", 12) != 0 || !strstr(ol_status_message(), said))
        fail_msg("%s: no \"%s\" in: %s", text, said, ol_status_message());
}

static void test_gpt2(void **state)
{
    ol_model_spec spec = read_model("{" GPT2 "}");

    (void)state;
    assert_int_equal(spec.family, OL_GPT2);
    assert_int_equal(spec.layers, 3);
    assert_int_equal(spec.heads, 4);
    assert_int_equal(spec.width, 32);
    assert_int_equal(spec.context, 64);
    assert_int_equal(spec.vocab, 100);
    assert_int_equal(spec.hidden, 0);
    assert_true(spec.tied);
    assert_true(spec.norm_eps == 0); /* the family's, 1e-5 */
    spec = read_model("{" GPT2 ",\"n_inner\":48,\"layer_norm_epsilon\":1e-6,"
                      "\"tie_word_embeddings\":false,\"activation_function\":\"gelu_pytorch_tanh\","
                      "\"n_ctx\":64,\"resid_pdrop\":0.1,\"scale_attn_weights\":true,"
                      "\"scale_attn_by_inverse_layer_idx\":false,\"hidden_size\":7}");
    assert_int_equal(spec.hidden, 48);
    assert_int_equal(spec.width, 32); /* other families' keys say nothing here */
    assert_true(spec.norm_eps == 1e-6);
    assert_false(spec.tied);
    assert_int_equal(read_model("{" GPT2 ",\"n_inner\":null}").hidden, 0);
}

static void test_llamas(void **state)
{
    static const char *const texts[] = {"{\"model_type\":\"llama\"," SHAPE "}",
                                        "{\"model_type\":\"qwen2\"," SHAPE "}",
                                        "{\"model_type\":\"qwen3\"," SHAPE "}"};
    ol_model_spec spec;

    (void)state;
    for (int i = 0; i < 3; i++) {
        spec = read_model(texts[i]);
        assert_int_equal(spec.family, OL_LLAMA + i);
        assert_int_equal(spec.layers, 2);
        assert_int_equal(spec.heads, 4);
        assert_int_equal(spec.kv_heads, 0);
        assert_int_equal(spec.head_dim, i == 2 ? 128 : 0); /* transformers' own default */
        assert_int_equal(spec.width, 16);
        assert_int_equal(spec.hidden, 24);
        assert_int_equal(spec.context, 40);
        assert_int_equal(spec.vocab, 61);
        assert_false(spec.tied);
        assert_true(spec.norm_eps == 1e-6 && spec.rope_theta == 10000);
        assert_int_equal(spec.rope_scaling, OL_ROPE_DEFAULT);
    }
    spec = read_model("{" LLAMA ",\"num_key_value_heads\":2,\"head_dim\":6,\"rms_norm_eps\":1e-05,"
                      "\"tie_word_embeddings\":true,\"hidden_act\":\"silu\",\"mlp_bias\":false,"
                      "\"attention_bias\":false,\"use_sliding_window\":false,\"dtype\":null,"
                      "\"layer_types\":[\"full_attention\",\"full_attention\"]}");
    assert_int_equal(spec.kv_heads, 2);
    assert_int_equal(spec.head_dim, 6);
    assert_true(spec.tied);
    assert_true(spec.norm_eps == 1e-5);
    assert_int_equal(read_model("{" LLAMA ",\"head_dim\":null}").head_dim, 0);
}

/* Rotary settings where transformers 5 puts them, and where older ones did. */
static void test_rotary(void **state)
{
    static const char *const stretched[] = {
        "{" LLAMA ",\"rope_parameters\":{\"rope_theta\":500000.0," LLAMA3 "}}",
        "{" LLAMA ",\"rope_theta\":500000.0,\"rope_scaling\":{" LLAMA3 "}}",
        "{" LLAMA ",\"rope_theta\":500000,\"rope_parameters\":null,\"rope_scaling\":{" LLAMA3 "}}",
        "{" LLAMA ",\"rope_theta\":500000,\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8,"
        "\"low_freq_factor\":1.5,\"high_freq_factor\":4,"
        "\"original_max_position_embeddings\":20}}"};
    static const char *const plain[] = {
        "{" LLAMA ",\"rope_parameters\":{\"rope_theta\":500000.0,\"rope_type\":\"default\"}}",
        "{" LLAMA ",\"rope_parameters\":{\"rope_theta\":500000}}",
        "{" LLAMA ",\"rope_theta\":500000.0,\"rope_scaling\":null}",
        "{" LLAMA ",\"rope_theta\":5e5}"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        const ol_model_spec spec = read_model(stretched[i]);

        assert_int_equal(spec.rope_scaling, OL_ROPE_LLAMA3);
        assert_true(spec.rope_theta == 500000 && spec.rope_factor == 8);
        assert_true(spec.rope_low_freq_factor == 1.5 && spec.rope_high_freq_factor == 4);
        assert_int_equal(spec.rope_original_context, 20);
        assert_int_equal(spec.context, 40);
        assert_int_equal(read_model(plain[i]).rope_scaling, OL_ROPE_DEFAULT);
        assert_true(read_model(plain[i]).rope_theta == 500000);
    }
}

/* What stands in a config, and what is said of it. */
static const char *const bad_models[][2] = {
    {GPT2 ",\"activation_function\":\"gelu\"", "activation_function is \"gelu\""},
    {GPT2 ",\"activation_function\":1", "activation_function is \"?\""},
    {GPT2 ",\"scale_attn_weights\":false", "scale_attn_weights: only true"},
    {GPT2 ",\"scale_attn_by_inverse_layer_idx\":true", "scale_attn_by_inverse_layer_idx"},
    {GPT2 ",\"add_cross_attention\":true", "add_cross_attention: only false"},
    {GPT2 ",\"tie_word_embeddings\":1", "tie_word_embeddings must be true or false"},
    {GPT2 ",\"n_inner\":0", "n_inner must be a number above 0"},
    {GPT2 ",\"layer_norm_epsilon\":\"1e-5\"", "layer_norm_epsilon must be a number"},
    {LLAMA ",\"hidden_act\":\"gelu\"", "hidden_act is \"gelu\"; of llama only \"silu\""},
    {LLAMA ",\"attention_bias\":true", "attention_bias: only false"},
    {LLAMA ",\"attention_bias\":0", "attention_bias"},
    {LLAMA ",\"mlp_bias\":true", "mlp_bias: only false"},
    {LLAMA ",\"use_sliding_window\":true", "use_sliding_window: only false"},
    {LLAMA ",\"layer_types\":[\"full_attention\",\"sliding_attention\"]", "layer_types[1]"},
    {LLAMA ",\"sliding_window\":4096", "sliding_window is not supported"},
    {LLAMA ",\"quantization_config\":{\"bits\":4}", "quantization_config is not supported"},
    {LLAMA ",\"num_local_experts\":8", "num_local_experts"},
    {LLAMA ",\"final_logit_softcapping\":30.0", "final_logit_softcapping"},
    {LLAMA ",\"layer_types\":[1]", "layer_types[0]"},
    {LLAMA ",\"layer_types\":\"full_attention\"", "layer_types must be a list"},
    {LLAMA ",\"partial_rotary_factor\":0.5", "partial_rotary_factor: only 1"},
    {LLAMA ",\"rope_parameters\":{\"partial_rotary_factor\":0.5}", "partial_rotary_factor"},
    {LLAMA ",\"head_dim\":-1", "head_dim must be a number above 0"},
    {LLAMA ",\"head_dim\":4.5", "head_dim must be a whole number"},
    {LLAMA ",\"head_dim\":true", "head_dim must be a number above 0"},
    {LLAMA ",\"num_key_value_heads\":3000000000", "num_key_value_heads must be a whole number"},
    {LLAMA ",\"rms_norm_eps\":0", "rms_norm_eps must be a number above 0"},
    {LLAMA ",\"rope_theta\":-1", "rope_theta must be a number above 0"},
    {LLAMA ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}",
     "rope_type \"linear\" of rope_scaling"},
    {LLAMA ",\"rope_parameters\":{\"rope_type\":\"yarn\"}", "\"yarn\" of rope_parameters"},
    {LLAMA ",\"rope_parameters\":{\"rope_type\":3}", "rope_type \"?\" of rope_parameters"},
    {LLAMA ",\"rope_parameters\":[]", "rope_parameters must be an object"},
    {LLAMA ",\"rope_scaling\":\"llama3\"", "rope_scaling must be an object"},
    {LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":\"8\"}",
     "factor must be a number"},
    {"\"model_type\":\"mistral\"," SHAPE, "model_type \"mistral\" is not supported"},
    {"\"model_type\":null," SHAPE, "model_type is missing"},
    {SHAPE, "model_type is missing"},
};

static void test_refused_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_models / sizeof *bad_models; i++) {
        char text[1024];

        snprintf(text, sizeof text, "{%s}", bad_models[i][0]);
        refused(text, bad_models[i][1]);
    }
}

/* Cut "key":value out of a text; it is not the last one. */
static void without(const char *from, const char *key, char *text)
{
    char *at, *end;

    strcpy(text, from);
    at = strstr(text, key) - 1;
    end = strchr(at, ',');
    assert_non_null(end);
    memmove(at, end + 1, strlen(end + 1) + 1);
}

/* Every number that a model cannot do without is missed by its name. */
static void test_missing_keys(void **state)
{
    static const char *const gpt2[] = {"n_layer", "n_head", "n_embd", "n_positions", "vocab_size"};
    static const char *const llama[] = {
        "num_hidden_layers", "num_attention_heads", "hidden_size",
        "intermediate_size", "vocab_size",          "factor",
        "low_freq_factor",   "high_freq_factor",    "max_position_embeddings"};
    char text[1024], said[80];

    (void)state;
    for (int i = 0; i < 14; i++) {
        const char *key = i < 5 ? gpt2[i] : llama[i - 5];

        without(i < 5 ? "{" GPT2 ",\"x\":0}" : "{" LLAMA ",\"rope_scaling\":{" LLAMA3 ",\"x\":0}}",
                key, text);
        snprintf(said, sizeof said, "config.json: %s is missing", key);
        refused(text, said);
    }
    refused("{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,"
            "\"low_freq_factor\":1,\"high_freq_factor\":4}}",
            "original_max_position_embeddings is missing");
    refused("{" LLAMA ",\"vocab_size\":null}", "duplicate object key");
}

static void test_not_json(void **state)
{
    (void)state;
    refused("", "config.json:1:");
    refused("{\n\"model_type\": \"gpt2\",\n}", "config.json:3:");
    refused("[]", "an object { ... } is wanted");
    refused("{" GPT2 ",\"n_head\":4}", "duplicate object key");
    refused("{" GPT2 "} more", "config.json:1:");
    refused("{" GPT2 ",\"layer_norm_epsilon\":1e999}", "config.json:1:");
}

#define LORA "\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8"
#define Q_V ",\"target_modules\":[\"q_proj\",\"v_proj\"]"

static void test_adapter(void **state)
{
    ol_adapter_config c;
    ol_trained_spec t;

    (void)state;
    assert_int_equal(ol_config_read_adapter("a",
                                            "{" LORA Q_V ",\"bias\":\"none\","
                                            "\"use_rslora\":false,\"alpha_pattern\":{},"
                                            "\"modules_to_save\":null,\"exclude_modules\":[],"
                                            "\"lora_bias\":false,\"fan_in_fan_out\":true}",
                                            &c),
                     OL_OK);
    assert_int_equal(c.rank, 4);
    assert_true(c.alpha == 8 && !c.rslora);
    assert_int_equal(c.n_targets, 2);
    assert_string_equal(c.targets[0], "q_proj");
    assert_string_equal(c.targets[1], "v_proj");
    t = ol_adapter_trained(&c);
    assert_int_equal(t.trained.n, 1);
    assert_string_equal(t.trained.items[0], "lora");
    assert_int_equal(t.targets.n, 2);
    assert_string_equal(t.targets.items[1], "v_proj");
    assert_true(t.rank == 4 && t.alpha == 8 && !t.rslora && t.adapts.n == 0 && !t.frozen_bf16);
    ol_adapter_config_finish(&c);
    assert_null(c.targets);
    ol_adapter_config_finish(&c);
    assert_int_equal(ol_config_read_adapter("a",
                                            "{\"peft_type\":\"LORA\",\"r\":2,"
                                            "\"lora_alpha\":0.5,\"use_rslora\":true,"
                                            "\"target_modules\":\"all-linear\"}",
                                            &c),
                     OL_OK);
    assert_true(c.alpha == 0.5 && c.rslora && c.n_targets == 1);
    assert_string_equal(c.targets[0], "all-linear");
    assert_true(ol_adapter_trained(&c).rslora);
    ol_adapter_config_finish(&c);
}

static const char *const bad_adapters[][2] = {
    {"\"r\":4,\"lora_alpha\":8" Q_V, "peft_type is \"?\""},
    {"\"peft_type\":\"IA3\",\"r\":4,\"lora_alpha\":8" Q_V, "peft_type is \"IA3\""},
    {"\"peft_type\":\"LORA\",\"lora_alpha\":8" Q_V, "r must be a whole number"},
    {"\"peft_type\":\"LORA\",\"r\":0,\"lora_alpha\":8" Q_V, "r must be"},
    {"\"peft_type\":\"LORA\",\"r\":4.0,\"lora_alpha\":8" Q_V, "r must be"},
    {"\"peft_type\":\"LORA\",\"r\":2000000,\"lora_alpha\":8" Q_V, "r must be"},
    {"\"peft_type\":\"LORA\",\"r\":4" Q_V, "lora_alpha must be"},
    {"\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":0" Q_V, "lora_alpha must be"},
    {"\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":\"8\"" Q_V, "lora_alpha must be"},
    {LORA, "target_modules: 1 to 64 names"},
    {LORA ",\"target_modules\":[]", "target_modules: 1 to 64 names"},
    {LORA ",\"target_modules\":[\"q_proj\",3]", "target_modules[1] is no string"},
    {LORA ",\"target_modules\":3", "target_modules"},
    {LORA Q_V ",\"bias\":\"all\"", "bias is \"all\""},
    {LORA Q_V ",\"bias\":true", "bias is \"?\""},
    {LORA Q_V ",\"use_rslora\":\"true\"", "use_rslora must be true or false"},
    {LORA Q_V ",\"use_dora\":true", "use_dora is not supported"},
    {LORA Q_V ",\"use_qalora\":true", "use_qalora"},
    {LORA Q_V ",\"use_bdlora\":{\"x\":1}", "use_bdlora"},
    {LORA Q_V ",\"alpha_pattern\":{\"q_proj\":16}", "alpha_pattern is not supported"},
    {LORA Q_V ",\"rank_pattern\":{\"q_proj\":16}", "rank_pattern"},
    {LORA Q_V ",\"modules_to_save\":[\"lm_head\"]", "modules_to_save"},
    {LORA Q_V ",\"layers_to_transform\":0", "layers_to_transform"},
    {LORA Q_V ",\"layers_to_transform\":[1]", "layers_to_transform"},
    {LORA Q_V ",\"layer_replication\":[[0,1]]", "layer_replication"},
    {LORA Q_V ",\"lora_bias\":true", "lora_bias"},
    {LORA Q_V ",\"target_parameters\":[\"x\"]", "target_parameters"},
    {LORA Q_V ",\"exclude_modules\":\"layers.0\"", "exclude_modules"},
    {LORA Q_V ",\"trainable_token_indices\":[5]", "trainable_token_indices"},
    {LORA Q_V ",\"alora_invocation_tokens\":[5]", "alora_invocation_tokens"},
    {LORA Q_V ",\"kasa_config\":{\"x\":1}", "kasa_config"},
    {LORA Q_V ",\"init_lora_weights\":\"pissa\"", "init_lora_weights \"pissa\""},
    {LORA Q_V ",\"task_type\":\"SEQ_CLS\"", "task_type is \"SEQ_CLS\""},
    {LORA Q_V Q_V, "duplicate object key"},
    {LORA Q_V ",", "adapter.json:1:"},
};

static void test_refused_adapters(void **state)
{
    ol_adapter_config c;

    (void)state;
    for (size_t i = 0; i < sizeof bad_adapters / sizeof *bad_adapters; i++) {
        char text[1024];

        snprintf(text, sizeof text, "{%s}", bad_adapters[i][0]);
        assert_int_equal(ol_config_read_adapter("adapter.json", text, &c), OL_EDATA);
        if (strncmp(ol_status_message(), "adapter.json:", 13) != 0 ||
            !strstr(ol_status_message(), bad_adapters[i][1]))
            fail_msg("%s: no \"%s\" in: %s", text, bad_adapters[i][1], ol_status_message());
        assert_null(c.targets); /* nothing is left to free */
    }
    assert_int_equal(ol_config_read_adapter("adapter.json", "3", &c), OL_EDATA);
}

/* The tensors that files of the reference hold, as many and as they are. */
static void has_tensors(const ol_archive *a, const char *group, int n, const ol_param *params)
{
    ol_strings names;

    assert_int_equal(ol_archive_children(a, group, &names), OL_OK);
    if ((int)names.n != n)
        fail_msg("%s: %zu in %s, not %d", ol_archive_path(a), names.n, group, n);
    ol_strings_finish(&names);
    for (int i = 0; i < n; i++) {
        char object[256];
        size_t count;

        snprintf(object, sizeof object, "%s/%s", group, params[i].name);
        if (!ol_archive_has(a, object))
            snprintf(object, sizeof object, "%s/transformer.%s", group, params[i].name);
        if (ol_archive_count(a, object, &count) != OL_OK)
            fail_msg("%s", ol_status_message());
        assert_int_equal(count, params[i].size);
    }
}

static void check_file(const char *path)
{
    ol_adapter_config adapter = {0};
    ol_trained_spec trained = {0};
    ol_model_spec spec;
    ol_archive *a;
    ol_model *model;
    char *text;

    assert_int_equal(ol_archive_open(path, &a), OL_OK);
    assert_int_equal(ol_archive_get_text(a, "/model", "config", &text), OL_OK);
    spec = read_model(text);
    free(text);
    if (ol_archive_is_group(a, "/adapter")) {
        assert_int_equal(ol_archive_get_text(a, "/adapter", "config", &text), OL_OK);
        if (ol_config_read_adapter(path, text, &adapter) != OL_OK)
            fail_msg("%s", ol_status_message());
        free(text);
        trained = ol_adapter_trained(&adapter);
    }
    if (ol_model_create(&spec, &trained, &model) != OL_OK)
        fail_msg("%s: %s", path, ol_status_message());
    has_tensors(a, "params", model->n_params, model->params);
    if (model->lora)
        has_tensors(a, "frozen", model->n_frozen, model->frozen);
    ol_model_destroy(model);
    ol_adapter_config_finish(&adapter);
    ol_archive_close(a);
}

static const char *reference(void)
{
    const char *folder = getenv("OUTERLOOP_REFERENCE");

    if (!folder || !*folder) {
        print_message("# no reference folder given: -Dreference=FOLDER\n");
        skip();
    }
    return folder;
}

static void test_reference_steps(void **state)
{
    static const char *const names[] = {
        "gpt2-lora-sgd-k2",        "llama-full-carry-k1",       "llama-llama3-tied-sgd-k2",
        "llama-lora-read-k3",      "llama-wide-carry-k2",       "qwen2-full-carry_v-k2",
        "qwen2-lora-all-carry-k1", "qwen2-lora-first-order-k2", "qwen3-full-separate-k2"};
    const char *folder = reference();
    char path[PATH_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(ol_path_format(path, "%s/oracle/meta_step_hf/%s.h5", folder, names[i]),
                         OL_OK);
        check_file(path);
    }
}

/* Text of a file of the reference's models; to be freed. */
static char *text_of(const char *file)
{
    char path[PATH_MAX], *text;
    size_t size;

    assert_int_equal(ol_path_format(path, "%s/oracle/%s", reference(), file), OL_OK);
    assert_int_equal(ol_read_file(path, &text, &size), OL_OK);
    return text;
}

static void test_reference_folders(void **state)
{
    static const struct {
        const char *file;
        int family, head_dim;
        bool tied, llama3;
        double theta, eps;
    } files[] = {
        {"models/tiny-llama/config.json", OL_LLAMA, 4, false, false, 10000, 1e-5},
        {"models/tiny-llama3/config.json", OL_LLAMA, 4, true, true, 500000, 1e-5},
        {"models/tiny-qwen2/config.json", OL_QWEN2, 0, true, false, 10000, 1e-6},
        {"models/tiny-qwen3/config.json", OL_QWEN3, 6, true, false, 10000, 1e-6},
        {"scores/tiny-gpt2/config.json", OL_GPT2, 0, true, false, 10000, 1e-5},
    };
    ol_adapter_config adapter;
    char *text;

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        text = text_of(files[i].file);
        const ol_model_spec spec = read_model(text);

        assert_int_equal(spec.family, files[i].family);
        assert_int_equal(spec.head_dim, files[i].head_dim);
        assert_true(spec.tied == files[i].tied && spec.norm_eps == files[i].eps);
        assert_true((spec.rope_scaling == OL_ROPE_LLAMA3) == files[i].llama3);
        assert_true(spec.rope_theta == files[i].theta);
        assert_int_equal(spec.vocab, 50257);
        assert_int_equal(spec.context, 1024);
        free(text);
    }
    text = text_of("models/tiny-llama-lora/adapter_config.json");
    assert_int_equal(ol_config_read_adapter("a", text, &adapter), OL_OK);
    assert_true(adapter.rank == 3 && adapter.alpha == 8 && adapter.n_targets == 3);
    ol_adapter_config_finish(&adapter);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt2),
        cmocka_unit_test(test_llamas),
        cmocka_unit_test(test_rotary),
        cmocka_unit_test(test_refused_values),
        cmocka_unit_test(test_missing_keys),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_adapter),
        cmocka_unit_test(test_refused_adapters),
        cmocka_unit_test(test_reference_steps),
        cmocka_unit_test(test_reference_folders),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
