/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/record/stored_table.h
 * Columns of a table as a metrics file has them, by their numbers in metric_columns.h: the one way
 * in which metrics files are read back as numbers and names. Local.
 */
#ifndef OUTERLOOP_RECORD_STORED_TABLE_H
#define OUTERLOOP_RECORD_STORED_TABLE_H

#include "outerloop/eval/summary.h" /* ol_eval_score */
#include "outerloop/record/metric_columns.h"
#include "outerloop/store/archive.h" /* ol_archive */

enum { OL_STORED_COLUMNS = 24 /* that a table has at most */ };

/** Start from zeros. */
typedef struct ol_stored_table {
    size_t n; /**< rows: as many as the index has; 0 where there is no table */
    double *number[OL_STORED_COLUMNS];  /**< [n] of each number that was asked for */
    ol_strings text[OL_STORED_COLUMNS]; /**< [n] of each text that was asked for */
} ol_stored_table;

/**
 * Read the columns of a table whose bits are set.
 * @param table  ol_stored_table_finish frees it, also after an error: what was read before is there
 * Errors: OL_EDATA naming the column (it is missing, or of another length or type, or a name in it
 * has control characters), OL_ENOMEM.
 */
ol_status ol_stored_table_read(const ol_archive *file, const ol_table_spec *spec, uint32_t columns,
                               ol_stored_table *table);
#define OL_STORED(column) (UINT32_C(1) << (column))

void ol_stored_table_finish(ol_stored_table *table);
#define OL_AUTO_STORED_TABLE OL_AUTO(ol_stored_table_finish) ol_stored_table

/** Sum of a column. */
double ol_stored_sum(const ol_stored_table *table, int column);

/** Were the episodes of the file adapted by an inner loop? */
bool ol_stored_inner(const ol_archive *file);

/** What every reader of eval/score asks for, and its row i, whose texts are borrowed from the table.
 *  @param training  seed of the training that the file is of */
extern const uint32_t ol_stored_scores;
ol_eval_score ol_stored_score(const ol_stored_table *scores, size_t i, int64_t training);

#endif
