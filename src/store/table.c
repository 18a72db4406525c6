/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/store/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "column.h"
#include "outerloop/base/clock.h"
#include "outerloop/base/digest.h"
#include "outerloop/base/file.h"
#include "outerloop/base/log.h"

#define SCHEMA "outerloop-metrics"
enum { SCHEMA_VERSION = 1 };

struct ol_tables {
    char *path;
    const ol_table_spec *const *specs; /* [n] */
    int n;
    int64_t *written;     /* [n] rows in the file   */
    ol_row_list *waiting; /* [n] rows in the buffer, first those of `pages` */
    size_t *paged;        /* [n] rows in `pages` */
    ol_disk *pages;       /* changes that could not be put on disk; NULL = none */
    bool warned;          /* of the present failure */
};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* What may differ between one start of a run and the next. */
static ol_status record_start(ol_archive *archive, const ol_run_record *record)
{
    OL_TRY(ol_archive_set_text(archive, "/", "version", or_empty(record->version)));
    OL_TRY(ol_archive_set_text(archive, "/", "git_commit", or_empty(record->git_commit)));
    OL_TRY(ol_archive_set_text(archive, "/", "host", or_empty(record->host)));
    OL_TRY(ol_archive_set_text(archive, "/", "slurm_job_id", or_empty(record->slurm_job_id)));
    OL_TRY(ol_archive_set_text(archive, "/", "blas", or_empty(record->blas)));
    OL_TRY(ol_archive_set_text(archive, "/", "mpi", or_empty(record->mpi)));
    OL_TRY(ol_archive_set_i64(archive, "/", "restart_count", record->restart_count));
    OL_TRY(ol_archive_set_i64(archive, "/", "ranks", record->ranks));
    return ol_archive_set_i64(archive, "/", "threads", record->threads);
}

static ol_status record_run(ol_archive *archive, const ol_run_record *record)
{
    const char *job = or_empty(record->job);
    char digest[OL_SHA256_TEXT], now[32];

    ol_digest_sha256(job, strlen(job), digest);
    ol_clock_utc(now);
    OL_TRY(ol_archive_set_text(archive, "/", "NX_class", "NXroot"));
    OL_TRY(ol_archive_set_text(archive, "/", "title", "Metrics of an outerloop run"));
    OL_TRY(ol_archive_set_text(archive, "/", "description",
                               "Tables are groups of columns of equal length. "
                               "In Python, with g = h5py.File(path)[table]: "
                               "pd.DataFrame({k: (c.asstr() if h5py.check_string_dtype(c.dtype) "
                               "else c)[...] for k, c in g.items()})"));
    OL_TRY(ol_archive_set_text(archive, "/", "creator", "outerloop"));
    OL_TRY(ol_archive_set_text(archive, "/", "schema", SCHEMA));
    OL_TRY(ol_archive_set_i64(archive, "/", "schema_version", SCHEMA_VERSION));
    OL_TRY(ol_archive_set_text(archive, "/", "created", now));
    OL_TRY(ol_archive_set_text(archive, "/", "run_id", or_empty(record->run_id)));
    OL_TRY(ol_archive_set_i64(archive, "/", "seed", record->seed));
    OL_TRY(ol_archive_set_text(archive, "/", "job_sha256", digest));
    OL_TRY(ol_archive_write_text(archive, "job", job));
    return record_start(archive, record);
}

static void free_tables(ol_tables *tables)
{
    for (int t = 0; tables->waiting && t < tables->n; t++)
        ol_row_list_finish(&tables->waiting[t]);
    ol_disk_destroy(tables->pages);
    free(tables->waiting);
    free(tables->paged);
    free(tables->written);
    free(tables->path);
    free(tables);
}

static ol_status allocate(const char *path, const ol_table_spec *const *specs, int n,
                          ol_tables **out)
{
    ol_tables *tables = calloc(1, sizeof *tables);

    *out = NULL;
    OL_CHECK(tables, OL_ENOMEM, "%s: no memory for its tables", path);
    *tables = (ol_tables){.path = strdup(path), .specs = specs, .n = n};
    tables->written = calloc((size_t)n + 1, sizeof *tables->written);
    tables->waiting = calloc((size_t)n + 1, sizeof *tables->waiting);
    tables->paged = calloc((size_t)n + 1, sizeof *tables->paged);
    if (!tables->path || !tables->written || !tables->waiting || !tables->paged) {
        free_tables(tables);
        return ol_fail(OL_ENOMEM, "%s: no memory for its tables", path);
    }
    for (int t = 0; t < n; t++)
        tables->waiting[t].spec = specs[t];
    *out = tables;
    return OL_OK;
}

static ol_status write_empty(const char *path, const ol_table_spec *const *specs, int n,
                             const ol_run_record *record)
{
    ol_archive *archive;
    ol_status status, closed;

    OL_TRY(ol_archive_create(path, &archive));
    status = record_run(archive, record);
    for (int t = 0; t < n && status == OL_OK; t++)
        status = ol_columns_create(archive, specs[t]);
    closed = ol_archive_close(archive);
    return status != OL_OK ? status : closed;
}

ol_status ol_tables_create(const char *path, const ol_table_spec *const *specs, int n,
                           const ol_run_record *record, ol_tables **out)
{
    char aside[PATH_MAX];
    ol_status status;

    *out = NULL;
    OL_TRY(ol_path_format(aside, "%s.tmp-%ld", path, (long)getpid()));
    status = write_empty(aside, specs, n, record);
    if (status == OL_OK)
        status = ol_commit_file(aside, path);
    if (status != OL_OK) {
        unlink(aside);
        return status;
    }
    return allocate(path, specs, n, out);
}

static ol_status open_tables(ol_archive *archive, ol_tables *tables, const ol_run_record *record)
{
    char *schema = NULL;
    bool known;

    OL_TRY(ol_archive_get_text(archive, "/", "schema", &schema));
    known = strcmp(schema, SCHEMA) == 0;
    free(schema);
    OL_CHECK(known, OL_EDATA, "%s: is not a metrics file of this program", tables->path);
    for (int t = 0; t < tables->n; t++)
        OL_TRY(ol_columns_open(archive, tables->specs[t], &tables->written[t]));
    return record ? record_start(archive, record) : OL_OK;
}

ol_status ol_tables_open(const char *path, const ol_table_spec *const *specs, int n,
                         const ol_run_record *record, ol_tables **out)
{
    ol_archive *archive;
    ol_tables *tables;
    ol_status status, closed;

    *out = NULL;
    OL_TRY(ol_h5_open_to_write(path, &archive));
    status = allocate(path, specs, n, &tables);
    if (status == OL_OK)
        status = open_tables(archive, tables, record);
    closed = ol_archive_close(archive);
    if (status == OL_OK)
        status = closed;
    if (status != OL_OK && tables)
        free_tables(tables);
    else
        *out = tables;
    return status;
}

ol_status ol_tables_append(ol_tables *tables, int table, const ol_cell *cells)
{
    assert(table >= 0 && table < tables->n);
    return ol_row_list_append(&tables->waiting[table], cells);
}

/* Make the file with the waiting rows, as pages in memory. Rows go where this process knows the end
   to be, not where the file has it. */
static ol_status collect_waiting(ol_tables *tables)
{
    ol_archive *archive;
    ol_status status = OL_OK, closed;

    OL_TRY(ol_h5_open_to_write(tables->path, &archive));
    for (int t = 0; t < tables->n && status == OL_OK; t++) {
        status = ol_columns_write(archive, &tables->waiting[t], tables->written[t]);
        tables->paged[t] = tables->waiting[t].n;
    }
    closed = ol_h5_close_unapplied(archive, &tables->pages);
    if (status != OL_OK) {
        ol_disk_destroy(tables->pages); /* of half the columns */
        tables->pages = NULL;
        return status;
    }
    return closed;
}

/* Put the pages on disk. Where that fails they are kept, for it may have failed in the middle, and
   putting them there again is all that can make the file whole. */
static ol_status apply_pages(ol_tables *tables)
{
    OL_TRY(ol_disk_apply(tables->pages));
    ol_disk_destroy(tables->pages);
    tables->pages = NULL;
    for (int t = 0; t < tables->n; t++) {
        tables->written[t] += (int64_t)tables->paged[t];
        ol_row_list_drop(&tables->waiting[t], tables->paged[t]);
    }
    return OL_OK;
}

static size_t count_waiting(const ol_tables *tables)
{
    size_t n = 0;

    for (int t = 0; t < tables->n; t++)
        n += tables->waiting[t].n;
    return n;
}

static ol_status write_waiting(ol_tables *tables)
{
    if (tables->pages)
        OL_TRY(apply_pages(tables));
    if (count_waiting(tables) == 0)
        return OL_OK;
    OL_TRY(collect_waiting(tables));
    return apply_pages(tables);
}

bool ol_tables_flush(ol_tables *tables)
{
    const bool whole = write_waiting(tables) == OL_OK;

    if (!whole && !tables->warned)
        ol_log_warn("%s; the run goes on, rows are kept and written later", ol_status_message());
    tables->warned = !whole;
    return whole;
}

int64_t ol_tables_rows(const ol_tables *tables, int table)
{
    return tables->written[table] + (int64_t)tables->waiting[table].n;
}

ol_status ol_tables_rows_through(const ol_tables *tables, int table, int64_t last, int64_t *rows)
{
    const ol_table_spec *spec = tables->specs[table];
    const size_t n = (size_t)tables->written[table];
    int64_t *index = malloc((n + 1) * sizeof *index);
    char name[PATH_MAX];
    ol_archive *archive = NULL;
    ol_status status;

    OL_CHECK(index, OL_ENOMEM, "%s: no memory to read the index of %s", tables->path, spec->path);
    status = ol_path_format(name, "%s/%s", spec->path, spec->columns[0].name);
    if (status == OL_OK)
        status = ol_archive_open(tables->path, &archive);
    if (status == OL_OK)
        status = ol_archive_read_i64(archive, name, n, index);
    ol_archive_close(archive);
    *rows = 0;
    while (status == OL_OK && *rows < (int64_t)n && index[*rows] <= last)
        ++*rows;
    free(index);
    return status;
}

ol_status ol_tables_truncate(ol_tables *tables, int table, int64_t rows)
{
    const ol_table_spec *spec = tables->specs[table];
    ol_archive *archive;
    ol_status status, closed;

    OL_CHECK(rows >= 0 && rows <= ol_tables_rows(tables, table), OL_EDATA,
             "%s: %s: has %lld rows, %lld should be kept", tables->path, spec->path,
             (long long)ol_tables_rows(tables, table), (long long)rows);
    OL_CHECK(!tables->pages || ol_tables_flush(tables), OL_EIO, "%s", ol_status_message());
    if (rows >= tables->written[table]) {
        ol_row_list_keep(&tables->waiting[table], (size_t)(rows - tables->written[table]));
        return OL_OK;
    }
    OL_TRY(ol_h5_open_to_write(tables->path, &archive));
    status = ol_columns_cut(archive, spec, rows);
    closed = ol_archive_close(archive);
    OL_TRY(status != OL_OK ? status : closed);
    ol_row_list_keep(&tables->waiting[table], 0);
    tables->written[table] = rows;
    return OL_OK;
}

bool ol_tables_destroy(ol_tables *tables)
{
    bool whole;

    if (!tables)
        return true;
    whole = ol_tables_flush(tables);
    if (!whole)
        ol_log_warn("%s: %zu rows could not be written: %s", tables->path, count_waiting(tables),
                    ol_status_message());
    free_tables(tables);
    return whole;
}
