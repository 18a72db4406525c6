/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/dual.h
 * What all operators share: duals and passes.
 *
 * q.v is a value and q.dot its tangent R{q} = d/dε q(θ + ε u). For an adjoint q_bar = dL/dq, q_bar.v
 * is the adjoint and q_bar.dot is R{q_bar}. All have the shape of q.
 *
 * Every operator is a pair of functions, forward and backward, with a pass mask:
 *
 *   forward   OL_PRIMAL  y = f(x)                  OL_TANGENT  R{y} = f'(x) R{x}
 *   backward  OL_PRIMAL  x_bar from y_bar          OL_TANGENT  R{x_bar} from R{y_bar} and y_bar
 *
 * A tangent pass reads the values that a primal pass left, in this call or an earlier one. Adjoints
 * of parameters are added to; adjoints of activations are overwritten unless an operator says
 * otherwise. A NULL output is not wanted and costs nothing. Inputs are never written.
 *
 * Source: Pearlmutter 1994 (the R operator).
 */
#ifndef OUTERLOOP_KERNEL_DUAL_H
#define OUTERLOOP_KERNEL_DUAL_H

#include "outerloop/base/real.h" /* ol_real */

typedef unsigned ol_pass;
enum { OL_PRIMAL = 1u, OL_TANGENT = 2u };

/** A buffer and its tangent (or an adjoint and the tangent of the adjoint). */
typedef struct ol_dual {
    ol_real *v;
    ol_real *dot;
} ol_dual;

/** The dual that starts `offset` reals further on; NULL stays NULL. */
static inline ol_dual ol_dual_at(ol_dual x, size_t offset)
{
    return (ol_dual){x.v ? x.v + offset : NULL, x.dot ? x.dot + offset : NULL};
}

#endif
