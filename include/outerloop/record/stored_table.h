/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns of a table as a metrics file has them, by their numbers in metric_columns.h: the one way
   in which metrics files are read back as numbers and names. */
#ifndef OUTERLOOP_RECORD_STORED_TABLE_H
#define OUTERLOOP_RECORD_STORED_TABLE_H

#include "outerloop/eval/score.h" /* ol_metric */
#include "outerloop/record/metric_columns.h"
#include "outerloop/store/archive.h" /* ol_archive */

enum { STORED_COLUMNS = 24 /* that a table has at most */ };

/* Start from zeros. */
typedef struct stored_table {
    size_t n;                        /* rows: as many as the index has; 0 where there is no table */
    double *number[STORED_COLUMNS];  /* [n] of each number that was asked for                     */
    ol_strings text[STORED_COLUMNS]; /* [n] of each text that was asked for                       */
} stored_table;

/* Read the columns of a table whose bits are set. Errors: OL_EDATA naming the column (it is missing,
   or of another length or type, or a name in it has control characters), OL_ENOMEM; what was read
   before it is there. */
ol_status stored_table_read(const ol_archive *file, const ol_table_spec *spec, uint32_t columns,
                            stored_table *table);
#define STORED(column) (UINT32_C(1) << (column))

void stored_table_finish(stored_table *table);
#define AUTO_STORED_TABLE OL_AUTO(stored_table_finish) stored_table

/* Sum of a column. */
double stored_sum(const stored_table *table, int column);

/* Were the episodes of the file adapted by an inner loop? */
bool stored_inner(const ol_archive *file);

/* What every reader of eval/score asks for, and of its row i: the metric; the group, or "". */
extern const uint32_t stored_scores;
ol_metric stored_metric(const stored_table *scores, size_t i);
const char *stored_group(const stored_table *scores, size_t i);

#endif
