/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/mean.h
 * The mean of values that come one by one. Those that are no finite numbers, as what was not measured
 * is stored, are left out. Local, cannot fail.
 */
#ifndef OUTERLOOP_BASE_MEAN_H
#define OUTERLOOP_BASE_MEAN_H

#include <math.h>
#include <stddef.h>

/** Start from zeros. */
typedef struct ol_mean {
    double sum;
    size_t n; /**< values that count */
} ol_mean;

static inline void ol_mean_add(ol_mean *mean, double value)
{
    if (!isfinite(value))
        return;
    mean->sum += value;
    mean->n++;
}

/** NaN of no values. */
static inline double ol_mean_value(ol_mean mean)
{
    return mean.n > 0 ? mean.sum / (double)mean.n : (double)NAN;
}

#endif
