/* SPDX-License-Identifier: BSD-3-Clause */
#include "deriv.h"

#include <math.h>
#include <string.h>

#include "near.h"
#include "outerloop/kernel/vector.h"
#include "pool.h"

/* An operator's own sums, of up to some 1000 products of size 1, round to within 100 ε; a pass that
 * computes P again from its normaliser is off by a few ε|log-sum-exp|. The sums of an identity are
 * in double: of at most 2e4 products they round to within 1e4 of its ε of their absolute sum. The
 * same sums in another order, or with zeros added, are off by less than 500 ε. */
#define SUM (100 * EPSILON + 1e4 * DBL_EPSILON)
#define AGAIN (500 * EPSILON)

/* Of differences (deriv.h). */
#define DIFFERENCE 1e-9
static const double STEP = 2e-4;

static const ol_pass BOTH = OL_PRIMAL | OL_TANGENT;

/* All vectors of one function. */
typedef struct setting {
    pool pool;
    vectors v;
} setting;

/* Outputs start from 0. Every call makes the same numbers. */
static setting prepare(const flat *f)
{
    setting s = {0};
    pool *p = &s.pool;

    s.v.x = pool_random_dual(p, f->n_in, 1);
    s.v.y_bar = pool_random_dual(p, f->n_out, 3);
    if (f->data)
        ol_vector_zero(f->n_out, s.v.y_bar.dot);
    s.v.y = (ol_dual){pool_take(p, f->n_out), pool_take(p, f->n_out)};
    s.v.x_bar = (ol_dual){pool_take(p, f->n_in), pool_take(p, f->n_in)};
    s.v.state = (ol_dual){pool_take(p, f->n_state), pool_take(p, f->n_state)};
    s.v.scratch = pool_take(p, f->n_scratch);
    ol_vector_zero(f->n_out, s.v.y.v);
    ol_vector_zero(f->n_out, s.v.y.dot);
    ol_vector_zero(f->n_in, s.v.x_bar.v);
    ol_vector_zero(f->n_in, s.v.x_bar.dot);
    return s;
}

/* The outputs of `to` become those of `from`. */
static void copy_outputs(const flat *f, const vectors *from, const vectors *to)
{
    memcpy(to->y.v, from->y.v, f->n_out * sizeof(ol_real));
    memcpy(to->y.dot, from->y.dot, f->n_out * sizeof(ol_real));
    memcpy(to->x_bar.v, from->x_bar.v, f->n_in * sizeof(ol_real));
    memcpy(to->x_bar.dot, from->x_bar.dot, f->n_in * sizeof(ol_real));
}

/* Outputs start from random numbers. */
static setting prepare_started(const flat *f)
{
    setting s = prepare(f);
    pool p = {0};
    const vectors start = {.y = pool_random_dual(&p, f->n_out, 5),
                           .x_bar = pool_random_dual(&p, f->n_in, 7)};

    copy_outputs(f, &start, &s.v);
    pool_finish(&p);
    return s;
}

/* The passes see what is theirs and nothing else; what stood in scratch is lost in between. */
static void forward(const flat *f, ol_pass pass, const vectors *v)
{
    vectors seen = *v;

    poison(f->n_scratch, v->scratch);
    if (!(pass & OL_TANGENT))
        seen.x.dot = seen.y.dot = seen.state.dot = NULL;
    if (!(pass & OL_PRIMAL))
        seen.y.v = NULL;
    f->forward(f, pass, &seen);
}

static void backward(const flat *f, ol_pass pass, const vectors *v)
{
    vectors seen = *v;

    poison(f->n_scratch, v->scratch);
    if (!(pass & OL_TANGENT))
        seen.x.dot = seen.y_bar.dot = seen.x_bar.dot = seen.state.dot = NULL;
    if (!(pass & OL_PRIMAL))
        seen.x_bar.v = NULL;
    f->backward(f, pass, &seen);
}

static void at_once(const flat *f, const vectors *v)
{
    forward(f, BOTH, v);
    backward(f, BOTH, v);
}

/* One pass after the other; when `blind`, what the rest need not read is NaN. */
static void apart(const flat *f, bool blind, const vectors *v)
{
    forward(f, OL_PRIMAL, v);
    if (blind)
        poison(f->part[f->inputs], v->x.v);
    forward(f, OL_TANGENT, v);
    backward(f, OL_PRIMAL, v);
    if (blind)
        poison(f->n_out, v->y_bar.v);
    backward(f, OL_TANGENT, v);
}

/* The larger one; a NaN is larger than all. */
static double worse(double a, double b)
{
    return a >= b || isnan(a) ? a : b;
}

static double relative(size_t n, const ol_real *a, const ol_real *b)
{
    const double size = ol_vector_norm(n, b), distance = ol_vector_distance(n, a, b);

    return size > 0 ? distance / size : distance;
}

static double outputs_apart(const flat *f, const vectors *a, const vectors *b)
{
    const double y = relative(f->n_out, a->y.v, b->y.v);
    const double y_dot = relative(f->n_out, a->y.dot, b->y.dot);
    const double x_bar = relative(f->n_in, a->x_bar.v, b->x_bar.v);
    const double x_bar_dot = relative(f->n_in, a->x_bar.dot, b->x_bar.dot);

    return worse(worse(y, y_dot), worse(x_bar, x_bar_dot));
}

/* y, or x_bar when `adjoint`, at x + t x_dot and y_bar + t y_bar_dot. */
static void evaluate(const flat *f, bool adjoint, double t, ol_real *out)
{
    setting s = prepare(f);

    ol_vector_axpy(f->n_in, (ol_real)t, s.v.x.dot, s.v.x.v);
    ol_vector_axpy(f->n_out, (ol_real)t, s.v.y_bar.dot, s.v.y_bar.v);
    forward(f, OL_PRIMAL, &s.v);
    if (adjoint)
        backward(f, OL_PRIMAL, &s.v);
    memcpy(out, adjoint ? s.v.x_bar.v : s.v.y.v, (adjoint ? f->n_in : f->n_out) * sizeof *out);
    pool_finish(&s.pool);
}

static void difference(const flat *f, bool adjoint, ol_real *out)
{
    static const double places[] = {1, -1, 2, -2}, weights[] = {8, -8, -1, 1};
    const size_t n = adjoint ? f->n_in : f->n_out;
    pool p = {0};
    ol_real *value = pool_take(&p, n);

    ol_vector_zero(n, out);
    for (int i = 0; i < 4; i++) {
        evaluate(f, adjoint, places[i] * STEP, value);
        ol_vector_axpy(n, (ol_real)(weights[i] / (12 * STEP)), value, out);
    }
    pool_finish(&p);
}

static double adjoint_error(const flat *f)
{
    setting s = prepare(f);
    double size = 0;

    forward(f, BOTH, &s.v);
    backward(f, OL_PRIMAL, &s.v);
    for (size_t i = 0; i < f->n_out; i++)
        size += fabs((double)s.v.y_bar.v[i] * (double)s.v.y.dot[i]);
    const double error = fabs(ol_vector_dot(f->n_out, s.v.y_bar.v, s.v.y.dot) -
                              ol_vector_dot(f->n_in, s.v.x_bar.v, s.v.x.dot));

    pool_finish(&s.pool);
    return error / size;
}

static double tangent_error(const flat *f)
{
    setting s = prepare(f);
    ol_real *expected = pool_take(&s.pool, f->n_out);

    forward(f, OL_PRIMAL, &s.v);
    forward(f, OL_TANGENT, &s.v);
    difference(f, false, expected);
    const double error = relative(f->n_out, s.v.y.dot, expected);

    pool_finish(&s.pool);
    return error;
}

static double adjoint_tangent_error(const flat *f)
{
    setting s = prepare(f);
    ol_real *expected = pool_take(&s.pool, f->n_in);

    forward(f, OL_PRIMAL, &s.v);
    forward(f, OL_TANGENT, &s.v);
    backward(f, OL_TANGENT, &s.v);
    difference(f, true, expected);
    const double error = relative(f->n_in, s.v.x_bar.dot, expected);

    pool_finish(&s.pool);
    return error;
}

static double one_pass_error(const flat *f)
{
    setting together = prepare(f), one_by_one = prepare(f);

    at_once(f, &together.v);
    apart(f, false, &one_by_one.v);
    const double error = outputs_apart(f, &together.v, &one_by_one.v);

    pool_finish(&together.pool);
    pool_finish(&one_by_one.pool);
    return error;
}

/* True when a pass that is given all vectors leaves those of the other pass as they were. */
static bool keeps_to_its_half(const flat *f, ol_pass pass, const vectors *v)
{
    const bool dots = pass == OL_PRIMAL;
    ol_real *const others[] = {dots ? v->y.dot : v->y.v, dots ? v->x_bar.dot : v->x_bar.v,
                               dots ? v->state.dot : v->state.v};
    const size_t sizes[] = {f->n_out, f->n_in, f->n_state};
    ol_real *copies[3];
    bool same = true;
    pool p = {0};

    for (int i = 0; i < 3; i++)
        copies[i] = pool_copy(&p, sizes[i], others[i]);
    f->forward(f, pass, v);
    f->backward(f, pass, v);
    for (int i = 0; i < 3; i++)
        same = same && memcmp(copies[i], others[i], sizes[i] * sizeof(ol_real)) == 0;
    pool_finish(&p);
    return same;
}

/* 1 when an input or what is another pass's changed in any bit, or a guard was overrun. */
static double inputs_error(const flat *f)
{
    setting s = prepare(f);
    const size_t sizes[] = {f->n_in, f->n_in, f->n_out, f->n_out, f->n_state, f->n_state};
    ol_real *const inputs[] = {s.v.x.v,       s.v.x.dot,   s.v.y_bar.v,
                               s.v.y_bar.dot, s.v.state.v, s.v.state.dot};
    ol_real *copies[6];
    bool same = true;

    for (int i = 0; i < 4; i++)
        copies[i] = pool_copy(&s.pool, sizes[i], inputs[i]);
    forward(f, BOTH, &s.v);
    for (int i = 4; i < 6; i++)
        copies[i] = pool_copy(&s.pool, sizes[i], inputs[i]);
    backward(f, BOTH, &s.v);
    forward(f, OL_TANGENT, &s.v);
    backward(f, OL_PRIMAL, &s.v);
    backward(f, OL_TANGENT, &s.v);
    same = keeps_to_its_half(f, OL_PRIMAL, &s.v) && keeps_to_its_half(f, OL_TANGENT, &s.v);
    for (int i = 0; i < 6; i++)
        same = same && memcmp(copies[i], inputs[i], sizes[i] * sizeof(ol_real)) == 0;
    return pool_finish(&s.pool) && same ? 0 : 1;
}

static double start_error(element kind, ol_real from_zero, ol_real start, ol_real got)
{
    const double expected = kind == ADDED       ? (double)from_zero + (double)start
                            : kind == UNTOUCHED ? (double)start
                                                : (double)from_zero;

    return fabs((double)got - expected) / (1 + fabs(expected));
}

/* Largest difference between a result that started from `start` and what its kind makes of one
 * that started from 0. */
static double outputs_error(const flat *f)
{
    setting zero = prepare(f), start = prepare_started(f), got = prepare_started(f);
    const vectors *z = &zero.v, *s = &start.v, *g = &got.v;
    double worst = 0;

    at_once(f, z);
    at_once(f, g);
    for (size_t i = 0; i < f->n_out; i++) {
        worst = worse(worst, start_error(f->out_kind, z->y.v[i], s->y.v[i], g->y.v[i]));
        worst = worse(worst, start_error(f->out_kind, z->y.dot[i], s->y.dot[i], g->y.dot[i]));
    }
    for (size_t i = 0; i < f->n_in; i++) {
        const element kind = f->in_kind[i];

        worst = worse(worst, start_error(kind, z->x_bar.v[i], s->x_bar.v[i], g->x_bar.v[i]));
        worst = worse(worst, start_error(kind, z->x_bar.dot[i], s->x_bar.dot[i], g->x_bar.dot[i]));
    }
    pool_finish(&zero.pool);
    pool_finish(&start.pool);
    pool_finish(&got.pool);
    return worst;
}

/* The tangents that will be NULL become zero vectors. */
static void zero_absent(const flat *f, const absence *absent, const vectors *v)
{
    for (int p = 0; p < f->parts; p++)
        if (absent->x_dot >> p & 1)
            ol_vector_zero(f->part[p + 1] - f->part[p], v->x.dot + f->part[p]);
    if (absent->y_bar_dot)
        ol_vector_zero(f->n_out, v->y_bar.dot);
}

/* Of x_bar, or of its tangent: wanted parts are as expected, others as they were. */
static double wanted_error(const flat *f, unsigned absent, const ol_real *start,
                           const ol_real *expected, const ol_real *got)
{
    double worst = 0;

    for (int p = 0; p < f->parts; p++) {
        const size_t at = f->part[p], n = f->part[p + 1] - at;

        if (!(absent >> p & 1))
            worst = worse(worst, relative(n, got + at, expected + at));
        else if (memcmp(start + at, got + at, n * sizeof *got) != 0)
            return INFINITY;
    }
    return worst;
}

/* All combinations of NULL adjoints are tried in f32. The same source in f64, which takes longer, wants
 * of each part either both the adjoint and its tangent, or one of them. */
static bool is_tried(const flat *f, const absence *absent)
{
    const unsigned all = (1u << f->parts) - 1;

    return sizeof(ol_real) == sizeof(float) || absent->x_bar == absent->x_bar_dot ||
           absent->x_bar == (all & ~absent->x_bar_dot);
}

/* With these tangents NULL: y, and x_bar with adjoints NULL in turn, against `expected`. */
static double unwanted_error(const flat *f, absence absent, const vectors *start,
                             const vectors *expected, const vectors *v)
{
    flat g = *f;
    double worst;

    g.absent = absent;
    copy_outputs(f, start, v);
    forward(&g, BOTH, v);
    worst = worse(relative(f->n_out, v->y.v, expected->y.v),
                  relative(f->n_out, v->y.dot, expected->y.dot));
    for (unsigned out = 0; worst <= AGAIN && out < 1u << 2 * f->parts; out++) {
        g.absent.x_bar = out & ((1u << f->parts) - 1);
        g.absent.x_bar_dot = out >> f->parts;
        if (!is_tried(f, &g.absent))
            continue;
        copy_outputs(f, start, v);
        backward(&g, BOTH, v);
        worst = worse(
            worst, wanted_error(f, g.absent.x_bar, start->x_bar.v, expected->x_bar.v, v->x_bar.v));
        worst = worse(worst, wanted_error(f, g.absent.x_bar_dot, start->x_bar.dot,
                                          expected->x_bar.dot, v->x_bar.dot));
    }
    return worst;
}

/* Every combination of NULL tangents with those of NULL adjoints, or up to one that fails. */
static double null_error(const flat *f)
{
    setting start = prepare_started(f), s = prepare(f);
    double worst = 0;

    for (unsigned in = 0; worst <= AGAIN && in < (f->data ? 1u : 2u) << f->parts; in++) {
        const absence absent = {.x_dot = in & ((1u << f->parts) - 1),
                                .y_bar_dot = in >> f->parts & 1};
        setting zero = prepare_started(f);

        zero_absent(f, &absent, &zero.v);
        at_once(f, &zero.v);
        worst = worse(worst, unwanted_error(f, absent, &start.v, &zero.v, &s.v));
        pool_finish(&zero.pool);
    }
    pool_finish(&start.pool);
    return pool_finish(&s.pool) ? worst : INFINITY;
}

static double unread_error(const flat *f)
{
    const unsigned weights = (1u << f->parts) - (1u << f->inputs);
    setting full = prepare(f), blind = prepare(f);
    flat frozen = *f;
    double error = 0;

    frozen.absent = (absence){.x_dot = weights, .x_bar = weights, .x_bar_dot = weights};
    if (!f->bends) {
        apart(&frozen, false, &full.v);
        apart(&frozen, true, &blind.v);
        error = outputs_apart(f, &blind.v, &full.v);
    }
    pool_finish(&full.pool);
    pool_finish(&blind.pool);
    return error;
}

const deriv_check deriv_checks[DERIV_CHECKS] = {
    [DERIV_ADJOINT] = {"adjoint identity", adjoint_error, SUM},
    [DERIV_TANGENT] = {"tangent against differences", tangent_error, DIFFERENCE},
    [DERIV_ADJOINT_TANGENT] = {"tangent of the adjoint against differences", adjoint_tangent_error,
                               DIFFERENCE},
    [DERIV_ONE_PASS] = {"one pass equals two", one_pass_error, AGAIN},
    [DERIV_INPUTS] = {"inputs and other passes' outputs are never written", inputs_error, 0},
    [DERIV_OUTPUTS] = {"outputs added to, overwritten or left alone", outputs_error, AGAIN},
    [DERIV_NULL] = {"NULL is zero and not wanted", null_error, AGAIN},
    [DERIV_UNREAD] = {"what frozen weights leave unread", unread_error, 0},
};

bool deriv_has(int check)
{
    return sizeof(ol_real) == sizeof(double) ||
           (check != DERIV_TANGENT && check != DERIV_ADJOINT_TANGENT);
}

bool deriv_passes(const flat *f, int check, double *error)
{
    *error = deriv_checks[check].error(f);
    return *error <= deriv_checks[check].tolerance;
}
