/* SPDX-License-Identifier: BSD-3-Clause */
/* Metric tables and their journal. What other programs make of the file is in metrics_check.py. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "outerloop/base/file.h"
#include "outerloop/store/archive.h"
#include "outerloop/store/journal.h"
#include "scratch.h"

static const ol_column step_columns[] = {
    {"step", OL_COLUMN_I64, 0, "1", "meta-step", "number of the meta-step"},
    {"loss", OL_COLUMN_F64, 0, "nat", "query loss", "mean over episodes"},
    {"digest", OL_COLUMN_TEXT, 8, "1", "digest", "of the parameters"},
    {"note", OL_COLUMN_TEXT, 0, "1", "note", "of any length"},
    {"losses", OL_COLUMN_LIST, 0, "nat", "option losses", "one per option"},
};
static const ol_table_spec step_table = {
    .path = "train/step", .title = "Meta-steps", .columns = step_columns, .n = 5, .signal = "loss"};
static const ol_column score_columns[] = {
    {"row", OL_COLUMN_I64, 0, "1", "row", "number of the row"},
    {"score", OL_COLUMN_F64, 0, "1", "score", "accuracy"},
};
static const ol_table_spec score_table = {
    .path = "eval/score", .title = "Scores", .columns = score_columns, .n = 2, .signal = "score"};
static const ol_table_spec *const specs[] = {&step_table, &score_table};
static const ol_run_record record = {.version = "0.1.0",
                                     .run_id = "r1",
                                     .job = "name = \"test\";\n",
                                     .seed = 100,
                                     .ranks = 2,
                                     .threads = 1};

enum { STEP, SCORE, TABLES };

/* The row of step i, different in every column. */
static void row(int i, double values[4], ol_cell cells[5])
{
    for (int k = 0; k < 4; k++)
        values[k] = k == 2 ? -INFINITY : i + 0.25 * k;
    cells[0].i = i;
    cells[1].f = i % 7 == 3 ? NAN : 0.1 * i;
    cells[2].text = i % 2 ? "abcdefg\u00e9" : "short";
    cells[3].text = i % 3 ? "a longer note, caf\u00e9" : NULL;
    cells[4].list.values = values;
    cells[4].list.n = (size_t)(i % 5);
}

static void append(ol_tables *tables, ol_journal *journal, int from, int to)
{
    for (int i = from; i < to; i++) {
        double values[4];
        ol_cell cells[5];

        row(i, values, cells);
        if (tables)
            assert_int_equal(ol_tables_append(tables, STEP, cells), OL_OK);
        if (journal)
            assert_true(ol_journal_append(journal, STEP, cells));
    }
}

static ol_tables *create(void)
{
    ol_tables *tables;

    assert_int_equal(ol_tables_create(scratch_path("m.h5"), specs, TABLES, &record, &tables),
                     OL_OK);
    return tables;
}

/* The file has exactly rows 0 .. n-1 in all columns. */
static void assert_rows(const char *path, int n)
{
    int64_t *steps = calloc((size_t)n + 1, sizeof *steps);
    double *losses = calloc((size_t)n + 1, sizeof *losses);
    ol_strings digests, notes;
    ol_lists lists;
    ol_archive *a;
    size_t count;

    assert_int_equal(ol_archive_open(path, &a), OL_OK);
    assert_int_equal(ol_archive_read_lists(a, "train/step/losses", &lists), OL_OK);
    assert_true(lists.n == (size_t)n && lists.first[0] == 0);
    assert_int_equal(ol_archive_read_i64(a, "train/step/step", (size_t)n, steps), OL_OK);
    assert_int_equal(ol_archive_read_f64(a, "train/step/loss", (size_t)n, losses), OL_OK);
    assert_int_equal(ol_archive_read_strings(a, "train/step/digest", &digests), OL_OK);
    assert_int_equal(ol_archive_read_strings(a, "train/step/note", &notes), OL_OK);
    assert_int_equal(ol_archive_count(a, "train/step/losses", &count), OL_OK);
    assert_true(count == (size_t)n && digests.n == (size_t)n && notes.n == (size_t)n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(steps[i], i);
        assert_true(i % 7 == 3 ? isnan(losses[i]) : losses[i] == 0.1 * i);
        assert_string_equal(digests.items[i], i % 2 ? "abcdefg" : "short"); /* é is not halved */
        assert_string_equal(notes.items[i], i % 3 ? "a longer note, caf\u00e9" : "");
        assert_int_equal(lists.first[i + 1] - lists.first[i], i % 5);
        if (i % 5 > 1)
            assert_true(lists.values[lists.first[i] + 1] == i + 0.25);
    }
    ol_lists_finish(&lists);
    assert_int_equal(ol_archive_read_lists(a, "train/step/loss", &lists), OL_EDATA);
    ol_lists_finish(&lists);
    ol_strings_finish(&digests);
    ol_strings_finish(&notes);
    ol_archive_close(a);
    free(steps);
    free(losses);
}

static void test_rows_arrive(void **state)
{
    ol_tables *tables = create();

    (void)state;
    assert_rows(scratch_path("m.h5"), 0);
    append(tables, NULL, 0, 3);
    assert_rows(scratch_path("m.h5"), 0); /* buffered */
    assert_int_equal(ol_tables_rows(tables, STEP), 3);
    assert_true(ol_tables_flush(tables));
    assert_rows(scratch_path("m.h5"), 3);
    append(tables, NULL, 3, 1500); /* several chunks */
    assert_true(ol_tables_destroy(tables));
    assert_rows(scratch_path("m.h5"), 1500);
    assert_true(ol_tables_destroy(NULL));
}

static void test_resume_truncates(void **state)
{
    const ol_run_record again = {
        .version = "0.2.0", .run_id = "r2", .ranks = 3, .restart_count = 1};
    ol_tables *tables = create();
    int64_t rows, ranks;
    ol_archive *a;
    char *text;

    (void)state;
    append(tables, NULL, 0, 100);
    assert_true(ol_tables_destroy(tables));
    assert_int_equal(ol_tables_open(scratch_path("m.h5"), specs, TABLES, &again, &tables), OL_OK);
    assert_int_equal(ol_tables_rows(tables, STEP), 100);
    assert_int_equal(ol_tables_rows(tables, SCORE), 0);
    assert_int_equal(ol_tables_rows_through(tables, STEP, 59, &rows), OL_OK);
    assert_int_equal(rows, 60);
    append(tables, NULL, 100, 110);
    assert_int_equal(ol_tables_truncate(tables, STEP, 111), OL_EDATA);
    assert_int_equal(ol_tables_truncate(tables, STEP, 105), OL_OK); /* inside the buffer */
    assert_int_equal(ol_tables_rows(tables, STEP), 105);
    assert_int_equal(ol_tables_truncate(tables, STEP, rows), OL_OK);
    assert_int_equal(ol_tables_rows(tables, STEP), 60);
    append(tables, NULL, 60, 70);
    assert_true(ol_tables_destroy(tables));
    assert_rows(scratch_path("m.h5"), 70);
    assert_int_equal(ol_archive_open(scratch_path("m.h5"), &a), OL_OK);
    assert_int_equal(ol_archive_get_i64(a, "/", "ranks", &ranks), OL_OK);
    assert_int_equal(ranks, 3);
    assert_int_equal(ol_archive_get_text(a, "/", "run_id", &text), OL_OK);
    assert_string_equal(text, "r1");
    free(text);
    ol_archive_close(a);
}

static void test_foreign_files_are_refused(void **state)
{
    static const ol_column other_columns[] = {
        {"step", OL_COLUMN_I64, 0, "1", "meta-step", "number of the meta-step"},
        {"loss", OL_COLUMN_I64, 0, "nat", "query loss", "an integer"},
    };
    static const ol_table_spec other = {
        .path = "train/step", .title = "Other", .columns = other_columns, .n = 2};
    const ol_table_spec *const others[] = {&other};
    ol_tables *tables = create();
    ol_archive *a;

    (void)state;
    assert_true(ol_tables_destroy(tables));
    assert_int_equal(ol_tables_open(scratch_path("m.h5"), others, 1, NULL, &tables), OL_EDATA);
    assert_non_null(strstr(ol_status_message(), "train/step/loss: the column is of another type"));
    assert_int_equal(ol_tables_open(scratch_path("absent.h5"), specs, 2, NULL, &tables), OL_EDATA);
    assert_null(tables);
    assert_int_equal(ol_archive_create(scratch_path("other.h5"), &a), OL_OK);
    assert_int_equal(ol_archive_close(a), OL_OK);
    assert_int_equal(ol_tables_open(scratch_path("other.h5"), specs, 2, NULL, &tables), OL_EDATA);
    assert_int_equal(ol_tables_create(scratch_path("no/m.h5"), specs, 2, &record, &tables), OL_EIO);
}

/* A file that cannot be written now gets its rows later. */
static void test_failed_flush_is_made_up_for(void **state)
{
    const char *path = scratch_path("m.h5"), *away = scratch_path("away.h5");
    ol_tables *tables = create();

    (void)state;
    append(tables, NULL, 0, 10);
    assert_true(ol_tables_flush(tables));
    assert_int_equal(rename(path, away), 0);
    append(tables, NULL, 10, 20);
    assert_false(ol_tables_flush(tables));
    assert_false(ol_tables_flush(tables));
    assert_int_equal(ol_tables_rows(tables, STEP), 20);
    assert_int_equal(rename(away, path), 0);
    append(tables, NULL, 20, 30);
    assert_true(ol_tables_destroy(tables));
    assert_rows(path, 30);
}

/* A full disk, played by a limit on the size of files. */
static void test_full_disk(void **state)
{
    const char *path = scratch_path("m.h5"), *lines = scratch_path("m.jsonl");
    struct rlimit limit;
    ol_journal *journal;
    ol_tables *tables = create();
    struct stat st;

    (void)state;
    unlink(lines);
    assert_int_equal(ol_journal_open(lines, specs, TABLES, &journal), OL_OK);
    append(tables, journal, 0, 600);
    assert_true(ol_tables_flush(tables));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(stat(path, &st), 0);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)st.st_size, limit.rlim_max});
    append(tables, NULL, 600, 2000);
    assert_false(ol_tables_flush(tables));
    assert_rows(path, 600); /* the file is as it was */
    assert_int_equal(stat(lines, &st), 0);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)st.st_size + 20, limit.rlim_max});
    for (int i = 600; i < 603; i++) {
        double values[4];
        ol_cell cells[5];

        row(i, values, cells);
        assert_false(ol_journal_append(journal, STEP, cells));
    }
    setrlimit(RLIMIT_FSIZE, &limit);
    append(tables, journal, 2000, 2001);
    assert_true(ol_tables_destroy(tables));
    assert_true(ol_journal_destroy(journal));
    assert_rows(path, 2001);
}

static void test_journal_rebuilds(void **state)
{
    const char *lines = scratch_path("j.jsonl"), *path = scratch_path("j.h5");
    const int64_t keep[TABLES] = {40, 1};
    const ol_cell score[] = {{.i = 0}, {.f = INFINITY}};
    ol_journal *journal;
    char *text;
    size_t size;
    FILE *torn;

    (void)state;
    assert_int_equal(ol_journal_open(lines, specs, TABLES, &journal), OL_OK);
    append(NULL, journal, 0, 50);
    assert_true(ol_journal_append(journal, SCORE, score));
    assert_true(ol_journal_destroy(journal));
    torn = fopen(lines, "a");
    fputs("{\"table\":\"train/step\",\"st", torn);
    fclose(torn);
    assert_int_equal(ol_journal_rebuild(lines, path, specs, TABLES, &record), OL_OK);
    assert_rows(path, 50);
    assert_int_equal(ol_journal_truncate(lines, specs, TABLES, keep), OL_OK);
    assert_int_equal(ol_journal_open(lines, specs, TABLES, &journal), OL_OK);
    append(NULL, journal, 40, 45);
    assert_true(ol_journal_destroy(journal));
    assert_int_equal(ol_journal_rebuild(lines, path, specs, TABLES, &record), OL_OK);
    assert_rows(path, 45);
    assert_int_equal(ol_read_file(lines, &text, &size), OL_OK);
    assert_non_null(strstr(text, "\"score\":\"inf\""));
    assert_non_null(strstr(text, "\"digest\":\"abcdefg\u00e9\"")); /* whole here */
    free(text);
    assert_int_equal(ol_journal_truncate(scratch_path("absent"), specs, TABLES, keep), OL_OK);
}

static void test_torn_line_is_cut_on_opening(void **state)
{
    const char *lines = scratch_path("t.jsonl");
    static const char whole[] = "{\"table\":\"eval/score\",\"row\":0,\"score\":1.0}\n";
    ol_journal *journal;
    char *text;
    size_t size;
    FILE *out = fopen(lines, "w");

    (void)state;
    fprintf(out, "%s{\"table\":\"eval", whole);
    fclose(out);
    assert_int_equal(ol_journal_open(lines, specs, TABLES, &journal), OL_OK);
    assert_true(ol_journal_destroy(journal));
    assert_int_equal(ol_read_file(lines, &text, &size), OL_OK);
    assert_string_equal(text, whole);
    free(text);
}

static void test_bad_journals_are_named(void **state)
{
    static const struct {
        const char *line, *words;
    } bad[] = {
        {"nonsense", "b.jsonl:2: is not JSON"},
        {"{\"table\":\"train/none\"}", "b.jsonl:2: is a row of no known table (\"train/none\")"},
        {"[1]", "b.jsonl:2: is a row of no known table"},
        {"{\"table\":\"eval/score\",\"row\":1.5,\"score\":1}", "b.jsonl:2: \"row\" of eval/score"},
        {"{\"table\":\"eval/score\",\"row\":1,\"score\":\"x\"}", "\"score\" of eval/score"},
        {"{\"table\":\"train/step\",\"step\":1,\"losses\":[\"x\"]}", "\"losses\" of train/step"},
        {"{\"table\":\"train/step\",\"step\":1,\"note\":7}", "\"note\" of train/step"},
    };
    const char *path = scratch_path("b.h5"), *lines = scratch_path("b.jsonl");

    (void)state;
    assert_int_equal(ol_write_file(path, "old", 3), OL_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[256], *old;
        size_t size;

        snprintf(text, sizeof text, "{\"table\":\"eval/score\",\"row\":0}\n%s\n", bad[i].line);
        assert_int_equal(ol_write_file(lines, text, strlen(text)), OL_OK);
        assert_int_equal(ol_journal_rebuild(lines, path, specs, TABLES, &record), OL_EDATA);
        if (!strstr(ol_status_message(), bad[i].words))
            fail_msg("\"%s\" is not in: %s", bad[i].words, ol_status_message());
        assert_int_equal(ol_read_file(path, &old, &size), OL_OK);
        assert_string_equal(old, "old");
        free(old);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_arrive),
        cmocka_unit_test(test_resume_truncates),
        cmocka_unit_test(test_foreign_files_are_refused),
        cmocka_unit_test(test_failed_flush_is_made_up_for),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_journal_rebuilds),
        cmocka_unit_test(test_torn_line_is_cut_on_opening),
        cmocka_unit_test(test_bad_journals_are_named),
    };

    return cmocka_run_group_tests_name("table", tests, scratch_setup, scratch_teardown);
}
