/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/model/config.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "family.h"

/* A config under reading. */
typedef struct reader {
    const char *name;
    const json_t *root;
    const json_t *rope; /* where rotary settings stand, or NULL */
    int family;
} reader;

static ol_status parse(const char *name, const char *text, json_t **out)
{
    json_error_t error;

    *out = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    OL_CHECK(*out, OL_EDATA, "%s:%d: %s", name, error.line, error.text);
    if (json_is_object(*out))
        return OL_OK;
    json_decref(*out);
    return ol_fail(OL_EDATA, "%s: an object { ... } is wanted", name);
}

/* A key with a value other than null, of the file or of its rotary part. */
static const json_t *find(const reader *r, const char *key)
{
    const json_t *value = key ? json_object_get(r->root, key) : NULL;

    if ((!value || json_is_null(value)) && key && r->rope)
        value = json_object_get(r->rope, key);
    return value && !json_is_null(value) ? value : NULL;
}

/* What a key must be, where it is there, for the model to be one that is done here. */
typedef struct demand {
    int family; /* -1: all */
    const char *key;
    const char *text;  /* a string that is accepted, or NULL */
    const char *other; /* another                            */
    int truth;         /* else this truth value              */
} demand;

static const demand demands[] = {
    {OL_GPT2, "activation_function", "gelu_new", "gelu_pytorch_tanh", 0},
    {OL_GPT2, "scale_attn_weights", NULL, NULL, 1},
    {OL_GPT2, "scale_attn_by_inverse_layer_idx", NULL, NULL, 0},
    {OL_GPT2, "add_cross_attention", NULL, NULL, 0},
    {OL_LLAMA, "hidden_act", "silu", "swish", 0},
    {OL_QWEN2, "hidden_act", "silu", "swish", 0},
    {OL_QWEN3, "hidden_act", "silu", "swish", 0},
    {OL_LLAMA, "attention_bias", NULL, NULL, 0},
    {OL_QWEN3, "attention_bias", NULL, NULL, 0},
    {OL_LLAMA, "mlp_bias", NULL, NULL, 0},
    {-1, "use_sliding_window", NULL, NULL, 0},
};

static ol_status check_demand(const reader *r, const demand *d)
{
    const json_t *value = find(r, d->key);
    const char *text = json_string_value(value);

    if (!value || (d->family >= 0 && d->family != r->family))
        return OL_OK;
    if (d->text) {
        OL_CHECK(text && (strcmp(text, d->text) == 0 || strcmp(text, d->other) == 0), OL_EDATA,
                 "%s: %s is \"%s\"; of %s only \"%s\" is supported", r->name, d->key,
                 text ? text : "?", ol_model_families[r->family], d->text);
        return OL_OK;
    }
    OL_CHECK(json_is_boolean(value) && json_is_true(value) == (d->truth != 0), OL_EDATA,
             "%s: %s: only %s is supported of %s", r->name, d->key, d->truth ? "true" : "false",
             ol_model_families[r->family]);
    return OL_OK;
}

/* What must not be there. qwen2 and qwen3 name a window that use_sliding_window turns off. */
static ol_status check_absent(const reader *r)
{
    static const char *const all[] = {"quantization_config", "num_experts", "num_local_experts",
                                      "attn_logit_softcapping", "final_logit_softcapping"};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        OL_CHECK(!find(r, all[i]), OL_EDATA, "%s: %s is not supported", r->name, all[i]);
    OL_CHECK(!find(r, "sliding_window") || r->family == OL_QWEN2 || r->family == OL_QWEN3, OL_EDATA,
             "%s: sliding_window is not supported", r->name);
    return OL_OK;
}

static ol_status check_layers(const reader *r)
{
    const json_t *types = find(r, "layer_types"), *partial = find(r, "partial_rotary_factor");
    const json_t *type;
    size_t i;

    OL_CHECK(!types || json_is_array(types), OL_EDATA, "%s: layer_types must be a list", r->name);
    json_array_foreach(types, i, type) OL_CHECK(
        json_is_string(type) && strcmp(json_string_value(type), "full_attention") == 0, OL_EDATA,
        "%s: layer_types[%zu]: only \"full_attention\" is supported", r->name, i);
    OL_CHECK(!partial || json_number_value(partial) == 1, OL_EDATA,
             "%s: partial_rotary_factor: only 1 is supported", r->name);
    return check_absent(r);
}

static ol_status read_family(reader *r, ol_model_spec *out)
{
    const json_t *type = find(r, "model_type");
    const char *word = json_string_value(type);

    OL_CHECK(word, OL_EDATA, "%s: model_type is missing", r->name);
    for (int f = 0; ol_model_families[f]; f++)
        if (strcmp(word, ol_model_families[f]) == 0) {
            out->family = r->family = f;
            return OL_OK;
        }
    return ol_fail(OL_EDATA,
                   "%s: model_type \"%s\" is not supported; gpt2, llama, qwen2 and qwen3 are",
                   r->name, word);
}

/* Where rotary settings stand, and their kind. */
static ol_status read_rope(reader *r, ol_model_spec *out)
{
    const char *key = "rope_parameters", *word;
    const json_t *rope = find(r, key), *type;

    if (!rope)
        rope = find(r, key = "rope_scaling");
    if (!rope)
        return OL_OK;
    OL_CHECK(json_is_object(rope), OL_EDATA, "%s: %s must be an object { ... } or null", r->name,
             key);
    r->rope = rope;
    type = json_object_get(rope, "rope_type");
    if (!type)
        type = json_object_get(rope, "type");
    if (!type)
        return OL_OK;
    word = json_string_value(type);
    OL_CHECK(word && (strcmp(word, "default") == 0 || strcmp(word, "llama3") == 0), OL_EDATA,
             "%s: rope_type \"%s\" of %s is not supported; \"default\" and \"llama3\" are", r->name,
             word ? word : "?", key);
    if (strcmp(word, "llama3") == 0)
        out->rope_scaling = OL_ROPE_LLAMA3;
    return OL_OK;
}

static bool is_one_of(const char *key, const char *const *keys)
{
    while (*keys && strcmp(key, *keys) != 0)
        keys++;
    return *keys != NULL;
}

/* Must the file have that key? Other reals, and what may be left out, have values without it. */
static bool is_needed(const ol_model_field *field, const char *key, const ol_model_spec *out)
{
    static const char *const of_llama3[] = {"factor", "low_freq_factor", "high_freq_factor",
                                            "original_max_position_embeddings", NULL};
    static const char *const optional[] = {"n_inner", "head_dim", "num_key_value_heads", NULL};

    if (is_one_of(key, of_llama3))
        return out->rope_scaling == OL_ROPE_LLAMA3;
    return field->kind == OL_FIELD_INT && !is_one_of(key, optional);
}

static ol_status read_field(const reader *r, const ol_model_field *field, ol_model_spec *out)
{
    const char *key = r->family == OL_GPT2 ? field->gpt2_key : field->key;
    const json_t *value = find(r, key);
    double number;

    if (!value) {
        OL_CHECK(!key || !is_needed(field, key, out), OL_EDATA, "%s: %s is missing", r->name, key);
        return OL_OK;
    }
    number = json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
    if (field->kind == OL_FIELD_BOOL)
        OL_CHECK(json_is_boolean(value), OL_EDATA, "%s: %s must be true or false", r->name, key);
    else
        OL_CHECK(json_is_number(value) && number > 0 && isfinite(number), OL_EDATA,
                 "%s: %s must be a number above 0", r->name, key);
    if (field->kind == OL_FIELD_INT)
        OL_CHECK(json_is_integer(value) && number <= INT_MAX, OL_EDATA,
                 "%s: %s must be a whole number of at most %d", r->name, key, INT_MAX);
    ol_model_field_set(out, field, number);
    return OL_OK;
}

static ol_status read_model(reader *r, ol_model_spec *out)
{
    *out = (ol_model_spec)OL_MODEL_SPEC_INIT;
    OL_TRY(read_family(r, out));
    out->tied = out->family == OL_GPT2; /* what Hugging Face's classes take where nothing is said */
    if (out->family != OL_GPT2) {
        out->norm_eps = 1e-6;
        out->head_dim = out->family == OL_QWEN3 ? 128 : 0;
        OL_TRY(read_rope(r, out));
    }
    for (size_t i = 0; i < sizeof demands / sizeof *demands; i++)
        OL_TRY(check_demand(r, &demands[i]));
    OL_TRY(check_layers(r));
    for (const ol_model_field *field = ol_model_fields; field->name; field++)
        OL_TRY(read_field(r, field, out));
    return OL_OK;
}

ol_status ol_config_read_model(const char *name, const char *text, ol_model_spec *out)
{
    json_t *root = NULL;
    ol_status status;

    OL_TRY(parse(name, text, &root));
    status = read_model(&(reader){.name = name, .root = root}, out);
    json_decref(root);
    return status;
}

static ol_status read_targets(const reader *r, ol_adapter_config *out)
{
    const json_t *targets = find(r, "target_modules");
    const size_t n = json_is_string(targets) ? 1 : json_array_size(targets);

    OL_CHECK(n > 0 && n <= 64, OL_EDATA, "%s: target_modules: 1 to 64 names are wanted", r->name);
    out->targets = calloc(n, sizeof *out->targets);
    OL_CHECK(out->targets, OL_ENOMEM, "%s: no memory for %zu names", r->name, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *target = json_is_string(targets) ? targets : json_array_get(targets, i);

        OL_CHECK(json_is_string(target), OL_EDATA, "%s: target_modules[%zu] is no string", r->name,
                 i);
        out->targets[i] = strdup(json_string_value(target));
        OL_CHECK(out->targets[i], OL_ENOMEM, "%s: no memory for names", r->name);
        out->n_targets++;
    }
    return OL_OK;
}

/* Its task, and how it began: some beginnings change the base, which is then another than its name
 * says. */
static ol_status check_kind(const reader *r)
{
    static const char *const harmless[] = {"gaussian", "orthogonal", "eva", NULL};
    const char *task = json_string_value(find(r, "task_type"));
    const char *begun = json_string_value(find(r, "init_lora_weights"));

    OL_CHECK(!task || strcmp(task, "CAUSAL_LM") == 0, OL_EDATA,
             "%s: task_type is \"%s\"; only \"CAUSAL_LM\" is supported", r->name, task);
    OL_CHECK(!begun || is_one_of(begun, harmless), OL_EDATA,
             "%s: init_lora_weights \"%s\" is not supported: it changes the base; save the adapter "
             "anew as peft converts it",
             r->name, begun);
    return OL_OK;
}

/* What peft can do besides, where the file asks for it: anything but null, false and nothing. */
static ol_status check_adapter(const reader *r)
{
    static const char *const unsupported[] = {
        "use_dora",        "use_qalora",        "use_bdlora",          "alpha_pattern",
        "rank_pattern",    "modules_to_save",   "layers_to_transform", "layer_replication",
        "lora_bias",       "target_parameters", "exclude_modules",     "trainable_token_indices",
        "arrow_config",    "corda_config",      "kasa_config",         "lora_ga_config",
        "megatron_config", "monteclora_config", "velora_config",       "alora_invocation_tokens"};
    const char *type = json_string_value(find(r, "peft_type"));
    const json_t *bias = find(r, "bias"), *rslora = find(r, "use_rslora");
    const char *word = json_string_value(bias);

    OL_CHECK(type && strcmp(type, "LORA") == 0, OL_EDATA,
             "%s: peft_type is \"%s\"; only \"LORA\" is supported", r->name, type ? type : "?");
    OL_CHECK(!bias || (word && strcmp(word, "none") == 0), OL_EDATA,
             "%s: bias is \"%s\"; only \"none\" is supported", r->name, word ? word : "?");
    OL_TRY(check_kind(r));
    OL_CHECK(!rslora || json_is_boolean(rslora), OL_EDATA, "%s: use_rslora must be true or false",
             r->name);
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        const json_t *value = find(r, unsupported[i]);
        const bool nothing = json_is_false(value) ||
                             (json_is_object(value) && json_object_size(value) == 0) ||
                             (json_is_array(value) && json_array_size(value) == 0);

        OL_CHECK(!value || nothing, OL_EDATA, "%s: %s is not supported", r->name, unsupported[i]);
    }
    return OL_OK;
}

static ol_status read_adapter(const reader *r, ol_adapter_config *out)
{
    const json_t *rank = find(r, "r"), *alpha = find(r, "lora_alpha");

    OL_TRY(check_adapter(r));
    OL_CHECK(json_is_integer(rank) && json_integer_value(rank) > 0 &&
                 json_integer_value(rank) <= 1 << 20,
             OL_EDATA, "%s: r must be a whole number of 1 to %d", r->name, 1 << 20);
    OL_CHECK(json_is_number(alpha) && json_number_value(alpha) > 0, OL_EDATA,
             "%s: lora_alpha must be a number above 0", r->name);
    out->rank = (int)json_integer_value(rank);
    out->alpha = json_number_value(alpha);
    out->rslora = json_is_true(find(r, "use_rslora"));
    return read_targets(r, out);
}

ol_status ol_config_read_adapter(const char *name, const char *text, ol_adapter_config *out)
{
    json_t *root = NULL;
    ol_status status;

    *out = (ol_adapter_config){0};
    OL_TRY(parse(name, text, &root));
    status = read_adapter(&(reader){.name = name, .root = root}, out);
    json_decref(root);
    if (status != OL_OK)
        ol_adapter_config_finish(out);
    return status;
}

void ol_adapter_config_finish(ol_adapter_config *config)
{
    for (int i = 0; i < config->n_targets; i++)
        free(config->targets[i]);
    free(config->targets);
    *config = (ol_adapter_config){0};
}

ol_trained_spec ol_adapter_trained(const ol_adapter_config *config)
{
    static const char *const lora[] = {"lora"};

    return (ol_trained_spec){.trained = {1, lora},
                             .targets = {config->n_targets, (const char *const *)config->targets},
                             .rank = config->rank,
                             .alpha = config->alpha,
                             .rslora = config->rslora};
}
