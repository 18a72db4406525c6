/* SPDX-License-Identifier: BSD-3-Clause */
#include "graph.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h"        /* OL_GROW */
#include "outerloop/base/text.h"        /* ol_text */
#include "outerloop/kernel/attention.h" /* ol_attention */
#include "outerloop/kernel/embedding.h" /* ol_embedding, ol_positions */
#include "outerloop/kernel/linear.h"    /* ol_linear, ol_conv1d */
#include "outerloop/kernel/lowrank.h"   /* ol_lowrank */
#include "outerloop/kernel/norm.h"      /* ol_layernorm, ol_rmsnorm */
#include "outerloop/kernel/residual.h"  /* ol_pick */

enum { ADAPTER_STREAMS = 1 << 24 }; /* random streams of adapters begin beyond those of tensors */

/* What building works on. */
typedef struct builder {
    const ol_model_spec *spec;
    const ol_family *family;
    const ol_trained_spec *trained;
    bool lora;
    ol_tensors *tensors;
    unsigned long long matched; /* bit i: target i has named a module */
    char prefix[48];            /* of the names of the instance       */
    int first;                  /* of the tensors of the instance at work */
    ol_status status;
} builder;

int ol_slot_width(const ol_model_spec *spec, ol_slot slot)
{
    switch (ol_slot_kinds[slot].reals) {
    case OF_HEADS:
        return spec->heads * spec->head_dim;
    case OF_KV_HEADS:
        return spec->kv_heads * spec->head_dim;
    case OF_HIDDEN:
        return spec->hidden;
    case OF_WIDTH:
        break;
    }
    return spec->width;
}

/* The tensor of that name, appended to the table unless it is one of this instance's. Returns its index. */
static int tensor(builder *b, ol_param made)
{
    ol_tensors *t = b->tensors;

    for (int i = b->first; i < t->n; i++)
        if (strcmp(t->params[i].name, made.name) == 0)
            return i;
    if (OL_GROW(t->params, t->n, "tensors") != OL_OK) {
        b->status = OL_ENOMEM;
        return 0;
    }
    made.size = (size_t)made.rows * (size_t)(made.cols > 0 ? made.cols : 1);
    t->params[t->n] = made;
    return t->n++;
}

static int base_tensor(builder *b, const char *module, const char *what, int rows, int cols,
                       double init_at, double spread)
{
    ol_param p = {.rows = rows,
                  .cols = cols,
                  .init_at = init_at,
                  .spread = spread,
                  .stream = b->tensors->n - b->tensors->n_adapters};

    snprintf(p.name, sizeof p.name, "%s%s.%s", b->prefix, module, what);
    return tensor(b, p);
}

static ol_operand whole(int tensor, int rows, int cols)
{
    return (ol_operand){.tensor = tensor, .rows = rows, .cols = cols, .ld = cols};
}

/* W and b of a linear map; of a module in parts, the part that the step is. */
static void linear_weights(builder *b, const ol_step *step, ol_graph_step *s)
{
    const int in = s->spec.in, out = s->spec.out, parts = step->parts ? step->parts : 1;
    const bool turned = step->op == &ol_conv1d;
    const double smaller = step->options & RESIDUAL_INIT ? sqrt(2.0 * b->spec->layers) : 1;
    const int w = base_tensor(b, step->module, "weight", turned ? in : parts * out,
                              turned ? parts * out : in, 0, 1 / smaller);

    s->w[0] = turned ? whole(w, in, out) : whole(w, out, in);
    s->w[0].ld = turned ? parts * out : in;
    s->w[0].at = (size_t)step->part * (size_t)out * (turned ? 1 : (size_t)in);
    if (step->options & BIAS) {
        s->w[1] = whole(base_tensor(b, step->module, "bias", parts * out, 0, 0, 0), out, 1);
        s->w[1].at = (size_t)step->part * (size_t)out;
    }
}

static void weights(builder *b, const ol_step *step, ol_graph_step *s)
{
    const int C = s->spec.heads > 1 ? s->spec.in / s->spec.heads : s->spec.in;

    if (step->op == &ol_linear || step->op == &ol_conv1d)
        linear_weights(b, step, s);
    if (step->op == &ol_layernorm || step->op == &ol_rmsnorm)
        s->w[0] = whole(base_tensor(b, step->module, "weight", C, 0, 1, 0), C, 1);
    if (step->op == &ol_layernorm)
        s->w[1] = whole(base_tensor(b, step->module, "bias", C, 0, 0, 0), C, 1);
    if (step->op == &ol_embedding || step->op == &ol_positions) {
        const int rows = step->op == &ol_embedding ? b->spec->vocab : b->spec->context;

        s->w[0] = whole(base_tensor(b, step->module, "weight", rows, s->spec.out, 0, 1), rows,
                        s->spec.out);
    }
}

/* Is the module named by a target, wholly or by its end? */
static bool targeted(builder *b, const char *module)
{
    const ol_patterns *targets = &b->trained->targets;
    bool found = false;

    for (int i = 0; i < targets->n; i++) {
        const size_t n = strlen(module), m = strlen(targets->items[i]);
        const bool end = n >= m && strcmp(module + n - m, targets->items[i]) == 0 &&
                         (n == m || module[n - m - 1] == '.');

        if (end || strcmp(targets->items[i], "all-linear") == 0) {
            b->matched |= 1ull << i;
            found = true;
        }
    }
    return found;
}

/* The low-rank product beside a linear map; false when the map is not adapted. */
static bool adapter(builder *b, const ol_step *step, const ol_graph_step *map, ol_graph_step *s)
{
    const ol_trained_spec *t = b->trained;
    const int r = t->rank, in = map->spec.in, parts = step->parts ? step->parts : 1;
    const int out = map->spec.out, before = b->tensors->n;
    char module[80];
    ol_param a = {.rows = r, .cols = in, .init = OL_INIT_UNIFORM, .spread = 1 / sqrt(in)};
    ol_param up = {.rows = parts * out, .cols = r};

    snprintf(module, sizeof module, "%s%s%s", b->family->hf_prefix, b->prefix, step->module);
    if (!b->lora || !targeted(b, module))
        return false;
    *s = (ol_graph_step){.op = &ol_lowrank, .spec = map->spec, .out = map->out};
    s->in[0] = map->in[0];
    s->spec.rank = r;
    s->spec.scale = t->rslora ? t->alpha / sqrt(r) : t->alpha / r;
    a.stream = ADAPTER_STREAMS + b->tensors->n_adapters;
    up.stream = a.stream + 1;
    snprintf(a.name, sizeof a.name, "base_model.model.%.60s.lora_A.weight", module);
    snprintf(up.name, sizeof up.name, "base_model.model.%.60s.lora_B.weight", module);
    s->w[0] = whole(tensor(b, a), r, in);
    s->w[1] = whole(tensor(b, up), out, r);
    s->w[1].at = (size_t)step->part * (size_t)out * (size_t)r;
    b->tensors->n_adapters += b->tensors->n - before;
    return true;
}

static ol_op_spec op_spec(const builder *b, const ol_step *step)
{
    const ol_model_spec *m = b->spec;
    const int out = ol_slot_width(m, step->out);
    ol_op_spec spec = {.in = step->op->inputs > 0 ? ol_slot_width(m, step->in[0]) : 0,
                       .out = out,
                       .head_dim = m->head_dim,
                       .eps = m->norm_eps};

    if (step->op == &ol_attention) {
        spec.heads = m->heads;
        spec.kv_heads = m->kv_heads;
    }
    if (step->options & PER_HEAD)
        spec.heads = out / m->head_dim;
    return spec;
}

/* One sequence of steps as an instance. In all blocks but the last, PICKED is NORM1. */
static void add_steps(builder *b, const ol_step *steps, bool last, ol_instance *instance)
{
    b->first = b->tensors->n;
    for (const ol_step *step = steps; step->op; step++) {
        ol_graph_step *s = &instance->steps[instance->n_steps];

        if (step->op == &ol_pick && !last)
            continue;
        assert(instance->n_steps + 2 <= OL_MOST_STEPS);
        *s = (ol_graph_step){.op = step->op, .spec = op_spec(b, step), .out = step->out};
        for (int i = 0; i < step->op->inputs; i++)
            s->in[i] = step->in[i] == PICKED && !last ? NORM1 : step->in[i];
        weights(b, step, s);
        instance->n_steps++;
        if ((step->op == &ol_linear || step->op == &ol_conv1d) &&
            adapter(b, step, s, &instance->steps[instance->n_steps]))
            instance->n_steps++;
    }
}

static ol_status check_targets(const builder *b)
{
    const ol_patterns *targets = &b->trained->targets;
    ol_text known = {0};
    ol_status status = OL_OK;

    for (const ol_step *step = b->family->block; step->op; step++)
        if ((step->op == &ol_linear || step->op == &ol_conv1d) && step->part == 0)
            ol_text_format(&known, "%s%s", known.size ? ", " : "", step->module);
    for (int i = 0; b->lora && i < targets->n && status == OL_OK; i++)
        if (!(b->matched >> i & 1))
            status = ol_fail(OL_EUSAGE,
                             "model.lora.targets: \"%s\" names no linear map of this model; its "
                             "blocks have %s",
                             targets->items[i], known.data ? known.data : "none");
    ol_text_finish(&known);
    return status;
}

double ol_rope_frequency(const ol_model_spec *m, int j)
{
    const double plain = pow(m->rope_theta, -2.0 * j / m->head_dim);
    const double turns = m->rope_original_context * plain / (2 * 3.14159265358979323846);
    const double low = m->rope_low_freq_factor, high = m->rope_high_freq_factor;

    if (m->rope_scaling == OL_ROPE_DEFAULT || turns > high)
        return plain;
    if (turns < low)
        return plain / m->rope_factor;
    const double smooth = (turns - low) / (high - low);

    return (1 - smooth) * plain / m->rope_factor + smooth * plain;
}

static ol_status allocate(const builder *b, ol_graph **out)
{
    ol_graph *g = calloc(1, sizeof *g);
    const int half = b->spec->head_dim / 2;

    OL_CHECK(g, OL_ENOMEM, "no memory for a model of %d layers", b->spec->layers);
    *out = g;
    g->n = b->spec->layers + 2;
    g->instances = calloc((size_t)g->n, sizeof *g->instances);
    if (b->family->rotary)
        g->frequency = calloc((size_t)half + 1, sizeof *g->frequency);
    OL_CHECK(g->instances && (g->frequency || !b->family->rotary), OL_ENOMEM,
             "no memory for a model of %d layers", b->spec->layers);
    for (int j = 0; g->frequency && j < half; j++)
        g->frequency[j] = ol_rope_frequency(b->spec, j);
    return OL_OK;
}

ol_status ol_graph_build(const ol_model_spec *spec, const ol_trained_spec *trained, bool lora,
                         ol_tensors *tensors, ol_graph **out)
{
    builder b = {.spec = spec,
                 .family = &ol_families[spec->family],
                 .trained = trained,
                 .lora = lora,
                 .tensors = tensors};
    const int L = spec->layers;
    ol_graph *g;

    OL_TRY(allocate(&b, out));
    g = *out;
    add_steps(&b, b.family->embed, false, &g->instances[0]);
    for (int l = 0; l < L; l++) {
        snprintf(b.prefix, sizeof b.prefix, b.family->blocks, l);
        add_steps(&b, b.family->block, l == L - 1, &g->instances[l + 1]);
    }
    b.prefix[0] = '\0';
    add_steps(&b, b.family->final, false, &g->instances[L + 1]);
    g->head = spec->tied
                  ? g->instances[0].steps[0].w[0]
                  : whole(base_tensor(&b, "lm_head", "weight", spec->vocab, spec->width, 0, 1),
                          spec->vocab, spec->width);
    OL_TRY(b.status);
    return check_targets(&b);
}

void ol_graph_destroy(ol_graph *graph)
{
    if (!graph)
        return;
    free(graph->instances);
    free(graph->frequency);
    free(graph);
}
