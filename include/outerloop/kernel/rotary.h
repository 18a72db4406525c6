/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/rotary.h
 * Rotary positions [Su et al. 2021], as a dual operator that works in place.
 *
 * y = x[0] [n,H·D] (or G·D). In every head, column j < D/2 and column j + D/2 are turned by the angle
 * φ_j = position · frequency_j, as Hugging Face pairs them:
 *
 *   (1) x_j, x_{j+D/2} ← x_j cos φ_j - x_{j+D/2} sin φ_j,  x_{j+D/2} cos φ_j + x_j sin φ_j
 *   (2) x_bar: turned back by -φ_j. Linear and orthogonal: tangents alike.
 */
#ifndef OUTERLOOP_KERNEL_ROTARY_H
#define OUTERLOOP_KERNEL_ROTARY_H

#include "outerloop/kernel/operator.h"

extern const ol_operator ol_rotary;

/**
 * Angles of n rows at these positions.
 * @param frequency  [D/2] radians a position
 * @param angle      [n,D] overwritten: cos in the first D/2 columns, sin in the others
 */
void ol_rotary_angles(int n, int D, const int *position, const double *frequency, ol_real *angle);

#endif
