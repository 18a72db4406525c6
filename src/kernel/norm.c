/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/norm.h"

#include <math.h>
#include <string.h>

/* Both norms are one code: `centred` is a constant where these are inlined. */
#define INLINE static inline __attribute__((always_inline))

/* One piece. A vector that is zero is a row of zeros; an adjoint that is not wanted is NULL. */
typedef struct piece {
    int C;
    const ol_real *x, *x_dot;         /* [C]                        */
    const ol_real *y_bar, *y_bar_dot; /* [C]                        */
    const ol_real *g, *g_dot;         /* [C]                        */
    const ol_real *b, *b_dot;         /* [C]                        */
    ol_real mu, r;
    ol_real *hat_dot, *h; /* [C] scratch                            */
    ol_real keep;         /* 0: x_bar is overwritten, 1: added to   */
} piece;

static ol_real mean(int C, const ol_real *x)
{
    ol_real sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < C; j++)
        sum += x[j];
    return sum / (ol_real)C;
}

/* ⟨x̂ y⟩ without storing x̂. */
static ol_real mean_hat(const piece *p, const ol_real *y)
{
    const ol_real *x = p->x, mu = p->mu;
    ol_real sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < p->C; j++)
        sum += (x[j] - mu) * y[j];
    return p->r * sum / (ol_real)p->C;
}

/* (1); statistics are mu and r. */
INLINE void value(bool centred, const piece *p, double eps, ol_real *statistics, ol_real *y)
{
    const ol_real mu = centred ? mean(p->C, p->x) : 0;
    ol_real square = 0;

#pragma omp simd reduction(+ : square)
    for (int j = 0; j < p->C; j++)
        square += (p->x[j] - mu) * (p->x[j] - mu);
    const ol_real r = (ol_real)(1.0 / sqrt((double)square / p->C + eps));

    for (int j = 0; j < p->C; j++)
        y[j] = (p->x[j] - mu) * r * p->g[j] + (centred ? p->b[j] : 0);
    statistics[0] = mu;
    statistics[1] = r;
}

/* (3). */
INLINE void tangent(bool centred, const piece *p, ol_real *y_dot)
{
    const ol_real mean_dot = centred ? mean(p->C, p->x_dot) : 0;
    const ol_real along = mean_hat(p, p->x_dot); /* ⟨x̂ R{x}⟩ */
    const ol_real mu = p->mu, r = p->r;

    for (int j = 0; j < p->C; j++) {
        const ol_real hat = (p->x[j] - mu) * r;
        const ol_real hat_dot = r * (p->x_dot[j] - mean_dot - hat * along);

        y_dot[j] = hat_dot * p->g[j] + hat * p->g_dot[j] + (centred ? p->b_dot[j] : 0);
    }
}

/* (2). */
INLINE void adjoint(bool centred, const piece *p, ol_real *x_bar, ol_real *g_bar, ol_real *b_bar)
{
    const ol_real mu = p->mu, r = p->r, keep = p->keep;
    ol_real *h = p->h;

    if (x_bar) {
        for (int j = 0; j < p->C; j++)
            h[j] = p->y_bar[j] * p->g[j];
        const ol_real mean_h = centred ? mean(p->C, h) : 0;
        const ol_real along = mean_hat(p, h); /* ⟨h x̂⟩ */

        if (keep == 0)
            memset(x_bar, 0, (size_t)p->C * sizeof *x_bar);
        for (int j = 0; j < p->C; j++)
            x_bar[j] += r * (h[j] - mean_h - (p->x[j] - mu) * r * along);
    }
    for (int j = 0; g_bar && j < p->C; j++)
        g_bar[j] += p->y_bar[j] * (p->x[j] - mu) * r;
    for (int j = 0; b_bar && j < p->C; j++)
        b_bar[j] += p->y_bar[j];
}

/* R{x_bar} of (4); leaves R{x̂} in hat_dot. */
INLINE void adjoint_tangent(bool centred, const piece *p, ol_real *x_bar_dot)
{
    const ol_real mu = p->mu, r = p->r, C = (ol_real)p->C;
    const ol_real mean_x_dot = centred ? mean(p->C, p->x_dot) : 0;
    const ol_real x_along = mean_hat(p, p->x_dot), r_dot = -r * r * x_along;
    ol_real *hat_dot = p->hat_dot, *h_dot = p->h;
    ol_real mean_h = 0, mean_h_dot = 0, along = 0, along_dot = 0;

#pragma omp simd reduction(+ : mean_h, mean_h_dot, along, along_dot)
    for (int j = 0; j < p->C; j++) {
        const ol_real hat = (p->x[j] - mu) * r, h = p->y_bar[j] * p->g[j];

        hat_dot[j] = r * (p->x_dot[j] - mean_x_dot - hat * x_along);
        h_dot[j] = p->y_bar_dot[j] * p->g[j] + p->y_bar[j] * p->g_dot[j];
        mean_h += h;
        mean_h_dot += h_dot[j];
        along += h * hat;
        along_dot += h_dot[j] * hat + h * hat_dot[j];
    }
    if (!x_bar_dot)
        return;
    mean_h = centred ? mean_h / C : 0;
    mean_h_dot = centred ? mean_h_dot / C : 0;
    along /= C;
    along_dot /= C;
    if (p->keep == 0)
        memset(x_bar_dot, 0, (size_t)p->C * sizeof *x_bar_dot);
    for (int j = 0; j < p->C; j++) {
        const ol_real hat = (p->x[j] - mu) * r;
        const ol_real a = p->y_bar[j] * p->g[j] - mean_h - hat * along;
        const ol_real a_dot = h_dot[j] - mean_h_dot - hat_dot[j] * along - hat * along_dot;

        x_bar_dot[j] += r_dot * a + r * a_dot;
    }
}

/* R{g_bar} and R{b_bar} of (4), after the function above. */
static void weight_tangents(const piece *p, ol_real *g_bar_dot, ol_real *b_bar_dot)
{
    for (int j = 0; g_bar_dot && j < p->C; j++)
        g_bar_dot[j] += p->y_bar_dot[j] * (p->x[j] - p->mu) * p->r + p->y_bar[j] * p->hat_dot[j];
    for (int j = 0; b_bar_dot && j < p->C; j++)
        b_bar_dot[j] += p->y_bar_dot[j];
}

/* Scratch is three rows: zeros, R{x̂}, h. */
static piece piece_of(const ol_call *c, int C)
{
    ol_real *zeros = c->scratch;

    memset(zeros, 0, (size_t)C * sizeof *zeros);
    return (piece){.C = C,
                   .x_dot = zeros,
                   .y_bar = zeros,
                   .y_bar_dot = zeros,
                   .g = c->w[0].at.v,
                   .g_dot = c->w[0].at.dot ? c->w[0].at.dot : zeros,
                   .b = c->w[1].at.v,
                   .b_dot = c->w[1].at.dot ? c->w[1].at.dot : zeros,
                   .hat_dot = zeros + C,
                   .h = zeros + 2 * C,
                   .keep = ol_call_keep(c, 0)};
}

static int pieces(const ol_op_spec *spec)
{
    return spec->heads > 1 ? spec->heads : 1;
}

static const ol_real *or_zeros(const ol_real *x, size_t at, const ol_real *zeros)
{
    return x ? x + at : zeros;
}

INLINE void forward(bool centred, ol_pass pass, const ol_call *c)
{
    const int parts = pieces(c->spec), C = c->spec->in / parts;
    const ol_real *zeros = c->scratch;
    piece p = piece_of(c, C);

    for (int i = 0; i < c->n * parts; i++) {
        const size_t at = (size_t)i * (size_t)C;
        ol_real *statistics = c->state.v + 2 * (size_t)i;

        p.x = c->x[0].v + at;
        if (pass & OL_PRIMAL)
            value(centred, &p, c->spec->eps, statistics, c->y.v + at);
        if (pass & OL_TANGENT) {
            p.x_dot = or_zeros(c->x[0].dot, at, zeros);
            p.mu = statistics[0];
            p.r = statistics[1];
            tangent(centred, &p, c->y.dot + at);
        }
    }
}

INLINE void backward(bool centred, ol_pass pass, const ol_call *c)
{
    const int parts = pieces(c->spec), C = c->spec->in / parts;
    const ol_real *zeros = c->scratch;
    piece p = piece_of(c, C);

    for (int i = 0; i < c->n * parts; i++) {
        const size_t at = (size_t)i * (size_t)C;

        p.x = c->x[0].v + at;
        p.y_bar = c->y_bar.v + at;
        p.mu = c->state.v[2 * i];
        p.r = c->state.v[2 * i + 1];
        if (pass & OL_PRIMAL)
            adjoint(centred, &p, ol_dual_at(c->x_bar[0], at).v, c->w_bar[0].v, c->w_bar[1].v);
        if (pass & OL_TANGENT) {
            p.x_dot = or_zeros(c->x[0].dot, at, zeros);
            p.y_bar_dot = or_zeros(c->y_bar.dot, at, zeros);
            adjoint_tangent(centred, &p, ol_dual_at(c->x_bar[0], at).dot);
            weight_tangents(&p, c->w_bar[0].dot, c->w_bar[1].dot);
        }
    }
}

static void layernorm_forward(ol_pass pass, const ol_call *call)
{
    forward(true, pass, call);
}

static void layernorm_backward(ol_pass pass, const ol_call *call)
{
    backward(true, pass, call);
}

static void rmsnorm_forward(ol_pass pass, const ol_call *call)
{
    forward(false, pass, call);
}

static void rmsnorm_backward(ol_pass pass, const ol_call *call)
{
    backward(false, pass, call);
}

static int state(const ol_op_spec *spec)
{
    return 2 * pieces(spec);
}

static size_t scratch(const ol_op_spec *spec, int longest)
{
    (void)longest;
    return 3 * (size_t)spec->in;
}

const ol_operator ol_layernorm = {.name = "layernorm",
                                  .inputs = 1,
                                  .flags = OL_BENDS | OL_CHEAP,
                                  .forward = layernorm_forward,
                                  .backward = layernorm_backward,
                                  .state = state,
                                  .scratch = scratch};

const ol_operator ol_rmsnorm = {.name = "rmsnorm",
                                .inputs = 1,
                                .flags = OL_BENDS | OL_CHEAP,
                                .forward = rmsnorm_forward,
                                .backward = rmsnorm_backward,
                                .state = state,
                                .scratch = scratch};
