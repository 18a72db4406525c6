/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics by hand-worked cases, each a quirk of MetaICL's evaluation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "outerloop/eval/score.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static double score_of(ol_metric metric, int rows, const char *const *predicted,
                       const char *const *gold)
{
    double score = -1.0;

    assert_int_equal(ol_score_rows(metric, rows, predicted, gold, &score), OL_OK);
    return score;
}

static void assert_near(double a, double b)
{
    assert_true(fabs(a - b) < 1e-14);
}

static void lowest_loss_wins_and_the_first_on_ties(void **state)
{
    const double plain[] = {2.0, 1.5, 1.75};
    const double tied[] = {2.0, 1.5, 1.5};
    const double broken[] = {(double)NAN, 3.0, 2.0};
    const double hopeless[] = {(double)NAN, (double)NAN};
    const double infinite[] = {(double)NAN, (double)INFINITY};

    (void)state;
    assert_int_equal(ol_score_pick(COUNT(plain), plain), 1);
    assert_int_equal(ol_score_pick(COUNT(tied), tied), 1);
    assert_int_equal(ol_score_pick(COUNT(broken), broken), 2);
    assert_int_equal(ol_score_pick(COUNT(hopeless), hopeless), -1);
    assert_int_equal(ol_score_pick(COUNT(infinite), infinite), 1);
}

static void accuracy_counts_equal_texts(void **state)
{
    const char *const predicted[] = {"yes", " no\n", "maybe", NULL};
    const char *const gold[] = {"yes", "no", "Maybe", "no"};

    (void)state;
    assert_near(score_of(OL_ACCURACY, 4, predicted, gold), 0.5);
}

static void macro_f1_of_two_classes(void **state)
{
    /* a: P 2/3, R 2/3, F 2/3; b: P 1/2, R 1/2, F 1/2 */
    const char *const predicted[] = {"a", "a", "b", "b", "a"};
    const char *const gold[] = {"a", "a", "a", "b", "b"};

    (void)state;
    assert_near(score_of(OL_MACRO_F1, 5, predicted, gold), (2.0 / 3 + 0.5) / 2);
}

static void a_class_never_predicted_has_f1_zero(void **state)
{
    /* a: P 1/2, R 1, F 2/3; b: P 1 by rule, R 0, F 0 */
    const char *const predicted[] = {"a", "a"};
    const char *const gold[] = {"a", "b"};

    (void)state;
    assert_near(score_of(OL_MACRO_F1, 2, predicted, gold), 1.0 / 3);
}

static void a_class_absent_from_gold_is_not_averaged(void **state)
{
    /* a: P 1, R 1/2, F 2/3; c is predicted once, is gold nowhere, and has no part in the mean */
    const char *const predicted[] = {"a", "c"};
    const char *const gold[] = {"a", "a"};

    (void)state;
    assert_near(score_of(OL_MACRO_F1, 2, predicted, gold), 2.0 / 3);
}

static void no_class_right_is_zero_and_not_nan(void **state)
{
    const char *const predicted[] = {"b", "a"};
    const char *const gold[] = {"a", "b"};

    (void)state;
    assert_near(score_of(OL_MACRO_F1, 2, predicted, gold), 0.0);
}

static void no_prediction_is_wrong_and_of_no_class(void **state)
{
    /* a: P 1 (one row predicted a), R 1/2, F 2/3. Were NULL counted as a, P would be 1/2. */
    const char *const predicted[] = {"a", NULL};
    const char *const gold[] = {"a", "a"};

    (void)state;
    assert_near(score_of(OL_MACRO_F1, 2, predicted, gold), 2.0 / 3);
}

static void classes_are_compared_stripped(void **state)
{
    const char *const predicted[] = {" a", "a\t", "\xc2\xa0\xe3\x80\x80\x62", "b"}; /* \x62 is b */
    const char *const gold[] = {"a\n", "a", "b", "b\xe2\x80\xa9 "};

    (void)state;
    assert_near(score_of(OL_MACRO_F1, 4, predicted, gold), 1.0);
    assert_false(ol_score_same("a b", "ab"));
    assert_true(ol_score_same(" \t ", ""));
    /* U+200B has zero width, but Python does not call it white space */
    assert_false(ol_score_same("a\xe2\x80\x8b", "a"));
}

static void floors_by_hand(void **state)
{
    /* four rows of two options, one of four: q = 0.45; golds a 3/5, b 2/5 */
    const int offsets[] = {0, 2, 4, 6, 8, 12};
    const char *const options[] = {"a", "b", "a", "b", "a", "b", "a", "b", "a", "b", "c", "d"};
    const char *const gold[] = {"a", "b", "a ", "b", "a"};
    const char *const apart[] = {"a", "b", "c", "d"}, *const apart_gold[] = {"a", "d"};
    const int pairs[] = {0, 2, 4};
    double chance, majority;

    (void)state;
    assert_int_equal(ol_score_floors(OL_ACCURACY, 5, offsets, options, gold, &chance, &majority),
                     OL_OK);
    assert_near(chance, 0.45);
    assert_near(majority, 0.6);
    assert_int_equal(ol_score_floors(OL_MACRO_F1, 5, offsets, options, gold, &chance, &majority),
                     OL_OK);
    assert_near(chance, 0.6 * 0.45 / 1.05 + 0.4 * 0.45 / 0.85);
    assert_near(majority, 0.375); /* a: P 3/5, R 1; b: 0 */
    assert_int_equal(ol_score_floors(OL_ACCURACY, 2, pairs, apart, apart_gold, &chance, &majority),
                     OL_OK);
    assert_near(chance, 0.5);
    assert_true(isnan(majority)); /* no answer fits both rows */
}

static void calibration_by_hand(void **state)
{
    /* confidences 3/4, 3/4 (one right), 1/2 (wrong), 1 (right), and a row without a prediction */
    const double third = log(3.0);
    const int offsets[] = {0, 2, 4, 6, 8, 10};
    const double losses[] = {0, third, third, 0, 1, 1, (double)NAN, 2, (double)NAN, (double)NAN};
    const char *const predicted[] = {"a", "b", "a", "b", NULL};
    const char *const gold[] = {"a", "a", "b", "b", "a"};

    (void)state;
    assert_near(ol_score_calibration(5, offsets, losses, predicted, gold),
                (fabs(0.25 - 0.75) + 0.5 + 0.0) / 4);
    assert_true(isnan(ol_score_calibration(1, offsets + 4, losses, predicted + 4, gold)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lowest_loss_wins_and_the_first_on_ties),
        cmocka_unit_test(accuracy_counts_equal_texts),
        cmocka_unit_test(macro_f1_of_two_classes),
        cmocka_unit_test(a_class_never_predicted_has_f1_zero),
        cmocka_unit_test(a_class_absent_from_gold_is_not_averaged),
        cmocka_unit_test(no_class_right_is_zero_and_not_nan),
        cmocka_unit_test(no_prediction_is_wrong_and_of_no_class),
        cmocka_unit_test(classes_are_compared_stripped),
        cmocka_unit_test(floors_by_hand),
        cmocka_unit_test(calibration_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
