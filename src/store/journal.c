/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "outerloop/base/digest.h"
#include "outerloop/base/file.h"
#include "outerloop/base/size.h" /* OL_GROW */

enum { SUM = 16, SUM_TAIL = 8 + SUM + 2 /* ,"sum":"..."} */, MOST_FAULTS = 20 };

static const char sum_key[] = ",\"sum\":\"";
static const int64_t MOST_ROWS = INT64_C(1) << 53;

/* --- from cells to text ---------------------------------------------------------------------- */

static json_t *number_as_json(double value)
{
    if (isnan(value))
        return json_null();
    if (isinf(value))
        return json_string(value > 0 ? "inf" : "-inf");
    return json_real(value);
}

/* `text` with U+FFFD for what is not UTF-8, cut between letters to `width` bytes unless that is 0. */
static json_t *text_as_json(const char *text, int width)
{
    OL_AUTO_TEXT clean = {0};
    size_t left = text ? strlen(text) : 0, good = 0;

    for (bool valid = true; left > 0; valid = !valid, left -= good, text += good) {
        good = valid ? ol_utf8_valid(text, left) : 1;
        if (ol_text_append(&clean, valid ? text : "\xEF\xBF\xBD", valid ? good : 3) != OL_OK)
            return NULL;
    }
    if (width > 0 && clean.size > (size_t)width)
        clean.size = ol_utf8_valid(clean.data, (size_t)width);
    return json_stringn(clean.data ? clean.data : "", clean.size);
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

static json_t *cell_as_json(const ol_column *column, const ol_cell *cell)
{
    switch (column->type) {
    case OL_COLUMN_I64:
        return json_integer(cell->i);
    case OL_COLUMN_F64:
        return number_as_json(cell->f);
    case OL_COLUMN_TEXT:
        return text_as_json(cell->text, column->width);
    default:
        return list_as_json(cell);
    }
}

/* Append an object without its closing brace; frees it. */
static ol_status append_body(json_t *row, bool whole, ol_text *out)
{
    OL_AUTO_FREE char *line =
        whole ? json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;

    json_decref(row);
    OL_CHECK(line, OL_ENOMEM, "no memory for a row of metrics");
    return ol_text_append(out, line, strlen(line) - 1);
}

ol_status ol_line_format(const ol_table_spec *spec, const ol_cell *cells, ol_text *out)
{
    json_t *row = json_object();
    bool whole = row && json_object_set_new(row, "table", json_string(spec->path)) == 0;

    for (int c = 0; c < spec->n && whole; c++)
        whole = json_object_set_new(row, spec->columns[c].name,
                                    cell_as_json(&spec->columns[c], &cells[c])) == 0;
    return append_body(row, whole, out);
}

const ol_record_member ol_record_members[] = {
    {"version", offsetof(ol_run_record, version), true},
    {"git_commit", offsetof(ol_run_record, git_commit), true},
    {"created", offsetof(ol_run_record, created), true},
    {"run_id", offsetof(ol_run_record, run_id), true},
    {"host", offsetof(ol_run_record, host), true},
    {"slurm_job_id", offsetof(ol_run_record, slurm_job_id), true},
    {"blas", offsetof(ol_run_record, blas), true},
    {"mpi", offsetof(ol_run_record, mpi), true},
    {"job", offsetof(ol_run_record, job), true},
    {"seed", offsetof(ol_run_record, seed), false},
    {"restart_count", offsetof(ol_run_record, restart_count), false},
    {"ranks", offsetof(ol_run_record, ranks), false},
    {"threads", offsetof(ol_run_record, threads), false},
    {NULL, 0, false},
};

const char **ol_record_text(const ol_run_record *record, const ol_record_member *member)
{
    return (const char **)((uintptr_t)record + member->offset);
}

int64_t *ol_record_number(const ol_run_record *record, const ol_record_member *member)
{
    return (int64_t *)((uintptr_t)record + member->offset);
}

ol_status ol_line_format_run(const ol_run_record *record, ol_text *out)
{
    json_t *row = json_object();
    bool whole = row && json_object_set_new(row, "table", json_string("run")) == 0;

    for (const ol_record_member *m = ol_record_members; m->name && whole; m++)
        whole = json_object_set_new(row, m->name,
                                    m->text ? text_as_json(*ol_record_text(record, m), 0)
                                            : json_integer(*ol_record_number(record, m))) == 0;
    return append_body(row, whole, out);
}

static void sum_of(const char *bytes, size_t n, char sum[SUM + 1])
{
    char digest[OL_DIGEST_TEXT];

    ol_digest(bytes, n, digest);
    memcpy(sum, digest, SUM);
    sum[SUM] = '\0';
}

ol_status ol_line_seal(ol_text *text, size_t start, int64_t nth, int64_t line)
{
    char sum[SUM + 1];

    OL_TRY(ol_text_format(text, ",\"nth\":%" PRId64 ",\"line\":%" PRId64, nth, line));
    sum_of(text->data + start, text->size - start, sum);
    return ol_text_format(text, "%s%s\"}\n", sum_key, sum);
}

/* --- from text to cells ---------------------------------------------------------------------- */

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

static bool list_from_json(const json_t *json, ol_cell *cell)
{
    const size_t n = json_array_size(json);
    double *values = malloc((n + 1) * sizeof *values);

    cell->list.values = values;
    cell->list.n = n;
    if (!values || (json && !json_is_array(json)))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!number_from_json(json_array_get(json, i), &values[i]))
            return false;
    return true;
}

static bool cell_from_json(ol_column_type type, const json_t *json, ol_cell *cell)
{
    switch (type) {
    case OL_COLUMN_I64:
        cell->i = json_integer_value(json);
        return !json || json_is_integer(json);
    case OL_COLUMN_F64:
        return number_from_json(json, &cell->f);
    case OL_COLUMN_TEXT:
        cell->text = json ? json_string_value(json) : "";
        return cell->text != NULL;
    default:
        return list_from_json(json, cell);
    }
}

static ol_status parse_body(const ol_line *line, json_t **json)
{
    OL_AUTO_FREE char *text = malloc(line->length + 1);
    json_error_t error;

    OL_CHECK(text, OL_ENOMEM, "no memory for a line of metrics");
    memcpy(text, line->body, line->length);
    text[line->length] = '}';
    *json = json_loadb(text, line->length + 1, 0, &error);
    OL_CHECK(*json, OL_EDATA, "is not JSON: %s", error.text);
    return OL_OK;
}

void ol_line_release(const ol_table_spec *spec, ol_cell *cells, json_t *json)
{
    for (int c = 0; c < spec->n; c++)
        if (spec->columns[c].type == OL_COLUMN_LIST)
            free((void *)cells[c].list.values);
    json_decref(json);
}

ol_status ol_line_cells(const ol_line *line, const ol_table_spec *spec, ol_cell *cells,
                        json_t **json)
{
    OL_TRY(parse_body(line, json));
    memset(cells, 0, (size_t)spec->n * sizeof *cells);
    for (int c = 0; c < spec->n; c++) {
        const ol_column *column = &spec->columns[c];
        const json_t *value = json_object_get(*json, column->name);

        if ((c == 0 && !value) || !cell_from_json(column->type, value, &cells[c])) {
            ol_line_release(spec, cells, *json);
            *json = NULL;
            return ol_fail(OL_EDATA, "\"%s\" of %s is missing or of another type", column->name,
                           spec->path);
        }
    }
    return OL_OK;
}

int64_t ol_line_index(const ol_line *line, const ol_table_spec *spec)
{
    const size_t skip = 15 + strlen(spec->path) + strlen(spec->columns[0].name);
    char number[24] = "";

    if (line->length > skip)
        memcpy(number, line->body + skip,
               line->length - skip < sizeof number ? line->length - skip : sizeof number - 1);
    return strtoll(number, NULL, 10);
}

ol_status ol_line_record(const ol_line *line, ol_run_record *record, json_t **json)
{
    OL_TRY(parse_body(line, json));
    for (const ol_record_member *m = ol_record_members; m->name; m++) {
        const json_t *value = json_object_get(*json, m->name);

        if (m->text)
            *ol_record_text(record, m) = json_string_value(value);
        else
            *ol_record_number(record, m) = json_integer_value(value);
    }
    return OL_OK;
}

/* --- lines of a file ------------------------------------------------------------------------- */

void ol_lines_finish(ol_lines *lines)
{
    free(lines->text);
    free(lines->items);
    ol_text_finish(&lines->faults);
    *lines = (ol_lines){0};
}

ol_status ol_lines_add(ol_lines *lines, ol_line line)
{
    OL_TRY(OL_GROW(lines->items, lines->n, "rows of metrics"));
    lines->items[lines->n++] = line;
    return OL_OK;
}

/* "PATH:7: what", or "PATH:7-9: what". */
static ol_status add_fault(ol_lines *lines, const char *path, int64_t first, int64_t last,
                           const char *what)
{
    char more[32] = "";

    if (++lines->n_faults > MOST_FAULTS)
        return OL_OK;
    if (last > first)
        snprintf(more, sizeof more, "-%" PRId64, last);
    return ol_text_format(&lines->faults, "%s:%" PRId64 "%s: %s\n", path, first, more, what);
}

/* Number of the table that a line begins with; OL_LINE_RUN; or less than that. */
static int table_of(const char *text, size_t length, const ol_table_spec *const *specs, int n)
{
    static const char head[] = "{\"table\":\"";
    const size_t skip = sizeof head - 1;
    const char *name = text + skip, *end;
    size_t size;

    if (length < skip || memcmp(text, head, skip) != 0)
        return OL_LINE_RUN - 1;
    end = memchr(name, '"', length - skip);
    size = end ? (size_t)(end - name) : 0;
    for (int t = 0; t < n; t++)
        if (strlen(specs[t]->path) == size && memcmp(specs[t]->path, name, size) == 0)
            return t;
    return size == 3 && memcmp(name, "run", 3) == 0 ? OL_LINE_RUN : OL_LINE_RUN - 1;
}

/* Take a sealed line apart. @return what is wrong with it, or NULL */
static const char *take_sealed(const char *text, size_t length, ol_line *line, int64_t *number)
{
    char sum[SUM + 1], tail[80];
    const char *at;
    size_t size;
    int end = 0;

    if (length <= SUM_TAIL || memcmp(text + length - SUM_TAIL, sum_key, 8) != 0)
        return "was altered: it has no sum";
    length -= SUM_TAIL;
    sum_of(text, length, sum);
    if (memcmp(text + length + 8, sum, SUM) != 0)
        return "was altered: its sum does not hold";
    size = length < sizeof tail - 1 ? length : sizeof tail - 1;
    memcpy(tail, text + length - size, size);
    tail[size] = '\0';
    for (at = tail + size; at > tail && strncmp(at, ",\"nth\":", 7) != 0;)
        at--;
    if (sscanf(at, ",\"nth\":%" SCNd64 ",\"line\":%" SCNd64 "%n", &line->nth, number, &end) != 2 ||
        at[end] != '\0' || line->nth < 0 || line->nth > MOST_ROWS || *number > MOST_ROWS)
        return "was altered: it has no numbers";
    line->body = text;
    line->length = length - (size_t)(tail + size - at);
    return NULL;
}

/* A line of before there were sums. */
static const char *take_plain(const char *text, size_t length, const int64_t *next, ol_line *line)
{
    if (length < 2 || text[length - 1] != '}')
        return "is no row";
    line->body = text;
    line->length = length - 1;
    line->nth = line->table >= 0 ? next[line->table] : 0;
    return NULL;
}

struct reader {
    const char *path;
    const ol_table_spec *const *specs;
    int n;
    int64_t next[OL_MOST_TABLES]; /* row that comes next         */
    int64_t number;               /* of the line that comes next */
};

static ol_status take_line(struct reader *r, const char *text, size_t length, ol_lines *lines)
{
    ol_line line = {.table = table_of(text, length, r->specs, r->n)};
    int64_t number = r->number;
    const char *wrong = lines->unsealed ? take_plain(text, length, r->next, &line)
                                        : take_sealed(text, length, &line, &number);

    if (!wrong && line.table < OL_LINE_RUN)
        wrong = "is a row of no known table";
    if (!wrong && line.table >= 0 && line.nth < r->next[line.table])
        wrong = "repeats a row";
    if (wrong) {
        r->number++;
        return add_fault(lines, r->path, r->number - 1, r->number - 1, wrong);
    }
    if (number > r->number)
        OL_TRY(add_fault(lines, r->path, r->number, number - 1, "is missing"));
    r->number = number + 1;
    if (line.table == OL_LINE_RUN) {
        lines->run = line;
        return OL_OK;
    }
    r->next[line.table] = line.nth + 1;
    return ol_lines_add(lines, line);
}

ol_status ol_lines_parse(char *text, size_t size, const char *path,
                         const ol_table_spec *const *specs, int n, ol_lines *lines)
{
    struct reader r = {.path = path, .specs = specs, .n = n, .number = 1};

    *lines = (ol_lines){.text = text, .there = true};
    lines->unsealed = !memmem(text, size, sum_key, sizeof sum_key - 1);
    for (char *at = text, *end; (end = memchr(at, '\n', size - (size_t)(at - text))); at = end + 1)
        OL_TRY(take_line(&r, at, (size_t)(end - at), lines));
    return OL_OK;
}

/* Format a body anew. @return OL_EDATA when the line is no row of that table */
static ol_status renew_line(ol_line *line, const ol_table_spec *spec, ol_text *text)
{
    OL_AUTO_FREE ol_cell *cells = calloc((size_t)spec->n, sizeof *cells);
    const size_t start = text->size;
    json_t *json = NULL;
    ol_status status;

    OL_CHECK(cells, OL_ENOMEM, "no memory for a row of %s", spec->path);
    OL_TRY(ol_line_cells(line, spec, cells, &json));
    status = ol_line_format(spec, cells, text);
    ol_line_release(spec, cells, json);
    line->length = text->size - start;
    return status;
}

ol_status ol_lines_renew(ol_lines *lines, const char *path, const ol_table_spec *const *specs)
{
    const size_t n = lines->n;
    OL_AUTO_TEXT text = {0};
    size_t at = lines->run.length;
    char *old = lines->text;

    OL_TRY(ol_text_append(&text, lines->run.body ? lines->run.body : "", lines->run.length));
    lines->n = 0;
    for (size_t i = 0; i < n; i++) {
        ol_line line = lines->items[i];
        const ol_status status = renew_line(&line, specs[line.table], &text);

        if (status == OL_OK)
            lines->items[lines->n++] = line;
        else if (status == OL_EDATA)
            OL_TRY(add_fault(lines, path, (int64_t)i + 1, (int64_t)i + 1, ol_status_message()));
        else
            return status;
    }
    lines->text = text.data;
    lines->run.body = text.data;
    for (size_t i = 0; i < lines->n; i++) {
        lines->items[i].body = text.data + at;
        at += lines->items[i].length;
    }
    text = (ol_text){.data = old};
    return OL_OK;
}

ol_status ol_lines_read(const char *path, const ol_table_spec *const *specs, int n, ol_lines *lines)
{
    struct stat st;
    char *text;
    size_t size;

    *lines = (ol_lines){0};
    if (!ol_path_exists(path))
        return OL_OK;
    if (stat(path, &st) == 0 && ol_stat_is_hollow(&st)) {
        lines->there = true;
        return add_fault(lines, path, 1, 1, "is almost all holes: the file is not read");
    }
    OL_TRY(ol_read_file(path, &text, &size));
    OL_TRY(ol_lines_parse(text, size, path, specs, n, lines));
    return lines->unsealed ? ol_lines_renew(lines, path, specs) : OL_OK;
}
