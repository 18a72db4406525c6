/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/record/stored_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h" /* PATH_MAX */
#include "outerloop/base/size.h" /* ol_allocate */

const uint32_t ol_stored_scores =
    OL_STORED(OL_SCORE_LEARNER) | OL_STORED(OL_SCORE_TASK) | OL_STORED(OL_SCORE_SEED) |
    OL_STORED(OL_SCORE_STEPS) | OL_STORED(OL_SCORE_METRIC) | OL_STORED(OL_SCORE_SCORE) |
    OL_STORED(OL_SCORE_UNSEEN) | OL_STORED(OL_SCORE_GROUP) | OL_STORED(OL_SCORE_CHANCE) |
    OL_STORED(OL_SCORE_MAJORITY) | OL_STORED(OL_SCORE_CALIBRATION);

static ol_status read_column(const ol_archive *file, const ol_table_spec *spec, int c,
                             ol_stored_table *t)
{
    char object[PATH_MAX];

    OL_TRY(ol_path_format(object, "%s/%s", spec->path, spec->columns[c].name));
    if (spec->columns[c].type != OL_COLUMN_TEXT) {
        OL_TRY(OL_ALLOCATE(t->number[c], t->n, object));
        return ol_archive_read(file, object, t->n, t->number[c]);
    }
    OL_TRY(ol_archive_read_names(file, object, &t->text[c]));
    OL_CHECK(t->text[c].n == t->n, OL_EDATA,
             "%s: %s has columns of unequal length; run with --resume to repair it",
             ol_archive_path(file), spec->path);
    return OL_OK;
}

ol_status ol_stored_table_read(const ol_archive *file, const ol_table_spec *spec, uint32_t columns,
                               ol_stored_table *table)
{
    char index[PATH_MAX];

    assert(spec->n <= OL_STORED_COLUMNS);
    OL_TRY(ol_path_format(index, "%s/%s", spec->path, spec->columns[0].name));
    if (!ol_archive_has(file, index))
        return OL_OK;
    OL_TRY(ol_archive_count(file, index, &table->n));
    for (int c = 0; c < spec->n && table->n > 0; c++)
        if (columns & OL_STORED(c))
            OL_TRY(read_column(file, spec, c, table));
    return OL_OK;
}

void ol_stored_table_finish(ol_stored_table *table)
{
    for (int c = 0; c < OL_STORED_COLUMNS; c++) {
        ol_strings_finish(&table->text[c]);
        free(table->number[c]);
    }
    *table = (ol_stored_table){0};
}

double ol_stored_sum(const ol_stored_table *table, int column)
{
    double sum = 0.0;

    for (size_t i = 0; i < table->n; i++)
        sum += table->number[column][i];
    return sum;
}

bool ol_stored_inner(const ol_archive *file)
{
    return ol_archive_has(file, "train/episode/support_loss_0");
}

ol_eval_score ol_stored_score(const ol_stored_table *t, size_t i, int64_t training)
{
    const char *metric = t->text[OL_SCORE_METRIC].items[i],
               *group = t->text[OL_SCORE_GROUP].items[i];
    const bool unseen = t->number[OL_SCORE_UNSEEN][i] > 0.0;

    return (ol_eval_score){.task = t->text[OL_SCORE_TASK].items[i],
                           .group = *group   ? group
                                    : unseen ? "unseen domains"
                                             : "",
                           .seed = (int)t->number[OL_SCORE_SEED][i],
                           .steps = (int)t->number[OL_SCORE_STEPS][i],
                           .training = training,
                           .metric = strcmp(metric, ol_metric_name(OL_MACRO_F1)) == 0 ? OL_MACRO_F1
                                                                                      : OL_ACCURACY,
                           .score = t->number[OL_SCORE_SCORE][i],
                           .chance = t->number[OL_SCORE_CHANCE][i],
                           .majority = t->number[OL_SCORE_MAJORITY][i]};
}
