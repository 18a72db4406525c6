/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables as groups of columns in an open file: their shape, and blocks of rows. */
#ifndef STORE_COLUMN_H
#define STORE_COLUMN_H

#include "h5.h"
#include "outerloop/store/table.h"

enum { OL_BLOCK_ROWS = 4096 /* that are in memory at once */ };

/* Make the group with its empty columns, scale and attributes. */
ol_status ol_columns_create(ol_archive *archive, const ol_table_spec *spec);

/* Check that the file has that table, with columns of one length. @param rows  that length
   Errors: OL_EUSAGE (other columns), OL_EDATA. */
ol_status ol_columns_rows(const ol_archive *archive, const ol_table_spec *spec, int64_t *rows);

/* Put n rows at row `at`; the index last. @param cells  [n, spec->n]; texts no longer than their
   columns */
ol_status ol_columns_write(ol_archive *archive, const ol_table_spec *spec, const ol_cell *cells,
                           size_t n, int64_t at);

/* Call visit(payload, row, cells) of each of the first `rows` rows; the cells are lent. */
typedef ol_status ol_columns_visit(void *payload, int64_t row, const ol_cell *cells);
ol_status ol_columns_read(const ol_archive *archive, const ol_table_spec *spec, int64_t rows,
                          ol_columns_visit *visit, void *payload);

#endif
