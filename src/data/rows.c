/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/task.h"

#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "names.h"

/* Where a fault is: OL_EDATA with "path:line: " before the message. */
#define CHECK_LINE(cond, format, ...)                                                              \
    OL_CHECK(cond, OL_EDATA, "%s:%d: " format, path, line, ##__VA_ARGS__)

static ol_status copy_text(const char *path, int line, json_t *object, const char *field,
                           char **out)
{
    const json_t *value = json_object_get(object, field);

    CHECK_LINE(value, "the row has no \"%s\"; it needs task, input, output and options", field);
    CHECK_LINE(json_is_string(value), "\"%s\" must be a string in quotes", field);
    *out = strdup(json_string_value(value));
    OL_CHECK(*out, OL_ENOMEM, "%s: no memory for its rows", path);
    return OL_OK;
}

static ol_status copy_options(const char *path, int line, json_t *object, ol_row *row)
{
    const json_t *options = json_object_get(object, "options");

    CHECK_LINE(options, "the row has no \"options\"; a task without any writes \"options\": []");
    CHECK_LINE(json_is_array(options), "\"options\" must be a list of strings");
    for (size_t i = 0; i < json_array_size(options); i++)
        CHECK_LINE(json_is_string(json_array_get(options, i)),
                   "\"options\" must be a list of strings; number %zu is none", i + 1);
    return names_copy(path, options, &row->options, &row->n_options);
}

static ol_status check_output(const char *path, int line, const ol_row *row)
{
    for (int i = 0; i < row->n_options; i++)
        if (strcmp(row->options[i], row->output) == 0)
            return OL_OK;
    CHECK_LINE(row->n_options == 0,
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
    const json_t *task = json_object_get(object, "task");

    CHECK_LINE(json_is_object(object), "a row must be a JSON object {...}");
    CHECK_LINE(task, "the row has no \"task\"; it needs task, input, output and options");
    CHECK_LINE(json_is_string(task), "\"task\" must be a string in quotes");
    CHECK_LINE(!how->task || strcmp(json_string_value(task), how->task) == 0,
               "the row is of task \"%.80s\", but the file is of task \"%s\"; correct its "
               "\"task\" or move the row",
               json_string_value(task), how->task);
    row->line = line;
    OL_TRY(copy_text(path, line, object, "input", &row->input));
    OL_TRY(copy_text(path, line, object, "output", &row->output));
    OL_TRY(copy_options(path, line, object, row));
    return how->test ? OL_OK : check_output(path, line, row);
}

static ol_status read_row(const char *path, int line, const reading *how, const char *text,
                          size_t n, ol_row *row)
{
    const size_t valid = ol_utf8_valid(text, n);
    json_error_t error;
    json_t *object;
    ol_status status;

    CHECK_LINE(strspn(text, " \t\r") < n, "the line is empty; remove it");
    CHECK_LINE(valid == n, "byte %zu of the line (0x%02X) is not UTF-8; convert the file to UTF-8",
               valid + 1, (unsigned)(unsigned char)text[valid]);
    CHECK_LINE(strncmp(text, "\xEF\xBB\xBF", 3) != 0,
               "the file begins with a byte order mark; save it as UTF-8 without one");
    object = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    CHECK_LINE(object, "not JSON: %s (column %d); a row is one JSON object on one line", error.text,
               error.column);
    status = fill_row(path, line, how, object, row);
    json_decref(object);
    return status;
}

static ol_status grow_rows(ol_rows *rows, int *room)
{
    const int larger = 2 * *room + 64;
    ol_row *grown = realloc(rows->rows, (size_t)larger * sizeof *grown);

    OL_CHECK(grown, OL_ENOMEM, "%s: no memory for %d rows", rows->path, larger);
    rows->rows = grown;
    *room = larger;
    return OL_OK;
}

static ol_status read_rows(const char *text, size_t size, const reading *how, int limit,
                           ol_rows *out)
{
    int room = 0, line = 1;

    for (const char *at = text; at < text + size && (limit == 0 || out->n < limit); line++) {
        const char *end = memchr(at, '\n', (size_t)(text + size - at));

        if (!end)
            end = text + size;
        if (out->n == room)
            OL_TRY(grow_rows(out, &room));
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
    char *text;
    size_t size;
    ol_status status;

    *out = (ol_rows){0};
    OL_TRY(ol_read_file(path, &text, &size));
    out->path = strdup(path);
    status = out->path ? read_rows(text, size, how, limit, out)
                       : ol_fail(OL_ENOMEM, "%s: no memory for its rows", path);
    free(text);
    if (status != OL_OK)
        ol_rows_finish(out);
    return status;
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
    for (int i = 0; i < row->n_options; i++)
        if (row->options[i][0] != '\0')
            return true;
    return false;
}
