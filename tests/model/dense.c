/* SPDX-License-Identifier: BSD-3-Clause */
#include "dense.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.141592653589793;

/* All tensors of a model but its adapter's, in double. */
typedef struct net {
    const ol_model_spec *spec;
    int n;
    const ol_param **param; /* [n] */
    double **value;         /* [n] */
} net;

static double *zeros(int n)
{
    double *x = calloc((size_t)n + 1, sizeof *x);

    if (!x)
        abort();
    return x;
}

static double *find(const net *f, const char *name)
{
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->param[i]->name, name) == 0)
            return f->value[i];
    return NULL;
}

static const char *blocks(const net *f)
{
    return f->spec->family == OL_GPT2 ? "h" : "model.layers";
}

/* The tensor of that name in block l (of none: -1), or NULL. */
static const double *maybe(const net *f, int l, const char *module, const char *what)
{
    char name[128];

    if (l < 0)
        snprintf(name, sizeof name, "%s.%s", module, what);
    else
        snprintf(name, sizeof name, "%s.%d.%s.%s", blocks(f), l, module, what);
    return find(f, name);
}

static const double *get(const net *f, int l, const char *module, const char *what)
{
    const double *x = maybe(f, l, module, what);

    if (!x) {
        fprintf(stderr, "dense: no %s.%s in block %d\n", module, what, l);
        abort();
    }
    return x;
}

/* A bfloat16 is the upper half of a float. */
static double widened(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float x;

    memcpy(&x, &wide, sizeof x);
    return (double)x;
}

static double *frozen_values(const ol_model *model, const ol_param *p)
{
    const char *at = (const char *)model->block + p->offset;
    double *x = zeros((int)p->size);

    for (size_t i = 0; i < p->size; i++) {
        uint16_t bits;

        if (p->bf16) {
            memcpy(&bits, at + 2 * i, sizeof bits);
            x[i] = widened(bits);
        } else {
            memcpy(&x[i], at + sizeof *x * i, sizeof *x);
        }
    }
    return x;
}

/* W += s B A, which is [out,in]. GPT-2 stores the transpose. */
static void merge(net *f, const ol_model *model, double s, const double *theta, const ol_param *a)
{
    static const char prefix[] = "base_model.model.", end[] = ".lora_A.weight";
    const char *module = a->name + strlen(prefix);
    const int length = (int)(strlen(module) - strlen(end)), r = a->rows, in = a->cols;
    const int skipped = strncmp(module, "transformer.", 12) == 0 ? 12 : 0;
    char name[128];
    const ol_param *b;
    double *w;

    snprintf(name, sizeof name, "%s%.*s.lora_B.weight", prefix, length, module);
    b = ol_model_param(model, name);
    snprintf(name, sizeof name, "%.*s.weight", length - skipped, module + skipped);
    w = find(f, name);
    if (!b || !w || b->cols != r)
        abort();
    for (int o = 0; o < b->rows; o++)
        for (int i = 0; i < in; i++)
            for (int k = 0; k < r; k++)
                w[f->spec->family == OL_GPT2 ? i * b->rows + o : o * in + i] +=
                    s * theta[b->offset + (size_t)(o * r + k)] *
                    theta[a->offset + (size_t)(k * in + i)];
}

static net load(const ol_model *model, double scale, const double *theta)
{
    const size_t most = (size_t)(model->n_params + model->n_frozen);
    net f = {.spec = &model->spec,
             .param = calloc(most, sizeof *f.param),
             .value = calloc(most, sizeof *f.value)};

    if (!f.param || !f.value)
        abort();
    for (int i = 0; i < model->n_params; i++) {
        const ol_param *p = &model->params[i];

        if (strstr(p->name, ".lora_"))
            continue;
        f.param[f.n] = p;
        f.value[f.n] = zeros((int)p->size);
        memcpy(f.value[f.n++], theta + p->offset, p->size * sizeof *theta);
    }
    for (int i = 0; i < model->n_frozen; i++) {
        f.param[f.n] = &model->frozen[i];
        f.value[f.n++] = frozen_values(model, &model->frozen[i]);
    }
    for (int i = 0; i < model->n_params; i++)
        if (strstr(model->params[i].name, ".lora_A."))
            merge(&f, model, scale, theta, &model->params[i]);
    return f;
}

static void unload(net *f)
{
    for (int i = 0; i < f->n; i++)
        free(f->value[i]);
    free(f->value);
    free(f->param);
}

/* y = x Wᵀ + b of one row, W [out,in]; in GPT-2 x W + b, W [in,out]. */
static void affine(const net *f, int l, const char *module, int in, int out, const double *x,
                   double *y)
{
    const double *w = get(f, l, module, "weight"), *b = maybe(f, l, module, "bias");

    for (int j = 0; j < out; j++) {
        y[j] = b ? b[j] : 0;
        for (int i = 0; i < in; i++)
            y[j] += x[i] * (f->spec->family == OL_GPT2 ? w[i * out + j] : w[j * in + i]);
    }
}

/* LayerNorm in GPT-2, RMSNorm elsewhere. y may be x. */
static void norm(const net *f, int l, const char *module, int C, const double *x, double *y)
{
    const double *g = get(f, l, module, "weight");
    double mean = 0, square = 0;

    for (int j = 0; j < C && f->spec->family == OL_GPT2; j++)
        mean += x[j] / C;
    for (int j = 0; j < C; j++)
        square += (x[j] - mean) * (x[j] - mean) / C;
    for (int j = 0; j < C; j++) {
        y[j] = (x[j] - mean) / sqrt(square + f->spec->norm_eps) * g[j];
        if (f->spec->family == OL_GPT2)
            y[j] += get(f, l, module, "bias")[j];
    }
}

/* Radians a position of pair j: transformers' own words for llama3. */
static double frequency(const ol_model_spec *s, int j)
{
    const double inv_freq = 1 / pow(s->rope_theta, 2.0 * j / s->head_dim);
    const double wavelen = 2 * PI / inv_freq;
    const double low_freq_wavelen = s->rope_original_context / s->rope_low_freq_factor;
    const double high_freq_wavelen = s->rope_original_context / s->rope_high_freq_factor;
    double smooth;

    if (s->rope_scaling != OL_ROPE_LLAMA3 || wavelen < high_freq_wavelen)
        return inv_freq;
    if (wavelen > low_freq_wavelen)
        return inv_freq / s->rope_factor;
    smooth = (s->rope_original_context / wavelen - s->rope_low_freq_factor) /
             (s->rope_high_freq_factor - s->rope_low_freq_factor);
    return (1 - smooth) * inv_freq / s->rope_factor + smooth * inv_freq;
}

/* Turn one head by its position: x cos + rotate_half(x) sin. */
static void rotate(const ol_model_spec *s, int position, double *x)
{
    const int half = s->head_dim / 2;

    for (int j = 0; j < half; j++) {
        const double phi = position * frequency(s, j), low = x[j], high = x[j + half];

        x[j] = low * cos(phi) - high * sin(phi);
        x[j + half] = high * cos(phi) + low * sin(phi);
    }
}

/* Norms and positions of the heads of one row of q or k. */
static void turn_heads(const net *f, int l, const char *norm_of, int heads, int position, double *x)
{
    const int D = f->spec->head_dim;

    for (int h = 0; h < heads; h++) {
        if (f->spec->family == OL_QWEN3)
            norm(f, l, norm_of, D, x + h * D, x + h * D);
        rotate(f->spec, position, x + h * D);
    }
}

/* q, k and v of the row at position t. */
static void project(const net *f, int l, int t, const double *row, double *q, double *k, double *v)
{
    const int C = f->spec->width, D = f->spec->head_dim, H = f->spec->heads, G = f->spec->kv_heads;
    double *qkv;

    if (f->spec->family == OL_GPT2) {
        qkv = zeros(3 * C);
        affine(f, l, "attn.c_attn", C, 3 * C, row, qkv);
        memcpy(q, qkv, (size_t)C * sizeof *q);
        memcpy(k, qkv + C, (size_t)C * sizeof *k);
        memcpy(v, qkv + 2 * C, (size_t)C * sizeof *v);
        free(qkv);
        return;
    }
    affine(f, l, "self_attn.q_proj", C, H * D, row, q);
    affine(f, l, "self_attn.k_proj", C, G * D, row, k);
    affine(f, l, "self_attn.v_proj", C, G * D, row, v);
    turn_heads(f, l, "self_attn.q_norm", H, t, q);
    turn_heads(f, l, "self_attn.k_norm", G, t, k);
}

/* Head h of row t over rows 0..t. Heads 0 .. H/G-1 share the first keys and values, and so on. */
static void attend(const ol_model_spec *s, int h, int t, const double *q, const double *k,
                   const double *v, double *out)
{
    const int D = s->head_dim, H = s->heads, G = s->kv_heads, group = h / (H / G);
    double *p = zeros(t + 1), sum = 0, top = -INFINITY;

    for (int i = 0; i <= t; i++) {
        for (int c = 0; c < D; c++)
            p[i] += q[(t * H + h) * D + c] * k[(i * G + group) * D + c] / sqrt(D);
        top = fmax(top, p[i]);
    }
    for (int i = 0; i <= t; i++)
        sum += p[i] = exp(p[i] - top);
    for (int c = 0; c < D; c++)
        for (int i = 0; i <= t; i++)
            out[h * D + c] += p[i] / sum * v[(i * G + group) * D + c];
    free(p);
}

static void attention(const net *f, int l, int n, double *x)
{
    const bool gpt2 = f->spec->family == OL_GPT2;
    const int C = f->spec->width, D = f->spec->head_dim, H = f->spec->heads, G = f->spec->kv_heads;
    double *row = zeros(C), *y = zeros(C);
    double *q = zeros(n * H * D), *k = zeros(n * G * D), *v = zeros(n * G * D);

    for (int t = 0; t < n; t++) {
        norm(f, l, gpt2 ? "ln_1" : "input_layernorm", C, x + t * C, row);
        project(f, l, t, row, q + t * H * D, k + t * G * D, v + t * G * D);
    }
    for (int t = 0; t < n; t++) {
        double *heads = zeros(H * D);

        for (int h = 0; h < H; h++)
            attend(f->spec, h, t, q, k, v, heads);
        affine(f, l, gpt2 ? "attn.c_proj" : "self_attn.o_proj", H * D, C, heads, y);
        for (int j = 0; j < C; j++)
            x[t * C + j] += y[j];
        free(heads);
    }
    free(row), free(y);
    free(q), free(k), free(v);
}

static double gelu(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / PI) * (x + 0.044715 * x * x * x)));
}

static void network(const net *f, int l, double *x)
{
    const bool gpt2 = f->spec->family == OL_GPT2;
    const int C = f->spec->width, F = f->spec->hidden;
    double *row = zeros(C), *wide = zeros(F), *gate = zeros(F), *y = zeros(C);

    norm(f, l, gpt2 ? "ln_2" : "post_attention_layernorm", C, x, row);
    affine(f, l, gpt2 ? "mlp.c_fc" : "mlp.up_proj", C, F, row, wide);
    if (!gpt2)
        affine(f, l, "mlp.gate_proj", C, F, row, gate);
    for (int j = 0; j < F; j++)
        wide[j] = gpt2 ? gelu(wide[j]) : wide[j] * gate[j] / (1 + exp(-gate[j]));
    affine(f, l, gpt2 ? "mlp.c_proj" : "mlp.down_proj", F, C, wide, y);
    for (int j = 0; j < C; j++)
        x[j] += y[j];
    free(row), free(wide), free(gate), free(y);
}

static const char *embedding(const net *f)
{
    return f->spec->family == OL_GPT2 ? "wte" : "model.embed_tokens";
}

/* -log p of the target, after the hidden state x of the token before it. */
static double nats(const net *f, const double *x, int target)
{
    const int C = f->spec->width, V = f->spec->vocab;
    const double *head = get(f, -1, f->spec->tied ? embedding(f) : "lm_head", "weight");
    double *h = zeros(C), sum = 0, chosen = 0;

    norm(f, -1, f->spec->family == OL_GPT2 ? "ln_f" : "model.norm", C, x, h);
    for (int v = 0; v < V; v++) {
        double z = 0;

        for (int j = 0; j < C; j++)
            z += h[j] * head[v * C + j];
        sum += exp(z);
        chosen = v == target ? z : chosen;
    }
    free(h);
    return log(sum) - chosen;
}

static double *embed(const net *f, int n, const int32_t *tokens)
{
    const int C = f->spec->width;
    const double *wte = get(f, -1, embedding(f), "weight"), *wpe = maybe(f, -1, "wpe", "weight");
    double *x = zeros(n * C);

    for (int t = 0; t < n; t++)
        for (int j = 0; j < C; j++)
            x[t * C + j] = wte[tokens[t] * C + j] + (wpe ? wpe[t * C + j] : 0);
    return x;
}

double dense_loss(const ol_model *model, double scale, const double *theta, int n,
                  const int32_t *tokens, const uint8_t *mask)
{
    net f = load(model, scale, theta);
    double *x = embed(&f, n, tokens), sum = 0;
    int scored = 0;

    for (int l = 0; l < model->spec.layers; l++) {
        attention(&f, l, n, x);
        for (int t = 0; t < n; t++)
            network(&f, l, x + t * model->spec.width);
    }
    for (int t = 0; t + 1 < n; t++)
        if (mask[t + 1]) {
            sum += nats(&f, x + t * model->spec.width, tokens[t + 1]);
            scored++;
        }
    free(x);
    unload(&f);
    return sum / scored;
}
