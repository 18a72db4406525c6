/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/model/model.h"

#include <assert.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph.h"
#include "outerloop/base/rng.h"  /* ol_rng_stream, ol_rng_normal, ol_rng_uniform */
#include "outerloop/base/text.h" /* ol_text_nearest */

enum { ALIGNMENT = 64, MOST_TARGETS = 64 }; /* bytes between frozen tensors; bits of a set */

#define FIELD(member) offsetof(ol_model_spec, member)
/* clang-format off */
const ol_model_field ol_model_fields[] = {
    {"layers",      "n_layer",            "num_hidden_layers",       OL_FIELD_INT,  FIELD(layers)},
    {"width",       "n_embd",             "hidden_size",             OL_FIELD_INT,  FIELD(width)},
    {"heads",       "n_head",             "num_attention_heads",     OL_FIELD_INT,  FIELD(heads)},
    {"kv_heads",    NULL,                 "num_key_value_heads",     OL_FIELD_INT,  FIELD(kv_heads)},
    {"head_dim",    NULL,                 "head_dim",                OL_FIELD_INT,  FIELD(head_dim)},
    {"hidden",      "n_inner",            "intermediate_size",       OL_FIELD_INT,  FIELD(hidden)},
    {"vocab",       "vocab_size",         "vocab_size",              OL_FIELD_INT,  FIELD(vocab)},
    {"context",     "n_positions",        "max_position_embeddings", OL_FIELD_INT,  FIELD(context)},
    {"tied",        "tie_word_embeddings", "tie_word_embeddings",    OL_FIELD_BOOL, FIELD(tied)},
    {"norm_eps",    "layer_norm_epsilon", "rms_norm_eps",            OL_FIELD_REAL, FIELD(norm_eps)},
    {"rope_theta",            NULL, "rope_theta",                       OL_FIELD_REAL, FIELD(rope_theta)},
    {"rope_scaling",          NULL, NULL,                               OL_FIELD_INT,  FIELD(rope_scaling)},
    {"rope_factor",           NULL, "factor",                           OL_FIELD_REAL, FIELD(rope_factor)},
    {"rope_low_freq_factor",  NULL, "low_freq_factor",                  OL_FIELD_REAL, FIELD(rope_low_freq_factor)},
    {"rope_high_freq_factor", NULL, "high_freq_factor",                 OL_FIELD_REAL, FIELD(rope_high_freq_factor)},
    {"rope_original_context", NULL, "original_max_position_embeddings", OL_FIELD_INT,  FIELD(rope_original_context)},
    {NULL, NULL, NULL, OL_FIELD_INT, 0},
};
/* clang-format on */

double ol_model_field_get(const ol_model_spec *spec, const ol_model_field *field)
{
    const char *at = (const char *)spec + field->offset;

    if (field->kind == OL_FIELD_INT)
        return *(const int *)(const void *)at;
    return field->kind == OL_FIELD_BOOL ? *(const bool *)at : *(const double *)(const void *)at;
}

void ol_model_field_set(ol_model_spec *spec, const ol_model_field *field, double value)
{
    char *at = (char *)spec + field->offset;

    if (field->kind == OL_FIELD_INT)
        *(int *)(void *)at = (int)value;
    else if (field->kind == OL_FIELD_BOOL)
        *(bool *)at = value != 0;
    else
        *(double *)(void *)at = value;
}

/* What "0 =" says in the header. */
static void resolve(ol_model_spec *s)
{
    const ol_family *family = &ol_families[s->family];

    if (s->kv_heads == 0)
        s->kv_heads = s->heads;
    if (s->head_dim == 0 && s->heads > 0)
        s->head_dim = s->width / s->heads;
    if (s->hidden == 0)
        s->hidden = family->wide_gelu ? 4 * s->width : (8 * s->width / 3 + 7) / 8 * 8;
    if (s->norm_eps == 0)
        s->norm_eps = family->norm_eps;
}

static ol_status check_heads(const ol_model_spec *s)
{
    const ol_family *family = &ol_families[s->family];
    const char *name = ol_model_families[s->family];

    OL_CHECK(family->free_head_dim || s->head_dim * s->heads == s->width, OL_EUSAGE,
             "model: width %d is not heads %d times head_dim %d, as in %s it must be", s->width,
             s->heads, s->head_dim, name);
    OL_CHECK(s->heads % s->kv_heads == 0, OL_EUSAGE,
             "model: heads %d is not a multiple of kv_heads %d; every group of keys and values "
             "serves as many heads",
             s->heads, s->kv_heads);
    OL_CHECK(family->rotary || s->kv_heads == s->heads, OL_EUSAGE,
             "model: kv_heads %d: %s has as many as heads, %d", s->kv_heads, name, s->heads);
    OL_CHECK(!family->rotary || s->head_dim % 2 == 0, OL_EUSAGE,
             "model: head_dim %d must be even: rotary positions turn pairs of columns",
             s->head_dim);
    OL_CHECK(!family->rotary || s->rope_scaling == OL_ROPE_DEFAULT ||
                 (s->rope_factor >= 1 && s->rope_original_context > 0 &&
                  s->rope_high_freq_factor > s->rope_low_freq_factor),
             OL_EUSAGE,
             "model: rope_scaling llama3 wants rope_factor (%g) of at least 1, "
             "rope_original_context (%d) and rope_high_freq_factor (%g) above "
             "rope_low_freq_factor (%g)",
             s->rope_factor, s->rope_original_context, s->rope_high_freq_factor,
             s->rope_low_freq_factor);
    return OL_OK;
}

static ol_status check_spec(const ol_model_spec *s)
{
    const double most = 2147483647.0, C = s->width;

    OL_CHECK(s->layers > 0 && s->layers <= 1000 && s->heads > 0 && s->width > 0 && s->vocab > 0 &&
                 s->context > 1,
             OL_EUSAGE,
             "model: layers (%d, at most 1000), heads (%d), width (%d), vocab (%d) must be at "
             "least 1 and context (%d) at least 2",
             s->layers, s->heads, s->width, s->vocab, s->context);
    OL_CHECK(s->kv_heads >= 0 && s->head_dim >= 0 && s->hidden >= 0, OL_EUSAGE,
             "model: kv_heads (%d), head_dim (%d) and hidden (%d) must not be negative",
             s->kv_heads, s->head_dim, s->hidden);
    OL_CHECK(s->head_dim > 0 || s->width % s->heads == 0, OL_EUSAGE,
             "model: width %d is not a multiple of heads %d; every head takes width/heads columns",
             s->width, s->heads);
    OL_CHECK(s->norm_eps >= 0 && (!ol_families[s->family].rotary || s->rope_theta > 0), OL_EUSAGE,
             "model: norm_eps must not be negative, not %g, and rope_theta above 0, not %g",
             s->norm_eps, s->rope_theta);
    OL_CHECK(s->vocab * C < most && s->context * C < most && 8 * C * C < most &&
                 s->hidden * C < most && (double)s->heads * s->head_dim * C < most,
             OL_EUSAGE,
             "model: a tensor of width %d, hidden %d, context %d and vocab %d has over 2^31 "
             "values; use a smaller model",
             s->width, s->hidden, s->context, s->vocab);
    return OL_OK;
}

/* Is the list empty or the one word? */
static bool is_word(const ol_patterns *names, const char *word)
{
    return names->n == 1 && strcmp(names->items[0], word) == 0;
}

static bool any_matches(const ol_patterns *patterns, const char *name)
{
    for (int i = 0; i < patterns->n; i++)
        if (fnmatch(patterns->items[i], name, 0) == 0)
            return true;
    return false;
}

/* Every pattern must name something, else it is a mistake. */
static ol_status check_patterns(const char *key, const ol_patterns *patterns,
                                const ol_param *tensors, int n)
{
    for (int i = 0; i < patterns->n; i++) {
        int matches = 0;

        for (int t = 0; t < n; t++)
            matches += fnmatch(patterns->items[i], tensors[t].name, 0) == 0;
        OL_CHECK(matches > 0, OL_EUSAGE,
                 "%s: \"%s\" names no tensor; there are %d, from %s to %s, and * stands for any "
                 "part of a name",
                 key, patterns->items[i], n, n > 0 ? tensors[0].name : "none",
                 n > 0 ? tensors[n - 1].name : "none");
    }
    return OL_OK;
}

static ol_status check_lora(const ol_trained_spec *t)
{
    OL_CHECK(t->rank > 0 && t->alpha > 0, OL_EUSAGE,
             "model.lora: rank (%d) must be at least 1 and alpha (%g) above 0", t->rank, t->alpha);
    OL_CHECK(t->targets.n > 0 && t->targets.n <= MOST_TARGETS, OL_EUSAGE,
             "model.lora.targets: name 1 to %d modules, as \"q_proj\", or \"all-linear\"",
             MOST_TARGETS);
    return OL_OK;
}

static bool is_adapter(const ol_param *p)
{
    return p->init == OL_INIT_UNIFORM || strstr(p->name, ".lora_B.") != NULL;
}

/* Put every tensor of the table where it belongs; home [tensors->n]. */
static void distribute(ol_model *m, const ol_trained_spec *t, const ol_tensors *tensors,
                       const ol_param **home)
{
    const bool all = !m->lora && (t->trained.n == 0 || is_word(&t->trained, "all"));
    size_t bytes = 0;

    for (int i = 0; i < tensors->n; i++) {
        ol_param p = tensors->params[i];
        const bool trained = m->lora ? is_adapter(&p) : all || any_matches(&t->trained, p.name);
        ol_param *to = trained ? &m->params[m->n_params++] : &m->frozen[m->n_frozen++];

        if (trained) {
            p.offset = m->P;
            m->P += p.size;
            p.adapts = t->adapts.n == 0 || any_matches(&t->adapts, p.name);
        } else {
            p.offset = bytes;
            p.bf16 = t->frozen_bf16 && p.cols > 0;
            bytes += p.size * (p.bf16 ? sizeof(uint16_t) : sizeof(ol_real));
            bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
        *to = p;
        home[i] = to;
    }
    m->frozen_bytes = bytes;
}

static ol_status make_tables(ol_model *m, const ol_trained_spec *t, const ol_tensors *tensors)
{
    const size_t n = (size_t)tensors->n;
    const ol_param **home = calloc(n, sizeof *home);

    m->params = calloc(n, sizeof *m->params);
    m->frozen = calloc(n, sizeof *m->frozen);
    if (!home || !m->params || !m->frozen) {
        free(home);
        return ol_fail(OL_ENOMEM, "no memory for a table of %zu tensors", n);
    }
    distribute(m, t, tensors, home);
    ol_graph_bind(m->graph, m, home);
    free(home);
    OL_TRY(check_patterns("learner.inner.adapts", &t->adapts, m->params, m->n_params));
    return OL_OK;
}

static ol_status build(ol_model *m, const ol_trained_spec *t)
{
    ol_tensors tensors = {0};
    ol_status status = ol_graph_build(&m->spec, t, m->lora, &tensors, &m->graph);

    if (status == OL_OK && !m->lora && !is_word(&t->trained, "all"))
        status = check_patterns("model.trained", &t->trained, tensors.params, tensors.n);
    if (status == OL_OK)
        status = make_tables(m, t, &tensors);
    free(tensors.params);
    return status;
}

ol_status ol_model_create(const ol_model_spec *spec, const ol_trained_spec *trained, ol_model **out)
{
    static const ol_trained_spec everything;
    const ol_trained_spec *t = trained ? trained : &everything;
    ol_model_spec shape = *spec;
    ol_model *m;
    ol_status status;

    OL_TRY(check_spec(&shape));
    resolve(&shape);
    OL_TRY(check_spec(&shape));
    OL_TRY(check_heads(&shape));
    m = calloc(1, sizeof *m);
    OL_CHECK(m, OL_ENOMEM, "no memory for a model");
    m->spec = shape;
    m->lora = is_word(&t->trained, "lora");
    status = m->lora ? check_lora(t) : OL_OK;
    if (status == OL_OK)
        status = build(m, t);
    if (status != OL_OK) {
        ol_model_destroy(m);
        return status;
    }
    *out = m;
    return OL_OK;
}

void ol_model_destroy(ol_model *model)
{
    if (!model)
        return;
    ol_graph_destroy(model->graph);
    free(model->params);
    free(model->frozen);
    free(model);
}

static const ol_param *find(const ol_param *params, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(params[i].name, name) == 0)
            return &params[i];
    return NULL;
}

const ol_param *ol_model_param(const ol_model *model, const char *name)
{
    return find(model->params, model->n_params, name);
}

const ol_param *ol_model_frozen(const ol_model *model, const char *name)
{
    return find(model->frozen, model->n_frozen, name);
}

/* GPT-2's initializer_range, and the width of the model it was chosen for. */
static double init_std(const ol_model_spec *spec)
{
    return spec->init_std > 0 ? spec->init_std : 0.02 * sqrt(768.0 / spec->width);
}

/* Draw values n at a time from the tensor's stream. */
static void draw(const ol_param *p, double std, ol_rng *rng, size_t n, ol_real *x)
{
    for (size_t j = 0; j < n; j++) {
        if (p->spread == 0)
            x[j] = (ol_real)p->init_at;
        else if (p->init == OL_INIT_NORMAL)
            x[j] = (ol_real)(p->init_at + std * p->spread * ol_rng_normal(rng));
        else
            x[j] = (ol_real)(p->spread * (2 * ol_rng_uniform(rng) - 1));
    }
}

void ol_frozen_put_part(const ol_param *p, size_t at, size_t n, const ol_real *x, void *block)
{
    char *to = (char *)block + p->offset;

    assert(at + n <= p->size);
    if (p->bf16)
        ol_bf16_from_reals(n, x, (uint16_t *)(void *)to + at);
    else
        memcpy((ol_real *)(void *)to + at, x, n * sizeof *x);
}

void ol_model_random(const ol_model *model, uint64_t seed, ol_real *theta, void *block)
{
    enum { PIECE = 4096 };
    const double std = init_std(&model->spec);
    ol_real piece[PIECE];

    for (int i = 0; theta && i < model->n_params; i++) {
        const ol_param *p = &model->params[i];
        ol_rng rng = ol_rng_stream(seed, OL_RNG_INIT, (uint32_t)p->stream, 0);

        draw(p, std, &rng, p->size, theta + p->offset);
    }
    for (int i = 0; block && i < model->n_frozen; i++) {
        const ol_param *p = &model->frozen[i];
        ol_rng rng = ol_rng_stream(seed, OL_RNG_INIT, (uint32_t)p->stream, 0);

        for (size_t at = 0; at < p->size; at += PIECE) {
            const size_t n = p->size - at < PIECE ? p->size - at : PIECE;

            draw(p, std, &rng, n, piece);
            ol_frozen_put_part(p, at, n, piece, block);
        }
    }
}
