/* SPDX-License-Identifier: BSD-3-Clause */
#include "mend.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "column.h"
#include "outerloop/base/digest.h"
#include "outerloop/base/file.h"

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
    OL_AUTO_FREE char *text = NULL;

    *c = chain_start;
    OL_TRY(ol_archive_get_text(archive, table, rows_attribute, &text));
    if (sscanf(text, "%" SCNd64 " %32s", &c->rows, c->digest) != 2)
        c->rows = -1;
    return OL_OK;
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
    };
    char digest[OL_SHA256_TEXT];

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        OL_TRY(ol_archive_set_text(archive, "/", texts[i].name, texts[i].text));
    OL_TRY(ol_archive_set_i64(archive, "/", "schema_version", SCHEMA_VERSION));
    for (const ol_record_member *m = ol_record_members; m->name; m++)
        if (!m->text)
            OL_TRY(ol_archive_set_i64(archive, "/", m->name, *ol_record_number(record, m)));
        else if (strcmp(m->name, "job") != 0)
            OL_TRY(
                ol_archive_set_text(archive, "/", m->name, or_empty(*ol_record_text(record, m))));
    ol_digest_sha256(job, strlen(job), digest);
    OL_TRY(ol_archive_set_text(archive, "/", "job_sha256", digest));
    return ol_archive_write_text(archive, "job", job);
}

/* --- make ---------------------------------------------------------------------------------- */

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
    OL_AUTO_TEXT scratch = {0};

    for (size_t i = 0; i < lines->n; i++) {
        const ol_line *line = &lines->items[i];

        if (line->table != table)
            continue;
        OL_TRY(ol_line_cells(line, b->spec, b->cells + b->n * (size_t)b->spec->n, &b->json[b->n]));
        OL_TRY(chain_add(c, &scratch, line->body, line->length));
        if (++b->n == OL_BLOCK_ROWS)
            OL_TRY(write_block(archive, b, c->rows));
    }
    return write_block(archive, b, c->rows);
}

/* Add the lines of one table, which begin where the file ends. */
static ol_status fill_table(ol_archive *archive, const ol_table_spec *spec, const ol_lines *lines,
                            int table)
{
    OL_AUTO_FREE ol_cell *cells = calloc(OL_BLOCK_ROWS * (size_t)spec->n, sizeof *cells);
    OL_AUTO_FREE json_t **json = calloc(OL_BLOCK_ROWS, sizeof *json);
    block b = {.spec = spec, .cells = cells, .json = json};
    char said[64];
    int64_t rows = 0;
    chain c = chain_start;

    OL_CHECK(cells && json, OL_ENOMEM, "%s: no memory", archive->path);
    OL_TRY(ol_columns_rows(archive, spec, &rows));
    if (rows > 0)
        OL_TRY(chain_read(archive, spec->path, &c));
    OL_CHECK(c.rows == rows, OL_EDATA, "%s: %s: has %" PRId64 " rows, and says %" PRId64,
             archive->path, spec->path, rows, c.rows);
    OL_TRY(write_lines(archive, lines, table, &b, &c));
    snprintf(said, sizeof said, "%" PRId64 " %s", c.rows, c.digest);
    return ol_archive_set_text(archive, spec->path, rows_attribute, said);
}

/* The file without rows. */
static ol_status create(const ol_making *m, const ol_lines *lines, ol_archive **archive)
{
    const ol_table_files *f = m->files;
    json_auto_t *json = NULL;
    ol_run_record record = {0};

    OL_TRY(ol_line_record(&lines->run, &record, &json));
    OL_TRY(ol_archive_create(m->aside, archive));
    OL_TRY(write_root(*archive, &record));
    for (int t = 0; t < f->n; t++)
        OL_TRY(ol_columns_create(*archive, f->specs[t]));
    return OL_OK;
}

/* A copy of the file with the rows that it has. */
static ol_status copy(const ol_making *m, ol_archive **archive)
{
    const char *path = m->files->path;
    const int in = open(path, O_RDONLY | O_CLOEXEC);
    const int out = open(m->aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    ssize_t n = -1;

    while (in >= 0 && out >= 0 && (n = sendfile(out, in, NULL, (size_t)1 << 30)) > 0)
        continue;
    OL_CHECK(n == 0 && close(out) == 0, OL_EIO, "%s: cannot copy to %s: %s", path, m->aside,
             strerror(errno));
    close(in);
    return ol_h5_open(m->aside, OL_H5_CHANGE, 0, archive);
}

ol_status ol_metrics_make(void *making, void *answer)
{
    const ol_making *m = making;
    const ol_table_files *f = m->files;
    bool grows[OL_MOST_TABLES] = {false};
    ol_lines lines; /* what is not freed here, the child's end frees */
    ol_archive *archive;

    (void)answer;
    OL_TRY(ol_lines_read(f->journal, f->specs, f->n, &lines));
    OL_CHECK(lines.n_faults == 0, OL_EDATA, "%.*s", (int)strcspn(lines.faults.data, "\n"),
             lines.faults.data);
    OL_CHECK((int64_t)lines.n == m->rows, OL_EDATA, "%s: has %zu of %" PRId64 " rows", f->journal,
             lines.n, m->rows);
    OL_TRY(m->had > 0 ? copy(m, &archive) : create(m, &lines, &archive));
    lines.items += m->had;
    lines.n -= (size_t)m->had;
    for (size_t i = 0; i < lines.n; i++)
        grows[lines.items[i].table] = true;
    for (int t = 0; t < f->n; t++)
        if (grows[t] || m->had == 0)
            OL_TRY(fill_table(archive, f->specs[t], &lines, t));
    return ol_archive_close(archive);
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
    const ol_table_spec *spec = c->e->files->specs[c->table];
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
             "%.300s: %s/%s: row %" PRId64 " is not that of the journal", c->e->files->path,
             spec->path, column, row);
}

static ol_status compare_row(void *payload, int64_t row, const ol_cell *cells)
{
    comparison *c = payload;
    const ol_lines *lines = c->e->lines;
    const ol_line *line;

    c->body.size = 0;
    OL_TRY(ol_line_format(c->e->files->specs[c->table], cells, &c->body));
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
    const ol_table_spec *spec = c->e->files->specs[c->table];
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
                 c->e->files->path, spec->path);
    }
    c->finding->sound[c->table] = true;
    return OL_OK;
}

static void copy_text(const ol_archive *archive, const char *name, char *to, size_t size)
{
    OL_AUTO_FREE char *text = NULL;

    if (ol_archive_get_text(archive, "/", name, &text) == OL_OK)
        snprintf(to, size, "%s", text);
}

/* What one table suffers from leaves the others sound. */
static void note_difference(const comparison *c, ol_status status)
{
    if (status != OL_OK && status != OL_EUSAGE && !*c->finding->differs)
        snprintf(c->finding->differs, sizeof c->finding->differs, "%.511s", ol_status_message());
}

/* The job's text is sealed by a digest that other programs can compare too. */
static ol_status check_job(const ol_archive *archive)
{
    OL_AUTO_FREE char *text = NULL, *sealed = NULL;
    char digest[OL_SHA256_TEXT] = "";

    if (!ol_archive_has(archive, "job") || !ol_archive_has_attribute(archive, "/", "job_sha256"))
        return OL_OK;
    OL_TRY(ol_archive_read_text(archive, "job", &text));
    OL_TRY(ol_archive_get_text(archive, "/", "job_sha256", &sealed));
    ol_digest_sha256(text, strlen(text), digest);
    OL_CHECK(strcmp(digest, sealed) == 0, OL_EDATA,
             "%s: job: was altered: it has not the digest in job_sha256", archive->path);
    return OL_OK;
}

static ol_status examine(const ol_archive *archive, comparison *c)
{
    const ol_examination *e = c->e;
    char schema[64] = "";

    copy_text(archive, "schema", schema, sizeof schema);
    OL_CHECK(strcmp(schema, SCHEMA) == 0, OL_EDATA, "%s: is not a metrics file of this program",
             e->files->path);
    copy_text(archive, "run_id", c->finding->run_id, sizeof c->finding->run_id);
    copy_text(archive, "created", c->finding->created, sizeof c->finding->created);
    c->finding->compared = e->files->n > 0;
    for (c->table = 0; c->table < e->files->n && c->finding->compared; c->table++) {
        const ol_status status = examine_table(archive, c);

        c->finding->compared = status != OL_EUSAGE;
        if (status == OL_ENOMEM)
            return status;
        note_difference(c, status);
    }
    note_difference(c, check_job(archive));
    return OL_OK;
}

ol_status ol_metrics_examine(void *examination, void *answer)
{
    const ol_examination *e = examination;
    comparison c = {.e = e, .finding = answer};
    ol_archive *archive;
    ol_status status;

    OL_TRY(ol_archive_open(e->files->path, &archive));
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
