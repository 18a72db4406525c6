/* SPDX-License-Identifier: BSD-3-Clause */
/* A task's rows, as training and as test data, and those of them that do not repeat others. */
#include "fuzz.h"
#include "outerloop/data/task.h"

static void use_rows(ol_rows *rows)
{
    ol_rows_drop_repeats(rows);
    for (int i = 0; i < rows->n; i++)
        ol_row_is_labelled(&rows->rows[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[PATH_MAX];
    ol_rows rows = {0};

    if (ol_path_format(path, "%s/rows.jsonl", fuzz_folder("rows.jsonl", data, size)) != OL_OK)
        return 0;
    if (ol_rows_read(path, "t", 0, &rows) == OL_OK) {
        fuzz_accepted = true;
        use_rows(&rows);
    }
    ol_rows_finish(&rows);
    if (ol_rows_read_test(path, NULL, 3, &rows) == OL_OK)
        use_rows(&rows);
    ol_rows_finish(&rows);
    return 0;
}
