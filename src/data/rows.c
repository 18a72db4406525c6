/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/task.h"

#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "outerloop/base/size.h" /* OL_GROW */

ol_status line_check(const char *path, int line, const char *text, size_t n)
{
    const size_t valid = ol_utf8_valid(text, n);

    CHECK_LINE(valid == n, "byte %zu of the line (0x%02X) is not UTF-8; convert the file to UTF-8",
               valid + 1, (unsigned)(unsigned char)text[valid]);
    CHECK_LINE(strncmp(text, "\xEF\xBB\xBF", 3) != 0,
               "the file begins with a byte order mark; save it as UTF-8 without one");
    return OL_OK;
}

ol_status line_json(const char *path, int line, const char *text, size_t n, json_t **out)
{
    json_error_t error;

    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    CHECK_LINE(*out, "not JSON: %s (column %d); a row is one JSON object on one line", error.text,
               error.column);
    return OL_OK;
}

static ol_status check_field(const char *path, int line, const json_t *value, const char *field,
                             const char *needs)
{
    CHECK_LINE(value, "the row has no \"%s\"; it needs %s", field, needs);
    CHECK_LINE(json_is_string(value), "\"%s\" must be a string in quotes", field);
    return OL_OK;
}

ol_status line_text(const char *path, int line, const json_t *object, const char *field,
                    const char *needs, char **out)
{
    const json_t *value = json_object_get(object, field);

    OL_TRY(check_field(path, line, value, field, needs));
    *out = strdup(json_string_value(value));
    OL_CHECK(*out, OL_ENOMEM, "%s: no memory for its rows", path);
    return OL_OK;
}

ol_status line_options(const char *path, int line, const json_t *options, ol_row *row)
{
    CHECK_LINE(!options || json_is_array(options), "\"options\" must be a list of strings");
    for (size_t i = 0; i < json_array_size(options); i++)
        CHECK_LINE(json_is_string(json_array_get(options, i)),
                   "\"options\" must be a list of strings; number %zu is none", i + 1);
    return names_copy(path, options, &row->options, &row->n_options);
}

static ol_status check_output(const char *path, int line, const ol_row *row)
{
    CHECK_LINE(row->n_options == 0 || names_have(row->options, row->n_options, row->output),
               "the output \"%.80s\" is not one of the %d options (the first is \"%.80s\"); "
               "correct it or add it to them",
               row->output, row->n_options, row->options[0]);
    return OL_OK;
}

/* How a file is read. */
typedef struct reading {
    const char *task; /* that every row must name; NULL: any */
    bool test;        /* an output outside its options is the caller's to judge */
} reading;

static ol_status fill_row(const char *path, int line, const reading *how, json_t *object,
                          ol_row *row)
{
    static const char needs[] = "task, input, output and options";
    const json_t *task = json_object_get(object, "task");
    const json_t *options = json_object_get(object, "options");

    CHECK_LINE(json_is_object(object), "a row must be a JSON object {...}");
    OL_TRY(check_field(path, line, task, "task", needs));
    CHECK_LINE(!how->task || strcmp(json_string_value(task), how->task) == 0,
               "the row is of task \"%.80s\", but the file is of task \"%s\"; correct its "
               "\"task\" or move the row",
               json_string_value(task), how->task);
    row->line = line;
    OL_TRY(line_text(path, line, object, "input", needs, &row->input));
    OL_TRY(line_text(path, line, object, "output", needs, &row->output));
    CHECK_LINE(options, "the row has no \"options\"; a task without any writes \"options\": []");
    OL_TRY(line_options(path, line, options, row));
    return how->test ? OL_OK : check_output(path, line, row);
}

static ol_status read_row(const char *path, int line, const reading *how, const char *text,
                          size_t n, ol_row *row)
{
    json_auto_t *object = NULL;

    CHECK_LINE(strspn(text, " \t\r") < n, "the line is empty; remove it");
    OL_TRY(line_check(path, line, text, n));
    OL_TRY(line_json(path, line, text, n, &object));
    return fill_row(path, line, how, object, row);
}

static ol_status read_rows(const char *text, size_t size, const reading *how, int limit,
                           ol_rows *out)
{
    int line = 1;

    for (const char *at = text; at < text + size && (limit == 0 || out->n < limit); line++) {
        const char *end = memchr(at, '\n', (size_t)(text + size - at));

        if (!end)
            end = text + size;
        OL_TRY(OL_GROW(out->rows, out->n, "rows"));
        out->rows[out->n] = (ol_row){0};
        OL_TRY(read_row(out->path, line, how, at, (size_t)(end - at), &out->rows[out->n++]));
        at = end + 1;
    }
    OL_CHECK(out->n > 0, OL_EDATA, "%s:1: the file is empty; it needs one JSON row a line",
             out->path);
    return OL_OK;
}

static ol_status read_file(const char *path, const reading *how, int limit, ol_rows *out)
{
    OL_AUTO_FREE char *text = NULL;
    OL_AUTO_ROWS rows = {0};
    size_t size;

    *out = rows;
    OL_TRY(ol_read_file(path, &text, &size));
    rows.path = strdup(path);
    OL_CHECK(rows.path, OL_ENOMEM, "%s: no memory for its rows", path);
    OL_TRY(read_rows(text, size, how, limit, &rows));
    return OL_GIVE(out, rows);
}

ol_status ol_rows_read(const char *path, const char *task, int limit, ol_rows *out)
{
    return read_file(path, &(reading){.task = task}, limit, out);
}

ol_status ol_rows_read_test(const char *path, const char *task, int limit, ol_rows *out)
{
    return read_file(path, &(reading){.task = task, .test = true}, limit, out);
}

static void finish_row(ol_row *row)
{
    free(row->input);
    free(row->output);
    names_free(row->options, row->n_options);
}

void ol_rows_filter(ol_rows *rows, const bool *keep)
{
    int kept = 0;

    for (int i = 0; i < rows->n; i++) {
        if (keep[i])
            rows->rows[kept++] = rows->rows[i];
        else
            finish_row(&rows->rows[i]);
    }
    rows->n = kept;
}

void ol_rows_finish(ol_rows *rows)
{
    if (!rows)
        return;
    for (int i = 0; i < rows->n; i++)
        finish_row(&rows->rows[i]);
    free(rows->rows);
    free(rows->path);
    *rows = (ol_rows){0};
}

bool ol_row_is_labelled(const ol_row *row)
{
    return names_label(row->options, row->n_options);
}
