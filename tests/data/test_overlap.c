/* SPDX-License-Identifier: BSD-3-Clause */
/* Overlap: a task in both lists, shared rows, and the real tasks, which share nothing. */
#include "world.h"

#include "outerloop/data/overlap.h"

#define ROW(input, output)                                                                         \
    "{\"task\": \"x\", \"input\": \"" input "\", \"output\": \"" output "\", \"options\": []}\n"

static void write_file(const char *name, const char *text)
{
    world_write(name, text, strlen(text));
}

static int setup(void **state)
{
    world_setup(state);
    write_file(
        "config/leaky.json",
        "{\"train\": [\"one\", \"two\", \"both\"], \"test\": [\"clean\", \"seen\", \"both\"]}");
    write_file("data/one/one_16384_100_train.jsonl", ROW("a", "1") ROW("b", "2") ROW("c", "3"));
    write_file("data/two/two_16384_100_train.jsonl", ROW("d", "4") ROW("b", "2") ROW("ab", "2"));
    write_file("data/both/both_16384_100_train.jsonl", ROW("e", "5"));
    write_file("data/clean/clean_16_13_test.jsonl", ROW("a", "2") ROW("a1", "") ROW("", "a1"));
    write_file("data/clean/clean_16_21_test.jsonl", ROW("a", "2") ROW("z", "9"));
    write_file("data/seen/seen_16_13_test.jsonl", ROW("b", "2") ROW("q", "7") ROW("b", "2"));
    write_file("data/seen/seen_16_21_test.jsonl", ROW("b", "2") ROW("c", "3"));
    write_file("data/both/both_16_13_test.jsonl", ROW("f", "6"));
    write_file("data/both/both_16_21_test.jsonl", ROW("f", "6"));
    return 0;
}

static void check_pair(const ol_overlap_pair *pair, const char *train, const char *test, bool same,
                       int rows)
{
    assert_string_equal(pair->train, train);
    assert_string_equal(pair->test, test);
    assert_int_equal(pair->same_task, same);
    assert_int_equal(pair->rows, rows);
}

static const ol_holdout no_holdout = {0};

static void leaky(void **state)
{
    ol_overlap found;
    ol_text report = {0};

    (void)state;
    assert_int_equal(
        ol_overlap_find(world_root, "leaky", no_holdout, 0, (int[]){13, 21}, 2, 0, &found), OL_OK);
    assert_int_equal(found.n, 3);
    check_pair(&found.pairs[0], "one", "seen", false, 2); /* b and c */
    check_pair(&found.pairs[1], "two", "seen", false, 1); /* b       */
    check_pair(&found.pairs[2], "both", "both", true, 0);
    assert_int_equal(found.same_tasks, 1);
    assert_int_equal(found.shared_rows, 2);
    assert_int_equal(found.train_rows, 7);
    assert_int_equal(found.test_rows, 4 + 3 + 1);
    assert_int_equal(ol_overlap_describe(&found, &report), OL_OK);
    assert_non_null(strstr(report.data, "1 tasks in both lists; 2 of 8 distinct test rows"));
    assert_non_null(strstr(report.data, "both is tested on 0 rows that both trains on (the same"));
    ol_text_finish(&report);
    ol_overlap_finish(&found);

    assert_int_equal(ol_overlap_find(world_root, "leaky", no_holdout, 1, (int[]){13}, 1, 0, &found),
                     OL_OK);
    assert_int_equal(found.n, 1); /* the first row of each file alone */
    ol_overlap_finish(&found);
    assert_int_equal(ol_overlap_find(world_root, "leaky", no_holdout, 0, (int[]){42}, 1, 0, &found),
                     OL_EDATA);
    world_said("clean_16_42_test.jsonl");
    ol_overlap_finish(&found);
    ol_overlap_finish(NULL);
}

static void real_tasks(void **state)
{
    const char *reference = getenv("OUTERLOOP_REFERENCE");
    char root[PATH_MAX];
    ol_overlap found;

    (void)state;
    if (!reference || !reference[0]) {
        print_message("# configure with -Dreference=FOLDER to run this test\n");
        skip();
    }
    assert_int_equal(ol_path_format(root, "%s/data/bbh", reference), OL_OK);
    assert_int_equal(ol_overlap_find(root, "bbh", no_holdout, 0, (int[]){100, 13}, 2, 16, &found),
                     OL_OK);
    assert_int_equal(found.n, 0);
    assert_int_equal(found.train_rows, 2500);
    assert_true(found.test_rows > 500);
    ol_overlap_finish(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaky),
        cmocka_unit_test(real_tasks),
    };

    return cmocka_run_group_tests_name("overlap", tests, setup, world_teardown);
}
