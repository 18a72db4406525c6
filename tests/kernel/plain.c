/* SPDX-License-Identifier: BSD-3-Clause */
#include "plain.h"

#include <assert.h>
#include <complex.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "operators.h"
#include "outerloop/kernel/attention.h"
#include "outerloop/kernel/embedding.h"
#include "outerloop/kernel/gate.h"
#include "outerloop/kernel/linear.h"
#include "outerloop/kernel/lowrank.h"
#include "outerloop/kernel/norm.h"
#include "outerloop/kernel/residual.h"
#include "outerloop/kernel/rotary.h"

enum { MOST_VISIBLE = 256 };

static double weight(const ol_call *c, int j, int row, int col)
{
    const ol_weight *w = &c->w[j];

    return w->rows > 0 ? (double)w->at.v[row * w->ld + col] : 0;
}

static double input(const ol_call *c, int i, int row, int col)
{
    return (double)c->x[i].v[row * c->spec->in + col];
}

static int row_of(const ol_call *c, int i)
{
    return c->row ? c->row[i] : i;
}

static void linear_loop(const ol_call *c, double *y)
{
    for (int i = 0; i < c->n; i++)
        for (int o = 0; o < c->spec->out; o++) {
            double sum = weight(c, 1, o, 0);

            for (int j = 0; j < c->spec->in; j++)
                sum += input(c, 0, i, j) * weight(c, 0, o, j);
            *y++ = sum;
        }
}

static void conv1d_loop(const ol_call *c, double *y)
{
    for (int i = 0; i < c->n; i++)
        for (int o = 0; o < c->spec->out; o++) {
            double sum = weight(c, 1, o, 0);

            for (int j = 0; j < c->spec->in; j++)
                sum += input(c, 0, i, j) * weight(c, 0, j, o);
            *y++ = sum;
        }
}

static void lowrank_loop(const ol_call *c, double *y)
{
    for (int i = 0; i < c->n; i++)
        for (int o = 0; o < c->spec->out; o++) {
            double sum = 0;

            for (int r = 0; r < c->spec->rank; r++)
                for (int j = 0; j < c->spec->in; j++)
                    sum += c->spec->scale * input(c, 0, i, j) * weight(c, 0, r, j) *
                           weight(c, 1, o, r);
            *y++ = sum;
        }
}

static void norm_loop(const ol_call *c, bool centred, double *y)
{
    const int parts = c->spec->heads > 1 ? c->spec->heads : 1, C = c->spec->in / parts;

    for (int i = 0; i < c->n * parts; i++) {
        const ol_real *x = c->x[0].v + i * C;
        double mu = 0, square = 0;

        for (int j = 0; j < C; j++)
            mu += centred ? (double)x[j] / C : 0;
        for (int j = 0; j < C; j++)
            square += pow((double)x[j] - mu, 2) / C;
        for (int j = 0; j < C; j++)
            *y++ = ((double)x[j] - mu) / sqrt(square + c->spec->eps) * weight(c, 0, j, 0) +
                   weight(c, 1, j, 0);
    }
}

static void layernorm_loop(const ol_call *c, double *y)
{
    norm_loop(c, true, y);
}

static void rmsnorm_loop(const ol_call *c, double *y)
{
    norm_loop(c, false, y);
}

double plain_gelu(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

double plain_silu(double x)
{
    return x / (1 + exp(-x));
}

static void gelu_loop(const ol_call *c, double *y)
{
    for (int i = 0; i < c->n * c->spec->out; i++)
        y[i] = plain_gelu((double)c->x[0].v[i]);
}

static void swiglu_loop(const ol_call *c, double *y)
{
    for (int i = 0; i < c->n * c->spec->out; i++)
        y[i] = plain_silu((double)c->x[0].v[i]) * (double)c->x[1].v[i];
}

/* Columns j and j + D/2 of a head are one complex number, times e^(iφ). */
static void rotary_loop(const ol_call *c, const double *frequency, double *y)
{
    const int D = c->spec->head_dim, width = c->spec->in;

    for (int i = 0; i < c->n; i++)
        for (int h = 0; h < width; h += D)
            for (int j = 0; j < D / 2; j++) {
                const int low = h + j, high = low + D / 2;
                const double phi = c->rows->position[row_of(c, i)] * frequency[j];
                const double complex turned =
                    CMPLX(input(c, 0, i, low), input(c, 0, i, high)) * cexp(CMPLX(0, phi));

                y[i * width + low] = creal(turned);
                y[i * width + high] = cimag(turned);
            }
}

/* One head of one query row: softmax over the keys it sees. */
static void attend(int D, int visible, int ldkv, const ol_real *q, const ol_real *k,
                   const ol_real *v, double *o)
{
    double score[MOST_VISIBLE], top = -INFINITY, sum = 0;

    assert(visible <= MOST_VISIBLE);
    for (int j = 0; j < visible; j++) {
        score[j] = 0;
        for (int d = 0; d < D; d++)
            score[j] += (double)q[d] * (double)k[j * ldkv + d] / sqrt(D);
        top = fmax(top, score[j]);
    }
    for (int j = 0; j < visible; j++)
        sum += exp(score[j] - top);
    for (int d = 0; d < D; d++) {
        o[d] = 0;
        for (int j = 0; j < visible; j++)
            o[d] += exp(score[j] - top) / sum * (double)v[j * ldkv + d];
    }
}

static void attention_loop(const ol_call *c, double *y)
{
    const int D = c->spec->head_dim, H = c->spec->heads, G = c->spec->kv_heads;
    const ol_rows *r = c->rows;

    for (int b = 0; b < r->B; b++)
        for (int i = r->query_start[b]; i < r->query_start[b + 1]; i++)
            for (int h = 0; h < H; h++) {
                const int key = (r->start[b] * G + h / (H / G)) * D, query = (i * H + h) * D;

                attend(D, r->query_position[i] + 1, G * D, c->x[0].v + query, c->x[1].v + key,
                       c->x[2].v + key, y + query);
            }
}

static void embedding_loop(const ol_call *c, double *y)
{
    for (int i = 0; i < c->n; i++)
        for (int j = 0; j < c->spec->out; j++)
            *y++ = weight(c, 0, c->rows->token[i], j);
}

static void positions_loop(const ol_call *c, double *y)
{
    for (int i = 0; i < c->n; i++)
        for (int j = 0; j < c->spec->out; j++)
            *y++ = weight(c, 0, c->rows->position[i], j);
}

static void pick_loop(const ol_call *c, double *y)
{
    for (int i = 0; i < c->n; i++)
        for (int j = 0; j < c->spec->out; j++)
            *y++ = input(c, 0, row_of(c, i), j);
}

static void cross_entropy_loop(const ol_call *c, double *y)
{
    const int V = c->w[0].rows;

    for (int i = 0; i < c->n; i++) {
        double top = -INFINITY, sum = 0, chosen = 0;

        for (int pass = 0; pass < 2; pass++)
            for (int v = 0; v < V; v++) {
                double z = 0;

                for (int j = 0; j < c->spec->in; j++)
                    z += input(c, 0, i, j) * weight(c, 0, v, j);
                top = fmax(top, z);
                sum += pass == 1 ? exp(z - top) : 0;
                chosen = v == c->rows->token[i] ? z : chosen;
            }
        y[i] = log(sum) + top - chosen;
    }
}

static const struct {
    const ol_operator *op;
    void (*loop)(const ol_call *c, double *y);
} loops[] = {
    {&ol_linear, linear_loop},
    {&ol_conv1d, conv1d_loop},
    {&ol_lowrank, lowrank_loop},
    {&ol_layernorm, layernorm_loop},
    {&ol_rmsnorm, rmsnorm_loop},
    {&ol_gelu, gelu_loop},
    {&ol_swiglu, swiglu_loop},
    {&ol_attention, attention_loop},
    {&ol_embedding, embedding_loop},
    {&ol_positions, positions_loop},
    {&ol_residual, pick_loop},
    {&ol_pick, pick_loop},
    {&cross_entropy, cross_entropy_loop},
};

void plain_forward(const ol_operator *op, const ol_call *c, const double *frequency, double *y)
{
    if (op == &ol_rotary) {
        rotary_loop(c, frequency, y);
        return;
    }
    for (size_t k = 0; k < sizeof loops / sizeof *loops; k++)
        if (loops[k].op == op) {
            loops[k].loop(c, y);
            return;
        }
    fprintf(stderr, "%s has no plain loop\n", op->name);
    abort();
}
