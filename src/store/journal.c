/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/store/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outerloop/base/file.h"
#include "outerloop/base/log.h"
#include "row.h"

enum { REBUILD_ROWS = 4096 }; /* rows held in memory between flushes of a rebuild */

struct ol_journal {
    char *path;
    const ol_table_spec *const *specs;
    int n;
    int fd;
    off_t size;      /* bytes of whole lines in the file                 */
    ol_text waiting; /* lines that could not be written, and the new one */
    bool warned;
};

/* Lines of a file in memory. */
struct lines {
    char *text;
    size_t size, at;
    int number; /* of the line that next_line returned, from 1 */
};

/* The next whole line, its end replaced by a NUL; NULL at the end or where only a torn one is left.
   @param length  of the line, without its end */
static char *next_line(struct lines *lines, size_t *length)
{
    char *line = lines->text + lines->at;
    char *end = memchr(line, '\n', lines->size - lines->at);

    if (!end)
        return NULL;
    *end = '\0';
    *length = (size_t)(end - line);
    lines->at += *length + 1;
    lines->number++;
    return line;
}

/* A torn last line is cut off, so that the next one does not continue it. */
static ol_status cut_torn_line(ol_journal *journal)
{
    char *text, *last;
    size_t size;

    OL_TRY(ol_read_file(journal->path, &text, &size));
    last = memrchr(text, '\n', size);
    journal->size = last ? last - text + 1 : 0;
    free(text);
    OL_CHECK(ftruncate(journal->fd, journal->size) == 0, OL_EIO, "%s: cannot cut a torn line: %s",
             journal->path, strerror(errno));
    return OL_OK;
}

ol_status ol_journal_open(const char *path, const ol_table_spec *const *specs, int n,
                          ol_journal **out)
{
    ol_journal *journal = calloc(1, sizeof *journal);
    ol_status status = OL_OK;

    *out = NULL;
    OL_CHECK(journal, OL_ENOMEM, "%s: no memory for the journal", path);
    *journal = (ol_journal){.path = strdup(path), .specs = specs, .n = n};
    journal->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (!journal->path)
        status = ol_fail(OL_ENOMEM, "%s: no memory for the journal", path);
    else if (journal->fd < 0)
        status = ol_fail(OL_EIO, "%s: cannot append: %s", path, strerror(errno));
    else
        status = cut_torn_line(journal);
    if (status != OL_OK)
        ol_journal_destroy(journal);
    else
        *out = journal;
    return status;
}

static json_t *number_as_json(double value)
{
    if (isnan(value))
        return json_null();
    if (isinf(value))
        return json_string(value > 0 ? "inf" : "-inf");
    return json_real(value);
}

static json_t *text_as_json(const char *text)
{
    ol_text clean = {0};
    json_t *json = NULL;

    if (ol_rows_clean_text(text ? text : "", &clean) == OL_OK)
        json = json_stringn(clean.data, clean.size);
    ol_text_finish(&clean);
    return json;
}

static json_t *list_as_json(const ol_cell *cell)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < cell->list.n; i++)
        if (json_array_append_new(list, number_as_json(cell->list.values[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

static json_t *cell_as_json(ol_column_type type, const ol_cell *cell)
{
    switch (type) {
    case OL_COLUMN_I64:
        return json_integer(cell->i);
    case OL_COLUMN_F64:
        return number_as_json(cell->f);
    case OL_COLUMN_TEXT:
        return text_as_json(cell->text);
    default:
        return list_as_json(cell);
    }
}

/* Add the row as one line to `out`. */
static ol_status format_row(const ol_table_spec *spec, const ol_cell *cells, ol_text *out)
{
    json_t *row = json_object();
    bool whole = row && json_object_set_new(row, "table", json_string(spec->path)) == 0;
    char *line = NULL;
    ol_status status;

    for (int c = 0; c < spec->n && whole; c++)
        whole = json_object_set_new(row, spec->columns[c].name,
                                    cell_as_json(spec->columns[c].type, &cells[c])) == 0;
    if (whole)
        line = json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(row);
    OL_CHECK(line, OL_ENOMEM, "no memory for a row of %s", spec->path);
    status = ol_text_format(out, "%s\n", line);
    free(line);
    return status;
}

/* All that waits goes out in one write. What a failed one left is cut off again. */
static ol_status write_waiting(ol_journal *journal)
{
    const ssize_t n = write(journal->fd, journal->waiting.data, journal->waiting.size);

    if (n != (ssize_t)journal->waiting.size) {
        const int reason = n < 0 ? errno : ENOSPC;

        if (ftruncate(journal->fd, journal->size) != 0)
            return ol_fail(OL_EIO, "%s: cannot append, and cannot undo it: %s", journal->path,
                           strerror(errno));
        return ol_fail(OL_EIO, "%s: cannot append: %s", journal->path, strerror(reason));
    }
    journal->size += n;
    journal->waiting.size = 0;
    return OL_OK;
}

bool ol_journal_append(ol_journal *journal, int table, const ol_cell *cells)
{
    ol_status status;

    assert(table >= 0 && table < journal->n);
    status = format_row(journal->specs[table], cells, &journal->waiting);
    if (status == OL_OK)
        status = write_waiting(journal);
    if (status != OL_OK && !journal->warned)
        ol_log_warn("%s; the run goes on, rows are kept and written later", ol_status_message());
    journal->warned = status != OL_OK;
    return status == OL_OK;
}

bool ol_journal_destroy(ol_journal *journal)
{
    bool whole = true;

    if (!journal)
        return true;
    if (journal->waiting.size > 0 && write_waiting(journal) != OL_OK) {
        whole = false;
        ol_log_warn("%s; %zu bytes of rows are lost", ol_status_message(), journal->waiting.size);
    }
    if (journal->fd >= 0)
        close(journal->fd);
    ol_text_finish(&journal->waiting);
    free(journal->path);
    free(journal);
    return whole;
}

/* Parse a line and find its table. @param row  *owned by the caller* (json_decref) */
static ol_status parse_row(const char *path, int line, const char *text, size_t length,
                           const ol_table_spec *const *specs, int n, json_t **row, int *table)
{
    json_error_t error;
    const char *name;

    *row = json_loadb(text, length, 0, &error);
    OL_CHECK(*row, OL_EDATA, "%s:%d: is not JSON: %s", path, line, error.text);
    name = json_string_value(json_object_get(*row, "table"));
    *table = name ? ol_rows_table(specs, n, name) : -1;
    if (*table < 0) {
        const ol_status status = ol_fail(OL_EDATA, "%s:%d: is a row of no known table (\"%s\")",
                                         path, line, name ? name : "");

        json_decref(*row);
        *row = NULL;
        return status;
    }
    return OL_OK;
}

ol_status ol_journal_truncate(const char *path, const ol_table_spec *const *specs, int n,
                              const int64_t *rows)
{
    struct lines lines = {0};
    int64_t *seen = NULL;
    ol_text kept = {0};
    ol_status status;
    size_t length;

    if (!ol_path_exists(path))
        return OL_OK;
    OL_TRY(ol_read_file(path, &lines.text, &lines.size));
    seen = calloc((size_t)n + 1, sizeof *seen);
    status = seen ? ol_text_append(&kept, "", 0) : ol_fail(OL_ENOMEM, "%s: no memory", path);
    for (char *line; status == OL_OK && (line = next_line(&lines, &length));) {
        json_t *row;
        int table;

        status = parse_row(path, lines.number, line, length, specs, n, &row, &table);
        if (status != OL_OK)
            break;
        json_decref(row);
        if (seen[table]++ < rows[table])
            status = ol_text_format(&kept, "%s\n", line);
    }
    if (status == OL_OK)
        status = ol_write_file(path, kept.data, kept.size);
    ol_text_finish(&kept);
    free(seen);
    free(lines.text);
    return status;
}

static bool number_from_json(const json_t *json, double *value)
{
    const char *text = json_string_value(json);

    if (!json || json_is_null(json))
        *value = NAN;
    else if (text && (strcmp(text, "inf") == 0 || strcmp(text, "-inf") == 0))
        *value = text[0] == '-' ? -INFINITY : INFINITY;
    else if (json_is_number(json))
        *value = json_number_value(json);
    else
        return false;
    return true;
}

/* @param values  *owned by the caller* (free), also where it returns false */
static bool list_from_json(const json_t *json, ol_cell *cell, double **values)
{
    const size_t n = json_array_size(json);

    *values = malloc((n + 1) * sizeof **values);
    if (!*values || (json && !json_is_array(json)))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!number_from_json(json_array_get(json, i), &(*values)[i]))
            return false;
    cell->list.values = *values;
    cell->list.n = n;
    return true;
}

static bool cell_from_json(ol_column_type type, const json_t *json, ol_cell *cell, double **values)
{
    switch (type) {
    case OL_COLUMN_I64:
        cell->i = json_integer_value(json);
        return json_is_integer(json);
    case OL_COLUMN_F64:
        return number_from_json(json, &cell->f);
    case OL_COLUMN_TEXT:
        cell->text = json_string_value(json);
        return !json || cell->text;
    default:
        return list_from_json(json, cell, values);
    }
}

static ol_status rebuild_row(const char *path, int line, const json_t *row,
                             const ol_table_spec *spec, ol_tables *tables, int table)
{
    const size_t n = (size_t)spec->n;
    ol_cell *cells = calloc(n, sizeof *cells);
    double **values = calloc(n, sizeof *values);
    ol_status status =
        cells && values ? OL_OK : ol_fail(OL_ENOMEM, "no memory for a row of %s", spec->path);

    for (size_t c = 0; c < n && status == OL_OK; c++) {
        const ol_column *column = &spec->columns[c];

        if (!cell_from_json(column->type, json_object_get(row, column->name), &cells[c],
                            &values[c]))
            status = ol_fail(OL_EDATA, "%s:%d: \"%s\" of %s is missing or of another type", path,
                             line, column->name, spec->path);
    }
    if (status == OL_OK)
        status = ol_tables_append(tables, table, cells);
    for (size_t c = 0; values && c < n; c++)
        free(values[c]);
    free(values);
    free(cells);
    return status;
}

static ol_status rebuild_rows(const char *path, struct lines *lines,
                              const ol_table_spec *const *specs, int n, ol_tables *tables)
{
    size_t length;

    for (char *line; (line = next_line(lines, &length));) {
        json_t *row;
        int table;
        ol_status status;

        OL_TRY(parse_row(path, lines->number, line, length, specs, n, &row, &table));
        status = rebuild_row(path, lines->number, row, specs[table], tables, table);
        json_decref(row);
        OL_TRY(status);
        if (lines->number % REBUILD_ROWS == 0 && !ol_tables_flush(tables))
            return ol_fail(OL_EIO, "%s", ol_status_message());
    }
    return ol_tables_flush(tables) ? OL_OK : ol_fail(OL_EIO, "%s", ol_status_message());
}

ol_status ol_journal_rebuild(const char *path, const char *metrics_path,
                             const ol_table_spec *const *specs, int n, const ol_run_record *record)
{
    struct lines lines = {0};
    char aside[PATH_MAX];
    ol_tables *tables = NULL;
    ol_status status;

    OL_TRY(ol_path_format(aside, "%s.rebuild-%ld", metrics_path, (long)getpid()));
    OL_TRY(ol_read_file(path, &lines.text, &lines.size));
    status = ol_tables_create(aside, specs, n, record, &tables);
    if (status == OL_OK)
        status = rebuild_rows(path, &lines, specs, n, tables);
    if (tables && !ol_tables_destroy(tables) && status == OL_OK)
        status = ol_fail(OL_EIO, "%s", ol_status_message());
    if (status == OL_OK)
        status = ol_commit_file(aside, metrics_path);
    if (status != OL_OK)
        unlink(aside);
    free(lines.text);
    return status;
}
