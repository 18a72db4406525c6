/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"

#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "names.h"
#include "outerloop/base/text.h" /* ol_text */

enum { MOST_COLUMNS = 256 };

/* Where a fault is: OL_EDATA with "path:line: " before the message. */
#define CHECK_LINE(cond, format, ...)                                                              \
    OL_CHECK(cond, OL_EDATA, "%s:%d: " format, path, line, ##__VA_ARGS__)

static ol_status copy(const char *path, const char *text, char **out)
{
    *out = strdup(text);
    OL_CHECK(*out, OL_ENOMEM, "%s: no memory for its rows", path);
    return OL_OK;
}

/* Cut a line at its tabs, in place. */
static int split_columns(char *text, char *columns[MOST_COLUMNS])
{
    int n = 0;

    for (char *at = text; at && n < MOST_COLUMNS;) {
        columns[n++] = at;
        at = strchr(at, '\t');
        if (at)
            *at++ = '\0';
    }
    return n;
}

static ol_status read_columns(const char *path, int line, char *text, ol_row *row)
{
    char *columns[MOST_COLUMNS];
    const int n = split_columns(text, columns);

    CHECK_LINE(n >= 2, "the row has no tab; a row is input<TAB>output, and a further column for "
                       "each option where rows have options of their own");
    OL_TRY(copy(path, columns[0], &row->input));
    OL_TRY(copy(path, columns[1], &row->output));
    if (n == 2)
        return OL_OK;
    row->options = calloc((size_t)n, sizeof *row->options);
    OL_CHECK(row->options, OL_ENOMEM, "%s: no memory for its rows", path);
    for (int i = 2; i < n; i++) {
        CHECK_LINE(columns[i][0] != '\0', "column %d, an option, is empty", i + 1);
        OL_TRY(copy(path, columns[i], &row->options[row->n_options]));
        row->n_options++;
    }
    return OL_OK;
}

static ol_status read_text(const char *path, int line, json_t *object, const char *field,
                           char **out)
{
    const json_t *value = json_object_get(object, field);

    CHECK_LINE(value, "the row has no \"%s\"; it needs \"input\" and \"output\"", field);
    CHECK_LINE(json_is_string(value), "\"%s\" must be a string in quotes", field);
    return copy(path, json_string_value(value), out);
}

static ol_status read_fields(const char *path, int line, json_t *object, ol_row *row)
{
    const json_t *options = json_object_get(object, "options");

    CHECK_LINE(json_is_object(object), "a row must be a JSON object {...}");
    OL_TRY(read_text(path, line, object, "input", &row->input));
    OL_TRY(read_text(path, line, object, "output", &row->output));
    CHECK_LINE(!options || json_is_array(options), "\"options\" must be a list of strings");
    for (size_t i = 0; i < json_array_size(options); i++)
        CHECK_LINE(json_is_string(json_array_get(options, i)),
                   "\"options\" must be a list of strings; number %zu is none", i + 1);
    return names_copy(path, options, &row->options, &row->n_options);
}

static ol_status read_json(const char *path, int line, const char *text, ol_row *row)
{
    json_error_t error;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    ol_status status;

    CHECK_LINE(object, "not JSON: %s (column %d); a row is one JSON object on one line", error.text,
               error.column);
    status = read_fields(path, line, object, row);
    json_decref(object);
    return status;
}

static ol_status check_row(const char *path, int line, const ol_row *row, const ol_row *first)
{
    bool known = row->n_options == 0;

    CHECK_LINE(row->input[0] != '\0', "the input is empty");
    CHECK_LINE(row->output[0] != '\0', "the output is empty");
    CHECK_LINE((row->n_options > 0) == (first->n_options > 0),
               "the row has %s options, but that of line %d has %s; give them to all rows or to "
               "none",
               row->n_options > 0 ? "its own" : "no", first->line,
               first->n_options > 0 ? "its own" : "none");
    CHECK_LINE(row->n_options != 1, "the row has one option; choosing needs at least two");
    for (int i = 0; i < row->n_options; i++)
        known = known || strcmp(row->options[i], row->output) == 0;
    CHECK_LINE(known, "the output \"%.80s\" is not one of the row's %d options", row->output,
               row->n_options);
    return OL_OK;
}

static bool is_heading(const char *text, int line)
{
    static const char heading[] = "input\toutput";
    const size_t n = sizeof heading - 1;

    return line == 1 && strncmp(text, heading, n) == 0 && (text[n] == '\0' || text[n] == '\t');
}

static ol_status read_line(const char *path, int line, bool tsv, char *text, size_t n, ol_rows *out)
{
    const size_t valid = ol_utf8_valid(text, n);
    ol_row *grown, *row;

    CHECK_LINE(strlen(text) == n, "the line has a NUL byte");
    CHECK_LINE(valid == n, "byte %zu of the line (0x%02X) is not UTF-8; convert the file to UTF-8",
               valid + 1, (unsigned)(unsigned char)text[valid]);
    CHECK_LINE(strncmp(text, "\xEF\xBB\xBF", 3) != 0,
               "the file begins with a byte order mark; save it as UTF-8 without one");
    CHECK_LINE(strspn(text, " \t") < n, "the line is empty; remove it");
    if (tsv && is_heading(text, line))
        return OL_OK;
    grown =
        out->n % 256 == 0 ? realloc(out->rows, (size_t)(out->n + 256) * sizeof *grown) : out->rows;
    OL_CHECK(grown, OL_ENOMEM, "%s: no memory for %d rows", path, out->n);
    out->rows = grown;
    row = &out->rows[out->n++];
    *row = (ol_row){.line = line};
    OL_TRY(tsv ? read_columns(path, line, text, row) : read_json(path, line, text, row));
    return check_row(path, line, row, &out->rows[0]);
}

static ol_status read_lines(const char *path, bool tsv, char *text, size_t size, ol_rows *out)
{
    int line = 1;

    for (char *at = text, *next; at < text + size; at = next, line++) {
        char *end = memchr(at, '\n', (size_t)(text + size - at));

        if (!end)
            end = text + size;
        next = end + 1;
        if (end > at && end[-1] == '\r')
            end--;
        *end = '\0'; /* the text ends in a NUL of its own */
        OL_TRY(read_line(path, line, tsv, at, (size_t)(end - at), out));
    }
    OL_CHECK(out->n > 0, OL_EDATA, "%s:1: the file has no rows", path);
    return OL_OK;
}

static bool ends_in(const char *path, const char *end)
{
    const size_t n = strlen(path), m = strlen(end);

    return n >= m && strcmp(path + n - m, end) == 0;
}

ol_status source_read(const char *path, ol_rows *out)
{
    const bool tsv = ends_in(path, ".tsv");
    char *text;
    size_t size;
    ol_status status;

    *out = (ol_rows){0};
    OL_CHECK(tsv || ends_in(path, ".jsonl"), OL_EUSAGE,
             "%s: must end in .tsv (input<TAB>output a line) or .jsonl (a JSON object a line)",
             path);
    OL_TRY(ol_read_file(path, &text, &size));
    status = copy(path, path, &out->path);
    if (status == OL_OK)
        status = read_lines(path, tsv, text, size, out);
    free(text);
    if (status != OL_OK)
        ol_rows_finish(out);
    return status;
}
