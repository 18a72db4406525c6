/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes metrics for tests/store/test_metrics.py, which looks at them with other programs.
 *
 * usage: metrics_writer write FOLDER FROM TO   rows FROM .. TO-1, each fifth flushed, its number printed
 *        metrics_writer resume FOLDER          mend both files and go on with them
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h"
#include "outerloop/store/table.h"

static const ol_column step_columns[] = {
    {"step", OL_COLUMN_I64, 0, "1", "meta-step", "number of the meta-step, from 0"},
    {"loss", OL_COLUMN_F64, 0, "nat", "query loss", "mean query loss after adaptation"},
    {"loss_before", OL_COLUMN_F64, 0, "nat", "query loss before", "the same before adaptation"},
    {"digest", OL_COLUMN_TEXT, 32, "1", "digest of θ", "XXH3-128 of the parameters"},
};
static const char *const step_auxiliary[] = {"loss_before", NULL};
static const ol_table_spec step_table = {.path = "train/step",
                                         .title = "Meta-steps",
                                         .description = "one row a meta-step",
                                         .columns = step_columns,
                                         .n = 4,
                                         .signal = "loss",
                                         .auxiliary = step_auxiliary};
static const ol_column prediction_columns[] = {
    {"row", OL_COLUMN_I64, 0, "1", "row", "number of the test row"},
    {"option_losses", OL_COLUMN_LIST, 0, "nat", "option losses", "one per option"},
    {"predicted", OL_COLUMN_TEXT, 0, "1", "predicted option", "the option of least loss"},
};
static const ol_table_spec prediction_table = {
    .path = "eval/prediction", .title = "Predictions", .columns = prediction_columns, .n = 3};
static const ol_table_spec *const specs[] = {&step_table, &prediction_table};
static const ol_run_record record = {.version = "0.1.0",
                                     .run_id = "r1",
                                     .host = "node1",
                                     .blas = "OpenBLAS",
                                     .mpi = "Open MPI",
                                     .job = "name = \"θ\";\n",
                                     .seed = 100,
                                     .ranks = 2,
                                     .threads = 1};

static int fail(void)
{
    fprintf(stderr, "metrics_writer: %s\n", ol_status_message());
    return 1;
}

static int write_rows(ol_tables *tables, int from, int to)
{
    for (int i = from; i < to; i++) {
        const double losses[] = {i, i + 0.5, i + 0.75};
        const ol_cell step[] = {
            {.i = i}, {.f = 0.5 * i}, {.f = 1.0 + i}, {.text = i % 2 ? "café" : "tea"}};
        const ol_cell prediction[] = {
            {.i = i}, {.list = {losses, (size_t)(1 + i % 3)}}, {.text = "größer"}};

        if (ol_tables_append(tables, 0, step) != OL_OK ||
            ol_tables_append(tables, 1, prediction) != OL_OK ||
            (i % 5 == 0 && !ol_tables_flush(tables)))
            return fail();
        printf("%d\n", i);
        fflush(stdout);
    }
    return 0;
}

static int resume(const char *path)
{
    const int64_t last[] = {INT64_MAX, INT64_MAX};
    ol_tables *tables;

    if (ol_tables_open(path, specs, 2, &record, NULL, last, NULL, &tables) != OL_OK)
        return fail();
    return ol_tables_destroy(tables) == OL_OK ? 0 : fail();
}

int main(int argc, char **argv)
{
    char path[PATH_MAX];
    ol_tables *tables;
    int failed;

    if (argc < 3 || ol_path_format(path, "%s/metrics.h5", argv[2]) != OL_OK)
        return 2;
    if (strcmp(argv[1], "resume") == 0)
        return resume(path);
    if (argc != 5)
        return 2;
    if (ol_tables_create(path, specs, 2, &record, &tables) != OL_OK)
        return fail();
    failed = write_rows(tables, atoi(argv[3]), atoi(argv[4]));
    if (ol_tables_destroy(tables) != OL_OK)
        failed = fail();
    return failed;
}
