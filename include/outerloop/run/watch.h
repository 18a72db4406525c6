/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/watch.h
 * Meta-gradients that are not to be trusted: seen from what a run measures anyway.
 *
 * An inner AdamW step from small second moments has a slope of up to α/√eps_root; where one element
 * in a thousand meets it, Δ is that element's, and in float32 mostly rounding (optim/adam.h). It
 * shows as
 *
 *   (1) a second-order share ‖Δ-Δ₁‖/‖Δ₁‖ above 10, where shares are measured;
 *   (2) a ‖G‖ before clipping above 20 times the median of the latest ones, of which there must be
 *       at least 16: a few outliers do not move a median, and a slow drift takes it along.
 *
 * Local, cannot fail.
 */
#ifndef OUTERLOOP_RUN_WATCH_H
#define OUTERLOOP_RUN_WATCH_H

#include <stdbool.h>

enum { OL_WATCH_LEAST = 16, OL_WATCH_MOST = 64 };

/** What was seen so far; start from a zero struct. */
typedef struct ol_watch {
    double norms[OL_WATCH_MOST]; /**< the latest, as a ring */
    long n;                      /**< norms seen            */
} ol_watch;

/** Norm of a meta-step that (2) compares with; 0 while there are too few. */
double ol_watch_median(const ol_watch *watch);

/**
 * Take in a meta-step. What is not finite is left out.
 * @param share  the largest of its episodes; NaN when not measured
 * @return true when (1) or (2) holds
 */
bool ol_watch_step(ol_watch *watch, double share, double norm);

#endif
