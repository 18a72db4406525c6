/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables as groups of columns in an open file: their shape, and blocks of rows. */
#ifndef STORE_COLUMN_H
#define STORE_COLUMN_H

#include "h5.h"
#include "row.h"

/* Make the group with its empty columns, scale and attributes. */
ol_status ol_columns_create(ol_archive *archive, const ol_table_spec *spec);

/* Check that the file has that table; columns longer than the index are cut to it.
   @param rows  set to the length of the index */
ol_status ol_columns_open(ol_archive *archive, const ol_table_spec *spec, int64_t *rows);

/* Put all of `rows` at row `at`, over what may be there; the index last. */
ol_status ol_columns_write(ol_archive *archive, const ol_row_list *rows, int64_t at);

/* Make all columns that long; the index first. */
ol_status ol_columns_cut(ol_archive *archive, const ol_table_spec *spec, int64_t rows);

#endif
