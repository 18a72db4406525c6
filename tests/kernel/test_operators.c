/* SPDX-License-Identifier: BSD-3-Clause */
/* Derivatives of every operator, and that a wrong sign in one is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators.h"

static operator list[MOST_OPERATORS];
static int n_operators;

static int build(void **state)
{
    (void)state;
    n_operators = operators_build(list);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    operators_finish(n_operators, list);
    return 0;
}

static void test_check(void **state)
{
    const int check = (int)(intptr_t)*state;

    for (int i = 0; i < n_operators; i++) {
        double error;

        if (!deriv_passes(&list[i], check, &error))
            fail_msg("%s: %s: error %.3g", list[i].name, deriv_checks[check].name, error);
    }
}

/* A wrapper runs the operator and then flips the sign of the largest element of one result. */
typedef enum fault { VALUE_TANGENT, ADJOINT, ADJOINT_TANGENT, ADJOINT_TERM } fault;

static fault seeded;

static void flip_largest(size_t n, ol_real *x)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        if (x[i] * x[i] > x[at] * x[at])
            at = i;
    x[at] = -x[at];
}

static void faulty_forward(const operator* op, ol_pass pass, ol_dual x, ol_real *state, ol_dual y)
{
    op->inner->forward(op->inner, pass, x, state, y);
    if (seeded == VALUE_TANGENT && (pass & OL_TANGENT))
        flip_largest(op->n_out, y.dot);
}

/* ADJOINT_TERM flips the sign of the formula's terms in R{x}: those that second derivatives and
 * products bring in, and that a first-order check never sees. */
static void faulty_backward(const operator* op, ol_pass pass, ol_dual x, ol_real *state,
                            ol_dual y_bar, ol_dual x_bar)
{
    ol_real *dot = NULL;

    if (seeded == ADJOINT_TERM && (pass & OL_TANGENT)) {
        dot = malloc(op->n_in * sizeof *dot);
        assert_non_null(dot);
        for (size_t i = 0; i < op->n_in; i++)
            dot[i] = -x.dot[i];
        x.dot = dot;
    }
    op->inner->backward(op->inner, pass, x, state, y_bar, x_bar);
    free(dot);
    if (seeded == ADJOINT && (pass & OL_PRIMAL))
        flip_largest(op->n_in, x_bar.v);
    if (seeded == ADJOINT_TANGENT && (pass & OL_TANGENT))
        flip_largest(op->n_in, x_bar.dot);
}

static operator wrap(const operator* inner)
{
    operator op = * inner;

    op.forward = faulty_forward;
    op.backward = faulty_backward;
    op.inner = inner;
    return op;
}

static void must_fail(const operator* op, fault what, int check)
{
    const operator faulty = wrap(op);
    double error;

    seeded = what;
    if (deriv_passes(&faulty, check, &error))
        fail_msg("%s: %s does not see fault %d: error %.3g", op->name, deriv_checks[check].name,
                 (int)what, error);
}

/* Linear in x, so that the tangent of the adjoint does not depend on R{x}. */
static int has_second_derivative(const operator* op)
{
    return strcmp(op->name, "embedding") != 0 && strcmp(op->name, "rows") != 0;
}

static void test_seeded_faults(void **state)
{
    (void)state;
    for (int i = 0; i < n_operators; i++) {
        const operator* op = & list[i];

        if (!op->no_value_tangent) {
            must_fail(op, VALUE_TANGENT, DERIV_TANGENT);
            must_fail(op, VALUE_TANGENT, DERIV_ADJOINT);
        }
        must_fail(op, ADJOINT, DERIV_ADJOINT);
        must_fail(op, ADJOINT, DERIV_ADJOINT_TANGENT);
        must_fail(op, ADJOINT_TANGENT, DERIV_ADJOINT_TANGENT);
        if (has_second_derivative(op))
            must_fail(op, ADJOINT_TERM, DERIV_ADJOINT_TANGENT);
    }
}

/* The same for what is not a derivative: an input written, an output taken for another kind. */
static void writing_forward(const operator* op, ol_pass pass, ol_dual x, ol_real *state, ol_dual y)
{
    op->inner->forward(op->inner, pass, x, state, y);
    x.v[op->n_in - 1] += 1;
}

static void overrunning_forward(const operator* op, ol_pass pass, ol_dual x, ol_real *state,
                                ol_dual y)
{
    op->inner->forward(op->inner, pass, x, state, y);
    y.v[op->n_out] = 0;
}

static void test_seeded_writes(void **state)
{
    operator op = wrap(&list[0]);
    element *kinds = malloc(op.n_in * sizeof *kinds);
    double error;

    (void)state;
    assert_non_null(kinds);
    op.backward = list[0].backward;
    op.forward = writing_forward;
    assert_false(deriv_passes(&op, DERIV_INPUTS, &error));
    op.forward = overrunning_forward;
    assert_false(deriv_passes(&op, DERIV_INPUTS, &error));
    op = list[0];
    memcpy(kinds, op.in_kind, op.n_in * sizeof *kinds);
    kinds[op.n_in - 1] = OVERWRITTEN;
    op.in_kind = kinds;
    assert_false(deriv_passes(&op, DERIV_OUTPUTS, &error));
    free(kinds);
}

int main(void)
{
    struct CMUnitTest tests[DERIV_CHECKS + 2];

    for (int i = 0; i < DERIV_CHECKS; i++)
        tests[i] =
            (struct CMUnitTest){deriv_checks[i].name, test_check, NULL, NULL, (void *)(intptr_t)i};
    tests[DERIV_CHECKS] = (struct CMUnitTest)cmocka_unit_test(test_seeded_faults);
    tests[DERIV_CHECKS + 1] = (struct CMUnitTest)cmocka_unit_test(test_seeded_writes);
    return cmocka_run_group_tests_name("operators", tests, build, finish);
}
