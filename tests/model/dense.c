/* SPDX-License-Identifier: BSD-3-Clause */
#include "dense.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double *zeros(int n)
{
    double *x = calloc((size_t)n, sizeof *x);

    if (!x)
        abort();
    return x;
}

/* The tensor of that name; "%d" in it is the block. */
static const double *tensor(const ol_model *model, const double *theta, const char *format, int l)
{
    char name[64];
    const ol_param *param;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(name, sizeof name, format, l);
#pragma GCC diagnostic pop
    param = ol_model_param(model, name);
    if (!param)
        abort();
    return theta + param->offset;
}

static void norm(int C, double eps, const double *x, const double *g, const double *b, double *y)
{
    double mean = 0, var = 0;

    for (int j = 0; j < C; j++)
        mean += x[j] / C;
    for (int j = 0; j < C; j++)
        var += (x[j] - mean) * (x[j] - mean) / C;
    for (int j = 0; j < C; j++)
        y[j] = (x[j] - mean) / sqrt(var + eps) * g[j] + b[j];
}

static void affine(int in, int out, const double *x, const double *w, const double *b, double *y)
{
    for (int j = 0; j < out; j++) {
        y[j] = b[j];
        for (int i = 0; i < in; i++)
            y[j] += x[i] * w[i * out + j];
    }
}

/* Row t of the attention of one head, over rows 0..t of qkv [n,3C]. */
static void attend(int C, int D, int h, int t, const double *qkv, double *out)
{
    const double *q = qkv + t * 3 * C + h * D;
    double *p = zeros(t + 1), sum = 0;

    for (int s = 0; s <= t; s++) {
        for (int c = 0; c < D; c++)
            p[s] += q[c] * qkv[s * 3 * C + C + h * D + c];
        p[s] = exp(p[s] / sqrt(D));
        sum += p[s];
    }
    for (int c = 0; c < D; c++)
        for (int s = 0; s <= t; s++)
            out[h * D + c] += p[s] / sum * qkv[s * 3 * C + 2 * C + h * D + c];
    free(p);
}

static double gelu(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

static void attention(const ol_model *model, const double *theta, int l, int n, double *x)
{
    const int C = model->spec.width, H = model->spec.heads;
    double *row = zeros(C), *qkv = zeros(n * 3 * C), *y = zeros(C);

    for (int t = 0; t < n; t++) {
        norm(C, model->spec.norm_eps, x + t * C, tensor(model, theta, "h.%d.ln_1.weight", l),
             tensor(model, theta, "h.%d.ln_1.bias", l), row);
        affine(C, 3 * C, row, tensor(model, theta, "h.%d.attn.c_attn.weight", l),
               tensor(model, theta, "h.%d.attn.c_attn.bias", l), qkv + t * 3 * C);
    }
    for (int t = 0; t < n; t++) {
        double *heads = zeros(C);

        for (int h = 0; h < H; h++)
            attend(C, C / H, h, t, qkv, heads);
        affine(C, C, heads, tensor(model, theta, "h.%d.attn.c_proj.weight", l),
               tensor(model, theta, "h.%d.attn.c_proj.bias", l), y);
        for (int j = 0; j < C; j++)
            x[t * C + j] += y[j];
        free(heads);
    }
    free(row);
    free(qkv);
    free(y);
}

static void network(const ol_model *model, const double *theta, int l, double *x)
{
    const int C = model->spec.width;
    double *row = zeros(C), *wide = zeros(4 * C), *y = zeros(C);

    norm(C, model->spec.norm_eps, x, tensor(model, theta, "h.%d.ln_2.weight", l),
         tensor(model, theta, "h.%d.ln_2.bias", l), row);
    affine(C, 4 * C, row, tensor(model, theta, "h.%d.mlp.c_fc.weight", l),
           tensor(model, theta, "h.%d.mlp.c_fc.bias", l), wide);
    for (int j = 0; j < 4 * C; j++)
        wide[j] = gelu(wide[j]);
    affine(4 * C, C, wide, tensor(model, theta, "h.%d.mlp.c_proj.weight", l),
           tensor(model, theta, "h.%d.mlp.c_proj.bias", l), y);
    for (int j = 0; j < C; j++)
        x[j] += y[j];
    free(row);
    free(wide);
    free(y);
}

/* -log p of the target, after the hidden state x of the token before it. */
static double nats(const ol_model *model, const double *theta, const double *x, int target)
{
    const int C = model->spec.width, V = model->spec.vocab;
    const double *wte = tensor(model, theta, "wte.weight", 0);
    double *h = zeros(C), sum = 0, chosen = 0;

    norm(C, model->spec.norm_eps, x, tensor(model, theta, "ln_f.weight", 0),
         tensor(model, theta, "ln_f.bias", 0), h);
    for (int v = 0; v < V; v++) {
        double z = 0;

        for (int j = 0; j < C; j++)
            z += h[j] * wte[v * C + j];
        sum += exp(z);
        chosen = v == target ? z : chosen;
    }
    free(h);
    return log(sum) - chosen;
}

double dense_loss(const ol_model *model, const double *theta, int n, const int32_t *tokens,
                  const uint8_t *mask)
{
    const int C = model->spec.width;
    const double *wte = tensor(model, theta, "wte.weight", 0);
    const double *wpe = tensor(model, theta, "wpe.weight", 0);
    double *x = zeros(n * C), sum = 0;
    int scored = 0;

    for (int t = 0; t < n; t++)
        for (int j = 0; j < C; j++)
            x[t * C + j] = wte[tokens[t] * C + j] + wpe[t * C + j];
    for (int l = 0; l < model->spec.layers; l++) {
        attention(model, theta, l, n, x);
        for (int t = 0; t < n; t++)
            network(model, theta, l, x + t * C);
    }
    for (int t = 0; t + 1 < n; t++)
        if (mask[t + 1]) {
            sum += nats(model, theta, x + t * C, tokens[t + 1]);
            scored++;
        }
    free(x);
    return sum / scored;
}
