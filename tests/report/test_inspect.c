/* SPDX-License-Identifier: BSD-3-Clause */
/* What `inspect` says of files made here, whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outerloop/base/file.h"
#include "outerloop/collective/evaluate.h"
#include "outerloop/record/metric_columns.h"
#include "outerloop/record/metrics.h"
#include "outerloop/report/inspect.h"
#include "outerloop/store/checkpoint.h"

static const char job_text[] = "name = \"lamp\"; seed = 4; train = { steps = 2; }; "
                               "learner = { inner = { steps = 2; }; };\n";
enum { INNER_STEPS = 2 };

static ol_metric_tables *shape;

static int make_shape(void **state)
{
    (void)state;
    return ol_metric_tables_create(INNER_STEPS, &shape);
}

static int drop_shape(void **state)
{
    (void)state;
    ol_metric_tables_destroy(shape);
    return 0;
}

/* A sink: the index is the rows so far. */
static ol_status append(void *payload, const ol_table_spec *table, ol_cell *cells)
{
    const int t = table == &ol_eval_score_table ? OL_TABLE_SCORE : OL_TABLE_PREDICTION;

    cells[0].i = ol_tables_rows(payload, t);
    return ol_tables_append(payload, t, cells);
}

/* The cell of a row that is named so. */
static ol_cell *cell(int table, ol_cell *cells, const char *name)
{
    const ol_table_spec *spec = ol_metric_tables_specs(shape)[table];

    for (int c = 0; c < spec->n; c++)
        if (strcmp(spec->columns[c].name, name) == 0)
            return &cells[c];
    fail_msg("%s has no %s", spec->path, name);
    return NULL;
}

/* Scores of two tasks under one seed, in context. */
static void add_scores(ol_tables *tables, const char *learner, double first, double second)
{
    const char *const tasks[] = {"red", "blue"}, *const options[] = {"yes", "no"};
    const bool unseen[] = {false, true};
    const int seeds[] = {13}, options_per_row[] = {2};
    ol_eval_result results[2];
    const ol_evaluation evaluation = {.results = results, .n = 2};
    const ol_evaluation_spec spec = {
        .tasks = tasks, .n_tasks = 2, .unseen = unseen, .seeds = seeds, .n_seeds = 1};

    for (int i = 0; i < 2; i++) {
        assert_int_equal(ol_eval_result_init(1, options_per_row, options, 1, &results[i]), OL_OK);
        results[i].scorings[0].score = i == 0 ? first : second;
    }
    assert_int_equal(ol_evaluation_store(&evaluation, &spec, learner, append, tables), OL_OK);
    ol_eval_result_finish(&results[0]);
    ol_eval_result_finish(&results[1]);
}

static void make_metrics_of(const char *folder, const char *learner, bool trained, int seed)
{
    const ol_run_record record = {
        .version = "0", .run_id = "r", .job = job_text, .ranks = 1, .seed = seed};
    char path[PATH_MAX];
    ol_tables *tables;

    assert_int_equal(ol_make_folders(folder), OL_OK);
    assert_int_equal(ol_path_format(path, "%s/metrics.h5", folder), OL_OK);
    assert_int_equal(
        ol_tables_create(path, ol_metric_tables_specs(shape), OL_TABLES, &record, &tables), OL_OK);
    for (int i = 1; trained && i <= 300; i++) {
        ol_cell step[32] = {{.i = i}}, episode[32] = {{.i = i}};

        cell(OL_TABLE_STEP, step, "loss_before")->f = 5.0;
        cell(OL_TABLE_STEP, step, "loss_after")->f = 4.0 / i;
        cell(OL_TABLE_STEP, step, "seconds")->f = 0.1;
        cell(OL_TABLE_STEP, step, "tokens")->i = 10;
        cell(OL_TABLE_EPISODE, episode, "task")->text = i % 2 ? "odd" : "even";
        cell(OL_TABLE_EPISODE, episode, "query_loss_before")->f = 3.5;
        cell(OL_TABLE_EPISODE, episode, "query_loss_after")->f = i > 290 ? 1.25 : 99.0;
        assert_int_equal(ol_tables_append(tables, OL_TABLE_STEP, step), OL_OK);
        assert_int_equal(ol_tables_append(tables, OL_TABLE_EPISODE, episode), OL_OK);
    }
    add_scores(tables, learner, trained ? 0.75 : 0.25, 0.5);
    assert_int_equal(ol_tables_destroy(tables), OL_OK);
}

static void make_metrics(const char *folder, const char *learner, bool trained)
{
    make_metrics_of(folder, learner, trained, 4);
}

static void make_checkpoint(const char *folder, int64_t step, char path[PATH_MAX])
{
    float data[1024], zero[1024] = {0};
    const ol_checkpoint_tensor tensor = {
        .name = "wte.weight", .rank = 2, .dims = {32, 32}, .param = data, .m = zero, .v = zero};
    const ol_checkpoint_note note = {.name = "layers", .kind = OL_NOTE_I64, .i = 2};
    const ol_checkpoint_spec spec = {.step = step,
                                     .moments_step = step,
                                     .seed = 4,
                                     .rng = "none",
                                     .run_id = "r",
                                     .job = job_text,
                                     .tensors = &tensor,
                                     .n_tensors = 1,
                                     .model = &note,
                                     .n_model = 1};
    char checkpoints[PATH_MAX];

    for (int i = 0; i < 1024; i++)
        data[i] = (float)i + 0.5f;
    assert_int_equal(ol_path_format(checkpoints, "%s/checkpoints", folder), OL_OK);
    assert_int_equal(ol_checkpoint_write(checkpoints, &spec, path), OL_OK);
}

/* A folder of its own for each test. */
static int set_up(void **state)
{
    char *folder = strdup("inspect-XXXXXX");

    *state = folder && mkdtemp(folder) ? folder : NULL;
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[256];
    int status;

    snprintf(command, sizeof command, "rm -r '%s'", (char *)*state);
    status = system(command);
    free(*state);
    return status;
}

static ol_status inspect(const char *path, ol_inspect_how how, ol_text *text)
{
    ol_text_finish(text);
    return ol_inspect(path, how, text);
}

static void assert_says(const ol_text *text, const char *words)
{
    if (!text->data || !strstr(text->data, words))
        fail_msg("not said: \"%s\" in:\n%s", words, text->data ? text->data : "");
}

/* Change the byte in the middle of the place where `size` bytes of `data` are stored. */
static void flip(const char *path, const void *data, size_t size)
{
    char *text, *at;
    size_t n;
    FILE *file;

    assert_int_equal(ol_read_file(path, &text, &n), OL_OK);
    at = memmem(text, n, data, size);
    assert_non_null(at);
    at[size / 2] ^= 0x10;
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    fclose(file);
    free(text);
}

static void a_run_is_told_with_losses_tasks_and_table(void **state)
{
    ol_text text = {0};
    char path[PATH_MAX];

    make_metrics(*state, "lamp", true);
    make_checkpoint(*state, 7, path);
    assert_int_equal(inspect(*state, OL_INSPECT_LOOK, &text), OL_OK);
    assert_says(&text, "lamp, seed 4, 2 meta-steps asked for");
    assert_says(&text, "300 meta-steps, the last is 300; 30 s; 100 tokens/s");
    assert_says(&text, "5.0000 -> 4.0000 nats at step 1, 5.0000 -> 0.0133 at step 300");
    assert_says(&text, "step-000007.h5");
    assert_says(&text, "unseen tasks: 2 tasks, 1 seed, 1 training; accuracy in %");
    assert_says(&text, "unseen domains: 1 task, 1 seed, 1 training; accuracy in %");
    assert_says(&text, "lamp               62   ±12   62\n");
    assert_says(&text, "lamp            5.000 → 0.014     30 s");
    /* of 150 episodes each, the latest ten: five at 99 and five at 1.25 */
    assert_says(&text, "  even                                      150   3.5000 -> 50.1250");
    assert_int_equal(inspect(*state, OL_INSPECT_CHECK, &text), OL_OK);
    assert_says(&text, "3 files, all whole");
    ol_text_finish(&text);
}

static void arms_and_the_untrained_start_share_one_table(void **state)
{
    static const char job[] = "name = \"both\"; arms = ( { name = \"zebra\"; learner = { algorithm "
                              "= \"maml\"; }; }, { name = \"ape\"; learner = { algorithm = "
                              "\"metaicl\"; }; } );\n";
    char path[PATH_MAX];
    ol_text text = {0};
    const char *untrained, *zebra, *ape;

    assert_int_equal(ol_path_format(path, "%s/job.cfg", (char *)*state), OL_OK);
    assert_int_equal(ol_write_file(path, job, sizeof job - 1), OL_OK);
    assert_int_equal(ol_path_format(path, "%s/ape", (char *)*state), OL_OK);
    make_metrics(path, "ape", true);
    assert_int_equal(ol_path_format(path, "%s/zebra", (char *)*state), OL_OK);
    make_metrics(path, "zebra", true);
    assert_int_equal(ol_path_format(path, "%s/untrained", (char *)*state), OL_OK);
    make_metrics(path, "untrained", false);
    assert_int_equal(inspect(*state, OL_INSPECT_CHECK, &text), OL_OK);
    assert_says(&text, "6 files, all whole");
    untrained = strstr(text.data, "\nuntrained          38   ±12   38\n");
    zebra = strstr(text.data, "\nzebra  ");
    ape = strstr(text.data, "\nape  ");
    assert_true(untrained && zebra && ape && untrained < zebra && zebra < ape);
    ol_text_finish(&text);
}

static void trainings_from_several_seeds_share_one_table(void **state)
{
    static const char job[] = "name = \"seeds\"; train_seeds = [4, 9];\n";
    char path[PATH_MAX];
    ol_text text = {0};

    assert_int_equal(ol_path_format(path, "%s/job.cfg", (char *)*state), OL_OK);
    assert_int_equal(ol_write_file(path, job, sizeof job - 1), OL_OK);
    for (int seed = 4; seed <= 9; seed += 5) {
        assert_int_equal(ol_path_format(path, "%s/seed-%d", (char *)*state, seed), OL_OK);
        make_metrics_of(path, "lamp", true, seed);
    }
    assert_int_equal(inspect(*state, OL_INSPECT_CHECK, &text), OL_OK);
    assert_says(&text, "4 files, all whole");
    assert_says(&text, "unseen tasks: 2 tasks, 1 seed, 2 trainings;");
    ol_text_finish(&text);
}

static void a_flipped_byte_of_a_tensor_is_found_and_named(void **state)
{
    const float inside[] = {500.5f, 501.5f, 502.5f};
    char path[PATH_MAX];
    ol_text text = {0};

    make_metrics(*state, "lamp", true);
    make_checkpoint(*state, 7, path);
    assert_int_equal(inspect(path, OL_INSPECT_CHECK, &text), OL_OK);
    assert_says(&text, "1 file, all whole");
    flip(path, inside, sizeof inside);
    assert_int_equal(inspect(path, OL_INSPECT_LOOK, &text),
                     OL_EDATA); /* refused before it is used */
    assert_int_equal(inspect(path, OL_INSPECT_CHECK, &text), OL_ECHECK);
    assert_says(&text, "BROKEN");
    assert_int_equal(inspect(*state, OL_INSPECT_CHECK, &text), OL_ECHECK);
    assert_non_null(strstr(ol_status_message(), "step-000007.h5"));
    assert_non_null(strstr(ol_status_message(), "1 of 3 files is damaged"));
    ol_text_finish(&text);
}

static void a_flipped_byte_of_a_column_is_found_and_named(void **state)
{
    const double inside[] = {4.0 / 100, 4.0 / 101, 4.0 / 102};
    char path[PATH_MAX];
    ol_text text = {0};

    make_metrics(*state, "lamp", true);
    assert_int_equal(ol_path_format(path, "%s/metrics.h5", (char *)*state), OL_OK);
    flip(path, inside, sizeof inside);
    assert_int_equal(inspect(*state, OL_INSPECT_CHECK, &text), OL_ECHECK);
    assert_non_null(strstr(ol_status_message(), "train/step/loss_after"));
    ol_text_finish(&text);
}

/* Texts, lists and the job's text have no checksum of HDF5's. */
static void flipped_bytes_of_what_varies_in_length_are_found_and_named(void **state)
{
    static const struct {
        const char *bytes, *named;
        size_t size;
    } cases[] = {{"blue", "eval/score/task", 4},
                 {"lamp\0", "eval/score/learner", 5},
                 {"seed = 4; train", "job", 15}};
    ol_text text = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[PATH_MAX];

        make_metrics(*state, "lamp", true);
        assert_int_equal(ol_path_format(path, "%s/metrics.h5", (char *)*state), OL_OK);
        assert_int_equal(inspect(*state, OL_INSPECT_CHECK, &text), OL_OK);
        flip(path, cases[i].bytes, cases[i].size);
        assert_int_equal(inspect(*state, OL_INSPECT_CHECK, &text), OL_ECHECK);
        if (!strstr(ol_status_message(), cases[i].named))
            fail_msg("%s is not named: %s", cases[i].named, ol_status_message());
    }
    ol_text_finish(&text);
}

/* What --rebuild makes is what was there, and says what it did. */
static void metrics_are_rebuilt_from_the_journal_and_it_from_them(void **state)
{
    char path[PATH_MAX], journal[PATH_MAX];
    ol_text text = {0};

    make_metrics(*state, "lamp", true);
    assert_int_equal(ol_path_format(path, "%s/metrics.h5", (char *)*state), OL_OK);
    assert_int_equal(ol_path_format(journal, "%s/metrics.jsonl", (char *)*state), OL_OK);
    assert_int_equal(truncate(path, 5000), 0);
    assert_int_equal(inspect(*state, OL_INSPECT_LOOK, &text), OL_ECHECK);
    assert_int_equal(inspect(*state, OL_INSPECT_REBUILD, &text), OL_OK);
    assert_says(&text, "metrics.h5.damaged-1");
    assert_says(&text, "lamp               62   ±12   62\n");
    assert_int_equal(inspect(*state, OL_INSPECT_CHECK, &text), OL_OK);
    assert_int_equal(unlink(journal), 0);
    assert_int_equal(ol_path_format(journal, "%s/job.cfg", (char *)*state), OL_OK);
    assert_int_equal(inspect(*state, OL_INSPECT_REBUILD, &text), OL_EDATA); /* of which job? */
    assert_int_equal(ol_write_file(journal, job_text, strlen(job_text)), OL_OK);
    assert_int_equal(inspect(*state, OL_INSPECT_CHECK, &text), OL_ECHECK);
    assert_int_equal(inspect(*state, OL_INSPECT_REBUILD, &text), OL_OK);
    assert_says(&text, "604 rows that the journal lacked come from metrics.h5");
    assert_int_equal(inspect(*state, OL_INSPECT_CHECK, &text), OL_OK);
    assert_says(&text, "metrics.jsonl: 604 rows, every sum holds");
    ol_text_finish(&text);
}

static void a_cut_checkpoint_is_named_among_whole_ones(void **state)
{
    char path[PATH_MAX];
    ol_text text = {0};

    make_checkpoint(*state, 7, path);
    make_checkpoint(*state, 9, path);
    assert_int_equal(truncate(path, 3000), 0);
    assert_int_equal(inspect(*state, OL_INSPECT_LOOK, &text), OL_ECHECK);
    assert_says(&text, "step-000007.h5");
    assert_says(&text, "BROKEN");
    assert_int_equal(inspect(path, OL_INSPECT_LOOK, &text), OL_EDATA);
    assert_int_equal(inspect(path, OL_INSPECT_CHECK, &text), OL_ECHECK);
    assert_non_null(strstr(ol_status_message(), "step-000009.h5"));
    ol_text_finish(&text);
}

/* A column that another version did not write is named, and nothing is made up in its place. */
static void a_column_that_is_missing_is_named(void **state)
{
    const int64_t rows = 1, numbers[] = {0};
    char path[PATH_MAX];
    ol_text text = {0};
    ol_archive *archive;

    assert_int_equal(ol_path_format(path, "%s/older.h5", (char *)*state), OL_OK);
    assert_int_equal(ol_archive_create(path, &archive), OL_OK);
    assert_int_equal(ol_archive_set_text(archive, "/", "schema", "outerloop-metrics"), OL_OK);
    assert_int_equal(ol_archive_write(archive, "eval/score/number", 1, &rows, numbers), OL_OK);
    assert_int_equal(ol_archive_close(archive), OL_OK);
    assert_int_equal(inspect(path, OL_INSPECT_LOOK, &text), OL_ECHECK);
    assert_says(&text, "older.h5: eval/score/learner: the file has no such dataset");
    ol_text_finish(&text);
}

static void what_is_not_ours_is_refused(void **state)
{
    char path[PATH_MAX];
    ol_text text = {0};
    ol_archive *archive;

    assert_int_equal(inspect(*state, OL_INSPECT_LOOK, &text), OL_EDATA);
    assert_non_null(strstr(ol_status_message(), "not the folder of a run"));
    assert_int_equal(inspect("no-such-thing", OL_INSPECT_CHECK, &text), OL_EDATA);
    assert_int_equal(ol_path_format(path, "%s/notes.txt", (char *)*state), OL_OK);
    assert_int_equal(ol_write_file(path, "hello\n", 6), OL_OK);
    assert_int_equal(inspect(path, OL_INSPECT_CHECK, &text), OL_EDATA);
    assert_int_equal(ol_path_format(path, "%s/other.h5", (char *)*state), OL_OK);
    assert_int_equal(ol_archive_create(path, &archive), OL_OK);
    assert_int_equal(ol_archive_close(archive), OL_OK);
    assert_int_equal(inspect(path, OL_INSPECT_CHECK, &text), OL_EDATA);
    assert_non_null(strstr(ol_status_message(), "not one of this program's"));
    ol_text_finish(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_is_told_with_losses_tasks_and_table, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(arms_and_the_untrained_start_share_one_table, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(trainings_from_several_seeds_share_one_table, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_flipped_byte_of_a_tensor_is_found_and_named, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_flipped_byte_of_a_column_is_found_and_named, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(flipped_bytes_of_what_varies_in_length_are_found_and_named,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(metrics_are_rebuilt_from_the_journal_and_it_from_them,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cut_checkpoint_is_named_among_whole_ones, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_column_that_is_missing_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_ours_is_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, make_shape, drop_shape);
}
