/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double most_share = 10, most_rise = 20;

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double ol_watch_median(const ol_watch *watch)
{
    const size_t n = watch->n < OL_WATCH_MOST ? (size_t)watch->n : OL_WATCH_MOST;
    double sorted[OL_WATCH_MOST];

    if (n < OL_WATCH_LEAST)
        return 0;
    memcpy(sorted, watch->norms, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, ascending);
    return sorted[n / 2];
}

bool ol_watch_step(ol_watch *watch, double share, double norm)
{
    const double median = ol_watch_median(watch);

    if (isfinite(norm))
        watch->norms[watch->n++ % OL_WATCH_MOST] = norm;
    return share > most_share || (median > 0 && norm > most_rise * median);
}
