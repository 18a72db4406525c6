/* SPDX-License-Identifier: BSD-3-Clause */
/* Predictions and scores of the reference prompts, from option losses that MetaICL's own code was
   given too. Skips without the reference folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h"
#include "outerloop/data/task.h"
#include "outerloop/eval/score.h"
#include "outerloop/store/archive.h"

/* What a file holds. */
typedef struct reference {
    size_t rows, prompts;
    int32_t *options_per_row;
    double *losses;
    ol_strings predictions;
    int64_t is_classification;
    double score;
    char *metric, *task;
    int64_t seed;
} reference;

static void read_reference(const char *path, reference *r)
{
    ol_archive *file;

    assert_int_equal(ol_archive_open(path, &file), OL_OK);
    assert_int_equal(ol_archive_count(file, "options_per_row", &r->rows), OL_OK);
    assert_int_equal(ol_archive_count(file, "option_losses", &r->prompts), OL_OK);
    r->options_per_row = calloc(r->rows, sizeof *r->options_per_row);
    r->losses = calloc(r->prompts, sizeof *r->losses);
    assert_int_equal(ol_archive_read(file, "options_per_row", r->rows, r->options_per_row), OL_OK);
    assert_int_equal(ol_archive_read(file, "option_losses", r->prompts, r->losses), OL_OK);
    assert_int_equal(ol_archive_read_strings(file, "predictions", &r->predictions), OL_OK);
    assert_int_equal(ol_archive_get_i64(file, "/", "is_classification", &r->is_classification),
                     OL_OK);
    assert_int_equal(ol_archive_get_f64(file, "/", "score", &r->score), OL_OK);
    assert_int_equal(ol_archive_get_text(file, "/", "metric", &r->metric), OL_OK);
    assert_int_equal(ol_archive_get_text(file, "/", "task", &r->task), OL_OK);
    assert_int_equal(ol_archive_get_i64(file, "/", "seed", &r->seed), OL_OK);
    assert_int_equal(ol_archive_close(file), OL_OK);
}

static void finish_reference(reference *r)
{
    free(r->options_per_row);
    free(r->losses);
    free(r->metric);
    free(r->task);
    ol_strings_finish(&r->predictions);
}

/* The options of each row as its test file lists them, and what the losses make of them. */
static void compare(const char *folder, const reference *r)
{
    const char **predicted = calloc(r->rows, sizeof *predicted);
    const char **gold = calloc(r->rows, sizeof *gold);
    const ol_metric metric = r->is_classification ? OL_MACRO_F1 : OL_ACCURACY;
    char path[PATH_MAX];
    ol_rows rows;
    size_t at = 0;
    double score;

    assert_int_equal(ol_path_format(path, "%s/data/bbh/data/%s/%s_16_%d_test.jsonl", folder,
                                    r->task, r->task, (int)r->seed),
                     OL_OK);
    assert_int_equal(ol_rows_read(path, NULL, (int)r->rows, &rows), OL_OK);
    assert_int_equal(rows.n, r->rows);
    assert_string_equal(ol_metric_name(metric), r->metric);
    for (size_t i = 0; i < r->rows; i++) {
        const ol_row *row = &rows.rows[i];
        assert_int_equal(row->n_options, r->options_per_row[i]);
        predicted[i] = row->options[ol_score_pick(row->n_options, r->losses + at)];
        gold[i] = row->output;
        assert_string_equal(predicted[i], r->predictions.items[i]);
        at += (size_t)row->n_options;
    }
    assert_int_equal(at, r->prompts);
    assert_int_equal(ol_score_rows(metric, (int)r->rows, predicted, gold, &score), OL_OK);
    assert_true(fabs(score - r->score) < 1e-12);
    free(predicted);
    free(gold);
    ol_rows_finish(&rows);
}

static int is_archive(const struct dirent *entry)
{
    const size_t n = strlen(entry->d_name);

    return n > 3 && strcmp(entry->d_name + n - 3, ".h5") == 0;
}

static void every_reference_file_gets_its_score(void **state)
{
    const char *folder = getenv("OUTERLOOP_REFERENCE");
    char path[PATH_MAX];
    struct dirent **entries;
    int n;

    (void)state;
    if (!folder || !*folder) {
        print_message("# no reference folder: configure with -Dreference=FOLDER\n");
        skip();
    }
    assert_int_equal(ol_path_format(path, "%s/oracle/prompts", folder), OL_OK);
    n = scandir(path, &entries, is_archive, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        reference r = {0};
        assert_int_equal(ol_path_format(path, "%s/oracle/prompts/%s", folder, entries[i]->d_name),
                         OL_OK);
        read_reference(path, &r);
        compare(folder, &r);
        finish_reference(&r);
        free(entries[i]);
    }
    free(entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reference_file_gets_its_score),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
