/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "column.h"
#include "outerloop/base/file.h"
#include "outerloop/store/check.h"

#define SCHEMA "outerloop-metrics"
enum { SCHEMA_VERSION = 1 };

/* The attribute of a table that says how many rows it has, and the last link of a chain over them,

     (1) d_0 = 32 zeros,  d_i = XXH3-128(d_i-1 as text, body of row i)

   so that rows can be added without reading those before. */
static const char rows_attribute[] = "rows";

typedef struct chain {
    int64_t rows;
    char digest[OL_DIGEST_TEXT];
} chain;

static const chain chain_start = {0, "00000000000000000000000000000000"};

/* (1) of one more row. */
static ol_status chain_add(chain *c, ol_text *scratch, const char *body, size_t length)
{
    scratch->size = 0;
    OL_TRY(ol_text_append(scratch, c->digest, OL_DIGEST_TEXT - 1));
    OL_TRY(ol_text_append(scratch, body, length));
    ol_digest(scratch->data, scratch->size, c->digest);
    c->rows++;
    return OL_OK;
}

static ol_status chain_read(const ol_archive *archive, const char *table, chain *c)
{
    char *text = NULL;

    *c = chain_start;
    OL_TRY(ol_archive_get_text(archive, table, rows_attribute, &text));
    if (sscanf(text, "%" SCNd64 " %32s", &c->rows, c->digest) != 2)
        c->rows = -1;
    free(text);
    return OL_OK;
}

static ol_status chain_write(ol_archive *archive, const char *table, const chain *c)
{
    char text[64];

    snprintf(text, sizeof text, "%" PRId64 " %s", c->rows, c->digest);
    return ol_archive_set_text(archive, table, rows_attribute, text);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static ol_status write_root(ol_archive *archive, const ol_run_record *record)
{
    const char *job = or_empty(record->job);
    const struct {
        const char *name, *text;
    } texts[] = {
        {"NX_class", "NXroot"},
        {"title", "Metrics of an outerloop run"},
        {"description", "Tables are groups of columns of equal length. "
                        "In Python, with g = h5py.File(path)[table]: "
                        "pd.DataFrame({k: (c.asstr() if h5py.check_string_dtype(c.dtype) "
                        "else c)[...] for k, c in g.items()})"},
        {"creator", "outerloop"},
        {"schema", SCHEMA},
        {"created", record->created},
        {"run_id", record->run_id},
        {"version", record->version},
        {"git_commit", record->git_commit},
        {"host", record->host},
        {"slurm_job_id", record->slurm_job_id},
        {"blas", record->blas},
        {"mpi", record->mpi},
    };
    char digest[OL_SHA256_TEXT];

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        OL_TRY(ol_archive_set_text(archive, "/", texts[i].name, or_empty(texts[i].text)));
    ol_digest_sha256(job, strlen(job), digest);
    OL_TRY(ol_archive_set_text(archive, "/", "job_sha256", digest));
    OL_TRY(ol_archive_write_text(archive, "job", job));
    OL_TRY(ol_archive_set_i64(archive, "/", "schema_version", SCHEMA_VERSION));
    OL_TRY(ol_archive_set_i64(archive, "/", "seed", record->seed));
    OL_TRY(ol_archive_set_i64(archive, "/", "restart_count", record->restart_count));
    OL_TRY(ol_archive_set_i64(archive, "/", "ranks", record->ranks));
    return ol_archive_set_i64(archive, "/", "threads", record->threads);
}

/* --- update ---------------------------------------------------------------------------------- */

/* Rows of one table on their way into the file. */
typedef struct block {
    const ol_table_spec *spec;
    ol_cell *cells; /* [OL_BLOCK_ROWS, spec->n] */
    json_t **json;  /* [OL_BLOCK_ROWS] that texts are borrowed from */
    size_t n;
} block;

static ol_status write_block(ol_archive *archive, block *b, int64_t end)
{
    const ol_status status =
        ol_columns_write(archive, b->spec, b->cells, b->n, end - (int64_t)b->n);

    for (size_t r = 0; r < b->n; r++)
        ol_line_release(b->spec, b->cells + r * (size_t)b->spec->n, b->json[r]);
    b->n = 0;
    return status;
}

static ol_status write_lines(ol_archive *archive, const ol_lines *lines, int table, block *b,
                             chain *c)
{
    ol_text scratch = {0};
    ol_status status = OL_OK;

    for (size_t i = 0; i < lines->n && status == OL_OK; i++) {
        const ol_line *line = &lines->items[i];

        if (line->table != table)
            continue;
        status = ol_line_cells(line, b->spec, b->cells + b->n * (size_t)b->spec->n, &b->json[b->n]);
        if (status == OL_OK)
            status = chain_add(c, &scratch, line->body, line->length);
        if (status == OL_OK && ++b->n == OL_BLOCK_ROWS)
            status = write_block(archive, b, c->rows);
    }
    if (status == OL_OK)
        status = write_block(archive, b, c->rows);
    ol_text_finish(&scratch);
    return status;
}

/* Add the lines of one table, which begin where the file ends. */
static ol_status update_table(ol_archive *archive, const ol_update *u, const ol_lines *lines,
                              int table)
{
    block b = {.spec = u->specs[table]};
    int64_t rows = 0;
    chain c = chain_start;
    ol_status status;

    if (u->path) {
        OL_TRY(ol_columns_rows(archive, b.spec, &rows));
        OL_TRY(chain_read(archive, b.spec->path, &c));
        OL_CHECK(c.rows == rows, OL_EDATA, "%s: %s: has %" PRId64 " rows, and says %" PRId64,
                 u->path, b.spec->path, rows, c.rows);
    }
    b.cells = calloc(OL_BLOCK_ROWS * (size_t)b.spec->n, sizeof *b.cells);
    b.json = calloc(OL_BLOCK_ROWS, sizeof(json_t *));
    status = b.cells && b.json ? write_lines(archive, lines, table, &b, &c)
                               : ol_fail(OL_ENOMEM, "%s: no memory", u->journal);
    free(b.cells);
    free(b.json);
    OL_TRY(status);
    return chain_write(archive, b.spec->path, &c);
}

static bool has_lines(const ol_lines *lines, int table)
{
    for (size_t i = 0; i < lines->n; i++)
        if (lines->items[i].table == table)
            return true;
    return false;
}

static ol_status fill(ol_archive *archive, const ol_update *u, const ol_lines *lines)
{
    if (!u->path) {
        ol_run_record record = {0};
        json_t *json = NULL;
        ol_status status = ol_line_record(&lines->run, &record, &json);

        if (status == OL_OK)
            status = write_root(archive, &record);
        json_decref(json);
        for (int t = 0; t < u->n && status == OL_OK; t++)
            status = ol_columns_create(archive, u->specs[t]);
        OL_TRY(status);
    }
    for (int t = 0; t < u->n; t++)
        if (!u->path || has_lines(lines, t))
            OL_TRY(update_table(archive, u, lines, t));
    return OL_OK;
}

static ol_status read_lines(const ol_update *u, ol_lines *lines)
{
    const size_t size = (size_t)(u->to - u->from);
    char *text = malloc(size + 1);
    size_t done = 0;

    OL_CHECK(text, OL_ENOMEM, "%s: no memory for %zu bytes", u->journal, size);
    while (done < size) {
        const ssize_t n = pread(u->fd, text + done, size - done, u->from + (off_t)done);

        if (n <= 0) {
            free(text);
            return ol_fail(OL_EIO, "%s: cannot read: %s", u->journal,
                           n < 0 ? strerror(errno) : "it was cut short");
        }
        done += (size_t)n;
    }
    OL_TRY(ol_lines_parse(text, size, u->line, u->journal, u->specs, u->n, lines));
    OL_CHECK(lines->n_faults == 0, OL_EDATA, "%.*s", (int)strcspn(lines->faults.data, "\n"),
             lines->faults.data);
    return OL_OK;
}

static ol_status copy_file(const char *from, const char *to)
{
    static char bytes[1 << 16];
    const int in = open(from, O_RDONLY | O_CLOEXEC);
    const int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    ssize_t n = -1;

    while (in >= 0 && out >= 0) {
        n = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0);
        if (n < 0 &&
            (errno == EXDEV || errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP)) {
            n = read(in, bytes, sizeof bytes);
            if (n > 0)
                n = write(out, bytes, (size_t)n) == n ? n : -1;
        }
        if (n <= 0)
            break;
    }
    if (n < 0)
        return ol_fail(OL_EIO, "%s: cannot copy to %s: %s", from, to, strerror(errno));
    close(in);
    OL_CHECK(close(out) == 0, OL_EIO, "%s: cannot write: %s", to, strerror(errno));
    return OL_OK;
}

ol_status ol_metrics_update(void *update, void *answer)
{
    const ol_update *u = update;
    ol_lines lines;
    ol_archive *archive;

    (void)answer;
    OL_TRY(read_lines(u, &lines)); /* what is not freed below, the child's end frees */
    if (u->path) {
        OL_TRY(copy_file(u->path, u->aside));
        OL_TRY(ol_h5_open_to_write(u->aside, &archive));
    } else {
        OL_TRY(ol_archive_create(u->aside, &archive));
    }
    OL_TRY(fill(archive, u, &lines));
    OL_TRY(ol_archive_close(archive));
    ol_lines_finish(&lines);
    return OL_OK;
}

/* --- examine --------------------------------------------------------------------------------- */

/* The rows of one table on their way past the journal's. */
typedef struct comparison {
    const ol_examination *e;
    ol_finding *finding;
    int table;
    size_t at; /* line of the journal */
    chain chain;
    ol_text body, scratch, recovered;
    int64_t kept; /* rows in `out` */
    FILE *out;
} comparison;

static ol_status keep_row(comparison *c, int64_t row)
{
    c->finding->more++;
    if (!c->out)
        return OL_OK;
    c->recovered.size = 0;
    OL_TRY(ol_text_append(&c->recovered, c->body.data, c->body.size));
    OL_TRY(ol_line_seal(&c->recovered, 0, row, ++c->kept));
    OL_CHECK(fwrite(c->recovered.data, 1, c->recovered.size, c->out) == c->recovered.size, OL_EIO,
             "%s: cannot write: %s", c->e->recovered, strerror(errno));
    return OL_OK;
}

/* Name the first column in which two bodies differ. */
static void name_difference(comparison *c, const ol_line *line, int64_t row)
{
    const ol_table_spec *spec = c->e->specs[c->table];
    ol_line own = {.body = c->body.data, .length = c->body.size};
    ol_cell *cells = calloc(2 * (size_t)spec->n, sizeof *cells);
    json_t *a = NULL, *b = NULL;
    const char *column = "";

    if (cells && ol_line_cells(&own, spec, cells, &a) == OL_OK &&
        ol_line_cells(line, spec, cells + spec->n, &b) == OL_OK)
        for (int k = spec->n; k-- > 0;)
            if (!json_equal(json_object_get(a, spec->columns[k].name),
                            json_object_get(b, spec->columns[k].name)))
                column = spec->columns[k].name;
    snprintf(c->finding->differs, sizeof c->finding->differs,
             "%.300s: %s/%s: row %" PRId64 " is not that of the journal", c->e->path, spec->path,
             column, row);
}

static ol_status compare_row(void *payload, int64_t row, const ol_cell *cells)
{
    comparison *c = payload;
    const ol_lines *lines = c->e->lines;
    const ol_line *line;

    c->body.size = 0;
    OL_TRY(ol_line_format(c->e->specs[c->table], cells, &c->body));
    OL_TRY(chain_add(&c->chain, &c->scratch, c->body.data, c->body.size));
    while (c->at < lines->n &&
           (lines->items[c->at].table != c->table || lines->items[c->at].nth < row))
        c->at++;
    line = c->at < lines->n ? &lines->items[c->at] : NULL;
    if (!line || line->nth > row)
        return keep_row(c, row);
    if (!*c->finding->differs &&
        (line->length != c->body.size || memcmp(line->body, c->body.data, line->length) != 0))
        name_difference(c, line, row);
    return OL_OK;
}

static ol_status examine_table(const ol_archive *archive, comparison *c)
{
    const ol_table_spec *spec = c->e->specs[c->table];
    int64_t *rows = &c->finding->rows[c->table];
    chain sealed;

    c->at = 0;
    c->chain = chain_start;
    OL_TRY(ol_columns_rows(archive, spec, rows));
    OL_TRY(ol_columns_read(archive, spec, *rows, compare_row, c));
    if (ol_archive_has_attribute(archive, spec->path, rows_attribute)) {
        OL_TRY(chain_read(archive, spec->path, &sealed));
        OL_CHECK(sealed.rows == c->chain.rows && strcmp(sealed.digest, c->chain.digest) == 0,
                 OL_EDATA, "%s: %s: was altered: its rows have not the digest that it tells",
                 c->e->path, spec->path);
    }
    c->finding->sound[c->table] = true;
    return OL_OK;
}

static void copy_text(const ol_archive *archive, const char *name, char *to, size_t size)
{
    char *text = NULL;

    if (ol_archive_get_text(archive, "/", name, &text) == OL_OK)
        snprintf(to, size, "%s", text);
    free(text);
}

/* What one table suffers from leaves the others sound. */
static void note_difference(const comparison *c, ol_status status)
{
    if (status != OL_OK && status != OL_EUSAGE && !*c->finding->differs)
        snprintf(c->finding->differs, sizeof c->finding->differs, "%.511s", ol_status_message());
}

static ol_status examine(const ol_archive *archive, comparison *c)
{
    const ol_examination *e = c->e;
    char schema[64] = "";
    int datasets;

    copy_text(archive, "schema", schema, sizeof schema);
    OL_CHECK(strcmp(schema, SCHEMA) == 0, OL_EDATA, "%s: is not a metrics file of this program",
             e->path);
    copy_text(archive, "run_id", c->finding->run_id, sizeof c->finding->run_id);
    copy_text(archive, "created", c->finding->created, sizeof c->finding->created);
    c->finding->compared = e->n > 0;
    for (c->table = 0; c->table < e->n && c->finding->compared; c->table++) {
        const ol_status status = examine_table(archive, c);

        c->finding->compared = status != OL_EUSAGE;
        if (status == OL_ENOMEM)
            return status;
        note_difference(c, status);
    }
    note_difference(c, ol_archive_check(archive, &datasets));
    return OL_OK;
}

ol_status ol_metrics_examine(void *examination, void *answer)
{
    const ol_examination *e = examination;
    comparison c = {.e = e, .finding = answer};
    ol_archive *archive;
    ol_status status;

    OL_TRY(ol_archive_open(e->path, &archive));
    c.out = e->recovered ? fopen(e->recovered, "we") : NULL;
    status = examine(archive, &c);
    if (c.out && fclose(c.out) != 0 && status == OL_OK)
        status = ol_fail(OL_EIO, "%s: cannot write: %s", e->recovered, strerror(errno));
    ol_archive_close(archive);
    ol_text_finish(&c.body);
    ol_text_finish(&c.scratch);
    ol_text_finish(&c.recovered);
    return status;
}
