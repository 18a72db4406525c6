/* SPDX-License-Identifier: BSD-3-Clause */
/* The stopwatch: every second is in one phase, and in the right one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "outerloop/base/clock.h"
#include "outerloop/base/phase.h"

/* Work for so long. */
static void work(double seconds)
{
    const double end = ol_clock_seconds() + seconds;

    while (ol_clock_seconds() < end)
        ;
}

static double sum(const ol_phase_times *times)
{
    double all = 0;

    for (int p = 0; p < OL_PHASES; p++)
        all += times->seconds[p];
    return all;
}

static void nested(void)
{
    const ol_phase was = ol_phase_enter(OL_PHASE_FORWARD);

    work(0.002);
    for (int i = 0; i < 3; i++) {
        const ol_phase outside = ol_phase_enter(OL_PHASE_BACKWARD);

        work(0.004);
        ol_phase_leave(outside);
    }
    ol_phase_leave(was);
}

/* All the time that passed is there, and none of it twice. What else runs on the machine only makes
 * phases longer. */
static void test_nothing_is_lost_or_counted_twice(void **state)
{
    const double before = ol_clock_seconds();
    double begin, passed;
    ol_phase_times times;

    (void)state;
    ol_phase_start();
    begin = ol_clock_seconds();
    work(0.001);
    nested();
    passed = ol_clock_seconds() - begin;
    times = ol_phase_read();
    ol_phase_stop();
    assert_true(times.seconds[OL_PHASE_FORWARD] >= 0.002);
    assert_true(times.seconds[OL_PHASE_BACKWARD] >= 0.012);
    assert_true(times.seconds[OL_PHASE_OTHER] >= 0.001);
    assert_int_equal(times.calls[OL_PHASE_FORWARD], 1);
    assert_int_equal(times.calls[OL_PHASE_BACKWARD], 3);
    assert_true(sum(&times) > passed - 1e-9 && sum(&times) < ol_clock_seconds() - before + 1e-9);
}

/* Reading in the midst of a phase cuts it in two. */
static void test_reading_cuts(void **state)
{
    ol_phase_times first, second;

    (void)state;
    ol_phase_start();
    ol_phase_enter(OL_PHASE_DRAW);
    work(0.002);
    first = ol_phase_read();
    work(0.003);
    ol_phase_leave(OL_PHASE_OTHER);
    second = ol_phase_read();
    ol_phase_stop();
    assert_true(first.seconds[OL_PHASE_DRAW] >= 0.002);
    assert_true(second.seconds[OL_PHASE_DRAW] >= 0.003);
    assert_int_equal(first.calls[OL_PHASE_DRAW], 1);
    assert_int_equal(second.calls[OL_PHASE_DRAW], 0);
}

static void test_off(void **state)
{
    ol_phase_times times;

    (void)state;
    nested();
    times = ol_phase_read();
    assert_true(sum(&times) == 0 && times.calls[OL_PHASE_BACKWARD] == 0);
}

static void test_names(void **state)
{
    (void)state;
    for (int p = 0; p < OL_PHASES; p++) {
        assert_true(strlen(ol_phase_names[p]) > 0);
        for (int q = 0; q < p; q++)
            assert_string_not_equal(ol_phase_names[p], ol_phase_names[q]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_nothing_is_lost_or_counted_twice),
        cmocka_unit_test(test_reading_cuts),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests_name("phases", tests, NULL, NULL);
}
