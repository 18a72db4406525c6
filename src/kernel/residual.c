/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/residual.h"

#include <string.h>

/* y [y_row(i)] (+)= x [x_row(i)] for the rows of the call; NULL indices are i itself. */
static void move(const ol_call *c, bool keep, const int *x_row, const int *y_row, const ol_real *x,
                 ol_real *y)
{
    const size_t C = (size_t)c->spec->out;

    for (int i = 0; i < c->n; i++) {
        const ol_real *from = x + (size_t)(x_row ? x_row[i] : i) * C;
        ol_real *to = y + (size_t)(y_row ? y_row[i] : i) * C;

        if (!keep)
            memcpy(to, from, C * sizeof *to);
        else
            for (size_t j = 0; j < C; j++)
                to[j] += from[j];
    }
}

static void put(const ol_call *c, bool keep, const ol_real *x, ol_real *y)
{
    if (x)
        move(c, keep, c->row, NULL, x, y); /* (1), (3) */
    else if (!keep)
        memset(y, 0, (size_t)c->n * (size_t)c->spec->out * sizeof *y);
}

/* (2), (4) */
static void give_back(const ol_call *c, const ol_real *y_bar, ol_real *x_bar)
{
    const bool keep = c->add & 1;
    const int rows = c->row ? c->rows->start[c->rows->B] : c->n;

    if (!x_bar)
        return;
    if (!keep && (c->row || !y_bar))
        memset(x_bar, 0, (size_t)rows * (size_t)c->spec->in * sizeof *x_bar);
    if (y_bar)
        move(c, keep || c->row, NULL, c->row, y_bar, x_bar);
}

static void forward(ol_pass pass, const ol_call *c, bool keep)
{
    if (pass & OL_PRIMAL)
        put(c, keep, c->x[0].v, c->y.v);
    if (pass & OL_TANGENT)
        put(c, keep, c->x[0].dot, c->y.dot);
}

static void backward(ol_pass pass, const ol_call *c)
{
    if (pass & OL_PRIMAL)
        give_back(c, c->y_bar.v, c->x_bar[0].v);
    if (pass & OL_TANGENT)
        give_back(c, c->y_bar.dot, c->x_bar[0].dot);
}

static void pick_forward(ol_pass pass, const ol_call *c)
{
    forward(pass, c, false);
}

static void residual_forward(ol_pass pass, const ol_call *c)
{
    forward(pass, c, true);
}

const ol_operator ol_pick = {
    .name = "pick", .inputs = 1, .flags = OL_CHEAP, .forward = pick_forward, .backward = backward};

const ol_operator ol_residual = {.name = "residual",
                                 .inputs = 1,
                                 .flags = OL_CHEAP | OL_ADDS,
                                 .forward = residual_forward,
                                 .backward = backward};
