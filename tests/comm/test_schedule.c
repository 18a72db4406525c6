/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "outerloop/comm/schedule.h"

static const double costs[] = {3, 7, 1, 7, 5, 2, 4};
static const int expected[] = {1, 3, 4, 6, 0, 5, 2}; /* dearest first, ties by number */
enum { N = 7 };

static void test_order_does_not_depend_on_ranks(void **state)
{
    (void)state;
    for (int size = 1; size <= 9; size++) {
        ol_schedule s;

        assert_int_equal(ol_schedule_init(&s, N, size), OL_OK);
        ol_schedule_plan(&s, costs);
        ol_schedule_plan(&s, costs); /* again: the same */
        for (int p = 0; p < N; p++) {
            assert_int_equal(s.order[p], expected[p]);
            assert_int_equal(s.position[s.order[p]], p);
        }
        ol_schedule_finish(&s);
    }
}

static void test_every_episode_is_done_once(void **state)
{
    (void)state;
    for (int size = 1; size <= 9; size++) {
        int done[N] = {0};
        ol_schedule s;

        assert_int_equal(ol_schedule_init(&s, N, size), OL_OK);
        ol_schedule_plan(&s, costs);
        assert_int_equal(s.rounds, (N + size - 1) / size);
        for (int round = 0; round < s.rounds; round++)
            for (int rank = 0; rank < size; rank++) {
                const int n = ol_schedule_episode(&s, rank, round);

                if (n < 0)
                    continue;
                done[n]++;
                assert_int_equal(ol_schedule_rank(&s, n), rank);
            }
        for (int n = 0; n < N; n++)
            assert_int_equal(done[n], 1);
        ol_schedule_finish(&s);
    }
}

static void test_imbalance(void **state)
{
    const double none[N] = {0};
    ol_schedule s;

    (void)state;
    assert_int_equal(ol_schedule_init(&s, N, 1), OL_OK);
    ol_schedule_plan(&s, costs);
    assert_true(s.imbalance == 1);
    ol_schedule_finish(&s);
    assert_int_equal(ol_schedule_init(&s, N, 2), OL_OK);
    assert_true(s.imbalance == 8.0 / 7); /* equal costs, one rank idle in the last round */
    ol_schedule_plan(&s, costs);
    assert_true(s.imbalance == (7 + 5 + 3 + 1) * 2 / 29.0);
    ol_schedule_plan(&s, none);
    assert_true(s.imbalance == 8.0 / 7);
    ol_schedule_finish(&s);
    ol_schedule_finish(&s);
    ol_schedule_finish(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_does_not_depend_on_ranks),
        cmocka_unit_test(test_every_episode_is_done_once),
        cmocka_unit_test(test_imbalance),
    };

    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
