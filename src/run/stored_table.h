/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns of a table as a metrics file has them, by the numbers that its description gives them. */
#ifndef RUN_STORED_TABLE_H
#define RUN_STORED_TABLE_H

#include "outerloop/eval/score.h"    /* ol_metric */
#include "outerloop/run/evaluate.h"  /* OL_SCORE_*, OL_PREDICTION_* */
#include "outerloop/store/archive.h" /* ol_archive */

typedef struct stored_table {
    size_t n;                          /* rows: as many as the index has; 0 where there is none */
    ol_strings text[OL_SCORE_COLUMNS]; /* [n] of each text that was asked for, or n = 0: an
                                             older file has it not                                 */
    double *number[OL_SCORE_COLUMNS];  /* [n] of each number; NaN where the file has none       */
} stored_table;

/* Read n_columns columns of a table. @param table  *owned by the caller* (stored_table_finish), also
   on failure. Errors: OL_EDATA (no numbers, or of unequal length), OL_ENOMEM. */
ol_status stored_table_read(const ol_archive *file, const ol_table_spec *spec, const int *columns,
                            int n_columns, stored_table *table);

void stored_table_finish(stored_table *table);

/* Of row i of eval/score: its metric; its group, or "". */
ol_metric stored_metric(const stored_table *scores, size_t i);
const char *stored_group(const stored_table *scores, size_t i);

#endif
