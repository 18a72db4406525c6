/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/lowrank.h"

#include <assert.h>
#include <string.h>

enum { BLOCK = 512 }; /* rows whose u_bar stand in scratch at one time */

/* A block of rows of a call: pointers at its first row; NULL stays NULL. */
typedef struct piece {
    int n, in, out, r;
    ol_real scale;
    ol_mat a, b;          /* A and B                                 */
    ol_mat a_dot, b_dot;  /* their tangents, or NULL                 */
    ol_dual x, y, u;      /* y is y_bar in the backward pass         */
    ol_dual x_bar, u_bar; /* u_bar in scratch                        */
    ol_mat_out a_bar, b_bar, a_bar_dot, b_bar_dot;
    ol_real keep; /* 0: x_bar is overwritten, 1: added to    */
} piece;

static piece piece_of(const ol_call *c, ol_dual y, int first)
{
    const ol_weight *a = &c->w[0], *b = &c->w[1];
    const int r = a->rows;
    const size_t at = (size_t)first, in = (size_t)c->spec->in, out = (size_t)c->spec->out;

    assert(b->cols == r && a->cols == c->spec->in && b->rows == c->spec->out && !a->bf16);
    return (piece){.n = c->n - first < BLOCK ? c->n - first : BLOCK,
                   .in = c->spec->in,
                   .out = c->spec->out,
                   .r = r,
                   .scale = (ol_real)c->spec->scale,
                   .a = {a->at.v, a->ld},
                   .b = {b->at.v, b->ld},
                   .a_dot = {a->at.dot, a->ld},
                   .b_dot = {b->at.dot, b->ld},
                   .x = ol_dual_at(c->x[0], at * in),
                   .y = ol_dual_at(y, at * out),
                   .u = ol_dual_at(c->state, at * (size_t)r),
                   .x_bar = ol_dual_at(c->x_bar[0], at * in),
                   .u_bar = {c->scratch, c->scratch + (size_t)BLOCK * (size_t)r},
                   .a_bar = {c->w_bar[0].v, a->ld},
                   .b_bar = {c->w_bar[1].v, b->ld},
                   .a_bar_dot = {c->w_bar[0].dot, a->ld},
                   .b_bar_dot = {c->w_bar[1].dot, b->ld},
                   .keep = ol_call_keep(c, 0)};
}

static ol_mat in_rows(const piece *p, const ol_real *x)
{
    return (ol_mat){x, p->in};
}

static ol_mat out_rows(const piece *p, const ol_real *y)
{
    return (ol_mat){y, p->out};
}

static ol_mat r_rows(const piece *p, const ol_real *u)
{
    return (ol_mat){u, p->r};
}

static void zero(int n, int width, ol_real *x)
{
    memset(x, 0, (size_t)n * (size_t)width * sizeof *x);
}

static void forward_tangent(const piece *p)
{
    const ol_mat_out u_dot = {p->u.dot, p->r}, y_dot = {p->y.dot, p->out};
    ol_real beta = 0;

    if (p->x.dot) {
        ol_gemm_nt(p->n, p->r, p->in, 1, in_rows(p, p->x.dot), p->a, 0, u_dot);
        beta = 1;
    }
    if (p->a_dot.at) {
        ol_gemm_nt(p->n, p->r, p->in, 1, in_rows(p, p->x.v), p->a_dot, beta, u_dot);
        beta = 1;
    }
    if (beta == 0)
        zero(p->n, p->r, p->u.dot); /* the backward pass reads it */
    else
        ol_gemm_nt(p->n, p->out, p->r, p->scale, r_rows(p, p->u.dot), p->b, 1, y_dot);
    if (p->b_dot.at)
        ol_gemm_nt(p->n, p->out, p->r, p->scale, r_rows(p, p->u.v), p->b_dot, 1, y_dot); /* (3) */
}

static void forward(ol_pass pass, const ol_call *c)
{
    for (int i = 0; i < c->n; i += BLOCK) {
        const piece p = piece_of(c, c->y, i);

        if (pass & OL_PRIMAL) {
            ol_gemm_nt(p.n, p.r, p.in, 1, in_rows(&p, p.x.v), p.a, 0, (ol_mat_out){p.u.v, p.r});
            ol_gemm_nt(p.n, p.out, p.r, p.scale, r_rows(&p, p.u.v), p.b, 1,
                       (ol_mat_out){p.y.v, p.out}); /* (1) */
        }
        if (pass & OL_TANGENT)
            forward_tangent(&p);
    }
}

static void backward_primal(const piece *p)
{
    if (p->x_bar.v)
        ol_gemm_nn(p->n, p->in, p->r, 1, r_rows(p, p->u_bar.v), p->a, p->keep,
                   (ol_mat_out){p->x_bar.v, p->in});
    if (p->a_bar.at)
        ol_gemm_tn(p->r, p->in, p->n, 1, r_rows(p, p->u_bar.v), in_rows(p, p->x.v), 1, p->a_bar);
    if (p->b_bar.at)
        ol_gemm_tn(p->out, p->r, p->n, p->scale, out_rows(p, p->y.v), r_rows(p, p->u.v), 1,
                   p->b_bar); /* (2) */
}

/* R{u_bar}; false when it is zero. */
static bool low_tangent(const piece *p)
{
    const ol_mat_out to = {p->u_bar.dot, p->r};
    ol_real beta = 0;

    if (p->y.dot) {
        ol_gemm_nn(p->n, p->r, p->out, p->scale, out_rows(p, p->y.dot), p->b, 0, to);
        beta = 1;
    }
    if (p->b_dot.at) {
        ol_gemm_nn(p->n, p->r, p->out, p->scale, out_rows(p, p->y.v), p->b_dot, beta, to);
        beta = 1;
    }
    return beta != 0;
}

static void backward_tangent(const piece *p)
{
    const bool low = (p->x_bar.dot || p->a_bar_dot.at) && low_tangent(p);
    ol_real beta = p->keep;

    if (p->x_bar.dot) {
        const ol_mat_out to = {p->x_bar.dot, p->in};

        if (low)
            ol_gemm_nn(p->n, p->in, p->r, 1, r_rows(p, p->u_bar.dot), p->a, beta, to);
        beta = low ? 1 : beta;
        if (p->a_dot.at)
            ol_gemm_nn(p->n, p->in, p->r, 1, r_rows(p, p->u_bar.v), p->a_dot, beta, to);
        else if (beta == 0)
            zero(p->n, p->in, p->x_bar.dot);
    }
    if (p->a_bar_dot.at && low)
        ol_gemm_tn(p->r, p->in, p->n, 1, r_rows(p, p->u_bar.dot), in_rows(p, p->x.v), 1,
                   p->a_bar_dot);
    if (p->a_bar_dot.at && p->x.dot)
        ol_gemm_tn(p->r, p->in, p->n, 1, r_rows(p, p->u_bar.v), in_rows(p, p->x.dot), 1,
                   p->a_bar_dot);
    if (p->b_bar_dot.at && p->y.dot)
        ol_gemm_tn(p->out, p->r, p->n, p->scale, out_rows(p, p->y.dot), r_rows(p, p->u.v), 1,
                   p->b_bar_dot);
    if (p->b_bar_dot.at && (p->x.dot || p->a_dot.at))
        ol_gemm_tn(p->out, p->r, p->n, p->scale, out_rows(p, p->y.v), r_rows(p, p->u.dot), 1,
                   p->b_bar_dot); /* (4) */
}

/* True when a product with u_bar follows. */
static bool takes_low(ol_pass pass, const piece *p)
{
    const bool primal = p->x_bar.v || p->a_bar.at;
    const bool tangent = (p->x_bar.dot && p->a_dot.at) || (p->a_bar_dot.at && p->x.dot);

    return ((pass & OL_PRIMAL) && primal) || ((pass & OL_TANGENT) && tangent);
}

static void backward(ol_pass pass, const ol_call *c)
{
    for (int i = 0; i < c->n; i += BLOCK) {
        const piece p = piece_of(c, c->y_bar, i);

        if (takes_low(pass, &p))
            ol_gemm_nn(p.n, p.r, p.out, p.scale, out_rows(&p, p.y.v), p.b, 0,
                       (ol_mat_out){p.u_bar.v, p.r});
        if (pass & OL_PRIMAL)
            backward_primal(&p);
        if (pass & OL_TANGENT)
            backward_tangent(&p);
    }
}

static int state(const ol_op_spec *spec)
{
    return spec->rank;
}

static size_t scratch(const ol_op_spec *spec, int longest)
{
    (void)longest;
    return 2 * (size_t)BLOCK * (size_t)spec->rank;
}

const ol_operator ol_lowrank = {.name = "low-rank product",
                                .inputs = 1,
                                .flags = OL_ADDS,
                                .forward = forward,
                                .backward = backward,
                                .state = state,
                                .scratch = scratch};
