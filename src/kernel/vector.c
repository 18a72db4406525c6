/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/vector.h"

#include <math.h>
#include <string.h>

void ol_vector_axpy(size_t n, ol_real a, const ol_real *x, ol_real *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

void ol_vector_scale(size_t n, ol_real a, ol_real *x)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= a;
}

void ol_vector_zero(size_t n, ol_real *x)
{
    memset(x, 0, n * sizeof *x);
}

double ol_vector_dot(size_t n, const ol_real *x, const ol_real *y)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return sum;
}

double ol_vector_norm(size_t n, const ol_real *x)
{
    return sqrt(ol_vector_dot(n, x, x));
}

double ol_vector_distance(size_t n, const ol_real *x, const ol_real *y)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        const double difference = (double)x[i] - (double)y[i];

        sum += difference * difference;
    }
    return sqrt(sum);
}

bool ol_vector_finite(size_t n, const ol_real *x)
{
    double sum = 0;

    /* 0·x is 0 for a finite x and NaN otherwise: a sum is vectorised, a branch an element is not. */
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += 0 * (double)x[i];
    return sum == 0;
}
