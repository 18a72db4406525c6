/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/rotary.h"

#include <math.h>

void ol_rotary_angles(int n, int D, const int *position, const double *frequency, ol_real *angle)
{
    const int half = D / 2;

    for (int i = 0; i < n; i++)
        for (int j = 0; j < half; j++) {
            const double phi = position[i] * frequency[j];

            angle[(size_t)i * (size_t)D + (size_t)j] = (ol_real)cos(phi);
            angle[(size_t)i * (size_t)D + (size_t)(half + j)] = (ol_real)sin(phi);
        }
}

/* Turn all heads of one row, by +φ or, with `sign` -1, by -φ. */
static void turn_row(int width, int D, const ol_real *angle, ol_real sign, ol_real *x)
{
    const int half = D / 2;
    const ol_real *c = angle, *s = angle + half;

    for (int h = 0; h < width; h += D) {
        ol_real *low = x + h, *high = x + h + half;

        for (int j = 0; j < half; j++) {
            const ol_real a = low[j], b = high[j];

            low[j] = a * c[j] - sign * b * s[j];
            high[j] = b * c[j] + sign * a * s[j];
        }
    }
}

static void turn(const ol_call *call, ol_real sign, ol_real *x)
{
    const int width = call->spec->in, D = call->spec->head_dim;

    for (int i = 0; x && i < call->n; i++) {
        const int row = call->row ? call->row[i] : i;

        turn_row(width, D, call->rows->angle + (size_t)row * (size_t)D, sign,
                 x + (size_t)i * (size_t)width);
    }
}

static void forward(ol_pass pass, const ol_call *call)
{
    if (pass & OL_PRIMAL)
        turn(call, 1, call->y.v); /* (1) */
    if (pass & OL_TANGENT)
        turn(call, 1, call->y.dot);
}

static void backward(ol_pass pass, const ol_call *call)
{
    if (pass & OL_PRIMAL)
        turn(call, -1, call->x_bar[0].v); /* (2) */
    if (pass & OL_TANGENT)
        turn(call, -1, call->x_bar[0].dot);
}

const ol_operator ol_rotary = {.name = "rotary",
                               .inputs = 1,
                               .flags = OL_CHEAP | OL_IN_PLACE,
                               .forward = forward,
                               .backward = backward};
