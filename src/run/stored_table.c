/* SPDX-License-Identifier: BSD-3-Clause */
#include "stored_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h" /* PATH_MAX */

static ol_status read_number(const ol_archive *file, const char *object, size_t n, double **out)
{
    *out = n < SIZE_MAX ? calloc(n + 1, sizeof **out) : NULL;
    OL_CHECK(*out, OL_ENOMEM, "no memory for %zu rows", n);
    for (size_t i = 0; i < n; i++)
        (*out)[i] = (double)NAN;
    return ol_archive_has(file, object) ? ol_archive_read_f64(file, object, n, *out) : OL_OK;
}

static ol_status read_column(const ol_archive *file, const ol_table_spec *spec, int c,
                             stored_table *t)
{
    char object[PATH_MAX];

    OL_TRY(ol_path_format(object, "%s/%s", spec->path, spec->columns[c].name));
    if (spec->columns[c].type != OL_COLUMN_TEXT)
        return read_number(file, object, t->n, &t->number[c]);
    if (c == OL_SCORE_GROUP && !ol_archive_has(file, object))
        return OL_OK;
    OL_TRY(spec == &ol_eval_score_table ? ol_archive_read_names(file, object, &t->text[c])
                                        : ol_archive_read_strings(file, object, &t->text[c]));
    OL_CHECK(t->text[c].n == t->n, OL_EDATA,
             "%s: %s has columns of unequal length; run with --resume to repair it",
             ol_archive_path(file), spec->path);
    return OL_OK;
}

ol_status stored_table_read(const ol_archive *file, const ol_table_spec *spec, const int *columns,
                            int n_columns, stored_table *table)
{
    char index[PATH_MAX];

    *table = (stored_table){0};
    OL_TRY(ol_path_format(index, "%s/%s", spec->path, spec->columns[0].name));
    if (!ol_archive_has(file, index))
        return OL_OK;
    OL_TRY(ol_archive_count(file, index, &table->n));
    for (int i = 0; i < n_columns && table->n > 0; i++)
        OL_TRY(read_column(file, spec, columns[i], table));
    return OL_OK;
}

void stored_table_finish(stored_table *table)
{
    for (int c = 0; c < OL_SCORE_COLUMNS; c++) {
        ol_strings_finish(&table->text[c]);
        free(table->number[c]);
    }
    *table = (stored_table){0};
}

ol_metric stored_metric(const stored_table *scores, size_t i)
{
    const char *name = scores->text[OL_SCORE_METRIC].items[i];

    return strcmp(name, ol_metric_name(OL_MACRO_F1)) == 0 ? OL_MACRO_F1 : OL_ACCURACY;
}

const char *stored_group(const stored_table *scores, size_t i)
{
    const ol_strings *group = &scores->text[OL_SCORE_GROUP];

    if (group->n > 0 && *group->items[i])
        return group->items[i];
    return scores->number[OL_SCORE_UNSEEN][i] > 0.0 ? "unseen domains" : "";
}
