/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "outerloop/base/size.h" /* OL_GROW */

enum { MOST_COLUMNS = 256 };

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
    OL_TRY(OL_ALLOCATE(row->options, n, "options"));
    for (int i = 2; i < n; i++) {
        CHECK_LINE(columns[i][0] != '\0', "column %d, an option, is empty", i + 1);
        OL_TRY(copy(path, columns[i], &row->options[row->n_options]));
        row->n_options++;
    }
    return OL_OK;
}

static ol_status read_json(const char *path, int line, const char *text, ol_row *row)
{
    static const char needs[] = "\"input\" and \"output\"";
    json_auto_t *object = NULL;

    OL_TRY(line_json(path, line, text, strlen(text), &object));
    CHECK_LINE(json_is_object(object), "a row must be a JSON object {...}");
    OL_TRY(line_text(path, line, object, "input", needs, &row->input));
    OL_TRY(line_text(path, line, object, "output", needs, &row->output));
    return line_options(path, line, json_object_get(object, "options"), row);
}

static ol_status check_row(const char *path, int line, const ol_row *row, const ol_row *first)
{
    CHECK_LINE(row->input[0] != '\0', "the input is empty");
    CHECK_LINE(row->output[0] != '\0', "the output is empty");
    CHECK_LINE((row->n_options > 0) == (first->n_options > 0),
               "the row has %s options, but that of line %d has %s; give them to all rows or to "
               "none",
               row->n_options > 0 ? "its own" : "no", first->line,
               first->n_options > 0 ? "its own" : "none");
    CHECK_LINE(row->n_options != 1, "the row has one option; choosing needs at least two");
    CHECK_LINE(row->n_options == 0 || names_have(row->options, row->n_options, row->output),
               "the output \"%.80s\" is not one of the row's %d options", row->output,
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
    ol_row *row;

    CHECK_LINE(strlen(text) == n, "the line has a NUL byte");
    OL_TRY(line_check(path, line, text, n));
    CHECK_LINE(strspn(text, " \t") < n, "the line is empty; remove it");
    if (tsv && is_heading(text, line))
        return OL_OK;
    OL_TRY(OL_GROW(out->rows, out->n, "rows"));
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
    OL_AUTO_FREE char *text = NULL;
    OL_AUTO_ROWS rows = {0};
    size_t size;

    *out = rows;
    OL_CHECK(tsv || ends_in(path, ".jsonl"), OL_EUSAGE,
             "%s: must end in .tsv (input<TAB>output a line) or .jsonl (a JSON object a line)",
             path);
    OL_TRY(ol_read_file(path, &text, &size));
    OL_TRY(copy(path, path, &rows.path));
    OL_TRY(read_lines(path, tsv, text, size, &rows));
    return OL_GIVE(out, rows);
}
