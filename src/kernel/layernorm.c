/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/layernorm.h"

#include <math.h>

static ol_real row_mean(int C, const ol_real *x)
{
    ol_real sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < C; j++)
        sum += x[j];
    return sum / (ol_real)C;
}

/* ⟨x̂ y⟩ without storing x̂. */
static ol_real row_mean_hat(int C, const ol_real *x, ol_real mean, ol_real rstd, const ol_real *y)
{
    ol_real sum = 0;

#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < C; j++)
        sum += (x[j] - mean) * y[j];
    return rstd * sum / (ol_real)C;
}

static void forward_row(int C, double eps, const ol_real *x, const ol_real *g, const ol_real *b,
                        ol_real *mean, ol_real *rstd, ol_real *y)
{
    const ol_real mu = row_mean(C, x);
    ol_real var = 0;

#pragma omp simd reduction(+ : var)
    for (int j = 0; j < C; j++)
        var += (x[j] - mu) * (x[j] - mu);
    const ol_real r = (ol_real)(1.0 / sqrt((double)var / C + eps));

    for (int j = 0; j < C; j++)
        y[j] = (x[j] - mu) * r * g[j] + b[j];
    *mean = mu;
    *rstd = r;
}

static void tangent_row(int C, const ol_real *x, const ol_real *x_dot, const ol_real *g,
                        const ol_real *g_dot, const ol_real *b_dot, ol_real mu, ol_real r,
                        ol_real *y_dot)
{
    const ol_real mean_dot = row_mean(C, x_dot);
    const ol_real along = row_mean_hat(C, x, mu, r, x_dot); /* ⟨x̂ R{x}⟩ */

    for (int j = 0; j < C; j++) {
        const ol_real hat = (x[j] - mu) * r;
        const ol_real hat_dot = r * (x_dot[j] - mean_dot - hat * along);

        y_dot[j] = hat_dot * g[j] + hat * g_dot[j] + b_dot[j]; /* (3) */
    }
}

void ol_layernorm_forward(ol_pass pass, ol_layernorm_dim d, ol_dual x, ol_dual weight, ol_dual bias,
                          ol_real *mean, ol_real *rstd, ol_dual y)
{
    for (int i = 0; i < d.n; i++) {
        const size_t at = (size_t)i * (size_t)d.C;

        if (pass & OL_PRIMAL)
            forward_row(d.C, d.eps, x.v + at, weight.v, bias.v, mean + i, rstd + i, y.v + at);
        if (pass & OL_TANGENT)
            tangent_row(d.C, x.v + at, x.dot + at, weight.v, weight.dot, bias.dot, mean[i], rstd[i],
                        y.dot + at);
    }
}

/* (2) for one row; h is scratch [C]. */
static void backward_row(int C, const ol_real *x, const ol_real *g, ol_real mu, ol_real r,
                         const ol_real *y_bar, ol_real *h, ol_real *x_bar, ol_real *g_bar,
                         ol_real *b_bar)
{
    for (int j = 0; j < C; j++)
        h[j] = y_bar[j] * g[j];
    const ol_real mean_h = row_mean(C, h);
    const ol_real along = row_mean_hat(C, x, mu, r, h); /* ⟨h x̂⟩ */

    for (int j = 0; j < C; j++)
        x_bar[j] += r * (h[j] - mean_h - (x[j] - mu) * r * along);
    if (!g_bar)
        return;
    for (int j = 0; j < C; j++) {
        g_bar[j] += y_bar[j] * (x[j] - mu) * r;
        b_bar[j] += y_bar[j];
    }
}

typedef struct row_view {
    const ol_real *x, *x_dot, *y_bar, *y_bar_dot;
    ol_real mu, r;
} row_view;

/* (4) for one row; hat_dot and h_dot are scratch [C]. */
static void tangent_backward_row(int C, row_view row, ol_dual g, ol_real *hat_dot, ol_real *h_dot,
                                 ol_real *x_bar_dot, ol_real *g_bar_dot, ol_real *b_bar_dot)
{
    const ol_real mu = row.mu, r = row.r;
    const ol_real mean_x_dot = row_mean(C, row.x_dot);
    const ol_real x_along = row_mean_hat(C, row.x, mu, r, row.x_dot);
    const ol_real r_dot = -r * r * x_along;
    ol_real mean_h = 0, h_along = 0, h_along_dot = 0;

#pragma omp simd reduction(+ : mean_h, h_along, h_along_dot)
    for (int j = 0; j < C; j++) {
        const ol_real hat = (row.x[j] - mu) * r;
        const ol_real h = row.y_bar[j] * g.v[j];

        hat_dot[j] = r * (row.x_dot[j] - mean_x_dot - hat * x_along);
        h_dot[j] = row.y_bar_dot[j] * g.v[j] + row.y_bar[j] * g.dot[j];
        mean_h += h;
        h_along += h * hat;
        h_along_dot += h_dot[j] * hat + h * hat_dot[j];
    }
    mean_h /= (ol_real)C;
    h_along /= (ol_real)C;
    h_along_dot /= (ol_real)C;
    const ol_real mean_h_dot = row_mean(C, h_dot);

    for (int j = 0; j < C; j++) {
        const ol_real hat = (row.x[j] - mu) * r;
        const ol_real a = row.y_bar[j] * g.v[j] - mean_h - hat * h_along;
        const ol_real a_dot = h_dot[j] - mean_h_dot - hat_dot[j] * h_along - hat * h_along_dot;

        x_bar_dot[j] += r_dot * a + r * a_dot;
        g_bar_dot[j] += row.y_bar_dot[j] * hat + row.y_bar[j] * hat_dot[j];
        b_bar_dot[j] += row.y_bar_dot[j];
    }
}

void ol_layernorm_backward(ol_pass pass, ol_layernorm_dim d, ol_dual x, ol_dual weight,
                           const ol_real *mean, const ol_real *rstd, ol_dual y_bar, ol_real *row,
                           ol_dual x_bar, ol_dual weight_bar, ol_dual bias_bar)
{
    for (int i = 0; i < d.n; i++) {
        const size_t at = (size_t)i * (size_t)d.C;

        if (pass & OL_PRIMAL)
            backward_row(d.C, x.v + at, weight.v, mean[i], rstd[i], y_bar.v + at, row, x_bar.v + at,
                         weight_bar.v, bias_bar.v);
        if (pass & OL_TANGENT)
            tangent_backward_row(
                d.C,
                (row_view){x.v + at, x.dot + at, y_bar.v + at, y_bar.dot + at, mean[i], rstd[i]},
                weight, row, row + d.C, x_bar.dot + at, weight_bar.dot, bias_bar.dot);
    }
}
