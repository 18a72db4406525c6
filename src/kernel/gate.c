/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/gate.h"

#include "outerloop/kernel/vmath.h" /* ol_vmath_exp */

/* 2a, c and u' of gate.h */
#define GELU_2A ((ol_real)1.5957691216057308)
#define GELU_C ((ol_real)0.044715)
#define GELU_U1(x) (GELU_2A * (1 + 3 * GELU_C * (x) * (x)))

enum { BLOCK = 512 }; /* elements whose slopes are there at one time */

/* Value, first and second derivative of the nonlinearity at the elements of a block. */
typedef struct slopes {
    ol_real f[BLOCK], d[BLOCK], dd[BLOCK];
} slopes;

static const ol_real zeros[BLOCK];

/* e = e^-u, of which all the rest is made: σ = 1/(1+e). */
static void gelu_exp(size_t n, const ol_real *x, ol_real *e)
{
    for (size_t i = 0; i < n; i++)
        e[i] = -GELU_2A * (x[i] + GELU_C * x[i] * x[i] * x[i]);
    ol_vmath_exp(n, e, e);
}

/* First derivatives, and the second where dd is not NULL. */
static void gelu_slopes(size_t n, const ol_real *x, const ol_real *e, ol_real *d, ol_real *dd)
{
    for (size_t i = 0; i < n; i++) {
        const ol_real sigma = 1 / (1 + e[i]);

        d[i] = sigma + x[i] * sigma * (1 - sigma) * GELU_U1(x[i]);
    }
    for (size_t i = 0; i < n && dd; i++) {
        const ol_real sigma = 1 / (1 + e[i]), u1 = GELU_U1(x[i]), u2 = 6 * GELU_2A * GELU_C * x[i];

        dd[i] = sigma * (1 - sigma) * (2 * u1 + x[i] * (u2 + (1 - 2 * sigma) * u1 * u1));
    }
}

/* Value, and first derivative with `order` 1, and second with 2: a constant where this is inlined. */
static inline __attribute__((always_inline)) void silu_slopes(int order, size_t n, const ol_real *g,
                                                              slopes *s)
{
    ol_real *e = s->f;

    for (size_t i = 0; i < n; i++)
        e[i] = -g[i];
    ol_vmath_exp(n, e, e);
    for (size_t i = 0; i < n; i++) {
        const ol_real sigma = 1 / (1 + e[i]), rest = 1 - sigma;

        s->f[i] = g[i] * sigma;
        if (order > 0)
            s->d[i] = sigma * (1 + g[i] * rest);
        if (order > 1)
            s->dd[i] = sigma * rest * (2 + g[i] * (1 - 2 * sigma));
    }
}

/* The duals of a call from element `at` on; a tangent that is zero is zeros. */
typedef struct piece {
    size_t n;
    ol_dual x[2], y, x_bar[2], y_bar;
    ol_real keep[2]; /* 0: x_bar is overwritten, 1: added to */
} piece;

static const ol_real *or_zeros(const ol_real *x)
{
    return x ? x : zeros;
}

static piece piece_of(const ol_call *c, size_t at, size_t all)
{
    piece p = {.n = all - at < BLOCK ? all - at : BLOCK,
               .y = ol_dual_at(c->y, at),
               .y_bar = ol_dual_at(c->y_bar, at)};

    for (int i = 0; i < 2; i++) {
        p.x[i] = ol_dual_at(c->x[i], at);
        p.x_bar[i] = ol_dual_at(c->x_bar[i], at);
        p.keep[i] = ol_call_keep(c, i);
    }
    return p;
}

static size_t elements(const ol_call *c)
{
    return (size_t)c->n * (size_t)c->spec->out;
}

/* out is overwritten or added to by x. */
#define PUT(keep, out, x)                                                                          \
    do {                                                                                           \
        if ((keep) == 0)                                                                           \
            for (size_t i = 0; i < n; i++)                                                         \
                (out)[i] = (x);                                                                    \
        else                                                                                       \
            for (size_t i = 0; i < n; i++)                                                         \
                (out)[i] += (x);                                                                   \
    } while (0)

static void gelu_forward(ol_pass pass, const ol_call *c)
{
    slopes s;

    for (size_t at = 0; at < elements(c); at += BLOCK) {
        const piece p = piece_of(c, at, elements(c));
        const size_t n = p.n;

        gelu_exp(n, p.x[0].v, s.f);
        if (pass & OL_PRIMAL)
            PUT(0, p.y.v, p.x[0].v[i] / (1 + s.f[i])); /* (1) */
        if (pass & OL_TANGENT) {
            const ol_real *x_dot = or_zeros(p.x[0].dot);

            gelu_slopes(n, p.x[0].v, s.f, s.d, NULL);
            PUT(0, p.y.dot, s.d[i] * x_dot[i]); /* (3) */
        }
    }
}

static void gelu_backward(ol_pass pass, const ol_call *c)
{
    slopes s;

    for (size_t at = 0; at < elements(c); at += BLOCK) {
        const piece p = piece_of(c, at, elements(c));
        const size_t n = p.n;

        gelu_exp(n, p.x[0].v, s.f);
        gelu_slopes(n, p.x[0].v, s.f, s.d, pass & OL_TANGENT ? s.dd : NULL);
        if ((pass & OL_PRIMAL) && p.x_bar[0].v)
            PUT(p.keep[0], p.x_bar[0].v, p.y_bar.v[i] * s.d[i]); /* (2) */
        if ((pass & OL_TANGENT) && p.x_bar[0].dot) {
            const ol_real *x_dot = or_zeros(p.x[0].dot), *y_bar_dot = or_zeros(p.y_bar.dot);

            PUT(p.keep[0], p.x_bar[0].dot,
                y_bar_dot[i] * s.d[i] + p.y_bar.v[i] * s.dd[i] * x_dot[i]); /* (4) */
        }
    }
}

static void swiglu_forward(ol_pass pass, const ol_call *c)
{
    slopes s;

    for (size_t at = 0; at < elements(c); at += BLOCK) {
        const piece p = piece_of(c, at, elements(c));
        const size_t n = p.n;
        const ol_real *up = p.x[1].v;

        if (pass & OL_TANGENT)
            silu_slopes(1, n, p.x[0].v, &s);
        else
            silu_slopes(0, n, p.x[0].v, &s);
        if (pass & OL_PRIMAL)
            PUT(0, p.y.v, s.f[i] * up[i]); /* (5) */
        if (pass & OL_TANGENT) {
            const ol_real *g_dot = or_zeros(p.x[0].dot), *u_dot = or_zeros(p.x[1].dot);

            PUT(0, p.y.dot, s.d[i] * g_dot[i] * up[i] + s.f[i] * u_dot[i]); /* (7) */
        }
    }
}

static void swiglu_tangents(const piece *p, const slopes *s)
{
    const size_t n = p->n;
    const ol_real *g_dot = or_zeros(p->x[0].dot), *u_dot = or_zeros(p->x[1].dot);
    const ol_real *y_bar = p->y_bar.v, *y_bar_dot = or_zeros(p->y_bar.dot), *up = p->x[1].v;

    if (p->x_bar[0].dot)
        PUT(p->keep[0], p->x_bar[0].dot,
            y_bar_dot[i] * up[i] * s->d[i] +
                y_bar[i] * (u_dot[i] * s->d[i] + up[i] * s->dd[i] * g_dot[i])); /* (8) */
    if (p->x_bar[1].dot)
        PUT(p->keep[1], p->x_bar[1].dot, y_bar_dot[i] * s->f[i] + y_bar[i] * s->d[i] * g_dot[i]);
}

static void swiglu_backward(ol_pass pass, const ol_call *c)
{
    slopes s;

    for (size_t at = 0; at < elements(c); at += BLOCK) {
        const piece p = piece_of(c, at, elements(c));
        const size_t n = p.n;

        if (pass & OL_TANGENT)
            silu_slopes(2, n, p.x[0].v, &s);
        else
            silu_slopes(1, n, p.x[0].v, &s);
        if ((pass & OL_PRIMAL) && p.x_bar[0].v)
            PUT(p.keep[0], p.x_bar[0].v, p.y_bar.v[i] * p.x[1].v[i] * s.d[i]); /* (6) */
        if ((pass & OL_PRIMAL) && p.x_bar[1].v)
            PUT(p.keep[1], p.x_bar[1].v, p.y_bar.v[i] * s.f[i]);
        if (pass & OL_TANGENT)
            swiglu_tangents(&p, &s);
    }
}

const ol_operator ol_gelu = {.name = "gelu",
                             .inputs = 1,
                             .flags = OL_BENDS | OL_CHEAP,
                             .forward = gelu_forward,
                             .backward = gelu_backward};

const ol_operator ol_swiglu = {.name = "swiglu",
                               .inputs = 2,
                               .flags = OL_BENDS | OL_CHEAP,
                               .forward = swiglu_forward,
                               .backward = swiglu_backward};
