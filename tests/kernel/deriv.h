/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file deriv.h
 * Checks that any dual operator must pass, in f64.
 *
 * An operator is seen as a function y = f(x) of flat vectors: x holds all its inputs one after the
 * other, y its output. A check returns an error, to be held against the tolerance of its row in
 * deriv_checks; so a test can also demand that a check fails.
 *
 * Differences are central and of fourth order,
 *
 *   f'(x) ẋ ≈ (8 (f(x+hẋ) - f(x-hẋ)) - (f(x+2hẋ) - f(x-2hẋ))) / 12h,   h = 2e-4,
 *
 * with a truncation error of h⁴ f⁽⁵⁾/30 (5e-17 times a fifth derivative, which for our inputs of
 * size 1 stays below 1e5) and a rounding error of about 1.5 ε |f|/h = 2e-12 |f|. The tolerance of
 * 1e-9 on ‖error‖/‖value‖ leaves two orders to both; a wrong sign or factor is off by 1.
 */
#ifndef TESTS_KERNEL_DERIV_H
#define TESTS_KERNEL_DERIV_H

#include <stdbool.h>

#include "outerloop/kernel/dual.h"

/* What a backward pass does with an element of its output. */
typedef enum element { OVERWRITTEN, ADDED, UNTOUCHED } element;

typedef struct operator operator;

struct operator
{
    const char *name;
    size_t n_in, n_out;      /* reals of x and of y                                             */
    size_t n_state;          /* reals that the primal forward pass leaves for all other passes  */
    size_t params_at;        /* x[params_at .. n_in-1] are parameters                           */
    const element *in_kind;  /* [n_in] of x_bar                                            */
    const element *out_kind; /* [n_out] of y: OVERWRITTEN or UNTOUCHED                     */
    bool no_value_tangent;   /* forward has no tangent pass and y_bar is data: the head    */
    bool mute_params;        /* adjoints of parameters are not wanted in the primal pass   */
    void (*forward)(const operator* op, ol_pass pass, ol_dual x, ol_real *state, ol_dual y);
    void (*backward)(const operator* op, ol_pass pass, ol_dual x, ol_real *state, ol_dual y_bar,
                     ol_dual x_bar);
    const void *payload;
    const operator* inner; /* of a wrapper */
};

typedef struct deriv_check {
    const char *name;
    double (*error)(const operator* op);
    double tolerance;
} deriv_check;

enum {
    DERIV_ADJOINT,         /* <y_bar, R{y}> = <x_bar, x_dot>                                  */
    DERIV_TANGENT,         /* R{y} against differences of y                                   */
    DERIV_ADJOINT_TANGENT, /* R{x_bar} against differences of x_bar, y_bar moving too         */
    DERIV_ONE_PASS,        /* both passes at once against one after the other                 */
    DERIV_INPUTS,          /* no pass writes to x, y_bar, their tangents, or beyond an output */
    DERIV_OUTPUTS,         /* outputs are added to, overwritten or left alone as documented   */
    DERIV_MUTED,           /* unwanted adjoints of parameters change nothing else             */
    DERIV_CHECKS
};

extern const deriv_check deriv_checks[DERIV_CHECKS];

/* True when the check's error is within its tolerance; a NaN never is. */
bool deriv_passes(const operator* op, int check, double *error);

#endif
