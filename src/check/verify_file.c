/* SPDX-License-Identifier: BSD-3-Clause */
#include "verify_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h"    /* PATH_MAX */
#include "outerloop/model/config.h" /* ol_config_read_model */

enum { VERSION_GPT2 = 1, VERSION = 2, MOST_TASKS = 1 << 16, MOST_STEPS = 1 << 16 };

/* Adam's t goes into powers and sums: far from the limits of what holds it. */
static const int64_t MOST_T = INT64_C(1) << 53;

static ol_status read_int(const ol_archive *a, const char *object, const char *name, int *out)
{
    int64_t value;

    OL_TRY(ol_archive_get_i64(a, object, name, &value));
    OL_CHECK(value >= INT32_MIN && value <= INT32_MAX, OL_EDATA,
             "%s: %s of %s is out of range: %lld", ol_archive_path(a), name, object,
             (long long)value);
    *out = (int)value;
    return OL_OK;
}

/* Which of the words an attribute is; NULL ends them. */
static ol_status read_word(const ol_archive *a, const char *object, const char *name,
                           const char *const *words, int *out)
{
    OL_AUTO_FREE char *text = NULL;
    const char *last = words[0];

    OL_TRY(ol_archive_get_text(a, object, name, &text));
    for (*out = 0; words[*out] && strcmp(text, words[*out]) != 0;)
        last = words[(*out)++];
    OL_CHECK(words[*out], OL_EDATA,
             "%s: %s of %s is \"%s\", which this program does not know (it knows %s ... %s)",
             ol_archive_path(a), name, object, text, words[0], last);
    return OL_OK;
}

static ol_status read_format(const ol_archive *a, int *version)
{
    static const char *const formats[] = {"meta-step-verification", NULL};
    int format = 0;

    OL_TRY(read_word(a, "/", "format", formats, &format));
    OL_TRY(read_int(a, "/", "version", version));
    OL_CHECK(*version == VERSION_GPT2 || *version == VERSION, OL_EDATA,
             "%s: format version %d; this program reads versions %d and %d", ol_archive_path(a),
             *version, VERSION_GPT2, VERSION);
    return OL_OK;
}

/* An impossible shape is a mistake of the file here, which the message has to name. */
static ol_status create_model(const ol_archive *a, const ol_model_spec *spec,
                              const ol_trained_spec *trained, ol_model **out)
{
    const ol_status status = ol_model_create(spec, trained, out);
    char said[512];

    if (status != OL_EUSAGE)
        return status;
    snprintf(said, sizeof said, "%s", ol_status_message());
    return ol_fail(OL_EDATA, "%s: /%s", ol_archive_path(a), said);
}

/* Version 1: a GPT-2 by its numbers. */
static ol_status read_gpt2(const ol_archive *a, ol_model **out)
{
    static const char *const arches[] = {"gpt2", NULL};
    ol_model_spec spec = OL_MODEL_SPEC_INIT;
    int arch;

    OL_TRY(read_word(a, "/model", "arch", arches, &arch));
    OL_TRY(read_int(a, "/model", "n_layer", &spec.layers));
    OL_TRY(read_int(a, "/model", "n_head", &spec.heads));
    OL_TRY(read_int(a, "/model", "n_embd", &spec.width));
    OL_TRY(read_int(a, "/model", "n_vocab", &spec.vocab));
    OL_TRY(read_int(a, "/model", "n_ctx", &spec.context));
    OL_TRY(ol_archive_get_f64(a, "/model", "ln_eps", &spec.norm_eps));
    return create_model(a, &spec, NULL, out);
}

/* Version 2: any family by its config.json, whole or through an adapter by peft's. */
static ol_status read_adapted(const ol_archive *a, const ol_model_spec *spec, const char *name,
                              ol_model **out)
{
    OL_AUTO(ol_adapter_config_finish) ol_adapter_config adapter = {0};
    ol_trained_spec trained = {0};
    OL_AUTO_FREE char *text = NULL;

    if (ol_archive_is_group(a, "/adapter")) {
        OL_TRY(ol_archive_get_text(a, "/adapter", "config", &text));
        OL_TRY(ol_config_read_adapter(name, text, &adapter));
        trained = ol_adapter_trained(&adapter);
    }
    return create_model(a, spec, &trained, out);
}

static ol_status read_model(const ol_archive *a, int version, ol_model **out)
{
    ol_model_spec spec;
    OL_AUTO_FREE char *text = NULL;
    char name[PATH_MAX + 64];

    if (version == VERSION_GPT2)
        return read_gpt2(a, out);
    snprintf(name, sizeof name, "%s: config of /model", ol_archive_path(a));
    OL_TRY(ol_archive_get_text(a, "/model", "config", &text));
    OL_TRY(ol_config_read_model(name, text, &spec));
    snprintf(name, sizeof name, "%s: config of /adapter", ol_archive_path(a));
    return read_adapted(a, &spec, name, out);
}

/* The object of a tensor below a group: GPT-2's may stand with "transformer." or without. */
static void object_of(const ol_archive *a, const char *group, const ol_param *param,
                      char object[256])
{
    snprintf(object, 256, "%s/transformer.%s", group, param->name);
    if (!ol_archive_has(a, object))
        snprintf(object, 256, "%s/%s", group, param->name);
}

/* Before there is memory for them: is every tensor there, and as large as the model has it? */
static ol_status check_tensors(const ol_archive *a, const char *group, const ol_param *params,
                               int n)
{
    for (int i = 0; i < n; i++) {
        char object[256];
        size_t count = 0;

        object_of(a, group, &params[i], object);
        OL_TRY(ol_archive_count(a, object, &count));
        OL_CHECK(count == params[i].size, OL_EDATA, "%s: %s: has %zu elements, the model's has %zu",
                 ol_archive_path(a), object, count, params[i].size);
    }
    return OL_OK;
}

static ol_status read_frozen(const ol_archive *a, ol_verify_case *c)
{
    const ol_model *m = c->model;

    OL_TRY(check_tensors(a, "/frozen", m->frozen, m->n_frozen));
    c->frozen = malloc(m->frozen_bytes + 1);
    OL_CHECK(c->frozen, OL_ENOMEM, "no memory for %zu bytes of frozen tensors", m->frozen_bytes);
    c->model->block = c->frozen;
    for (int i = 0; i < m->n_frozen; i++) {
        const ol_param *param = &m->frozen[i];
        OL_AUTO_FREE ol_real *values = malloc(param->size * sizeof *values);
        char object[256];

        OL_CHECK(values, OL_ENOMEM, "no memory for %s", param->name);
        object_of(a, "/frozen", param, object);
        OL_TRY(ol_archive_read(a, object, param->size, values));
        ol_frozen_put(param, values, c->frozen);
    }
    return OL_OK;
}

static ol_status read_adam(const ol_archive *a, const char *group, ol_adam_spec *out)
{
    OL_TRY(ol_archive_get_f64(a, group, "lr", &out->lr));
    OL_TRY(ol_archive_get_f64(a, group, "beta1", &out->beta1));
    OL_TRY(ol_archive_get_f64(a, group, "beta2", &out->beta2));
    OL_TRY(ol_archive_get_f64(a, group, "eps", &out->eps));
    if (ol_archive_has_attribute(a, group, "eps_root"))
        OL_TRY(ol_archive_get_f64(a, group, "eps_root", &out->eps_root));
    OL_TRY(ol_archive_get_f64(a, group, "weight_decay", &out->weight_decay));
    OL_CHECK(isfinite(out->lr) && out->beta1 >= 0 && out->beta1 < 1 && out->beta2 >= 0 &&
                 out->beta2 < 1 && out->eps >= 0 && isfinite(out->eps) && out->eps_root >= 0 &&
                 isfinite(out->eps_root) && isfinite(out->weight_decay),
             OL_EDATA,
             "%s: %s: its rates are not all finite, or its betas not in [0, 1): lr %g, beta1 %g, "
             "beta2 %g, eps %g, eps_root %g, weight_decay %g",
             ol_archive_path(a), group, out->lr, out->beta1, out->beta2, out->eps, out->eps_root,
             out->weight_decay);
    return OL_OK;
}

/* There is a loss of each inner step in the file; so many there may be. */
static ol_status check_steps(const ol_archive *a, int steps)
{
    OL_AUTO_FREE double *losses = calloc((size_t)steps, sizeof *losses);

    OL_CHECK(losses, OL_ENOMEM, "no memory for %d losses", steps);
    return ol_archive_get_f64s(a, "/expected/tasks/0", "inner_losses", (size_t)steps, losses);
}

static ol_status read_learner(const ol_archive *a, ol_verify_case *c)
{
    static const char *const outer[] = {"adamw", NULL};
    ol_learner_spec *learner = &c->learner;
    int word;

    *learner = (ol_learner_spec){
        .learner = ol_learner_find("maml"), .storage = OL_STORAGE_KEEP, .measure_before = true};
    OL_TRY(read_word(a, "/inner", "optimizer", ol_optimizer_names, &word));
    learner->inner = (ol_optimizer)word;
    OL_TRY(read_word(a, "/inner", "moments", ol_moments_names, &word));
    learner->moments = (ol_moments)word;
    OL_TRY(read_int(a, "/inner", "steps", &learner->steps));
    OL_TRY(read_adam(a, "/inner", &learner->adam));
    OL_TRY(read_word(a, "/outer", "optimizer", outer, &word));
    OL_TRY(read_int(a, "/outer", "order", &learner->order));
    OL_TRY(read_adam(a, "/outer", &c->outer.adam));
    OL_TRY(ol_archive_get_f64(a, "/outer", "max_grad_norm", &c->outer.max_grad_norm));
    OL_CHECK(learner->steps >= 1 && learner->steps <= MOST_STEPS, OL_EDATA,
             "%s: steps of /inner is %d; 1 to %d", ol_archive_path(a), learner->steps, MOST_STEPS);
    OL_CHECK(c->outer.max_grad_norm >= 0, OL_EDATA, "%s: max_grad_norm of /outer is %g",
             ol_archive_path(a), c->outer.max_grad_norm);
    OL_TRY(check_steps(a, learner->steps));
    OL_CHECK(learner->order == 1 || learner->order == 2, OL_EDATA,
             "%s: order of /outer is %d; 1 or 2", ol_archive_path(a), learner->order);
    return OL_OK;
}

ol_status ol_verify_read_flat(const ol_archive *archive, const char *group, const ol_model *model,
                              ol_real *out)
{
    char object[256];

    for (int i = 0; i < model->n_params; i++) {
        const ol_param *param = &model->params[i];

        object_of(archive, group, param, object);
        OL_TRY(ol_archive_read(archive, object, param->size, out + param->offset));
    }
    return OL_OK;
}

static ol_status read_state(const ol_archive *a, ol_verify_case *c)
{
    ol_arena dry = ol_arena_dry("state");
    int64_t t;

    OL_TRY(check_tensors(a, "/params", c->model->params, c->model->n_params));
    OL_TRY(ol_archive_get_i64(a, "/moments", "step", &c->state.t));
    OL_CHECK(c->state.t >= 0 && c->state.t < MOST_T, OL_EDATA,
             "%s: step of /moments is %lld, out of range", ol_archive_path(a),
             (long long)c->state.t);
    ol_state_layout(&dry, c->model->P);
    OL_TRY(ol_arena_init(&c->arena, "model and moments", dry.peak));
    t = c->state.t;
    c->state = ol_state_layout(&c->arena, c->model->P);
    c->state.t = t;
    OL_TRY(ol_verify_read_flat(a, "/params", c->model, c->state.theta));
    OL_TRY(ol_verify_read_flat(a, "/moments/m", c->model, c->state.m));
    return ol_verify_read_flat(a, "/moments/v", c->model, c->state.v);
}

static ol_status read_arrays(const ol_archive *a, const char *group, size_t n, size_t B,
                             int32_t *tokens, uint8_t *mask, int64_t *offsets)
{
    char object[128];

    snprintf(object, sizeof object, "%s/tokens", group);
    OL_TRY(ol_archive_read(a, object, n, tokens));
    snprintf(object, sizeof object, "%s/loss_mask", group);
    OL_TRY(ol_archive_read(a, object, n, mask));
    snprintf(object, sizeof object, "%s/offsets", group);
    OL_TRY(ol_archive_read(a, object, B + 1, offsets));
    OL_CHECK(offsets[0] == 0 && offsets[B] == (int64_t)n, OL_EDATA,
             "%s: %s/offsets does not run from 0 to the %zu tokens", ol_archive_path(a), group, n);
    for (size_t b = 0; b < B; b++)
        OL_CHECK(offsets[b] < offsets[b + 1], OL_EDATA,
                 "%s: %s/offsets does not ascend at prompt %zu", ol_archive_path(a), group, b);
    return OL_OK;
}

ol_status ol_verify_read_batch(const ol_archive *a, const char *group, int vocab, int context,
                               ol_batch *out)
{
    char object[128], what[PATH_MAX + 128];
    size_t n, B;

    snprintf(what, sizeof what, "%s%s%s", ol_archive_path(a), *group ? ": " : "", group);
    snprintf(object, sizeof object, "%s/tokens", group);
    OL_TRY(ol_archive_count(a, object, &n));
    snprintf(object, sizeof object, "%s/offsets", group);
    OL_TRY(ol_archive_count(a, object, &B));
    OL_CHECK(B >= 2 && B < INT32_MAX && n >= 1, OL_EDATA, "%s: has no prompts", what);
    B--; /* there is one more offset than prompts */
    *out = (ol_batch){.B = (int)B,
                      .offsets = malloc((B + 1) * sizeof *out->offsets),
                      .tokens = malloc(n * sizeof *out->tokens),
                      .loss_mask = malloc(n)};
    OL_CHECK(out->offsets && out->tokens && out->loss_mask, OL_ENOMEM,
             "%s: no memory for %zu tokens", what, n);
    OL_TRY(read_arrays(a, group, n, B, out->tokens, out->loss_mask, out->offsets));
    return ol_batch_check(out, vocab, context, what);
}

static ol_status read_tasks(const ol_archive *a, ol_verify_case *c)
{
    const int vocab = c->model->spec.vocab, context = c->model->spec.context;
    OL_AUTO_STRINGS names = {0};
    char group[64];

    OL_TRY(ol_archive_children(a, "/tasks", &names));
    c->N = names.n < MOST_TASKS ? (int)names.n : 0;
    OL_CHECK(c->N > 0, OL_EDATA, "%s: /tasks holds no tasks, or too many", ol_archive_path(a));
    c->episodes = calloc((size_t)c->N, sizeof *c->episodes);
    OL_CHECK(c->episodes, OL_ENOMEM, "no memory for %d tasks", c->N);
    for (int i = 0; i < c->N; i++) {
        c->episodes[i].task = i;
        snprintf(group, sizeof group, "/tasks/%d/support", i);
        OL_TRY(ol_verify_read_batch(a, group, vocab, context, &c->episodes[i].support));
        snprintf(group, sizeof group, "/tasks/%d/query", i);
        OL_TRY(ol_verify_read_batch(a, group, vocab, context, &c->episodes[i].query));
    }
    return OL_OK;
}

ol_status ol_verify_case_read(const char *path, ol_verify_case *out)
{
    int version = 0;

    *out = (ol_verify_case){0};
    OL_TRY(ol_archive_open(path, &out->archive));
    OL_TRY(read_format(out->archive, &version));
    OL_TRY(ol_archive_get_f64(out->archive, "/", "float32_error", &out->float32_error));
    OL_CHECK(out->float32_error >= 0 && out->float32_error < 1, OL_EDATA,
             "%s: float32_error is %g; 0 to 1", path, out->float32_error);
    OL_TRY(read_model(out->archive, version, &out->model));
    OL_TRY(read_frozen(out->archive, out));
    OL_TRY(read_learner(out->archive, out));
    OL_TRY(read_state(out->archive, out));
    return read_tasks(out->archive, out);
}

void ol_verify_case_finish(ol_verify_case *c)
{
    for (int i = 0; c->episodes && i < c->N; i++) {
        ol_batch_finish(&c->episodes[i].support);
        ol_batch_finish(&c->episodes[i].query);
    }
    free(c->episodes);
    free(c->frozen);
    ol_arena_finish(&c->arena);
    ol_model_destroy(c->model);
    ol_archive_close(c->archive);
    *c = (ol_verify_case){0};
}
