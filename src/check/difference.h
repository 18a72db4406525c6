/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file difference.h (private to check)
 * The slope of a function that can only be evaluated, with a bound on the error of that slope.
 *
 *   (1) A_0(h)     = (f(h) - f(-h)) / 2h               error O(h²) of truncation, and σ/h of rounding
 *   (2) A_j(h/2)   = A_{j-1}(h/2) + (A_{j-1}(h/2) - A_{j-1}(h)) / (4^j - 1)          Richardson
 *
 * h is halved until the two errors meet: what an entry of the table differs by from those it was made
 * of bounds its truncation, and σ, the rounding of f, is measured, not assumed [Moré and Wild 2011]:
 * f is evaluated at points so close that only rounding tells them apart, and k-th differences of
 * these leave no other part of f. So a function of large curvature, or with a corner rounded over a
 * small width (√eps_root of Adam), is followed to steps small enough, and one that cannot be resolved
 * in double precision says so by its error.
 *
 * Source of (2): Ridders 1982. Local.
 */
#ifndef CHECK_DIFFERENCE_H
#define CHECK_DIFFERENCE_H

#include "outerloop/base/real.h" /* both builds have it: precision.h */

/* f at a distance h along some line. */
typedef double ol_line_function(void *payload, double h);

typedef struct ol_slope {
    double value;
    double error; /* bound on |value - f'(0)|; infinite when nothing could be had */
    double h;     /* the step that gave it */
} ol_slope;

/* σ: what rounding makes of f. `width` is the distance of the points. */
double ol_difference_noise(ol_line_function *f, void *payload, double width);

/* f'(0).
 * @param h       the step to begin with
 * @param noise   σ
 * @param enough  an error that needs no improvement */
ol_slope ol_difference_slope(ol_line_function *f, void *payload, double h, double noise,
                             double enough);

#endif
