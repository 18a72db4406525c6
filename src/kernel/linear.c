/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/linear.h"

#include <assert.h>
#include <string.h>

/* A call with its sizes at hand. `turned`: the weights are [in,out]. */
typedef struct map {
    const ol_call *call;
    int n, in, out;
    bool turned;
} map;

static map map_of(const ol_call *call, bool turned)
{
    const map f = {call, call->n, call->spec->in, call->spec->out, turned};

    assert(f.n >= 0 && call->w[0].rows == (turned ? f.in : f.out));
    assert(call->w[0].cols == (turned ? f.out : f.in));
    return f;
}

/* y [n,out] = x W'ᵀ + β y, W' the weights as [out,in]. */
static void apply(const map *f, const ol_real *x, const ol_weight *w, ol_real beta, ol_real *y)
{
    (f->turned ? ol_weight_nn : ol_weight_nt)(f->n, 1, (ol_mat){x, f->in}, w, beta,
                                              (ol_mat_out){y, f->out}, f->call->scratch);
}

/* x_bar [n,in] = y_bar W' + β x_bar. */
static void pull_back(const map *f, const ol_real *y_bar, const ol_weight *w, ol_real beta,
                      ol_real *x_bar)
{
    (f->turned ? ol_weight_nt : ol_weight_nn)(f->n, 1, (ol_mat){y_bar, f->out}, w, beta,
                                              (ol_mat_out){x_bar, f->in}, f->call->scratch);
}

/* W_bar += y_barᵀ x, as W is laid out. */
static void add_products(const map *f, const ol_real *y_bar, const ol_real *x, ol_real *w_bar)
{
    const ol_mat_out to = {w_bar, f->call->w[0].ld};

    if (f->turned)
        ol_gemm_tn(f->in, f->out, f->n, 1, (ol_mat){x, f->in}, (ol_mat){y_bar, f->out}, 1, to);
    else
        ol_gemm_tn(f->out, f->in, f->n, 1, (ol_mat){y_bar, f->out}, (ol_mat){x, f->in}, 1, to);
}

enum { SPREAD_REALS = 1 << 11 }; /* rows that are written at one time, where one is short */

/* Every row of y becomes b; returns the factor by which a product is then added. */
static ol_real spread(const map *f, const ol_real *b, ol_real *y)
{
    const size_t n = b ? (size_t)f->n : 0, out = (size_t)f->out;
    size_t done = 1, most = SPREAD_REALS / out > 1 ? SPREAD_REALS / out : 1;

    if (n > 0)
        memcpy(y, b, out * sizeof *y);
    while (done < n) { /* the rows that are there, again */
        const size_t there = done < most ? done : most, rows = there < n - done ? there : n - done;

        memcpy(y + done * out, y, rows * out * sizeof *y);
        done += rows;
    }
    return b ? 1 : 0;
}

static void add_column_sums(const map *f, const ol_real *y_bar, ol_real *b_bar)
{
    for (int i = 0; i < f->n; i++) {
        const ol_real *row = y_bar + (size_t)i * (size_t)f->out;

        for (int j = 0; j < f->out; j++)
            b_bar[j] += row[j];
    }
}

static void forward(ol_pass pass, const map *f)
{
    const ol_call *c = f->call;

    if (pass & OL_PRIMAL)
        apply(f, c->x[0].v, &c->w[0], spread(f, c->w[1].at.v, c->y.v), c->y.v); /* (1) */
    if (pass & OL_TANGENT) {
        ol_real beta = spread(f, c->w[1].at.dot, c->y.dot);

        if (c->x[0].dot) {
            apply(f, c->x[0].dot, &c->w[0], beta, c->y.dot);
            beta = 1;
        }
        if (c->w[0].at.dot) {
            const ol_weight w_dot = ol_weight_tangent(&c->w[0]);

            apply(f, c->x[0].v, &w_dot, beta, c->y.dot); /* (3) */
            beta = 1;
        }
        if (beta == 0)
            memset(c->y.dot, 0, (size_t)f->n * (size_t)f->out * sizeof *c->y.dot);
    }
}

static void backward_tangent(const map *f)
{
    const ol_call *c = f->call;
    ol_real beta = ol_call_keep(c, 0);

    if (c->x_bar[0].dot) {
        if (c->y_bar.dot) {
            pull_back(f, c->y_bar.dot, &c->w[0], beta, c->x_bar[0].dot);
            beta = 1;
        }
        if (c->w[0].at.dot) {
            const ol_weight w_dot = ol_weight_tangent(&c->w[0]);

            pull_back(f, c->y_bar.v, &w_dot, beta, c->x_bar[0].dot); /* (4) */
            beta = 1;
        }
        if (beta == 0)
            memset(c->x_bar[0].dot, 0, (size_t)f->n * (size_t)f->in * sizeof *c->x_bar[0].dot);
    }
    if (c->w_bar[0].dot && c->y_bar.dot)
        add_products(f, c->y_bar.dot, c->x[0].v, c->w_bar[0].dot);
    if (c->w_bar[0].dot && c->x[0].dot)
        add_products(f, c->y_bar.v, c->x[0].dot, c->w_bar[0].dot);
    if (c->w_bar[1].dot && c->y_bar.dot)
        add_column_sums(f, c->y_bar.dot, c->w_bar[1].dot);
}

static void backward(ol_pass pass, const map *f)
{
    const ol_call *c = f->call;

    if (pass & OL_PRIMAL) {
        if (c->x_bar[0].v)
            pull_back(f, c->y_bar.v, &c->w[0], ol_call_keep(c, 0), c->x_bar[0].v); /* (2) */
        if (c->w_bar[0].v)
            add_products(f, c->y_bar.v, c->x[0].v, c->w_bar[0].v);
        if (c->w_bar[1].v)
            add_column_sums(f, c->y_bar.v, c->w_bar[1].v);
    }
    if (pass & OL_TANGENT)
        backward_tangent(f);
}

static void linear_forward(ol_pass pass, const ol_call *call)
{
    const map f = map_of(call, false);

    forward(pass, &f);
}

static void linear_backward(ol_pass pass, const ol_call *call)
{
    const map f = map_of(call, false);

    backward(pass, &f);
}

static void conv1d_forward(ol_pass pass, const ol_call *call)
{
    const map f = map_of(call, true);

    forward(pass, &f);
}

static void conv1d_backward(ol_pass pass, const ol_call *call)
{
    const map f = map_of(call, true);

    backward(pass, &f);
}

/* Of either layout: panels of the wider kind of rows. */
static size_t scratch(const ol_op_spec *spec, int longest)
{
    const size_t in = ol_weight_scratch(spec->in), out = ol_weight_scratch(spec->out);

    (void)longest;
    return in > out ? in : out;
}

const ol_operator ol_linear = {.name = "linear",
                               .inputs = 1,
                               .forward = linear_forward,
                               .backward = linear_backward,
                               .scratch = scratch};

const ol_operator ol_conv1d = {.name = "conv1d",
                               .inputs = 1,
                               .forward = conv1d_forward,
                               .backward = conv1d_backward,
                               .scratch = scratch};
