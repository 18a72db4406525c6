/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/optim/adam.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#ifdef OL_F64
#define SQRT sqrt
#else
#define SQRT sqrtf
#endif

/* Elements that are stepped together: their replayed moments stay in the first-level cache, and the
 * powers of a step's constants take no time. */
enum { BLOCK = 1024 };

/* The constants of step t. */
typedef struct step {
    ol_real rate;         /* α c1                          */
    ol_real c2;           /* 1/(1-β2^t)                    */
    ol_real keep;         /* 1 - α w where w falls, else 1 */
    ol_real beta1, rest1; /* β1, 1-β1                      */
    ol_real beta2, rest2; /* β2, 1-β2                      */
    ol_real eps, root;    /* ε, ρ                          */
} step;

static step step_at(const ol_adam_spec *spec, int64_t t, bool decay)
{
    assert(t > 0);
    return (step){.rate = (ol_real)(spec->lr / (1 - pow(spec->beta1, (double)t))),
                  .c2 = (ol_real)(1 / (1 - pow(spec->beta2, (double)t))),
                  .keep = (ol_real)(decay ? 1 - spec->lr * spec->weight_decay : 1),
                  .beta1 = (ol_real)spec->beta1,
                  .rest1 = (ol_real)(1 - spec->beta1),
                  .beta2 = (ol_real)spec->beta2,
                  .rest2 = (ol_real)(1 - spec->beta2),
                  .eps = (ol_real)spec->eps,
                  .root = (ol_real)spec->eps_root};
}

/* What a step starts from; of moments alone x is NULL. */
typedef struct point {
    const ol_real *x, *m, *v;
} point;

/* (1) to (3) for n <= BLOCK elements, from there to x, m and v, which may be the same. The one place
 * that does them, never inlined: steps and replays run the same instructions and agree in every bit. */
__attribute__((noinline)) static void advance(step s, size_t n, const ol_real *g, point from,
                                              ol_real *x, ol_real *m, ol_real *v)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        m[i] = s.beta1 * from.m[i] + s.rest1 * g[i];                                      /* (1) */
        v[i] = s.beta2 * from.v[i] + s.rest2 * g[i] * g[i];                               /* (2) */
        x[i] = s.keep * from.x[i] - s.rate * m[i] / (SQRT(s.c2 * v[i] + s.root) + s.eps); /* (3) */
    }
}

/* (1) and (2) alone. */
__attribute__((noinline)) static void advance_moments(step s, size_t n, const ol_real *g,
                                                      point from, ol_real *m, ol_real *v)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        m[i] = s.beta1 * from.m[i] + s.rest1 * g[i];        /* (1) */
        v[i] = s.beta2 * from.v[i] + s.rest2 * g[i] * g[i]; /* (2) */
    }
}

/* A walk over blocks of at most BLOCK elements that never cross a span. */
typedef struct cursor {
    int span;
    size_t done; /* elements of the span behind it */
    size_t at, n;
    bool decay;
} cursor;

static bool next_block(cursor *c, int n_spans, const ol_span *spans)
{
    while (c->span < n_spans && c->done == spans[c->span].size) {
        c->span++;
        c->done = 0;
    }
    if (c->span == n_spans)
        return false;
    const ol_span *span = &spans[c->span];
    const size_t left = span->size - c->done;

    c->at = span->offset + c->done;
    c->n = left < BLOCK ? left : BLOCK;
    c->decay = span->decay;
    c->done += c->n;
    return true;
}

static size_t blocks_of(const ol_span *span)
{
    return (span->size + BLOCK - 1) / BLOCK;
}

int ol_spans_share(int n_spans, const ol_span *spans, int index, int count, ol_span *out)
{
    size_t blocks = 0, from, to, first = 0;
    int n = 0;

    for (int s = 0; s < n_spans; s++)
        blocks += blocks_of(&spans[s]);
    from = blocks * (size_t)index / (size_t)count;
    to = blocks * ((size_t)index + 1) / (size_t)count;
    for (int s = 0; s < n_spans; s++) {
        const ol_span whole = spans[s]; /* which out may be */
        const size_t last = first + blocks_of(&whole);
        const size_t start = from > first ? BLOCK * (from - first) : 0,
                     end = to >= last   ? whole.size
                           : to > first ? BLOCK * (to - first)
                                        : 0;

        if (from < last && start < end)
            out[n++] = (ol_span){whole.offset + start, end - start, whole.decay};
        first = last;
    }
    return n;
}

void ol_sgd_step(double lr, int n_spans, const ol_span *spans, const ol_real *g, ol_real *x)
{
    for (cursor c = {0}; next_block(&c, n_spans, spans);)
        ol_vector_axpy(c.n, (ol_real)-lr, g + c.at, x + c.at);
}

void ol_adam_step(const ol_adam_spec *spec, int n_spans, const ol_span *spans, int64_t t,
                  const ol_real *g, ol_real *x, ol_real *m, ol_real *v)
{
    const step steps[2] = {step_at(spec, t, false), step_at(spec, t, true)};

    for (cursor c = {0}; next_block(&c, n_spans, spans);)
        advance(steps[c.decay], c.n, g + c.at, (point){x + c.at, m + c.at, v + c.at}, x + c.at,
                m + c.at, v + c.at);
}

static const ol_real zeros[BLOCK];

/* Where the path starts in a block. */
static point start_of(const ol_adam_path *path, const cursor *c)
{
    return (point){path->x0 + c->at, path->m0 ? path->m0 + c->at : zeros,
                   path->v0 ? path->v0 + c->at : zeros};
}

/* x, and m and v in scratch, of one block after k steps of the path; returns where they stand. */
static point replay_block(const ol_adam_path *path, const cursor *c, int k, ol_real *x, ol_real *m,
                          ol_real *v)
{
    point from = start_of(path, c);

    for (int j = 0; j < k; j++) {
        advance(step_at(path->spec, path->t0 + j + 1, c->decay), c->n, path->g[j] + c->at, from, x,
                m, v);
        from = (point){x, m, v};
    }
    return from;
}

void ol_adam_replay(const ol_adam_path *path, int k, ol_real *x)
{
    ol_real m[BLOCK], v[BLOCK];

    for (cursor c = {0}; next_block(&c, path->n_spans, path->spans);) {
        const point end = replay_block(path, &c, k, x + c.at, m, v);

        if (k == 0)
            memcpy(x + c.at, end.x, c.n * sizeof *x);
    }
}

/* (4) to (8) for one block; m and v are those after the step. */
static void adjoint_block(step s, size_t n, const ol_real *m, const ol_real *v, const ol_real *g,
                          ol_real *lx, ol_real *lm, ol_real *lv, ol_real *lg)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const ol_real root = SQRT(s.c2 * v[i] + s.root), below = root + s.eps;
        const ol_real slope = root > 0 ? s.c2 / (2 * root) : 0; /* ds/dv */
        const ol_real share = s.rate * lx[i] / below;

        lm[i] -= share;                                       /* (4) */
        lv[i] += share * (m[i] / below) * slope;              /* (5) */
        lg[i] = s.rest1 * lm[i] + 2 * s.rest2 * g[i] * lv[i]; /* (6) */
        lx[i] *= s.keep;                                      /* (7) */
        lm[i] *= s.beta1;                                     /* (8) */
        lv[i] *= s.beta2;
    }
}

void ol_adam_adjoint(const ol_adam_path *path, int k, ol_real *x, ol_real *lx, ol_real *lm,
                     ol_real *lv, ol_real *lg)
{
    ol_real m[BLOCK], v[BLOCK], own_lm[BLOCK], own_lv[BLOCK];

    for (cursor c = {0}; next_block(&c, path->n_spans, path->spans);) {
        const step s = step_at(path->spec, path->t0 + k + 1, c.decay);

        const point before = replay_block(path, &c, k, k > 0 ? x + c.at : NULL, m, v);

        advance_moments(s, c.n, path->g[k] + c.at, before, m, v);
        if (!lm) {
            memset(own_lm, 0, c.n * sizeof *own_lm);
            memset(own_lv, 0, c.n * sizeof *own_lv);
        }
        adjoint_block(s, c.n, m, v, path->g[k] + c.at, lx + c.at, lm ? lm + c.at : own_lm,
                      lv ? lv + c.at : own_lv, lg + c.at);
    }
}

void ol_adam_decay(const ol_adam_spec *spec, int n_spans, const ol_span *spans, int steps,
                   ol_real *lx)
{
    const double factor = pow(1 - spec->lr * spec->weight_decay, steps);

    if (factor == 1)
        return;
    for (int s = 0; s < n_spans; s++)
        if (spans[s].decay)
            ol_vector_scale(spans[s].size, (ol_real)factor, lx + spans[s].offset);
}
