/* SPDX-License-Identifier: BSD-3-Clause */
/* Derivatives of every operator, and that each check sees what it is there for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators.h"
#include "outerloop/kernel/gemm.h"
#include "outerloop/kernel/linear.h"
#include "outerloop/kernel/lowrank.h"

static flat list[MOST_OPERATORS];
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

/* Faults: a wrapper runs the operator, and then does what it should not. */

static void flip_largest(size_t n, ol_real *x)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        if (x[i] * x[i] > x[at] * x[at])
            at = i;
    x[at] = -x[at];
}

static void value_tangent(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->forward(f, pass, v);
    if (pass & OL_TANGENT)
        flip_largest(f->n_out, v->y.dot);
}

static void adjoint(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->backward(f, pass, v);
    if (pass & OL_PRIMAL)
        flip_largest(f->n_in, v->x_bar.v);
}

static void adjoint_tangent(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->backward(f, pass, v);
    if (pass & OL_TANGENT)
        flip_largest(f->n_in, v->x_bar.dot);
}

/* The formula's terms in R{x} have the wrong sign: those that second derivatives and products bring
 * in, and that a first-order check never sees. */
static void adjoint_term(const flat *f, ol_pass pass, const vectors *v)
{
    pool p = {0};
    vectors seen = *v;

    if (pass & OL_TANGENT) {
        seen.x.dot = pool_copy(&p, f->n_in, v->x.dot);
        seen.state.dot = pool_copy(&p, f->n_state, v->state.dot);
        for (size_t i = 0; i < f->n_in; i++)
            seen.x.dot[i] = -seen.x.dot[i];
        for (size_t i = 0; i < f->n_state; i++)
            seen.state.dot[i] = -seen.state.dot[i];
    }
    f->inner->backward(f, pass, &seen);
    pool_finish(&p);
}

static void both_at_once(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->backward(f, pass, v);
    if (pass == (OL_PRIMAL | OL_TANGENT))
        flip_largest(f->n_in, v->x_bar.dot);
}

/* What an earlier pass left in scratch is taken for granted. */
static void scratch_read(const flat *f, ol_pass pass, const vectors *v)
{
    const ol_real left = f->n_scratch > 0 ? v->scratch[0] : 0;

    f->inner->forward(f, pass, v);
    if (pass & OL_TANGENT)
        v->y.dot[0] += left;
}

static void input_written(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->forward(f, pass, v);
    v->x.v[f->n_in - 1] += 1;
}

static void adjoint_written(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->backward(f, pass, v);
    v->y_bar.v[f->n_out - 1] += 1;
}

static void state_written(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->backward(f, pass, v);
    if (f->n_state > 0)
        v->state.v[0] += 1;
}

/* A pass writes what is another's. */
static void other_half_written(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->backward(f, pass, v);
    if (pass == OL_PRIMAL && v->x_bar.dot)
        v->x_bar.dot[0] += 1;
}

static void overrun(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->forward(f, pass, v);
    if (pass & OL_PRIMAL)
        v->y.v[f->n_out] = 0;
}

/* A NULL tangent counts as something. */
static void null_tangent(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->forward(f, pass, v);
    if (f->absent.x_dot && pass & OL_TANGENT)
        v->y.dot[0] += 1;
}

static void null_adjoint_tangent(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->backward(f, pass, v);
    if ((f->absent.x_dot || f->absent.y_bar_dot) && !f->absent.x_bar_dot && pass & OL_TANGENT)
        v->x_bar.dot[0] += 1;
}

/* An unwanted adjoint changes one that is wanted. */
static void unwanted_matters(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->backward(f, pass, v);
    if (f->absent.x_bar && !f->absent.x_bar_dot && pass & OL_TANGENT)
        v->x_bar.dot[0] += 1;
}

static void unwanted_written(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->backward(f, pass, v);
    if (f->absent.x_bar & 1)
        v->x_bar.v[0] += 1;
}

static void input_read(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->backward(f, pass, v);
    if (pass & OL_TANGENT)
        v->x_bar.dot[0] += 0 * v->x.v[0];
}

static void adjoint_read(const flat *f, ol_pass pass, const vectors *v)
{
    f->inner->backward(f, pass, v);
    if (pass & OL_TANGENT)
        v->x_bar.dot[0] += 0 * v->y_bar.v[0];
}

static int any(const flat *f)
{
    (void)f;
    return 1;
}

static int is_curved(const flat *f)
{
    return f->curved;
}

static int has_state(const flat *f)
{
    return f->n_state > 0;
}

static int has_scratch(const flat *f)
{
    return f->n_scratch > 0;
}

static int is_linear(const flat *f)
{
    return !f->bends && f->inputs > 0;
}

typedef void pass_function(const flat *f, ol_pass pass, const vectors *v);

/* A fault in one direction, the check that must see it, and the operators that can have it. */
typedef struct fault {
    const char *name;
    pass_function *forward, *backward;
    int check;
    int (*possible)(const flat *f);
} fault;

static const fault faults[] = {
    {"tangent, sign", value_tangent, NULL, DERIV_TANGENT, any},
    {"tangent, sign", value_tangent, NULL, DERIV_ADJOINT, any},
    {"adjoint, sign", NULL, adjoint, DERIV_ADJOINT, any},
    {"adjoint, sign", NULL, adjoint, DERIV_ADJOINT_TANGENT, any},
    {"adjoint's tangent, sign", NULL, adjoint_tangent, DERIV_ADJOINT_TANGENT, any},
    {"adjoint's tangent, term", NULL, adjoint_term, DERIV_ADJOINT_TANGENT, is_curved},
    {"both passes at once", NULL, both_at_once, DERIV_ONE_PASS, any},
    {"scratch read", scratch_read, NULL, DERIV_ONE_PASS, has_scratch},
    {"input written", input_written, NULL, DERIV_INPUTS, any},
    {"adjoint written", NULL, adjoint_written, DERIV_INPUTS, any},
    {"state written", NULL, state_written, DERIV_INPUTS, has_state},
    {"tangent pass's output written", NULL, other_half_written, DERIV_INPUTS, any},
    {"overrun", overrun, NULL, DERIV_INPUTS, any},
    {"NULL tangent", null_tangent, NULL, DERIV_NULL, any},
    {"NULL tangent, backward", NULL, null_adjoint_tangent, DERIV_NULL, any},
    {"unwanted adjoint matters", NULL, unwanted_matters, DERIV_NULL, any},
    {"unwanted adjoint written", NULL, unwanted_written, DERIV_NULL, any},
    {"input read", NULL, input_read, DERIV_UNREAD, is_linear},
    {"adjoint read", NULL, adjoint_read, DERIV_UNREAD, is_linear},
};

static void must_fail(const flat *f, const char *what, int check)
{
    double error;

    if (deriv_passes(f, check, &error))
        fail_msg("%s: %s does not see: %s (error %.3g)", f->name, deriv_checks[check].name, what,
                 error);
}

/* Its operator is there in smaller shapes too. */
static bool is_large(const flat *f)
{
    return f->n_in > 100000;
}

static void test_seeded_faults(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof faults / sizeof *faults; k++)
        for (int i = 0; i < n_operators; i++) {
            const fault *wrong = &faults[k];
            flat f = list[i];

            f.inner = &list[i];
            f.forward = wrong->forward ? wrong->forward : f.forward;
            f.backward = wrong->backward ? wrong->backward : f.backward;
            if (deriv_has(wrong->check) && wrong->possible(&f) && !is_large(&f))
                must_fail(&f, wrong->name, wrong->check);
        }
}

static element other(element kind)
{
    return kind == OVERWRITTEN ? ADDED : OVERWRITTEN;
}

/* An output that is not of the kind that its operator says. */
static void test_seeded_kinds(void **state)
{
    (void)state;
    for (int i = 0; i < n_operators; i++) {
        flat f = list[i];
        element *kinds = malloc(f.n_in * sizeof *kinds);

        assert_non_null(kinds);
        f.out_kind = other(f.out_kind);
        must_fail(&f, "kind of y", DERIV_OUTPUTS);
        f = list[i];
        f.in_kind = kinds;
        for (int p = 0; p < f.parts && !is_large(&f); p++) {
            memcpy(kinds, list[i].in_kind, f.n_in * sizeof *kinds);
            kinds[f.part[p]] = other(kinds[f.part[p]]);
            must_fail(&f, "kind of x_bar", DERIV_OUTPUTS);
        }
        free(kinds);
    }
}

/* Products that passes take, each with all of an operator's matrices: value and tangent of forward,
 * value and tangent of backward, as the headers say. */
typedef struct cost {
    const ol_operator *op;
    int trained[4], frozen[4];
} cost;

enum { UNSAID = -1 };

static const cost costs[] = {
    {&ol_linear, {1, 2, 2, 4}, {1, 1, 1, 1}},
    {&ol_conv1d, {1, 2, 2, 4}, {1, 1, 1, 1}},
    {&ol_lowrank, {1, 2, 2, UNSAID}, {1, 1, 1, 1}},
    {&cross_entropy, {1, UNSAID, 3, 7}, {1, UNSAID, 2, 3}},
};

static void count_products(const shape *s, bool frozen, const int expected[4])
{
    pool p = {0};
    ol_call c = shape_call(s, &p);
    double product = 0;

    for (int j = 0; j < OL_OP_WEIGHTS; j++) {
        if (c.w[j].cols > 1)
            product += 2.0 * s->n * c.w[j].rows * c.w[j].cols;
        if (frozen)
            c.w[j].at.dot = c.w_bar[j].v = c.w_bar[j].dot = NULL;
    }
    for (int k = 0; k < 4; k++) {
        const double before = ol_gemm_flops();

        (k < 2 ? s->op->forward : s->op->backward)(k % 2 ? OL_TANGENT : OL_PRIMAL, &c);
        const double took = ol_gemm_flops() - before;

        if (expected[k] != UNSAID && took != expected[k] * product)
            fail_msg("%s: pass %d of 4 took %g products, not %d", s->name, k, took / product,
                     expected[k]);
    }
    assert_true(pool_finish(&p));
}

static void test_cost(void **state)
{
    int seen = 0;

    (void)state;
    for (size_t k = 0; k < sizeof costs / sizeof *costs; k++)
        for (int i = 0; i < n_shapes; i++)
            if (shapes[i].op == costs[k].op) {
                count_products(&shapes[i], false, costs[k].trained);
                count_products(&shapes[i], true, costs[k].frozen);
                seen++;
            }
    assert_int_equal(seen, 9);
}

int main(void)
{
    struct CMUnitTest tests[DERIV_CHECKS + 3];
    size_t n = 0;

    for (int i = 0; i < DERIV_CHECKS; i++)
        if (deriv_has(i))
            tests[n++] = (struct CMUnitTest){deriv_checks[i].name, test_check, NULL, NULL,
                                             (void *)(intptr_t)i};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_seeded_faults);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_seeded_kinds);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_cost);
    return _cmocka_run_group_tests("operators", tests, n, build, finish);
}
