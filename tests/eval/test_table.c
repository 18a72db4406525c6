/* SPDX-License-Identifier: BSD-3-Clause */
/* Means and worst seeds by hand, and the look of the final table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "outerloop/eval/result.h"
#include "outerloop/eval/table.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const ol_eval_score scores[] = {
    {"b", 13, 0, true, "", 0.25}, {"a", 13, 0, false, "", 0.5}, {"a", 21, 0, false, "", 0.75},
    {"b", 21, 0, true, "", 0.5},  {"a", 13, 4, false, "", 1.0},
};

static void worst_is_the_mean_over_tasks_of_their_worst_seed(void **state)
{
    const ol_eval_learner learner = {"maml", scores, COUNT(scores), 62.0};
    ol_eval_summary s;

    (void)state;
    assert_int_equal(ol_eval_summarise(&learner, 0, false, &s), OL_OK);
    assert_int_equal(s.tasks, 2);
    assert_int_equal(s.seeds, 2);
    assert_true(fabs(s.mean - 0.5) < 1e-15);
    assert_true(fabs(s.worst - 0.375) < 1e-15);
    assert_int_equal(ol_eval_summarise(&learner, 0, true, &s), OL_OK);
    assert_int_equal(s.tasks, 1);
    assert_true(fabs(s.mean - 0.375) < 1e-15);
    assert_int_equal(ol_eval_summarise(&learner, 8, false, &s), OL_OK);
    assert_int_equal(s.tasks, 0);
    assert_true(isnan(s.mean) && isnan(s.worst));
}

static void tasks_weigh_the_same_whatever_their_seeds(void **state)
{
    const ol_eval_score uneven[] = {
        {"a", 1, 0, false, "", 1.0}, {"a", 2, 0, false, "", 1.0}, {"b", 1, 0, false, "", 0.0}};
    const ol_eval_learner learner = {"x", uneven, COUNT(uneven), -1.0};
    ol_eval_summary s;

    (void)state;
    assert_int_equal(ol_eval_summarise(&learner, 0, false, &s), OL_OK);
    assert_true(fabs(s.mean - 0.5) < 1e-15);
}

static void a_score_measured_again_replaces_the_first(void **state)
{
    const ol_eval_score twice[] = {{"a", 1, 0, false, "", 0.0}, {"a", 1, 0, false, "", 1.0}};
    const ol_eval_learner learner = {"x", twice, COUNT(twice), -1.0};
    ol_eval_summary s;

    (void)state;
    assert_int_equal(ol_eval_summarise(&learner, 0, false, &s), OL_OK);
    assert_int_equal(s.seeds, 1);
    assert_true(fabs(s.mean - 1.0) < 1e-15 && fabs(s.worst - 1.0) < 1e-15);
}

static void the_table_reads_as_promised(void **state)
{
    const ol_eval_learner learners[] = {{"untrained", scores, 4, (double)NAN},
                                        {"maml", scores, COUNT(scores), 62.0}};
    const char *const expected =
        "unseen tasks (2 tasks, 2 seeds; score in %, mean and worst seed)\n"
        "\n"
        "                      in context         4 steps   wall time\n"
        "learner              mean  worst     mean  worst\n"
        "untrained            50.0   37.5        -      -   -\n"
        "maml                 50.0   37.5    100.0  100.0   1 min 02 s\n"
        "\n"
        "tasks of unseen domains (1 task, 2 seeds; score in %, mean and worst seed)\n"
        "\n"
        "                      in context   wall time\n"
        "learner              mean  worst\n"
        "untrained            37.5   25.0   -\n"
        "maml                 37.5   25.0   1 min 02 s\n"
        "\n";
    ol_text text = {0};

    (void)state;
    assert_int_equal(ol_eval_table(learners, COUNT(learners), &text), OL_OK);
    assert_string_equal(text.data, expected);
    ol_text_finish(&text);
}

/* One table a group, in order; tasks of no group stand in none. */
static void groups_are_told_apart(void **state)
{
    const ol_eval_score grouped[] = {{"a", 1, 1, false, "new pairings", 0.5},
                                     {"b", 1, 1, false, "new pairings", 1.0},
                                     {"c", 1, 1, true, "new labels", 0.25},
                                     {"d", 1, 1, false, "", 0.0}};
    const ol_eval_learner learner = {"maml", grouped, COUNT(grouped), 62.0};
    const char *const expected = "new pairings (2 tasks, 1 seed; score in %, mean and worst seed)\n"
                                 "\n"
                                 "                          1 step   wall time\n"
                                 "learner              mean  worst\n"
                                 "maml                 75.0   75.0   1 min 02 s\n"
                                 "\n"
                                 "new labels (1 task, 1 seed; score in %, mean and worst seed)\n"
                                 "\n"
                                 "                          1 step   wall time\n"
                                 "learner              mean  worst\n"
                                 "maml                 25.0   25.0   1 min 02 s\n"
                                 "\n";
    ol_text text = {0};

    (void)state;
    assert_int_equal(ol_eval_table(&learner, 1, &text), OL_OK);
    assert_string_equal(text.data, expected);
    ol_text_finish(&text);
}

static void many_step_counts_stay_within_100_columns(void **state)
{
    ol_eval_score many[12];
    ol_text text = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = (ol_eval_score){"a", 1, (int)(COUNT(many) - i), false, "", 0.5};
    const ol_eval_learner learner = {"a learner with quite a name, which is cut", many, COUNT(many),
                                     3599.0};
    assert_int_equal(ol_eval_table(&learner, 1, &text), OL_OK);
    for (const char *line = text.data; *line; line = strchr(line, '\n') + 1)
        assert_true(strcspn(line, "\n") <= 100);
    assert_non_null(strstr(text.data, "12 steps"));
    assert_non_null(strstr(text.data, "59 min 59 s"));
    ol_text_finish(&text);
}

static void no_scores_make_no_table(void **state)
{
    const ol_eval_learner learner = {"maml", NULL, 0, 1.0};
    ol_text text = {0};

    (void)state;
    assert_int_equal(ol_eval_table(&learner, 1, &text), OL_OK);
    assert_int_equal(text.size, 0);
    ol_text_finish(&text);
}

static void make_result(ol_eval_result *r)
{
    const int options_per_row[] = {2, 3};
    const char *const options[] = {"yes", "no", "", "b c", "\xc3\xa9"};

    assert_int_equal(ol_eval_result_init(2, options_per_row, options, 2, r), OL_OK);
    r->item = 7;
    r->metric = OL_MACRO_F1;
    r->gold[1] = 2;
    r->scorings[1].steps = 4;
    r->scorings[1].score = 0.5;
    r->scorings[1].predicted[0] = -1;
    r->scorings[1].losses[4] = (double)NAN;
}

static void a_result_survives_packing(void **state)
{
    ol_eval_result in[2], out;
    ol_text bytes = {0};
    size_t used, at = 0;

    (void)state;
    for (int i = 0; i < 2; i++) {
        make_result(&in[i]);
        in[i].item = i;
        assert_int_equal(ol_eval_result_pack(&in[i], &bytes), OL_OK);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ol_eval_result_unpack(bytes.data + at, bytes.size - at, &used, &out),
                         OL_OK);
        at += used;
        assert_int_equal(out.item, i);
        assert_int_equal(out.metric, OL_MACRO_F1);
        assert_int_equal(out.rows, 2);
        assert_int_equal(out.prompts, 5);
        assert_int_equal(out.offsets[1], 2);
        assert_int_equal(out.gold[1], 2);
        assert_string_equal(out.options[2], "");
        assert_string_equal(out.options[4], "\xc3\xa9");
        assert_int_equal(out.scorings[1].steps, 4);
        assert_int_equal(out.scorings[1].predicted[0], -1);
        assert_true(isnan(out.scorings[1].losses[4]));
        ol_eval_result_finish(&out);
        ol_eval_result_finish(&in[i]);
    }
    assert_int_equal(at, bytes.size);
    ol_text_finish(&bytes);
}

static void a_cut_result_is_refused_at_every_length(void **state)
{
    ol_eval_result in, out;
    ol_text bytes = {0};
    size_t used;

    (void)state;
    make_result(&in);
    assert_int_equal(ol_eval_result_pack(&in, &bytes), OL_OK);
    for (size_t n = 0; n < bytes.size; n++)
        assert_int_equal(ol_eval_result_unpack(bytes.data, n, &used, &out), OL_EDATA);
    ol_eval_result_finish(&in);
    ol_text_finish(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worst_is_the_mean_over_tasks_of_their_worst_seed),
        cmocka_unit_test(tasks_weigh_the_same_whatever_their_seeds),
        cmocka_unit_test(a_score_measured_again_replaces_the_first),
        cmocka_unit_test(the_table_reads_as_promised),
        cmocka_unit_test(groups_are_told_apart),
        cmocka_unit_test(many_step_counts_stay_within_100_columns),
        cmocka_unit_test(no_scores_make_no_table),
        cmocka_unit_test(a_result_survives_packing),
        cmocka_unit_test(a_cut_result_is_refused_at_every_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
