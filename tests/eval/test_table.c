/* SPDX-License-Identifier: BSD-3-Clause */
/* Means, worst seeds and differences by hand, and the look of the final table. */
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

#define SCORE(name, s, k, x, ...)                                                                  \
    {                                                                                              \
        .task = name, .seed = s, .steps = k, .score = x, .chance = 0.5, .majority = 0.625,         \
        ##__VA_ARGS__                                                                              \
    }
#define FAR .group = "far"

static const ol_eval_score scores[] = {
    SCORE("b", 13, 0, 0.25, FAR), SCORE("a", 13, 0, 0.5), SCORE("a", 21, 0, 0.75),
    SCORE("b", 21, 0, 0.5, FAR),  SCORE("a", 13, 4, 1.0),
};

static ol_eval_learner learner_of(const char *name, const ol_eval_score *items, size_t n)
{
    return (ol_eval_learner){name, items, n, (double)NAN, (double)NAN, (double)NAN, NULL};
}

static void worst_is_the_mean_over_tasks_of_their_worst_seed(void **state)
{
    ol_eval_learner learner = learner_of("maml", scores, COUNT(scores));
    ol_eval_summary s;

    (void)state;
    assert_int_equal(ol_eval_summarise(&learner, 0, NULL, &s), OL_OK);
    assert_int_equal(s.tasks, 2);
    assert_int_equal(s.seeds, 2);
    assert_int_equal(s.trainings, 1);
    assert_true(fabs(s.score.mean - 0.5) < 1e-15);
    assert_true(s.score.low < 0.5 && 0.5 < s.score.high);
    assert_true(fabs(s.worst - 0.375) < 1e-15);
    assert_true(s.chance == 0.5 && s.majority == 0.625);
    assert_int_equal(ol_eval_summarise(&learner, 0, "far", &s), OL_OK);
    assert_int_equal(s.tasks, 1);
    assert_true(fabs(s.score.mean - 0.375) < 1e-15);
    learner.task = "a";
    assert_int_equal(ol_eval_summarise(&learner, 0, NULL, &s), OL_OK);
    assert_int_equal(s.tasks, 1);
    assert_true(fabs(s.score.mean - 0.625) < 1e-15);
    assert_int_equal(ol_eval_summarise(&learner, 8, NULL, &s), OL_OK);
    assert_int_equal(s.tasks, 0);
    assert_true(isnan(s.score.mean) && isnan(s.worst) && isnan(s.chance));
}

static void tasks_weigh_the_same_whatever_their_seeds(void **state)
{
    const ol_eval_score uneven[] = {SCORE("a", 1, 0, 1.0), SCORE("a", 2, 0, 1.0),
                                    SCORE("b", 1, 0, 0.0)};
    const ol_eval_learner learner = learner_of("x", uneven, COUNT(uneven));
    ol_eval_summary s;

    (void)state;
    assert_int_equal(ol_eval_summarise(&learner, 0, NULL, &s), OL_OK);
    assert_true(fabs(s.score.mean - 0.5) < 1e-15);
}

static void a_score_measured_again_replaces_the_first(void **state)
{
    const ol_eval_score twice[] = {SCORE("a", 1, 0, 0.0), SCORE("a", 1, 0, 1.0)};
    const ol_eval_learner learner = learner_of("x", twice, COUNT(twice));
    ol_eval_summary s;

    (void)state;
    assert_int_equal(ol_eval_summarise(&learner, 0, NULL, &s), OL_OK);
    assert_int_equal(s.seeds, 1);
    assert_true(fabs(s.score.mean - 1.0) < 1e-15 && fabs(s.worst - 1.0) < 1e-15);
}

static void trainings_are_averaged_before_the_worst_is_taken(void **state)
{
    const ol_eval_score many[] = {
        SCORE("a", 1, 0, 0.0, .training = 7), SCORE("a", 1, 0, 1.0, .training = 8),
        SCORE("a", 2, 0, 1.0, .training = 7), SCORE("a", 2, 0, 0.5, .training = 8)};
    const ol_eval_learner learner = learner_of("x", many, COUNT(many));
    ol_eval_summary s;

    (void)state;
    assert_int_equal(ol_eval_summarise(&learner, 0, NULL, &s), OL_OK);
    assert_int_equal(s.trainings, 2);
    assert_int_equal(s.seeds, 2);
    assert_true(fabs(s.score.mean - 0.625) < 1e-15 && fabs(s.worst - 0.5) < 1e-15);
}

static void differences_are_paired(void **state)
{
    /* tasks differ by far more than learners do: +0.1 everywhere, whatever is drawn */
    ol_eval_score low[20], high[20];
    ol_eval_learner a, b;
    ol_interval d;

    (void)state;
    for (int i = 0; i < 20; i++) {
        low[i] = (ol_eval_score){
            .task = i < 10 ? "a" : "b", .seed = i, .training = 3, .score = i % 2 ? 0.8 : 0.1};
        high[i] = low[i];
        high[i].score += 0.1;
    }
    a = learner_of("a", high, 20);
    b = learner_of("b", low, 20);
    assert_int_equal(ol_eval_compare(&a, &b, 0, NULL, &d), OL_OK);
    assert_true(fabs(d.mean - 0.1) < 1e-14 && d.high - d.low < 1e-12);
    for (int i = 0; i < 20; i++)
        low[i].training = 4; /* another start, then: cells are all that they share */
    assert_int_equal(ol_eval_compare(&a, &b, 0, NULL, &d), OL_OK);
    assert_true(fabs(d.mean - 0.1) < 1e-14 && d.high - d.low < 1e-12);
    b.n = 10; /* task b is a's alone */
    assert_int_equal(ol_eval_compare(&a, &b, 0, NULL, &d), OL_OK);
    assert_true(fabs(d.mean - 0.1) < 1e-14);
    assert_int_equal(ol_eval_compare(&a, &b, 1, NULL, &d), OL_OK);
    assert_true(isnan(d.mean));
}

static void the_table_reads_as_promised(void **state)
{
    ol_eval_learner learners[] = {learner_of("untrained", scores, 4),
                                  learner_of("maml", scores, COUNT(scores))};
    const char *const expected = "unseen tasks: 2 tasks, 2 seeds, 1 training; accuracy in %\n"
                                 "\n"
                                 "                        in context           4 steps\n"
                                 "learner            mean      worst   mean      worst\n"
                                 "chance             50.0              50.0\n"
                                 "majority           62.5              62.5\n"
                                 "untrained          50   ±25   38      -          -\n"
                                 "maml               50   ±25   38    100.0      100.0\n"
                                 "\n"
                                 "above its best rival, paired [95 % interval]\n"
                                 "                        in context           4 steps\n"
                                 "maml               +0.0 [0.0, 0.0]                 -\n"
                                 "\n"
                                 "far: 1 task, 2 seeds, 1 training; accuracy in %\n"
                                 "\n"
                                 "                        in context\n"
                                 "learner            mean      worst\n"
                                 "chance             50.0\n"
                                 "majority           62.5\n"
                                 "untrained          38   ±12   25\n"
                                 "maml               38   ±12   25\n"
                                 "\n"
                                 "above its best rival, paired [95 % interval]\n"
                                 "                        in context\n"
                                 "maml               +0.0 [0.0, 0.0]\n"
                                 "\n"
                                 "training        inner loop        wall time\n"
                                 "maml            1.500 → 0.250     1 min 02 s\n"
                                 "\n";
    ol_text text = {0};

    (void)state;
    learners[1].seconds = 62.0;
    learners[1].before = 1.5;
    learners[1].after = 0.25;
    assert_int_equal(ol_eval_table(learners, COUNT(learners), 0, &text), OL_OK);
    if (strncmp(text.data, expected, strlen(expected)) != 0)
        assert_string_equal(text.data, expected);
    assert_non_null(strstr(text.data, "each task's worst seed, as MetaICL reports it"));
    assert_null(strstr(text.data, "next to nothing"));
    ol_text_finish(&text);
}

static void it_ends_in_who_leads(void **state)
{
    ol_eval_score plain[] = {SCORE("a", 1, 0, 0.5), SCORE("b", 1, 0, 0.25), SCORE("a", 1, 2, 0.5),
                             SCORE("b", 1, 2, 0.25)},
                  good[] = {SCORE("a", 1, 0, 0.25), SCORE("b", 1, 0, 0.25), SCORE("a", 1, 2, 0.75),
                            SCORE("b", 1, 2, 0.5)};
    ol_eval_learner learners[] = {learner_of("untrained", plain, 4), learner_of("maml", good, 4)};
    ol_text text = {0};

    (void)state;
    assert_int_equal(ol_eval_table(learners, 2, 0, &text), OL_OK);
    assert_null(strstr(text.data, "In short")); /* none was trained */
    text.size = 0;
    learners[1].seconds = 1.0;
    assert_int_equal(ol_eval_table(learners, 2, 0, &text), OL_OK);
    assert_non_null(strstr(text.data, "\nIn short: after 2 steps, maml leads with 62 % over all 2 "
                                      "unseen tasks; above untrained by 25.0\n[25.0, 25.0].\n"));
    ol_text_finish(&text);
}

static void who_is_behind_is_below(void **state)
{
    ol_eval_score plain[] = {SCORE("a", 1, 2, 0.75)}, bad[] = {SCORE("a", 1, 2, 0.5)};
    ol_eval_learner learners[] = {learner_of("untrained", plain, 1), learner_of("maml", bad, 1)};
    ol_text text = {0};

    (void)state;
    learners[1].seconds = 1.0;
    assert_int_equal(ol_eval_table(learners, 2, 0, &text), OL_OK);
    assert_non_null(strstr(text.data, "below untrained by 25.0"));
    ol_text_finish(&text);
}

static void groups_stand_alone_when_every_task_has_one(void **state)
{
    const ol_eval_score grouped[] = {SCORE("a", 1, 0, 0.5, .group = "new labels"),
                                     SCORE("b", 1, 0, 0.5, .group = "new pairings"),
                                     SCORE("c", 1, 0, 0.5, .group = "new categories")};
    const ol_eval_learner learner = learner_of("x", grouped, COUNT(grouped));
    ol_text text = {0};

    (void)state;
    assert_int_equal(ol_eval_table(&learner, 1, 0, &text), OL_OK);
    assert_null(strstr(text.data, "unseen tasks"));
    assert_true(strstr(text.data, "new labels: ") < strstr(text.data, "new pairings: "));
    assert_non_null(strstr(text.data, "\nnew categories: 1 task, 1 seed, 1 training"));
    ol_text_finish(&text);
}

static void an_idle_inner_loop_is_named(void **state)
{
    ol_eval_learner learners[] = {learner_of("idle", scores, 4), learner_of("busy", scores, 4),
                                  learner_of("worse", scores, 4)};
    ol_text text = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        learners[i].seconds = 1;
        learners[i].before = 0.114;
        learners[i].after = i == 0 ? 0.113 : i == 1 ? 0.02 : 0.115;
    }
    assert_int_equal(ol_eval_table(learners, 3, 0, &text), OL_OK);
    assert_non_null(strstr(text.data, "\nidle, worse: the inner loop gains next to nothing"));
    assert_non_null(strstr(text.data, "learner.inner.lr"));
    ol_text_finish(&text);
}

static void nothing_is_below_zero_by_nothing(void **state)
{
    ol_eval_score a[4], b[4];
    ol_text text = {0};

    (void)state;
    for (int i = 0; i < 4; i++) {
        a[i] = (ol_eval_score)SCORE(i < 2 ? "a" : "b", i, 0, 0.5);
        b[i] = (ol_eval_score)SCORE(i < 2 ? "a" : "b", i, 0, 0.5 + (i % 2 ? 0.1 : -0.094));
    }
    ol_eval_learner learners[] = {learner_of("first", a, 4), learner_of("second", b, 4)};
    assert_int_equal(ol_eval_table(learners, 2, 0, &text), OL_OK);
    if (!strstr(text.data, "\nfirst") || strstr(text.data, "-0 ") || !strstr(text.data, "+0 ["))
        fail_msg("%s", text.data);
    ol_text_finish(&text);
}

static int columns(const char *line)
{
    int n = 0;

    for (; *line && *line != '\n'; line++)
        n += ((unsigned char)*line & 0xc0) != 0x80;
    return n;
}

static void it_stays_within_the_width(void **state)
{
    static const int widths[] = {0, 100, 80, 60, 40};
    ol_eval_score many[48];

    (void)state;
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = (ol_eval_score)SCORE(i % 4 < 2 ? "a" : "b", (int)(i % 2), 12 - (int)(i / 4),
                                       (double)(i % 7) / 7);
    ol_eval_learner learners[] = {
        learner_of("a learner with quite a name, which is cut", many, COUNT(many)),
        learner_of("other", many, COUNT(many))};
    learners[0].seconds = 3599.0;
    learners[0].before = learners[0].after = 100.0;
    for (size_t w = 0; w < COUNT(widths); w++) {
        ol_text text = {0};
        assert_int_equal(ol_eval_table(learners, 2, widths[w], &text), OL_OK);
        for (const char *line = text.data; *line; line = strchr(line, '\n') + 1)
            assert_true(columns(line) <= (widths[w] > 0 ? widths[w] : 100));
        assert_non_null(strstr(text.data, "12 steps"));
        assert_true((widths[w] > 0 && widths[w] < 80) || strstr(text.data, "59 min 59 s"));
        ol_text_finish(&text);
    }
}

static void no_scores_make_no_table(void **state)
{
    const ol_eval_learner learner = learner_of("maml", NULL, 0);
    ol_text text = {0};

    (void)state;
    assert_int_equal(ol_eval_table(&learner, 1, 0, &text), OL_OK);
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
    r->chance = 0.5;
    r->majority = (double)NAN;
    r->scorings[1].score = 0.5;
    r->scorings[1].calibration = 0.125;
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
        assert_true(out.chance == 0.5 && isnan(out.majority));
        assert_true(out.scorings[1].calibration == 0.125 && out.scorings[1].score == 0.5);
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

static void a_difference_has_decimals_where_it_is_known_and_no_minus_at_zero(void **state)
{
    static const struct {
        ol_interval d;
        const char *text;
    } cases[] = {
        {{0.11, 0.05, 0.17}, "+11 [5, 17]"},
        {{-0.003, -0.04, 0.03}, "+0 [-4, 3]"},
        {{0.114, 0.110, 0.118}, "+11.4 [11.0, 11.8]"},
        {{-0.0001, -0.001, 0.001}, "+0.0 [-0.1, 0.1]"},
        {{0.114, (double)NAN, (double)NAN}, "+11.4"},
        {{(double)NAN, (double)NAN, (double)NAN}, "-"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[OL_INTERVAL_TEXT];

        ol_interval_difference(&cases[i].d, text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worst_is_the_mean_over_tasks_of_their_worst_seed),
        cmocka_unit_test(tasks_weigh_the_same_whatever_their_seeds),
        cmocka_unit_test(a_score_measured_again_replaces_the_first),
        cmocka_unit_test(trainings_are_averaged_before_the_worst_is_taken),
        cmocka_unit_test(differences_are_paired),
        cmocka_unit_test(the_table_reads_as_promised),
        cmocka_unit_test(it_ends_in_who_leads),
        cmocka_unit_test(who_is_behind_is_below),
        cmocka_unit_test(groups_stand_alone_when_every_task_has_one),
        cmocka_unit_test(an_idle_inner_loop_is_named),
        cmocka_unit_test(nothing_is_below_zero_by_nothing),
        cmocka_unit_test(a_difference_has_decimals_where_it_is_known_and_no_minus_at_zero),
        cmocka_unit_test(it_stays_within_the_width),
        cmocka_unit_test(no_scores_make_no_table),
        cmocka_unit_test(a_result_survives_packing),
        cmocka_unit_test(a_cut_result_is_refused_at_every_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
