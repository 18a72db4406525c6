/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/eval/bootstrap.h
 * How far a mean score can be believed: its 95 % interval over tasks, their seeds and trainings.
 *
 * A cell is a task under one seed; it has a score x for each training (the same model trained from
 * another start). A task has seeds of its own: its k-shot files, drawn from it alone. A training is
 * the same for all tasks.
 *
 *   (1) c      = mean over trainings of x                         of a cell
 *   (2) mean   = mean over tasks of the mean over seeds of c
 *   (3) mean*  = the same over drawn tasks, drawn seeds of each and drawn trainings, where
 *                c + √(R/(R-1)) mean over the R drawn trainings of (x - c)  stands for c
 *
 * All drawing is with replacement, as many as there are. The root in (3) makes up for R being small:
 * R drawn of R have (R-1)/R of the variance that R new ones would have. The interval is between
 * quantiles p and 1-p of 2000 values of (3), with
 *
 *   (4) p = Φ(-t √(n/(n-1)))        t the 97.5 % quantile of Student's with n-1 degrees of freedom
 *
 * over n tasks, the expanded percentile interval, right for a handful of tasks as the plain one is
 * not. With one task n counts its seeds, with one seed of it the trainings.
 *
 * A paired difference of two learners is the interval of the differences, cell by cell.
 *
 * The draws are a counter-based stream of their own and of nothing else: the same scores have the
 * same interval everywhere and always. Where the noise of seeds within a task outweighs what tasks
 * differ by, drawing both makes the interval too wide, by a factor of √2 at the very most.
 *
 * Source: Hesterberg 2015, What teachers should know about the bootstrap, 5.3 (expanded percentile).
 * Local.
 */
#ifndef OUTERLOOP_EVAL_BOOTSTRAP_H
#define OUTERLOOP_EVAL_BOOTSTRAP_H

#include "outerloop/base/status.h" /* ol_status */

enum { OL_RESAMPLES = 2000 };

/** Scores of cells, tasks one after the other. Borrowed. */
typedef struct ol_cells {
    int tasks;
    const int *first; /**< [tasks+1] cells of task t are first[t] .. first[t+1]-1, at least one */
    int trainings;    /**< R, at least 1                                                 */
    const double *values; /**< [first[tasks], R]; NaN where a training lacks the cell, never all */
} ol_cells;

/** A mean and where it may be. low and high are NaN when there is one value alone. */
typedef struct ol_interval {
    double mean, low, high;
} ol_interval;

/**
 * (2) and its interval.
 * @param interval  overwritten; three NaN when there are no tasks
 * Errors: OL_ENOMEM. Cost: OL_RESAMPLES × cells × (R + 1).
 */
ol_status ol_bootstrap(const ol_cells *cells, ol_interval *interval);

/** (1) of cell number `cell`. */
double ol_cell_mean(const ol_cells *cells, int cell);

/** p of (4) for n values; 0.025 in the limit. n at least 2. */
double ol_bootstrap_tail(int n);

#endif
