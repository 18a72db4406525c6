/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/eval/bootstrap.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "outerloop/base/rng.h" /* ol_rng_stream */

static const double normal_quantile = 1.959963984540054; /* 97.5 % */

/* 97.5 % quantile of Student's t: a table, and from where it is exact to four digits the expansion
   of Cornish and Fisher in powers of 1/ν. */
static double student(int nu)
{
    static const double table[] = {12.7062, 4.3027, 3.1824, 2.7764, 2.5706,
                                   2.4469,  2.3646, 2.3060, 2.2622, 2.2281};
    const double z = normal_quantile, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;

    if (nu <= (int)(sizeof table / sizeof *table))
        return table[nu - 1];
    return z + (z3 + z) / (4.0 * nu) + (5 * z5 + 16 * z3 + 3 * z) / (96.0 * nu * nu) +
           (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384.0 * nu * nu * nu);
}

double ol_bootstrap_tail(int n)
{
    assert(n >= 2);
    return 0.5 * erfc(student(n - 1) * sqrt((double)n / (n - 1)) / sqrt(2.0)); /* (4) */
}

/* What the draws work on. */
typedef struct work {
    const ol_cells *cells;
    double *mean;  /* [cells] (1)                                    */
    double *drawn; /* [cells] what stands for it in (3)              */
    double *weigh; /* [R] times that each training was drawn, over R */
    double *means; /* [OL_RESAMPLES] (3)                             */
} work;

double ol_cell_mean(const ol_cells *cells, int cell)
{
    const double *x = cells->values + (ptrdiff_t)cell * cells->trainings;
    double sum = 0;
    int there = 0;

    for (int r = 0; r < cells->trainings; r++)
        if (!isnan(x[r])) {
            sum += x[r];
            there++;
        }
    assert(there > 0);
    return sum / there;
}

static double mean_of(const work *w, const double *values)
{
    const ol_cells *c = w->cells;
    double sum = 0;

    for (int t = 0; t < c->tasks; t++) {
        double seeds = 0;
        for (int i = c->first[t]; i < c->first[t + 1]; i++)
            seeds += values[i];
        sum += seeds / (c->first[t + 1] - c->first[t]);
    }
    return sum / c->tasks;
}

/* Draw trainings, and say what stands for each cell under them. */
static void draw_trainings(const work *w, ol_rng *rng)
{
    const int R = w->cells->trainings, n = w->cells->first[w->cells->tasks];
    const double factor = R > 1 ? sqrt((double)R / (R - 1)) : 0.0;

    for (int r = 0; r < R; r++)
        w->weigh[r] = 0;
    for (int r = 0; r < R; r++)
        w->weigh[ol_rng_below(rng, (uint32_t)R)] += 1.0 / R;
    for (int i = 0; i < n; i++) {
        const double *x = w->cells->values + (ptrdiff_t)i * R;
        double apart = 0;
        for (int r = 0; r < R; r++)
            apart += isnan(x[r]) ? 0.0 : w->weigh[r] * (x[r] - w->mean[i]);
        w->drawn[i] = w->mean[i] + factor * apart;
    }
}

/* Draw tasks and seeds of each: one value of (3). */
static double draw_mean(const work *w, ol_rng *rng)
{
    const ol_cells *c = w->cells;
    double sum = 0;

    for (int k = 0; k < c->tasks; k++) {
        const int t = c->tasks > 1 ? (int)ol_rng_below(rng, (uint32_t)c->tasks) : 0;
        const int seeds = c->first[t + 1] - c->first[t];
        double total = 0;
        for (int s = 0; s < seeds; s++)
            total += w->drawn[c->first[t] + (int)ol_rng_below(rng, (uint32_t)seeds)];
        sum += total / seeds;
    }
    return sum / c->tasks;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Between the two values around it. */
static double quantile(const double *sorted, double p)
{
    const double at = p * (OL_RESAMPLES - 1);
    const int i = (int)at;

    return i + 1 < OL_RESAMPLES ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[i];
}

static int units(const ol_cells *c)
{
    if (c->tasks > 1)
        return c->tasks;
    return c->first[1] > 1 ? c->first[1] : c->trainings;
}

static void resample(const work *w, ol_interval *interval)
{
    const int n = units(w->cells);
    double tail;

    for (int i = 0; i < w->cells->first[w->cells->tasks]; i++)
        w->mean[i] = ol_cell_mean(w->cells, i);
    *interval = (ol_interval){mean_of(w, w->mean), (double)NAN, (double)NAN};
    if (n < 2)
        return;
    for (int b = 0; b < OL_RESAMPLES; b++) {
        ol_rng rng = ol_rng_stream(0, OL_RNG_TABLE, (uint32_t)b, 0);
        draw_trainings(w, &rng);
        w->means[b] = draw_mean(w, &rng);
    }
    qsort(w->means, OL_RESAMPLES, sizeof *w->means, compare);
    tail = ol_bootstrap_tail(n);
    interval->low = quantile(w->means, tail);
    interval->high = quantile(w->means, 1.0 - tail);
}

ol_status ol_bootstrap(const ol_cells *cells, ol_interval *interval)
{
    const size_t n = cells->tasks > 0 ? (size_t)cells->first[cells->tasks] : 0;
    const size_t R = (size_t)cells->trainings;
    OL_AUTO_FREE double *memory = NULL;

    *interval = (ol_interval){(double)NAN, (double)NAN, (double)NAN};
    if (n == 0)
        return OL_OK;
    memory = malloc((2 * n + R + OL_RESAMPLES) * sizeof *memory);
    OL_CHECK(memory, OL_ENOMEM, "no memory to resample %zu scores", n);
    resample(&(work){cells, memory, memory + n, memory + 2 * n, memory + 2 * n + R}, interval);
    return OL_OK;
}
