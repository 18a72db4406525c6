/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/model/export.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph.h"
#include "outerloop/base/file.h"      /* ol_write_file */
#include "outerloop/kernel/linear.h"  /* ol_conv1d */
#include "outerloop/kernel/lowrank.h" /* ol_lowrank */
#include "outerloop/store/safetensors.h"

static ol_status write_json(const char *folder, const char *file, json_t *root)
{
    char path[PATH_MAX], *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    ol_status status = OL_ENOMEM;

    json_decref(root);
    if (!text)
        return ol_fail(OL_ENOMEM, "no memory for %s", file);
    status = ol_path_format(path, "%s/%s", folder, file);
    if (status == OL_OK)
        status = ol_write_file(path, text, strlen(text));
    free(text);
    return status;
}

static json_t *rope_of(const ol_model_spec *s)
{
    if (s->rope_scaling == OL_ROPE_DEFAULT)
        return json_null();
    return json_pack("{s:s,s:f,s:f,s:f,s:i}", "rope_type", "llama3", "factor", s->rope_factor,
                     "low_freq_factor", s->rope_low_freq_factor, "high_freq_factor",
                     s->rope_high_freq_factor, "original_max_position_embeddings",
                     s->rope_original_context);
}

/* What a config says of special tokens; one that cannot be read says nothing. */
static void copy_ids(const char *text, json_t *root)
{
    static const char *const keys[] = {"bos_token_id", "eos_token_id", "pad_token_id"};
    json_t *config = json_loads(text, 0, NULL);

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *value = json_object_get(config, keys[i]);

        if (json_is_integer(value) || json_is_array(value))
            json_object_set(root, keys[i], value);
    }
    json_decref(config);
}

/* config.json: what the family is, and every field under its key there. */
static ol_status write_config(const ol_export_spec *spec, const ol_model_spec *s)
{
    static const char *const words[] = {
        [OL_STORED_F32] = "float32", [OL_STORED_F16] = "float16", [OL_STORED_BF16] = "bfloat16"};
    const bool gpt2 = s->family == OL_GPT2;
    json_t *root =
        json_pack("{s:[s],s:s,s:s,s:s}", "architectures", ol_families[s->family].architecture,
                  "model_type", ol_model_families[s->family], "torch_dtype", words[spec->type],
                  gpt2 ? "activation_function" : "hidden_act", gpt2 ? "gelu_new" : "silu");

    for (const ol_model_field *f = ol_model_fields; root && f->name; f++) {
        const char *key = gpt2 ? f->gpt2_key : f->key;
        const double value = ol_model_field_get(s, f);

        if (!key || (strncmp(f->name, "rope_", 5) == 0 && strcmp(key, "rope_theta") != 0))
            continue;
        json_object_set_new(root, key,
                            f->kind == OL_FIELD_BOOL  ? json_boolean(value != 0)
                            : f->kind == OL_FIELD_INT ? json_integer((json_int_t)value)
                                                      : json_real(value));
    }
    if (root && !gpt2)
        json_object_set_new(root, "rope_scaling", rope_of(s));
    if (root && spec->token_ids)
        copy_ids(spec->token_ids, root);
    return write_json(spec->folder, "config.json", root);
}

/* Values at .. at+n-1 of a tensor, trained or frozen. */
static void values_of(const ol_model *model, const ol_param *p, const ol_real *theta, size_t at,
                      size_t n, double *out)
{
    const char *frozen = (const char *)model->block + p->offset;
    const bool trained = p >= model->params && p < model->params + model->n_params;

    for (size_t i = 0; i < n; i++) {
        ol_real value;

        if (trained)
            value = theta[p->offset + at + i];
        else if (p->bf16)
            ol_bf16_to_reals(1, (const uint16_t *)(const void *)frozen + at + i, &value);
        else
            value = ((const ol_real *)(const void *)frozen)[at + i];
        out[i] = (double)value;
    }
}

/* s (B A)[o,i], summed in float64. */
static double product(const ol_graph_step *low, const ol_real *theta, size_t o, size_t i)
{
    const size_t in = (size_t)low->spec.in, r = (size_t)low->spec.rank;
    const ol_real *A = theta + low->w[0].param->offset;
    const ol_real *B = theta + low->w[1].param->offset + low->w[1].at;
    double sum = 0;

    for (size_t k = 0; k < r; k++)
        sum += (double)B[o * r + k] * (double)A[k * in + i];
    return low->spec.scale * sum;
}

/* Add s B A to the values from `at` on, n of them, whole rows of the tensor that the step's weights
 * are, or a part of: rows from w.at on, or columns where the tensor is [in,out]. The writer rounds
 * the sum, once. */
static void add_product(const ol_graph_step *map, const ol_graph_step *low, const ol_real *theta,
                        size_t at, size_t n, double *out)
{
    const size_t in = (size_t)low->spec.in, to = (size_t)low->spec.out, cols = (size_t)map->w[0].ld;
    const bool turned = map->op == &ol_conv1d;
    const size_t before = turned ? 0 : map->w[0].at / cols, left = turned ? map->w[0].at : 0;

    for (size_t row = at / cols; row < (at + n) / cols; row++) {
        double *values = out + (row * cols - at) + left;

        if (row < before || row - before >= (turned ? in : to))
            continue;
        for (size_t c = 0; c < (turned ? to : in); c++)
            values[c] +=
                turned ? product(low, theta, c, row) : product(low, theta, row - before, c);
    }
}

/* Every adapter that stands beside a part of this tensor. */
static void merge(const ol_model *model, const ol_param *p, const ol_real *theta, size_t at,
                  size_t n, double *out)
{
    for (int i = 0; i < model->graph->n; i++) {
        const ol_instance *s = &model->graph->instances[i];

        for (int j = 0; j + 1 < s->n_steps; j++)
            if (s->steps[j].w[0].param == p && s->steps[j + 1].op == &ol_lowrank)
                add_product(&s->steps[j], &s->steps[j + 1], theta, at, n, out);
    }
}

static bool is_adapter(const ol_param *p)
{
    return strstr(p->name, ".lora_") != NULL;
}

/* A list of tensors to write: names as the libraries have them. */
typedef struct list {
    const ol_model *model;
    const ol_real *theta;
    int n;
    const ol_param **params;
    ol_stored *tensors;
    char (*names)[128];
} list;

static void list_finish(list *l)
{
    free(l->params);
    free(l->tensors);
    free(l->names);
}

static ol_status list_tensors(const ol_model *model, const ol_real *theta, bool adapters,
                              ol_stored_type type, list *l)
{
    const int most = model->n_params + model->n_frozen;
    const char *prefix = adapters ? "" : ol_families[model->spec.family].hf_prefix;

    *l = (list){.model = model,
                .theta = theta,
                .params = calloc((size_t)most, sizeof *l->params),
                .tensors = calloc((size_t)most, sizeof *l->tensors),
                .names = calloc((size_t)most, sizeof *l->names)};
    OL_CHECK(l->params && l->tensors && l->names, OL_ENOMEM, "no memory for %d tensors", most);
    for (int i = 0; i < most; i++) {
        const ol_param *p =
            i < model->n_params ? &model->params[i] : &model->frozen[i - model->n_params];

        if (is_adapter(p) != adapters)
            continue;
        snprintf(l->names[l->n], sizeof l->names[l->n], "%s%s",
                 strncmp(p->name, "lm_head", 7) == 0 ? "" : prefix, p->name);
        l->tensors[l->n] = (ol_stored){.name = l->names[l->n],
                                       .type = type,
                                       .rank = p->cols > 0 ? 2 : 1,
                                       .dims = {p->rows, p->cols},
                                       .count = p->size};
        l->params[l->n++] = p;
    }
    return OL_OK;
}

/* The writer asks for one piece after the other. */
static void give_values(void *payload, int i, size_t at, size_t n, double *out)
{
    const list *l = payload;

    values_of(l->model, l->params[i], l->theta, at, n, out);
    if (!is_adapter(l->params[i]))
        merge(l->model, l->params[i], l->theta, at, n, out);
}

static ol_status write_tensors(const ol_export_spec *spec, const ol_model *model,
                               const ol_real *theta, bool adapters)
{
    const ol_stored_type type = adapters ? OL_STORED_F32 : spec->type;
    list l;
    ol_status status = list_tensors(model, theta, adapters, type, &l);

    if (status == OL_OK)
        status =
            ol_safetensors_write(spec->folder, adapters ? "adapter_model" : "model", l.n, l.tensors,
                                 adapters ? SIZE_MAX : spec->shard_bytes, give_values, &l);
    list_finish(&l);
    return status;
}

ol_status ol_export_model(const ol_export_spec *spec, const ol_model *model, const ol_real *theta)
{
    OL_TRY(write_config(spec, &model->spec));
    return write_tensors(spec, model, theta, false);
}

ol_status ol_export_adapter(const ol_export_spec *spec, const ol_model *model,
                            const ol_trained_spec *trained, const char *base, const ol_real *theta)
{
    const bool all =
        trained->targets.n == 1 && strcmp(trained->targets.items[0], "all-linear") == 0;
    json_t *targets = all ? json_string("all-linear") : json_array(), *root;

    for (int i = 0; i < trained->targets.n && !all; i++)
        json_array_append_new(targets, json_string(trained->targets.items[i]));
    root = json_pack("{s:s,s:s,s:s,s:i,s:f,s:f,s:s,s:b,s:b,s:b,s:o}", "peft_type", "LORA",
                     "task_type", "CAUSAL_LM", "base_model_name_or_path", base, "r", trained->rank,
                     "lora_alpha", trained->alpha, "lora_dropout", 0.0, "bias", "none",
                     "use_rslora", trained->rslora, "fan_in_fan_out", model->spec.family == OL_GPT2,
                     "inference_mode", 1, "target_modules", targets);
    OL_TRY(write_json(spec->folder, "adapter_config.json", root));
    return write_tensors(spec, model, theta, true);
}
