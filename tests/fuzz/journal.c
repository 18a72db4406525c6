/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics.jsonl: as it is, and with its lines sealed anew, since hardly a change of a sealed line gets
 * past its sum. What is read must be the same when it is written and read again. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "journal.h"

static const ol_column step_columns[] = {
    {"step", OL_COLUMN_I64, 0, "1", "meta-step", "number"},
    {"loss", OL_COLUMN_F64, 0, "nat", "query loss", "mean"},
    {"digest", OL_COLUMN_TEXT, 8, "1", "digest", "of the parameters"},
};
static const ol_column prediction_columns[] = {
    {"row", OL_COLUMN_I64, 0, "1", "row", "number"},
    {"option_losses", OL_COLUMN_LIST, 0, "nat", "option losses", "one per option"},
    {"predicted", OL_COLUMN_TEXT, 0, "1", "predicted option", "its text"},
};
static const ol_table_spec step_table = {
    .path = "train/step", .title = "Meta-steps", .columns = step_columns, .n = 3};
static const ol_table_spec prediction_table = {
    .path = "eval/prediction", .title = "Predictions", .columns = prediction_columns, .n = 3};
static const ol_table_spec *const specs[] = {&step_table, &prediction_table};
enum { TABLES = 2 };

static void parse(const char *text, size_t size, ol_lines *lines)
{
    char *copy = malloc(size + 1); /* so that a byte too far is one that is not there */

    if (!copy)
        exit(1);
    memcpy(copy, text, size);
    if (ol_lines_parse(copy, size, "metrics.jsonl", specs, TABLES, lines) != OL_OK ||
        ol_lines_renew(lines, "metrics.jsonl", specs) != OL_OK)
        fuzz_found("what is wrong with a line is no fault of the file");
}

static void use_cells(const ol_lines *lines)
{
    for (size_t i = 0; i < lines->n; i++) {
        const ol_table_spec *spec = specs[lines->items[i].table];
        ol_cell cells[3];
        json_t *json = NULL;

        if (ol_line_cells(&lines->items[i], spec, cells, &json) != OL_OK)
            fuzz_found("a row that was written anew cannot be read");
        ol_line_release(spec, cells, json);
    }
}

/* The rows as a journal that is written: sound in every line, and with the same rows. */
static void write_and_read(const ol_lines *lines)
{
    OL_AUTO(ol_lines_finish) ol_lines again = {0};
    OL_AUTO_TEXT text = {0};
    int64_t next[TABLES] = {0};
    ol_status status = OL_OK;

    for (size_t i = 0; i < lines->n && status == OL_OK; i++) {
        const ol_line *row = &lines->items[i];
        const size_t start = text.size;

        status = ol_text_append(&text, row->body, row->length);
        if (status == OL_OK)
            status = ol_line_seal(&text, start, next[row->table]++, (int64_t)i + 1);
    }
    if (status != OL_OK)
        exit(1);
    parse(text.data ? text.data : "", text.size, &again);
    if (again.n != lines->n || again.n_faults > 0)
        fuzz_found("rows are lost when they are written and read again");
    for (size_t i = 0; i < again.n; i++)
        if (again.items[i].length != lines->items[i].length ||
            memcmp(again.items[i].body, lines->items[i].body, again.items[i].length) != 0)
            fuzz_found("a row is another when it is written and read again");
}

static void use(const char *text, size_t size, bool judge)
{
    OL_AUTO(ol_lines_finish) ol_lines lines = {0};
    ol_run_record record = {0};
    json_auto_t *json = NULL;

    parse(text, size, &lines);
    if (judge)
        fuzz_accepted = lines.n_faults == 0 && lines.n > 0;
    if (lines.run.length > 0)
        ol_line_record(&lines.run, &record, &json);
    use_cells(&lines);
    write_and_read(&lines);
}

/* One line as the body of one that is sealed. */
static void seal_line(const char *text, size_t n, int64_t line, ol_text *out)
{
    const char *tail = n > 0 ? memmem(text, n, ",\"nth\"", 6) : NULL;
    const size_t start = out->size, brace = n > 0 && text[n - 1] == '}';

    if (ol_text_append(out, text, tail ? (size_t)(tail - text) : n - brace) != OL_OK ||
        ol_line_seal(out, start, line, line) != OL_OK)
        exit(1);
}

static void seal_lines(const char *data, size_t size, ol_text *out)
{
    int64_t line = 1;

    for (size_t at = 0, end = 0; end < size; end++)
        if (data[end] == '\n') {
            seal_line(data + at, end - at, line++, out);
            at = end + 1;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OL_AUTO_TEXT sealed = {0};

    use((const char *)data, size, true);
    seal_lines((const char *)data, size, &sealed);
    use(sealed.data ? sealed.data : "", sealed.size, false);
    return 0;
}
