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
#include "outerloop/store/table.h"
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

static void append(ol_tables *tables, int from, int to)
{
    for (int i = from; i < to; i++) {
        double values[4];
        ol_cell cells[5];

        row(i, values, cells);
        assert_int_equal(ol_tables_append(tables, STEP, cells), OL_OK);
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
    assert_int_equal(ol_archive_read(a, "train/step/step", (size_t)n, steps), OL_OK);
    assert_int_equal(ol_archive_read(a, "train/step/loss", (size_t)n, losses), OL_OK);
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

/* Open the files with all rows whose index is at most `last`. */
static ol_tables *reopen(int64_t last, int64_t lost[TABLES])
{
    const int64_t keep[TABLES] = {last, last};
    ol_tables *tables;

    assert_int_equal(
        ol_tables_open(scratch_path("m.h5"), specs, TABLES, &record, NULL, keep, lost, &tables),
        OL_OK);
    return tables;
}

/* Begin with nothing, and leave n rows. */
static void make(int n)
{
    ol_tables *tables = create();

    append(tables, 0, n);
    assert_int_equal(ol_tables_destroy(tables), OL_OK);
}

static void remove_scratch(void)
{
    static const char *const names[] = {"m.h5", "m.jsonl", "m.h5.damaged-1", "m.jsonl.damaged-1"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(scratch_path(names[i]));
}

/* What check says is wrong; all of it must be in one text. */
static void assert_found(const char *words)
{
    ol_tables_report report = {0};

    assert_int_equal(ol_tables_check(scratch_path("m.h5"), specs, TABLES, NULL, &report), OL_OK);
    if (!words) {
        if (report.broken.size > 0)
            fail_msg("found broken: %s", report.broken.data);
    } else if (!report.broken.data || !strstr(report.broken.data, words)) {
        fail_msg("\"%s\" is not in: %s", words, report.broken.data ? report.broken.data : "");
    }
    ol_tables_report_finish(&report);
}

static void test_rows_arrive(void **state)
{
    ol_tables *tables = create();

    (void)state;
    assert_rows(scratch_path("m.h5"), 0);
    append(tables, 0, 3);
    assert_rows(scratch_path("m.h5"), 0); /* in the journal alone */
    assert_int_equal(ol_tables_rows(tables, STEP), 3);
    assert_true(ol_tables_flush(tables));
    assert_rows(scratch_path("m.h5"), 3);
    append(tables, 3, 1500); /* several chunks */
    assert_int_equal(ol_tables_destroy(tables), OL_OK);
    assert_rows(scratch_path("m.h5"), 1500);
    assert_int_equal(ol_tables_destroy(NULL), OL_OK);
    assert_found(NULL);
}

static ol_status sum_steps(void *payload, int64_t number, const ol_cell *cells)
{
    assert_int_equal(number, cells[0].i);
    assert_string_equal(cells[2].text, number % 2 ? "abcdefg" : "short");
    *(int64_t *)payload += cells[0].i;
    return OL_OK;
}

static void test_resume_cuts(void **state)
{
    const ol_run_record again = {
        .version = "0.2.0", .run_id = "r2", .ranks = 3, .restart_count = 1};
    const int64_t last[TABLES] = {59, -1};
    const ol_cell score[] = {{.i = 0}, {.f = INFINITY}};
    ol_tables *tables = create();
    int64_t ranks, sum = 0;
    ol_archive *a;
    char *text;

    (void)state;
    append(tables, 0, 100);
    assert_int_equal(ol_tables_append(tables, SCORE, score), OL_OK);
    assert_int_equal(ol_tables_destroy(tables), OL_OK);
    assert_int_equal(
        ol_tables_open(scratch_path("m.h5"), specs, TABLES, &again, NULL, last, NULL, &tables),
        OL_OK);
    assert_int_equal(ol_tables_rows(tables, STEP), 60);
    assert_int_equal(ol_tables_rows(tables, SCORE), 0);
    assert_rows(scratch_path("m.h5"), 60);
    append(tables, 60, 80);
    assert_int_equal(ol_tables_cut(tables, (const int64_t[]){69, -1}), OL_OK);
    assert_int_equal(ol_tables_rows(tables, STEP), 70);
    append(tables, 70, 75);
    assert_int_equal(ol_tables_read(tables, STEP, sum_steps, &sum), OL_OK);
    assert_int_equal(sum, 74 * 75 / 2);
    assert_int_equal(ol_tables_destroy(tables), OL_OK);
    assert_rows(scratch_path("m.h5"), 75);
    assert_found(NULL);
    assert_int_equal(ol_archive_open(scratch_path("m.h5"), &a), OL_OK);
    assert_int_equal(ol_archive_get_i64(a, "/", "ranks", &ranks), OL_OK);
    assert_int_equal(ranks, 3);
    assert_int_equal(ol_archive_get_text(a, "/", "run_id", &text), OL_OK);
    assert_string_equal(text, "r1");
    free(text);
    ol_archive_close(a);
}

/* A metrics file that was removed, and a folder. */
static void test_what_is_removed_comes_back(void **state)
{
    char *folder = strdup(scratch_path("gone")), *path = strdup(scratch_path("gone/m.h5"));
    ol_tables *tables;

    (void)state;
    assert_int_equal(ol_make_folders(folder), OL_OK);
    assert_int_equal(ol_tables_create(path, specs, TABLES, &record, &tables), OL_OK);
    append(tables, 0, 10);
    assert_true(ol_tables_flush(tables));
    assert_int_equal(unlink(path), 0);
    append(tables, 10, 20);
    assert_true(ol_tables_flush(tables));
    assert_rows(path, 20);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(scratch_path("gone/m.jsonl")), 0);
    assert_int_equal(rmdir(folder), 0);
    append(tables, 20, 30);
    assert_int_equal(ol_tables_destroy(tables), OL_OK);
    assert_rows(path, 30);
    assert_true(ol_path_exists(scratch_path("gone/m.jsonl")));
    free(folder);
    free(path);
}

static rlim_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (rlim_t)st.st_size;
}

/* A full disk, played by a limit on the size of files. */
static void test_full_disk(void **state)
{
    char *path = strdup(scratch_path("m.h5")), *lines = strdup(scratch_path("m.jsonl"));
    struct rlimit limit;
    ol_tables *tables = create();
    rlim_t most;

    (void)state;
    append(tables, 0, 600);
    assert_true(ol_tables_flush(tables));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    most = size_of(path) > size_of(lines) ? size_of(path) : size_of(lines);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){most + 100, limit.rlim_max});
    append(tables, 600, 2000);
    assert_false(ol_tables_flush(tables));
    assert_false(ol_tables_flush(tables));
    assert_rows(path, 600); /* the file is as it was */
    setrlimit(RLIMIT_FSIZE, &limit);
    append(tables, 2000, 2001);
    assert_int_equal(ol_tables_destroy(tables), OL_OK);
    assert_rows(path, 2001);
    assert_found(NULL);
    tables = reopen(INT64_MAX, NULL);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){size_of(path) / 2, limit.rlim_max});
    append(tables, 2001, 2002);
    assert_int_equal(ol_tables_destroy(tables), OL_EIO); /* and to the end */
    assert_non_null(strstr(ol_status_message(), "lacks 1 rows, which are lost"));
    setrlimit(RLIMIT_FSIZE, &limit);
    free(path);
    free(lines);
}

/* Where the n-th line of a text begins, from 1. */
static char *line_at(char *text, int n)
{
    while (--n > 0)
        text = strchr(text, '\n') + 1;
    return text;
}

enum wound { ALTER, DROP, DROP_FIRST, TEAR, DROP_TAIL, EMPTY, REMOVE, GARBAGE };

static void wound_journal(enum wound wound)
{
    const char *path = scratch_path("m.jsonl");
    char *text, *at, *end;
    size_t size;

    if (wound == REMOVE) {
        assert_int_equal(unlink(path), 0);
        return;
    }
    assert_int_equal(ol_read_file(path, &text, &size), OL_OK);
    at = line_at(text, wound == DROP_FIRST ? 1 : wound == DROP_TAIL ? 41 : 7);
    end = strchr(at, '\n') + 1;
    if (wound == ALTER)
        strstr(at, "\"step\":")[7] ^= 1;
    else if (wound == GARBAGE)
        memset(at, '#', (size_t)(end - at) - 1);
    else if (wound == EMPTY)
        size = 0;
    else if (wound == TEAR || wound == DROP_TAIL)
        size = (size_t)(at - text) + (wound == TEAR ? 9 : 0);
    else {
        memmove(at, end, size - (size_t)(end - text));
        size -= (size_t)(end - at);
    }
    assert_int_equal(ol_write_file(path, text, size), OL_OK);
    free(text);
}

/* What the journal has lost comes back from metrics.h5. */
static void test_a_damaged_journal_is_named_and_mended(void **state)
{
    static const struct {
        enum wound wound;
        const char *words;
    } cases[] = {
        {ALTER, "m.jsonl:7: was altered: its sum does not hold"},
        {DROP, "m.jsonl:7: is missing"},
        {DROP_FIRST, "m.jsonl:1: is missing"},
        {TEAR, "m.jsonl: lacks 45 rows, which metrics.h5 has"},
        {DROP_TAIL, "m.jsonl: lacks 11 rows"},
        {EMPTY, "m.jsonl: lacks 50 rows"},
        {REMOVE, "m.jsonl: is missing"},
        {GARBAGE, "m.jsonl:7: was altered: it has no sum"},
    };
    int64_t lost[TABLES];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        remove_scratch();
        make(50);
        wound_journal(cases[i].wound);
        assert_found(cases[i].words);
        assert_int_equal(ol_tables_destroy(reopen(INT64_MAX, lost)), OL_OK);
        assert_int_equal(lost[STEP], 0);
        assert_rows(scratch_path("m.h5"), 50);
        assert_found(NULL);
    }
}

/* Change bytes of metrics.h5: those of `find`, or zeros at 4096. */
static void wound_metrics(const void *find, size_t n)
{
    const char *path = scratch_path("m.h5");
    char *text, *at;
    size_t size;

    assert_int_equal(ol_read_file(path, &text, &size), OL_OK);
    at = find ? memmem(text, size, find, n) : text + 4096;
    assert_non_null(at);
    if (find)
        at[n / 2] ^= 0x10;
    else
        memset(at, 0, 4096);
    assert_int_equal(ol_write_file(path, text, size), OL_OK);
    free(text);
}

/* A metrics.h5 that is damaged anywhere is set aside, and made from the journal. */
static void test_a_damaged_metrics_file_is_named_and_made_again(void **state)
{
    static const double losses[] = {0.1 * 1, 0.1 * 2}, lists[] = {44.25, -INFINITY};
    static const struct {
        const void *bytes;
        size_t n;
        const char *words;
    } cases[] = {
        {losses, sizeof losses, "train/step/loss: cannot read"},
        {"abcdefg\0short", 13, "train/step/digest: cannot read"},
        {"a longer note", 13, "m.h5: train/step/note: row "},
        {lists, sizeof lists, "m.h5: train/step/losses: row "},
        {"name = \"test\"", 13, "m.h5: job: was altered"},
        {"\211HDF\r\n", 6, "m.h5"},
        {NULL, 0, "m.h5"},
    };
    int64_t lost[TABLES];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        remove_scratch();
        make(50);
        wound_metrics(cases[i].bytes, cases[i].n);
        assert_found(cases[i].words);
        assert_int_equal(ol_tables_destroy(reopen(INT64_MAX, lost)), OL_OK);
        assert_int_equal(lost[STEP], 0);
        assert_rows(scratch_path("m.h5"), 50);
        assert_true(ol_path_exists(scratch_path("m.h5.damaged-1")));
        assert_found(NULL);
    }
}

/* Rows that neither file has are told by their numbers, the others go on. */
static void test_what_neither_has_is_told(void **state)
{
    ol_tables_report report = {0};
    int64_t lost[TABLES];
    ol_tables *tables;

    (void)state;
    remove_scratch();
    make(50);
    wound_journal(DROP);
    wound_metrics("a longer note", 13);
    tables = reopen(INT64_MAX, lost);
    assert_int_equal(lost[STEP], 1);
    assert_int_equal(ol_tables_rows(tables, STEP), 49);
    assert_int_equal(ol_tables_destroy(tables), OL_OK);
    assert_found(NULL);
    remove_scratch();
    make(50);
    wound_journal(GARBAGE);
    unlink(scratch_path("m.h5"));
    assert_int_equal(ol_tables_rebuild(scratch_path("m.h5"), specs, TABLES, &record, NULL, &report),
                     OL_OK);
    assert_non_null(strstr(report.broken.data, "train/step: rows 5 to 5 are lost"));
    assert_non_null(strstr(report.notes.data, "m.jsonl.damaged-1"));
    ol_tables_report_finish(&report);
}

/* Journals of before there were sums are read, whatever their texts' length, and then have sums. */
static void test_a_journal_without_sums_goes_on(void **state)
{
    static const char lines[] =
        "{\"table\":\"train/step\",\"step\":0,\"loss\":0.0,\"digest\":\"short and more\"}\n"
        "{\"table\":\"eval/score\",\"row\":1.5,\"score\":1}\n"
        "{\"table\":\"train/none\"}\n"
        "{\"table\":\"eval/score\",\"row\":0,\"score\":\"inf\"}\n{\"table\":\"eval";
    ol_tables *tables;
    char *text;
    size_t size;

    (void)state;
    remove_scratch();
    assert_int_equal(ol_write_file(scratch_path("m.jsonl"), lines, strlen(lines)), OL_OK);
    assert_found("\"row\" of eval/score is missing or of another type");
    assert_found("m.jsonl:3: is a row of no known table");
    tables = reopen(INT64_MAX, NULL);
    assert_int_equal(ol_tables_rows(tables, STEP), 1);
    assert_int_equal(ol_tables_rows(tables, SCORE), 1);
    assert_int_equal(ol_tables_destroy(tables), OL_OK);
    assert_found(NULL);
    assert_int_equal(ol_read_file(scratch_path("m.jsonl"), &text, &size), OL_OK);
    assert_non_null(strstr(text, "\"digest\":\"short an\",\"note\":\"\",\"losses\":[],\"nth\":0,"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_arrive),
        cmocka_unit_test(test_resume_cuts),
        cmocka_unit_test(test_what_is_removed_comes_back),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_a_damaged_journal_is_named_and_mended),
        cmocka_unit_test(test_a_damaged_metrics_file_is_named_and_made_again),
        cmocka_unit_test(test_what_neither_has_is_told),
        cmocka_unit_test(test_a_journal_without_sums_goes_on),
    };

    return cmocka_run_group_tests_name("table", tests, scratch_setup, scratch_teardown);
}
