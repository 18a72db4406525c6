/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of a table held in memory, with texts that are UTF-8 for certain. */
#ifndef STORE_ROW_H
#define STORE_ROW_H

#include "outerloop/base/text.h" /* ol_text */
#include "outerloop/store/table.h"

typedef struct ol_row_list {
    const ol_table_spec *spec; /* borrowed */
    ol_cell *cells;            /* [n, spec->n]; texts and lists are owned */
    size_t n, room;
} ol_row_list;

/* Copy one row. Bytes that are not UTF-8 become U+FFFD. Errors: OL_ENOMEM, the rows unchanged. */
ol_status ol_row_list_append(ol_row_list *rows, const ol_cell *cells);

/* Keep the first n rows. */
void ol_row_list_keep(ol_row_list *rows, size_t n);

/* Forget the first n rows. */
void ol_row_list_drop(ol_row_list *rows, size_t n);

/* Free all rows; `spec` stays. */
void ol_row_list_finish(ol_row_list *rows);

/* Number of the table of that path, or -1. */
int ol_rows_table(const ol_table_spec *const *specs, int n, const char *path);

/* `text` with U+FFFD for what is not UTF-8. */
ol_status ol_rows_clean_text(const char *text, ol_text *out);

#endif
