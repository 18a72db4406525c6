/* SPDX-License-Identifier: BSD-3-Clause */
#include "deriv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/rng.h"
#include "outerloop/kernel/vector.h"

enum { GUARD = 32, MOST_BLOCKS = 32 };

static const double STEP = 2e-4;
static const double BEYOND = -7.25e77; /* what stands before and after every block */

/* Blocks of reals with guards at both ends. */
typedef struct pool {
    ol_real *block[MOST_BLOCKS];
    size_t size[MOST_BLOCKS];
    int n;
} pool;

/* n reals that read as NaN. */
static ol_real *take(pool *p, size_t n)
{
    ol_real *block = malloc((n + 2 * GUARD) * sizeof *block);

    if (!block || p->n == MOST_BLOCKS)
        abort();
    for (size_t i = 0; i < n + 2 * GUARD; i++)
        block[i] = i < GUARD || i >= n + GUARD ? BEYOND : NAN;
    p->block[p->n] = block;
    p->size[p->n++] = n;
    return block + GUARD;
}

/* Free the blocks; false when something was written beyond one of them. */
static bool finish(pool *p)
{
    bool whole = true;

    for (int b = 0; b < p->n; b++) {
        for (size_t i = 0; i < GUARD; i++)
            whole =
                whole && p->block[b][i] == BEYOND && p->block[b][p->size[b] + GUARD + i] == BEYOND;
        free(p->block[b]);
    }
    p->n = 0;
    return whole;
}

static ol_real *take_random(pool *p, size_t n, uint32_t stream)
{
    ol_rng rng = ol_rng_stream(11, OL_RNG_TEST, stream, 0);
    ol_real *x = take(p, n);

    for (size_t i = 0; i < n; i++)
        x[i] = ol_rng_normal(&rng);
    return x;
}

static ol_real *take_zero(pool *p, size_t n)
{
    ol_real *x = take(p, n);

    ol_vector_zero(n, x);
    return x;
}

static ol_real *take_copy(pool *p, size_t n, const ol_real *from)
{
    ol_real *x = take(p, n);

    memcpy(x, from, n * sizeof *x);
    return x;
}

/* All vectors of one operator. Outputs start from 0, so that gaps between rows stay 0. */
typedef struct setting {
    pool pool;
    ol_dual x, y, y_bar, x_bar;
    ol_real *state;
} setting;

static setting prepare(const operator* op)
{
    setting s = {0};

    s.x.v = take_random(&s.pool, op->n_in, 1);
    s.x.dot = take_random(&s.pool, op->n_in, 2);
    s.y_bar.v = take_random(&s.pool, op->n_out, 3);
    s.y_bar.dot = take_random(&s.pool, op->n_out, 4);
    for (size_t i = 0; i < op->n_out; i++)
        if (op->out_kind[i] == UNTOUCHED)
            s.y_bar.v[i] = s.y_bar.dot[i] = 0;
    if (op->no_value_tangent)
        ol_vector_zero(op->n_out, s.y_bar.dot);
    s.y = (ol_dual){take_zero(&s.pool, op->n_out), take_zero(&s.pool, op->n_out)};
    s.x_bar = (ol_dual){take_zero(&s.pool, op->n_in), take_zero(&s.pool, op->n_in)};
    s.state = take(&s.pool, op->n_state);
    return s;
}

static ol_dual value_of(ol_dual x)
{
    return (ol_dual){x.v, NULL};
}

static ol_dual tangent_of(ol_dual x)
{
    return (ol_dual){NULL, x.dot};
}

static double relative(size_t n, const ol_real *a, const ol_real *b)
{
    const double size = ol_vector_norm(n, b), distance = ol_vector_distance(n, a, b);

    return size > 0 ? distance / size : distance;
}

/* y, or x_bar when `adjoint`, at x + t x_dot and y_bar + t y_bar_dot. */
static void evaluate(const operator* op, const setting *at, bool adjoint, double t, ol_real *out)
{
    pool p = {0};
    const ol_dual x = {take_copy(&p, op->n_in, at->x.v), NULL};
    const ol_dual y_bar = {take_copy(&p, op->n_out, at->y_bar.v), NULL};
    const ol_dual y = {take_zero(&p, op->n_out), NULL}, x_bar = {take_zero(&p, op->n_in), NULL};
    ol_real *state = take(&p, op->n_state);

    ol_vector_axpy(op->n_in, t, at->x.dot, x.v);
    ol_vector_axpy(op->n_out, t, at->y_bar.dot, y_bar.v);
    op->forward(op, OL_PRIMAL, x, state, y);
    if (adjoint)
        op->backward(op, OL_PRIMAL, x, state, y_bar, x_bar);
    memcpy(out, adjoint ? x_bar.v : y.v, (adjoint ? op->n_in : op->n_out) * sizeof *out);
    finish(&p);
}

static void difference(const operator* op, const setting *at, bool adjoint, ol_real *out)
{
    static const double places[] = {1, -1, 2, -2}, weights[] = {8, -8, -1, 1};
    const size_t n = adjoint ? op->n_in : op->n_out;
    pool p = {0};
    ol_real *f = take(&p, n);

    ol_vector_zero(n, out);
    for (int i = 0; i < 4; i++) {
        evaluate(op, at, adjoint, places[i] * STEP, f);
        ol_vector_axpy(n, weights[i] / (12 * STEP), f, out);
    }
    finish(&p);
}

static double adjoint_error(const operator* op)
{
    setting s = prepare(op);
    double size = 0;

    op->forward(op, OL_PRIMAL, value_of(s.x), s.state, value_of(s.y));
    op->backward(op, OL_PRIMAL, value_of(s.x), s.state, value_of(s.y_bar), value_of(s.x_bar));
    if (op->no_value_tangent)
        difference(op, &s, false, s.y.dot);
    else
        op->forward(op, OL_TANGENT, s.x, s.state, s.y);
    for (size_t i = 0; i < op->n_out; i++)
        size += fabs(s.y_bar.v[i] * s.y.dot[i]);
    const double error = fabs(ol_vector_dot(op->n_out, s.y_bar.v, s.y.dot) -
                              ol_vector_dot(op->n_in, s.x_bar.v, s.x.dot));

    finish(&s.pool);
    return error / size;
}

static double tangent_error(const operator* op)
{
    setting s = prepare(op);
    ol_real *expected = take(&s.pool, op->n_out);
    double error = 0;

    if (!op->no_value_tangent) {
        op->forward(op, OL_PRIMAL, value_of(s.x), s.state, value_of(s.y));
        op->forward(op, OL_TANGENT, s.x, s.state, tangent_of(s.y));
        difference(op, &s, false, expected);
        error = relative(op->n_out, s.y.dot, expected);
    }
    finish(&s.pool);
    return error;
}

static double adjoint_tangent_error(const operator* op)
{
    setting s = prepare(op);
    ol_real *expected = take(&s.pool, op->n_in);

    op->forward(op, OL_PRIMAL, value_of(s.x), s.state, value_of(s.y));
    op->backward(op, OL_TANGENT, s.x, s.state, s.y_bar, tangent_of(s.x_bar));
    difference(op, &s, true, expected);
    const double error = relative(op->n_in, s.x_bar.dot, expected);

    finish(&s.pool);
    return error;
}

/* Every output of the passes, at once or one after the other, into out [2 n_out + 2 n_in]. */
static void all_outputs(const operator* op, bool at_once, ol_real *out)
{
    setting s = prepare(op);
    const ol_pass both = OL_PRIMAL | OL_TANGENT;
    const ol_pass forward = op->no_value_tangent ? (ol_pass)OL_PRIMAL : both;

    if (at_once) {
        op->forward(op, forward, s.x, s.state, s.y);
        op->backward(op, both, s.x, s.state, s.y_bar, s.x_bar);
    } else {
        op->forward(op, OL_PRIMAL, value_of(s.x), s.state, value_of(s.y));
        if (!op->no_value_tangent)
            op->forward(op, OL_TANGENT, s.x, s.state, tangent_of(s.y));
        op->backward(op, OL_PRIMAL, value_of(s.x), s.state, value_of(s.y_bar), value_of(s.x_bar));
        op->backward(op, OL_TANGENT, s.x, s.state, s.y_bar, tangent_of(s.x_bar));
    }
    memcpy(out, s.y.v, op->n_out * sizeof *out);
    memcpy(out + op->n_out, s.y.dot, op->n_out * sizeof *out);
    memcpy(out + 2 * op->n_out, s.x_bar.v, op->n_in * sizeof *out);
    memcpy(out + 2 * op->n_out + op->n_in, s.x_bar.dot, op->n_in * sizeof *out);
    finish(&s.pool);
}

static double one_pass_error(const operator* op)
{
    const size_t n = 2 * (op->n_out + op->n_in);
    pool p = {0};
    ol_real *together = take(&p, n), *apart = take(&p, n);

    all_outputs(op, true, together);
    all_outputs(op, false, apart);
    const double error = relative(n, together, apart);

    finish(&p);
    return error;
}

/* 1 when an input changed in any bit or a guard was overrun. */
static double inputs_error(const operator* op)
{
    setting s = prepare(op);
    const ol_pass both = OL_PRIMAL | OL_TANGENT;
    ol_real *const inputs[] = {s.x.v, s.x.dot, s.y_bar.v, s.y_bar.dot};
    const size_t sizes[] = {op->n_in, op->n_in, op->n_out, op->n_out};
    ol_real *copies[4], *state;
    bool same = true;

    for (int i = 0; i < 4; i++)
        copies[i] = take_copy(&s.pool, sizes[i], inputs[i]);
    op->forward(op, op->no_value_tangent ? (ol_pass)OL_PRIMAL : both, s.x, s.state, s.y);
    state = take_copy(&s.pool, op->n_state, s.state);
    op->backward(op, both, s.x, s.state, s.y_bar, s.x_bar);
    if (!op->no_value_tangent)
        op->forward(op, OL_TANGENT, s.x, s.state, s.y);
    op->backward(op, OL_TANGENT, s.x, s.state, s.y_bar, s.x_bar);
    for (int i = 0; i < 4; i++)
        same = same && memcmp(copies[i], inputs[i], sizes[i] * sizeof *state) == 0;
    same = same && memcmp(state, s.state, op->n_state * sizeof *state) == 0;
    return finish(&s.pool) && same ? 0 : 1;
}

/* Largest difference between a result that started from `start` and what its kind makes of one
 * that started from 0. */
static double start_error(size_t n, const element *kind, const ol_real *from_zero,
                          const ol_real *start, const ol_real *got)
{
    double worst = 0;

    for (size_t i = 0; i < n; i++) {
        const double expected = kind[i] == ADDED       ? from_zero[i] + start[i]
                                : kind[i] == UNTOUCHED ? start[i]
                                                       : from_zero[i];
        const double error = fabs(got[i] - expected) / (1 + fabs(expected));

        if (isnan(error))
            return INFINITY;
        worst = fmax(worst, error);
    }
    return worst;
}

static double outputs_error(const operator* op)
{
    const ol_pass both = OL_PRIMAL | OL_TANGENT;
    const ol_pass forward = op->no_value_tangent ? (ol_pass)OL_PRIMAL : both;
    setting zero = prepare(op), other = prepare(op);
    pool p = {0};
    const ol_real *y = take_random(&p, op->n_out, 5), *y_dot = take_random(&p, op->n_out, 6);
    const ol_real *x = take_random(&p, op->n_in, 7), *x_dot = take_random(&p, op->n_in, 8);
    double e[4];

    memcpy(other.y.v, y, op->n_out * sizeof *y);
    memcpy(other.y.dot, op->no_value_tangent ? zero.y.dot : y_dot, op->n_out * sizeof *y);
    memcpy(other.x_bar.v, x, op->n_in * sizeof *x);
    memcpy(other.x_bar.dot, x_dot, op->n_in * sizeof *x);
    op->forward(op, forward, zero.x, zero.state, zero.y);
    op->backward(op, both, zero.x, zero.state, zero.y_bar, zero.x_bar);
    op->forward(op, forward, other.x, other.state, other.y);
    op->backward(op, both, other.x, other.state, other.y_bar, other.x_bar);
    e[0] = start_error(op->n_out, op->out_kind, zero.y.v, y, other.y.v);
    e[1] = op->no_value_tangent
               ? 0
               : start_error(op->n_out, op->out_kind, zero.y.dot, y_dot, other.y.dot);
    e[2] = start_error(op->n_in, op->in_kind, zero.x_bar.v, x, other.x_bar.v);
    e[3] = start_error(op->n_in, op->in_kind, zero.x_bar.dot, x_dot, other.x_bar.dot);
    finish(&zero.pool);
    finish(&other.pool);
    finish(&p);
    return fmax(fmax(e[0], e[1]), fmax(e[2], e[3]));
}

/* As a Hessian-vector product walks: both passes, without adjoints of the parameters. */
static double muted_error(const operator* op)
{
    const size_t n = op->params_at, rest = op->n_in - n;
    const ol_pass both = OL_PRIMAL | OL_TANGENT;
    operator muted = * op;
    setting full = prepare(op), s = prepare(op);
    double error;

    muted.mute_params = true;
    op->forward(op, OL_PRIMAL, full.x, full.state, full.y);
    op->backward(op, both, full.x, full.state, full.y_bar, full.x_bar);
    muted.forward(&muted, OL_PRIMAL, s.x, s.state, s.y);
    muted.backward(&muted, both, s.x, s.state, s.y_bar, s.x_bar);
    error = memcmp(full.x_bar.v, s.x_bar.v, n * sizeof *s.x.v) != 0 ||
            memcmp(full.x_bar.dot, s.x_bar.dot, op->n_in * sizeof *s.x.v) != 0;
    if (ol_vector_norm(rest, s.x_bar.v + n) > 0)
        error = 2;
    finish(&full.pool);
    return finish(&s.pool) ? error : 3;
}

/* Sums of at most 2e4 products of size 1 round to within 2e4 ε/2 = 2e-12 of their absolute sum; a
 * pass that computes P again from its normaliser is off by a few ε|log-sum-exp|. */
const deriv_check deriv_checks[DERIV_CHECKS] = {
    [DERIV_ADJOINT] = {"adjoint identity", adjoint_error, 2e-12},
    [DERIV_TANGENT] = {"tangent against differences", tangent_error, 1e-9},
    [DERIV_ADJOINT_TANGENT] = {"tangent of the adjoint against differences", adjoint_tangent_error,
                               1e-9},
    [DERIV_ONE_PASS] = {"one pass equals two", one_pass_error, 1e-13},
    [DERIV_INPUTS] = {"inputs are never written", inputs_error, 0},
    [DERIV_OUTPUTS] = {"outputs added to, overwritten or left alone", outputs_error, 1e-13},
    [DERIV_MUTED] = {"unwanted adjoints of parameters", muted_error, 0},
};

bool deriv_passes(const operator* op, int check, double *error)
{
    /* Without a tangent of its own the value is differenced: then differences set the tolerance. */
    const double tolerance = check == DERIV_ADJOINT && op->no_value_tangent
                                 ? deriv_checks[DERIV_TANGENT].tolerance
                                 : deriv_checks[check].tolerance;

    *error = deriv_checks[check].error(op);
    return *error <= tolerance;
}
