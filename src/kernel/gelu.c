/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/gelu.h"

#include "outerloop/kernel/vmath.h" /* ol_vmath_tanh */

enum { BLOCK = 256 }; /* elements whose tanh fits in the first-level cache */

static const ol_real A = (ol_real)0.79788456080286535588; /* √(2/π) */
static const ol_real CUBIC = (ol_real)0.044715;

/* tanh of a block of arguments. */
static void tanh_block(size_t n, const ol_real *x, ol_real *t)
{
    for (size_t i = 0; i < n; i++)
        t[i] = A * (x[i] + CUBIC * x[i] * x[i] * x[i]);
    ol_vmath_tanh(n, t, t);
}

static inline ol_real first_derivative(ol_real x, ol_real t)
{
    const ol_real u1 = A * (1 + 3 * CUBIC * x * x);

    return (ol_real)0.5 * (1 + t) + (ol_real)0.5 * x * (1 - t * t) * u1;
}

static inline ol_real second_derivative(ol_real x, ol_real t)
{
    const ol_real u1 = A * (1 + 3 * CUBIC * x * x);
    const ol_real half_u2 = 3 * A * CUBIC * x;

    return (1 - t * t) * (u1 + x * (half_u2 - t * u1 * u1));
}

void ol_gelu_forward(ol_pass pass, size_t n, ol_dual x, ol_dual y)
{
    ol_real t[BLOCK];

    for (size_t at = 0; at < n; at += BLOCK) {
        const size_t m = n - at < BLOCK ? n - at : BLOCK;
        const ol_real *xs = x.v + at;

        tanh_block(m, xs, t);
        if (pass & OL_PRIMAL)
            for (size_t i = 0; i < m; i++)
                y.v[at + i] = (ol_real)0.5 * xs[i] * (1 + t[i]); /* (1) */
        if (pass & OL_TANGENT)
            for (size_t i = 0; i < m; i++)
                y.dot[at + i] = first_derivative(xs[i], t[i]) * x.dot[at + i]; /* (3) */
    }
}

void ol_gelu_backward(ol_pass pass, size_t n, ol_dual x, ol_dual y_bar, ol_dual x_bar)
{
    ol_real t[BLOCK];

    for (size_t at = 0; at < n; at += BLOCK) {
        const size_t m = n - at < BLOCK ? n - at : BLOCK;
        const ol_real *xs = x.v + at;

        tanh_block(m, xs, t);
        if (pass & OL_PRIMAL)
            for (size_t i = 0; i < m; i++)
                x_bar.v[at + i] = y_bar.v[at + i] * first_derivative(xs[i], t[i]); /* (2) */
        if (pass & OL_TANGENT)
            for (size_t i = 0; i < m; i++)
                x_bar.dot[at + i] =
                    y_bar.dot[at + i] * first_derivative(xs[i], t[i]) +
                    y_bar.v[at + i] * second_derivative(xs[i], t[i]) * x.dot[at + i]; /* (4) */
    }
}
