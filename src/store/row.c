/* SPDX-License-Identifier: BSD-3-Clause */
#include "row.h"

#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h" /* ol_utf8_valid */

ol_status ol_rows_clean_text(const char *text, ol_text *out)
{
    size_t left = strlen(text);

    OL_TRY(ol_text_append(out, "", 0));
    for (;;) {
        const size_t good = ol_utf8_valid(text, left);

        OL_TRY(ol_text_append(out, text, good));
        if (good == left)
            return OL_OK;
        OL_TRY(ol_text_append(out, "\xEF\xBF\xBD", 3));
        text += good + 1;
        left -= good + 1;
    }
}

static ol_status copy_list(const ol_cell *from, ol_cell *to)
{
    const size_t n = from->list.n;
    double *values = malloc((n + 1) * sizeof *values);

    OL_CHECK(values, OL_ENOMEM, "no memory for a list of %zu values", n);
    if (n > 0)
        memcpy(values, from->list.values, n * sizeof *values);
    to->list.values = values;
    to->list.n = n;
    return OL_OK;
}

static ol_status copy_cell(ol_column_type type, const ol_cell *from, ol_cell *to)
{
    ol_text text = {0};
    ol_status status;

    switch (type) {
    case OL_COLUMN_TEXT:
        status = ol_rows_clean_text(from->text ? from->text : "", &text);
        to->text = text.data;
        return status;
    case OL_COLUMN_LIST:
        return copy_list(from, to);
    default:
        *to = *from;
        return OL_OK;
    }
}

static void free_row(const ol_table_spec *spec, ol_cell *cells)
{
    for (int c = 0; c < spec->n; c++) {
        if (spec->columns[c].type == OL_COLUMN_TEXT)
            free((void *)cells[c].text);
        else if (spec->columns[c].type == OL_COLUMN_LIST)
            free((void *)cells[c].list.values);
    }
}

static ol_status grow(ol_row_list *rows)
{
    const size_t room = rows->room ? 2 * rows->room : 16;
    ol_cell *cells = realloc(rows->cells, room * (size_t)rows->spec->n * sizeof *cells);

    OL_CHECK(cells, OL_ENOMEM, "no memory for %zu rows of table %s", room, rows->spec->path);
    rows->cells = cells;
    rows->room = room;
    return OL_OK;
}

ol_status ol_row_list_append(ol_row_list *rows, const ol_cell *cells)
{
    const ol_table_spec *spec = rows->spec;
    ol_cell *to;

    if (rows->n == rows->room)
        OL_TRY(grow(rows));
    to = rows->cells + rows->n * (size_t)spec->n;
    memset(to, 0, (size_t)spec->n * sizeof *to);
    for (int c = 0; c < spec->n; c++) {
        const ol_status status = copy_cell(spec->columns[c].type, &cells[c], &to[c]);

        if (status != OL_OK) {
            free_row(spec, to);
            return status;
        }
    }
    rows->n++;
    return OL_OK;
}

void ol_row_list_keep(ol_row_list *rows, size_t n)
{
    while (rows->n > n)
        free_row(rows->spec, rows->cells + --rows->n * (size_t)rows->spec->n);
}

void ol_row_list_drop(ol_row_list *rows, size_t n)
{
    const size_t width = (size_t)rows->spec->n;

    if (n == 0) /* an empty list has no cells */
        return;
    for (size_t r = 0; r < n; r++)
        free_row(rows->spec, rows->cells + r * width);
    rows->n -= n;
    if (rows->n > 0)
        memmove(rows->cells, rows->cells + n * width, rows->n * width * sizeof *rows->cells);
}

void ol_row_list_finish(ol_row_list *rows)
{
    ol_row_list_keep(rows, 0);
    free(rows->cells);
    rows->cells = NULL;
    rows->room = 0;
}

int ol_rows_table(const ol_table_spec *const *specs, int n, const char *path)
{
    for (int t = 0; t < n; t++)
        if (strcmp(specs[t]->path, path) == 0)
            return t;
    return -1;
}
