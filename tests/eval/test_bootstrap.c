/* SPDX-License-Identifier: BSD-3-Clause */
/* Intervals against a plain loop that draws the same, and how often they hold what they should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "outerloop/base/rng.h"
#include "outerloop/eval/bootstrap.h"

enum { TASKS = 5, MOST_SEEDS = 4, TRAININGS = 3, TRIALS = 200 };

static int ascending(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* Mean over the trainings of a cell that are there; `drawn` NULL: each of them once. */
static double cell(const ol_cells *c, int i, const int *drawn, double mean)
{
    double sum = 0;
    int n = 0;

    for (int r = 0; r < c->trainings; r++) {
        const double x = c->values[i * c->trainings + (drawn ? drawn[r] : r)];
        if (drawn)
            sum += isnan(x) ? 0 : x - mean;
        else if (!isnan(x))
            sum += x;
        n += drawn || !isnan(x);
    }
    return sum / n;
}

/* (1) to (4) as they are written, a resample at a time. */
static ol_interval plainly(const ol_cells *c)
{
    const double root = c->trainings > 1 ? sqrt(c->trainings / (c->trainings - 1.0)) : 0;
    static double means[OL_RESAMPLES];
    ol_interval out = {0, 0, 0};
    double p, at;

    for (int t = 0; t < c->tasks; t++)
        for (int i = c->first[t]; i < c->first[t + 1]; i++)
            out.mean += cell(c, i, NULL, 0) / (c->first[t + 1] - c->first[t]) / c->tasks;
    for (uint32_t b = 0; b < OL_RESAMPLES; b++) {
        ol_rng rng = ol_rng_stream(0, OL_RNG_TABLE, b, 0);
        int drawn[TRAININGS];
        double sum = 0;
        for (int r = 0; r < c->trainings; r++)
            drawn[r] = (int)ol_rng_below(&rng, (uint32_t)c->trainings);
        for (int k = 0; k < c->tasks; k++) {
            const int t = c->tasks > 1 ? (int)ol_rng_below(&rng, (uint32_t)c->tasks) : 0;
            const int seeds = c->first[t + 1] - c->first[t];
            for (int s = 0; s < seeds; s++) {
                const int i = c->first[t] + (int)ol_rng_below(&rng, (uint32_t)seeds);
                const double mean = cell(c, i, NULL, 0);
                sum += (mean + root * cell(c, i, drawn, mean)) / seeds / c->tasks;
            }
        }
        means[b] = sum;
    }
    qsort(means, OL_RESAMPLES, sizeof *means, ascending);
    p = ol_bootstrap_tail(c->tasks);
    at = p * (OL_RESAMPLES - 1);
    out.low = means[(int)at] + (at - floor(at)) * (means[(int)at + 1] - means[(int)at]);
    at = (1 - p) * (OL_RESAMPLES - 1);
    out.high = means[(int)at] + (at - floor(at)) * (means[(int)at + 1] - means[(int)at]);
    return out;
}

static void intervals_are_those_of_a_plain_loop(void **state)
{
    static const int first[TASKS + 1] = {0, 4, 6, 7, 10, 14};
    double values[14 * TRAININGS];
    ol_rng rng = ol_rng_stream(1, OL_RNG_TEST, 0, 0);

    (void)state;
    for (int R = 1; R <= TRAININGS; R++) {
        const ol_cells cells = {TASKS, first, R, values};
        ol_interval got, want;
        for (int i = 0; i < 14 * R; i++)
            values[i] = ol_rng_uniform(&rng);
        if (R > 1)
            values[3 * R + 1] = (double)NAN; /* a training that lacks a cell */
        want = plainly(&cells);
        assert_int_equal(ol_bootstrap(&cells, &got), OL_OK);
        assert_true(fabs(got.mean - want.mean) < 1e-14);
        assert_true(fabs(got.low - want.low) < 1e-14 && fabs(got.high - want.high) < 1e-14);
        assert_true(got.low < got.mean && got.mean < got.high);
    }
}

static void what_cannot_be_known_is_not_said(void **state)
{
    static const int one[] = {0, 1}, two[] = {0, 2};
    const double values[] = {0.25, 0.75};
    ol_interval i;

    (void)state;
    assert_int_equal(ol_bootstrap(&(ol_cells){0, NULL, 1, NULL}, &i), OL_OK);
    assert_true(isnan(i.mean) && isnan(i.low) && isnan(i.high));
    assert_int_equal(ol_bootstrap(&(ol_cells){1, one, 1, values}, &i), OL_OK);
    assert_true(i.mean == 0.25 && isnan(i.low) && isnan(i.high));
    assert_int_equal(ol_bootstrap(&(ol_cells){1, two, 1, values}, &i), OL_OK); /* over its seeds */
    assert_true(i.mean == 0.5 && i.low == 0.25 && i.high == 0.75);
    assert_int_equal(ol_bootstrap(&(ol_cells){1, one, 2, values}, &i), OL_OK); /* over trainings */
    assert_true(i.mean == 0.5 && i.low < 0.26 && i.high > 0.74);
}

static void tails_widen_for_few_tasks(void **state)
{
    (void)state;
    assert_true(fabs(ol_bootstrap_tail(1000000) - 0.025) < 1e-5);
    /* t 2.5706 and √(6/5): Φ(-2.8160); t 2.0930 and √(20/19): Φ(-2.1473) */
    assert_true(fabs(ol_bootstrap_tail(6) - 0.002431) < 2e-6);
    assert_true(fabs(ol_bootstrap_tail(20) - 0.015884) < 2e-5);
    assert_true(ol_bootstrap_tail(11) > ol_bootstrap_tail(10)); /* where table and formula meet */
    assert_true(ol_bootstrap_tail(12) > ol_bootstrap_tail(11));
}

/* Share of trials whose interval holds the true mean 0, of tasks, seeds and trainings with these
   standard deviations. */
static double coverage(int tasks, int seeds, int trainings, double of_task, double of_seed,
                       double of_training)
{
    double *values = malloc((size_t)(tasks * seeds * trainings) * sizeof *values), shift[8];
    int *first = malloc((size_t)(tasks + 1) * sizeof *first), held = 0;

    assert_true(values && first && trainings <= 8);
    for (uint32_t trial = 0; trial < TRIALS; trial++) {
        ol_rng rng = ol_rng_stream(2, OL_RNG_TEST, trial, 0);
        ol_interval i;
        for (int r = 0; r < trainings; r++)
            shift[r] = of_training * ol_rng_normal(&rng);
        for (int t = 0; t <= tasks; t++)
            first[t] = t * seeds;
        for (int t = 0; t < tasks; t++) {
            const double task = of_task * ol_rng_normal(&rng);
            for (int s = 0; s < seeds; s++) {
                const double mean = task + of_seed * ol_rng_normal(&rng);
                for (int r = 0; r < trainings; r++)
                    values[(t * seeds + s) * trainings + r] = mean + shift[r];
            }
        }
        assert_int_equal(ol_bootstrap(&(ol_cells){tasks, first, trainings, values}, &i), OL_OK);
        held += i.low <= 0 && 0 <= i.high;
    }
    free(values);
    free(first);
    return (double)held / TRIALS;
}

/* 200 trials: two standard errors of 95 % are 3 points. */
static void intervals_hold_the_truth_about_as_often_as_they_say(void **state)
{
    (void)state;
    assert_true(coverage(12, 5, 1, 1, 0.3, 0) > 0.92);
    assert_true(coverage(12, 5, 1, 1, 0.3, 0) < 0.99);
    assert_true(coverage(6, 3, 1, 1, 0.5, 0) > 0.92);
    assert_true(coverage(6, 5, 1, 0.1, 1, 0) > 0.92); /* on the safe side: seeds count twice */
    assert_true(coverage(24, 2, 8, 1, 0.5, 0.3) > 0.91);
    assert_true(coverage(24, 2, 8, 1, 0.5, 0.3) < 0.99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_are_those_of_a_plain_loop),
        cmocka_unit_test(what_cannot_be_known_is_not_said),
        cmocka_unit_test(tails_widen_for_few_tasks),
        cmocka_unit_test(intervals_hold_the_truth_about_as_often_as_they_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
