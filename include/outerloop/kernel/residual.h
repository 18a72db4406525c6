/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/residual.h
 * Residual connections and the picking of rows, as dual operators.
 *
 *   ol_pick       (1) y_i  = x[row_i]      (2) x_bar[row_i] += y_bar_i, all other rows 0
 *   ol_residual   (3) y_i += x[row_i]      (4) as (2)
 *
 * x[0] [rows->start[B],C], y [n,C]; row is the call's, ascending; NULL: the same rows, n of them.
 * Linear: tangents alike.
 */
#ifndef OUTERLOOP_KERNEL_RESIDUAL_H
#define OUTERLOOP_KERNEL_RESIDUAL_H

#include "outerloop/kernel/operator.h"

extern const ol_operator ol_pick, ol_residual;

#endif
