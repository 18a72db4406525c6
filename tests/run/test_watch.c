/* SPDX-License-Identifier: BSD-3-Clause */
/* Which meta-gradients are called doubtful. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "outerloop/run/watch.h"

static const double NONE = NAN;

static void test_share(void **state)
{
    ol_watch w = {0};

    (void)state;
    assert_false(ol_watch_step(&w, 9.9, 1));
    assert_true(ol_watch_step(&w, 10.1, 1));
    assert_true(ol_watch_step(&w, INFINITY, 1));
    assert_false(ol_watch_step(&w, NONE, 1));
}

static void test_norm(void **state)
{
    ol_watch w = {0};

    (void)state;
    for (int i = 0; i < OL_WATCH_LEAST; i++) /* the first ones have nothing to be compared with */
        assert_false(ol_watch_step(&w, NONE, i == 3 ? 1e6 : 1 + 0.01 * i));
    assert_true(fabs(ol_watch_median(&w) - 1.08) < 0.02);
    assert_false(ol_watch_step(&w, NONE, 19));
    assert_true(ol_watch_step(&w, NONE, 30));
    assert_true(ol_watch_step(&w, NONE, 30)); /* outliers do not become what is usual */
    assert_false(ol_watch_step(&w, NONE, NAN));
}

/* A norm that grows tenfold every hundred steps is a run that goes its way. */
static void test_drift(void **state)
{
    ol_watch w = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_false(ol_watch_step(&w, NONE, pow(10, i / 100.0)));
}

/* Learners whose norms are 0, or all alike. */
static void test_flat(void **state)
{
    ol_watch w = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_false(ol_watch_step(&w, NONE, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_flat),
    };

    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
