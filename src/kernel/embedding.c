/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/embedding.h"

#include <string.h>

static void add(int C, const ol_real *x, ol_real *y)
{
    for (int j = 0; j < C; j++)
        y[j] += x[j];
}

/* y_i = (or +=) row `index` of w. */
static void look_up(const ol_call *c, const ol_weight *w, bool keep, const int *index, ol_real *y)
{
    const int C = c->spec->out;

    for (int i = 0; i < c->n; i++) {
        const ol_real *from = ol_weight_row(w, index[i], c->scratch);
        ol_real *to = y + (size_t)i * (size_t)C;

        if (keep)
            add(C, from, to);
        else
            memcpy(to, from, (size_t)C * sizeof *to);
    }
}

static void forward(ol_pass pass, const ol_call *c, bool keep, const int *index)
{
    const ol_weight tangent = ol_weight_tangent(&c->w[0]);

    if (pass & OL_PRIMAL)
        look_up(c, &c->w[0], keep, index, c->y.v); /* (1), (3) */
    if (!(pass & OL_TANGENT))
        return;
    if (tangent.at.v)
        look_up(c, &tangent, keep, index, c->y.dot);
    else if (!keep)
        memset(c->y.dot, 0, (size_t)c->n * (size_t)c->spec->out * sizeof *c->y.dot);
}

/* (2), (4) */
static void scatter(const ol_call *c, const int *index, const ol_real *y_bar, ol_real *w_bar)
{
    const size_t C = (size_t)c->spec->out;

    for (int i = 0; y_bar && w_bar && i < c->n; i++)
        add((int)C, y_bar + (size_t)i * C, w_bar + (size_t)index[i] * (size_t)c->w[0].ld);
}

static void backward(ol_pass pass, const ol_call *c, const int *index)
{
    if (pass & OL_PRIMAL)
        scatter(c, index, c->y_bar.v, c->w_bar[0].v);
    if (pass & OL_TANGENT)
        scatter(c, index, c->y_bar.dot, c->w_bar[0].dot);
}

static void embedding_forward(ol_pass pass, const ol_call *c)
{
    forward(pass, c, false, c->rows->token);
}

static void embedding_backward(ol_pass pass, const ol_call *c)
{
    backward(pass, c, c->rows->token);
}

static void positions_forward(ol_pass pass, const ol_call *c)
{
    forward(pass, c, true, c->rows->position);
}

static void positions_backward(ol_pass pass, const ol_call *c)
{
    backward(pass, c, c->rows->position);
}

static size_t scratch(const ol_op_spec *spec, int longest)
{
    (void)longest;
    return (size_t)spec->out;
}

const ol_operator ol_embedding = {.name = "embedding",
                                  .forward = embedding_forward,
                                  .backward = embedding_backward,
                                  .scratch = scratch};

const ol_operator ol_positions = {.name = "positions",
                                  .flags = OL_ADDS,
                                  .forward = positions_forward,
                                  .backward = positions_backward,
                                  .scratch = scratch};
