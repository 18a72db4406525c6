/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file deriv.h
 * Checks that any dual operator must pass.
 *
 * An operator is seen as a function y = f(x) of flat vectors: x holds all its inputs and weights one
 * after the other (its parts), y its output. A check returns an error, to be held against a
 * tolerance; so a test can also demand that a check fails.
 *
 * Differences are central and of fourth order,
 *
 *   f'(x) ẋ ≈ (8 (f(x+hẋ) - f(x-hẋ)) - (f(x+2hẋ) - f(x-2hẋ))) / 12h,   h = 2e-4,
 *
 * with a truncation error of h⁴ f⁽⁵⁾/30 (5e-17 times a fifth derivative, which for our inputs of
 * size 1 stays below 1e5) and, in f64, a rounding error of about 1.5 ε |f|/h = 2e-12 |f|. The
 * tolerance of 1e-9 on ‖error‖/‖value‖ leaves two orders to both; a wrong sign or factor is off by
 * 1. In f32 differences say nothing, and all other checks hold.
 */
#ifndef TESTS_KERNEL_DERIV_H
#define TESTS_KERNEL_DERIV_H

#include <stdbool.h>

#include "outerloop/kernel/dual.h"

enum { MOST_PARTS = 5 };

/* What a pass does with an element of its output. */
typedef enum element { OVERWRITTEN, ADDED, UNTOUCHED } element;

/* What is NULL in a call of the operator: of its parts those whose bit is set. */
typedef struct absence {
    unsigned x_dot, x_bar, x_bar_dot;
    bool y_bar_dot;
} absence;

typedef struct vectors {
    ol_dual x, x_bar; /* [n_in]      */
    ol_dual y, y_bar; /* [n_out]     */
    ol_dual state;    /* [n_state]   */
    ol_real *scratch; /* [n_scratch] */
} vectors;

typedef struct flat flat;

struct flat {
    char name[64];
    size_t n_in, n_out, n_state, n_scratch;
    int parts;
    size_t part[MOST_PARTS + 1]; /* part p is x[part[p] .. part[p+1]-1]                      */
    int inputs;                  /* parts from here on are weights                           */
    const element *in_kind;      /* [n_in] of x_bar                                          */
    element out_kind;            /* of y                                                     */
    bool bends;                  /* not linear in its inputs                                 */
    bool curved;                 /* R{x_bar} depends on R{x}                                 */
    bool data;                   /* y_bar is data and has no tangent                         */
    absence absent;
    void (*forward)(const flat *f, ol_pass pass, const vectors *v);
    void (*backward)(const flat *f, ol_pass pass, const vectors *v);
    const void *payload;
    const flat *inner; /* of a wrapper */
};

enum {
    DERIV_ADJOINT,         /* <y_bar, R{y}> = <x_bar, x_dot>                                    */
    DERIV_TANGENT,         /* R{y} against differences of y                                     */
    DERIV_ADJOINT_TANGENT, /* R{x_bar} against differences of x_bar, y_bar moving too           */
    DERIV_ONE_PASS,        /* both passes at once against one after the other                   */
    DERIV_INPUTS,          /* no pass writes to x, y_bar, their tangents, what is another pass's,
                              or beyond an output; in place, x[0] and y_bar are copies          */
    DERIV_OUTPUTS,         /* outputs are added to, overwritten or left alone as documented     */
    DERIV_NULL,            /* NULL among tangents is zero, among adjoints it is not wanted      */
    DERIV_UNREAD,          /* linear, with frozen weights: values of x and y_bar are not read   */
    DERIV_CHECKS
};

typedef struct deriv_check {
    const char *name;
    double (*error)(const flat *f);
    double tolerance;
} deriv_check;

extern const deriv_check deriv_checks[DERIV_CHECKS];

/* False for checks by differences in f32. */
bool deriv_has(int check);

/* True when the check's error is within its tolerance; a NaN never is. */
bool deriv_passes(const flat *f, int check, double *error);

#endif
