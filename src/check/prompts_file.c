/* SPDX-License-Identifier: BSD-3-Clause */
#include "prompts_file.h"

#include <stdlib.h>

#include "outerloop/store/archive.h" /* ol_archive_read */
#include "verify_file.h"             /* ol_verify_read_batch */

static ol_status check_rows(const char *path, const ol_prompts_file *f)
{
    int64_t prompts = 0;

    for (int r = 0; r < f->rows; r++) {
        OL_CHECK(f->options[r] > 0, OL_EDATA, "%s: row %d has no options", path, r);
        prompts += f->options[r];
    }
    OL_CHECK(prompts == f->batch.B, OL_EDATA, "%s: %lld options for %d prompts", path,
             (long long)prompts, f->batch.B);
    return OL_OK;
}

ol_status ol_prompts_file_read(const char *path, int vocab, int context, ol_prompts_file *out)
{
    OL_AUTO_ARCHIVE *file = NULL;
    size_t rows = 0;

    *out = (ol_prompts_file){0};
    OL_TRY(ol_archive_open(path, &file));
    OL_TRY(ol_verify_read_batch(file, "", vocab, context, &out->batch));
    OL_TRY(ol_archive_count(file, "options_per_row", &rows));
    OL_CHECK(rows > 0 && rows <= (size_t)out->batch.B, OL_EDATA,
             "%s: options_per_row has %zu rows for %d prompts", path, rows, out->batch.B);
    out->rows = (int)rows;
    out->options = calloc(rows, sizeof *out->options);
    OL_CHECK(out->options, OL_ENOMEM, "%s: no memory for %zu rows", path, rows);
    OL_TRY(ol_archive_read(file, "options_per_row", rows, out->options));
    return check_rows(path, out);
}

void ol_prompts_file_finish(ol_prompts_file *file)
{
    ol_batch_finish(&file->batch);
    free(file->options);
    *file = (ol_prompts_file){0};
}
