/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/store/table.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mend.h"
#include "outerloop/base/clock.h"
#include "outerloop/base/log.h"

static const double least_seconds = 1.0;  /* between updates                   */
static const double share = 100.0;        /* an update's own time, that long   */
static const double retry_seconds = 10.0; /* after an update that failed       */

struct ol_tables {
    char path[PATH_MAX], aside[PATH_MAX], journal[PATH_MAX];
    const ol_table_spec *const *specs; /* [n] */
    int n;
    int fd;           /* of the journal                                                   */
    off_t size;       /* bytes of its whole lines                                         */
    off_t shown;      /* of these, bytes that metrics.h5 has; 0: it is to be made anew    */
    int64_t line;     /* number of the next line                                          */
    int64_t at_shown; /* number of the line at `shown`                                    */
    int64_t *rows;    /* [n] of the tables, those that wait included                      */
    int64_t wait;     /* rows that could not be written to the journal                    */
    ol_text waiting;  /* and their lines                                                  */
    double due;       /* when metrics.h5 is brought up to the journal                     */
    bool warned_of_journal, warned_of_metrics;
    char failure[1024]; /* why metrics.h5 is behind */
};

/* --- the journal ----------------------------------------------------------------------------- */

/* All that waits goes out in one write. What a failed one left is cut off again. */
static ol_status write_waiting(ol_tables *t)
{
    ssize_t n;

    if (t->waiting.size == 0)
        return OL_OK;
    n = write(t->fd, t->waiting.data, t->waiting.size);
    if (n != (ssize_t)t->waiting.size) {
        const int reason = n < 0 ? errno : ENOSPC;

        if (ftruncate(t->fd, t->size) != 0)
            return ol_fail(OL_EIO, "%s: cannot append, and cannot undo it: %s", t->journal,
                           strerror(errno));
        return ol_fail(OL_EIO, "%s: cannot append: %s", t->journal, strerror(reason));
    }
    t->size += n;
    t->waiting.size = 0;
    t->wait = 0;
    return OL_OK;
}

/* Log a failure the first time. */
static void warn(bool failed, bool *warned, const char *consequence)
{
    if (failed && !*warned)
        ol_log_warn("%s; %s", ol_status_message(), consequence);
    *warned = failed;
}

ol_status ol_tables_append(ol_tables *t, int table, const ol_cell *cells)
{
    const size_t start = t->waiting.size;
    ol_status status;

    assert(table >= 0 && table < t->n);
    status = ol_line_format(t->specs[table], cells, &t->waiting);
    if (status == OL_OK)
        status = ol_line_seal(&t->waiting, start, t->rows[table], t->line);
    if (status != OL_OK) {
        t->waiting.size = start;
        return status;
    }
    t->rows[table]++;
    t->line++;
    t->wait++;
    warn(write_waiting(t) != OL_OK, &t->warned_of_journal,
         "the run goes on, rows are kept and written later");
    return OL_OK;
}

static ol_status open_journal(ol_tables *t)
{
    struct stat st;

    if (t->fd >= 0)
        close(t->fd);
    t->fd = open(t->journal, O_RDWR | O_APPEND | O_CLOEXEC);
    OL_CHECK(t->fd >= 0 && fstat(t->fd, &st) == 0, OL_EIO, "%s: cannot append: %s", t->journal,
             strerror(errno));
    t->size = st.st_size;
    return OL_OK;
}

/* Where the journal was removed, or another put in its place, it is written again from the file
   that is still open. */
static ol_status keep_journal(ol_tables *t)
{
    char folder[PATH_MAX], *slash, *text;
    struct stat own, there;
    ol_status status;

    if (fstat(t->fd, &own) == 0 && stat(t->journal, &there) == 0 && own.st_ino == there.st_ino &&
        own.st_dev == there.st_dev)
        return OL_OK;
    snprintf(folder, sizeof folder, "%s", t->journal);
    slash = strrchr(folder, '/');
    if (slash) {
        *slash = '\0';
        OL_TRY(ol_make_folders(folder));
    }
    text = malloc((size_t)t->size + 1);
    OL_CHECK(text, OL_ENOMEM, "%s: no memory to write it again", t->journal);
    status = pread(t->fd, text, (size_t)t->size, 0) == (ssize_t)t->size
                 ? ol_write_file(t->journal, text, (size_t)t->size)
                 : ol_fail(OL_EIO, "%s: is gone, and cannot be read any more", t->journal);
    free(text);
    OL_TRY(status);
    ol_log_warn("%s: was removed or replaced; it is written again", t->journal);
    return open_journal(t);
}

/* --- metrics.h5 ------------------------------------------------------------------------------ */

/* A child makes the file aside, from the one there is or from nothing, and it takes its place. */
static ol_status update(ol_tables *t, bool anew)
{
    ol_update u = {.path = anew ? NULL : t->path,
                   .aside = t->aside,
                   .journal = t->journal,
                   .specs = t->specs,
                   .n = t->n,
                   .fd = t->fd,
                   .from = anew ? 0 : t->shown,
                   .to = t->size,
                   .line = anew ? 1 : t->at_shown};
    ol_status status =
        ol_child_run(ol_metrics_update, &u, ol_metrics_limits(t->path, t->size), t->path, NULL, 0);

    if (status == OL_OK && anew && t->shown > 0 && ol_path_exists(t->path)) {
        ol_text notes = {0};

        status = ol_set_aside(t->path, &notes);
        if (status == OL_OK)
            ol_log_warn("%s: could not be added to and is made again; %.*s", t->path,
                        (int)notes.size - 1, notes.data);
        ol_text_finish(&notes);
    }
    if (status == OL_OK && rename(t->aside, t->path) != 0)
        status = ol_fail(OL_EIO, "%s: cannot write: %s", t->path, strerror(errno));
    if (status != OL_OK) {
        unlink(t->aside);
        return status;
    }
    t->shown = t->size;
    t->at_shown = t->line - t->wait;
    return OL_OK;
}

static ol_status bring_up(ol_tables *t)
{
    OL_TRY(keep_journal(t));
    OL_TRY(write_waiting(t));
    if (t->shown == t->size && ol_path_exists(t->path))
        return OL_OK;
    if (t->shown > 0 && update(t, false) == OL_OK)
        return OL_OK;
    return update(t, true);
}

bool ol_tables_flush(ol_tables *t)
{
    const double began = ol_clock_seconds();
    const ol_status status = bring_up(t);
    const double spent = ol_clock_seconds() - began;
    double next = share * spent > least_seconds ? share * spent : least_seconds;

    if (status != OL_OK) {
        snprintf(t->failure, sizeof t->failure, "%.1000s", ol_status_message());
        next = next > retry_seconds ? next : retry_seconds;
    }
    t->due = began + spent + next;
    if (t->wait == 0) /* the journal's own trouble was told */
        warn(status != OL_OK, &t->warned_of_metrics,
             "the run goes on, metrics.h5 is written later; the journal has its rows");
    return status == OL_OK;
}

bool ol_tables_flush_if_due(ol_tables *t)
{
    if (ol_clock_seconds() < t->due)
        return false;
    ol_tables_flush(t);
    return true;
}

void ol_tables_sync(ol_tables *t)
{
    if (fsync(t->fd) != 0)
        ol_log_warn("%s: cannot sync to disk: %s", t->journal, strerror(errno));
}

/* --- beginning and end ----------------------------------------------------------------------- */

static void free_tables(ol_tables *t)
{
    if (t->fd >= 0)
        close(t->fd);
    ol_text_finish(&t->waiting);
    free(t->rows);
    free(t);
}

static ol_status allocate(const char *path, const ol_table_spec *const *specs, int n,
                          ol_tables **out)
{
    ol_tables *t = calloc(1, sizeof *t);
    ol_status status;

    assert(n <= OL_MOST_TABLES);
    *out = NULL;
    OL_CHECK(t, OL_ENOMEM, "%s: no memory for its tables", path);
    *t = (ol_tables){.specs = specs, .n = n, .fd = -1, .line = 1};
    t->rows = calloc((size_t)n + 1, sizeof *t->rows);
    status = t->rows ? OL_OK : ol_fail(OL_ENOMEM, "%s: no memory for its tables", path);
    if (status == OL_OK)
        status = ol_path_format(t->path, "%s", path);
    if (status == OL_OK)
        status = ol_path_format(t->aside, "%s.tmp-%ld", path, (long)getpid());
    if (status == OL_OK)
        status = ol_journal_path(path, t->journal);
    if (status != OL_OK) {
        free_tables(t);
        return status;
    }
    *out = t;
    return OL_OK;
}

/* The index of a row: the first value of its body, after {"table":"PATH","NAME": */
static int64_t index_of(const ol_table_spec *spec, const ol_line *row)
{
    const size_t skip = 15 + strlen(spec->path) + strlen(spec->columns[0].name);
    char number[24] = "";

    if (row->length > skip)
        memcpy(number, row->body + skip,
               row->length - skip < sizeof number ? row->length - skip : sizeof number - 1);
    return strtoll(number, NULL, 10);
}

/* Of each table the leading rows up to last[table]. */
static ol_status keep_rows(ol_tables *t, const int64_t *last, ol_mend *m)
{
    bool *ended = calloc((size_t)t->n + 1, sizeof *ended);
    size_t kept = 0;

    OL_CHECK(ended, OL_ENOMEM, "%s: no memory for its tables", t->path);
    memset(t->rows, 0, (size_t)t->n * sizeof *t->rows);
    for (size_t i = 0; i < m->n; i++) {
        const int table = m->rows[i].table;

        ended[table] = ended[table] || index_of(t->specs[table], &m->rows[i]) > last[table];
        if (ended[table])
            continue;
        m->rows[kept++] = m->rows[i];
        t->rows[table]++;
    }
    m->n = kept;
    free(ended);
    return OL_OK;
}

/* Mend, cut, write, and open what was written. */
static ol_status begin(ol_tables *t, const ol_run_record *record, const int64_t *last,
                       int64_t *lost, ol_tables_report *report)
{
    ol_mend m = {0};
    ol_status status = ol_mend_read(t->path, t->specs, t->n, true, report, &m);

    if (status == OL_OK)
        status = ol_mend_join(t->path, t->specs, t->n, record, lost, report, &m);
    if (status == OL_OK)
        status = keep_rows(t, last, &m);
    if (status == OL_OK)
        status = ol_mend_write(t->path, &m, report);
    t->line = t->at_shown = (int64_t)m.n + 2;
    t->shown = 0;
    ol_mend_finish(&m);
    OL_TRY(status);
    return open_journal(t);
}

/* Lines of a text as so many log messages. */
static void log_lines(const ol_text *text)
{
    for (const char *at = text->data; at && *at;) {
        const size_t n = strcspn(at, "\n");

        ol_log_warn("%.*s", (int)n, at);
        at += n + (at[n] == '\n');
    }
}

ol_status ol_tables_open(const char *path, const ol_table_spec *const *specs, int n,
                         const ol_run_record *record, const int64_t *last, int64_t *lost,
                         ol_tables **out)
{
    ol_tables_report report = {0};
    ol_tables *t;
    ol_status status;

    OL_TRY(allocate(path, specs, n, &t));
    *out = NULL;
    status = begin(t, record, last, lost, &report);
    log_lines(&report.broken);
    log_lines(&report.notes);
    ol_tables_report_finish(&report);
    if (status != OL_OK) {
        free_tables(t);
        return status;
    }
    ol_tables_flush(t);
    *out = t;
    return OL_OK;
}

ol_status ol_tables_create(const char *path, const ol_table_spec *const *specs, int n,
                           const ol_run_record *record, ol_tables **out)
{
    ol_mend m = {.record = *record};
    ol_tables_report report = {0};
    ol_tables *t;
    char now[32];
    ol_status status;

    OL_TRY(allocate(path, specs, n, &t));
    *out = NULL;
    ol_clock_utc(now);
    if (!m.record.created)
        m.record.created = now;
    status = ol_mend_write(path, &m, &report);
    if (status == OL_OK)
        status = open_journal(t);
    if (status != OL_OK) {
        free_tables(t);
        return status;
    }
    t->line = 2;
    ol_tables_flush(t);
    *out = t;
    return OL_OK;
}

int64_t ol_tables_rows(const ol_tables *t, int table)
{
    return t->rows[table];
}

ol_status ol_tables_read(ol_tables *t, int table, ol_tables_visit *visit, void *payload)
{
    const ol_table_spec *spec = t->specs[table];
    ol_cell *cells = calloc((size_t)spec->n, sizeof *cells);
    ol_lines lines = {0};
    ol_status status = cells ? keep_journal(t) : ol_fail(OL_ENOMEM, "%s: no memory", t->journal);

    if (status == OL_OK)
        status = ol_lines_read(t->journal, t->specs, t->n, &lines);

    for (size_t i = 0; i < lines.n && status == OL_OK; i++) {
        json_t *json = NULL;

        if (lines.items[i].table != table)
            continue;
        status = ol_line_cells(&lines.items[i], spec, cells, &json);
        if (status != OL_OK)
            break;
        status = visit(payload, lines.items[i].nth, cells);
        ol_line_release(spec, cells, json);
    }
    ol_lines_finish(&lines);
    free(cells);
    return status;
}

ol_status ol_tables_cut(ol_tables *t, const int64_t *last)
{
    ol_mend m = {0};
    ol_tables_report report = {0};
    ol_run_record first = {0};
    ol_status status;

    OL_TRY(keep_journal(t));
    OL_TRY(write_waiting(t));
    status = ol_lines_read(t->journal, t->specs, t->n, &m.lines);
    if (status == OL_OK)
        status = ol_line_record(&m.lines.run, &first, &m.json);
    if (status == OL_OK) {
        m.record = first;
        m.n = m.lines.n;
        m.rows = m.lines.items;
        m.lines.items = NULL;
        status = keep_rows(t, last, &m);
    }
    if (status == OL_OK && m.n < m.lines.n) {
        status = ol_mend_write(t->path, &m, &report);
        t->line = t->at_shown = (int64_t)m.n + 2;
        t->shown = 0;
        if (status == OL_OK)
            status = open_journal(t);
    }
    ol_mend_finish(&m);
    return status;
}

ol_status ol_tables_destroy(ol_tables *t)
{
    ol_status status = OL_OK;

    if (!t)
        return OL_OK;
    if (!ol_tables_flush(t) && t->wait > 0)
        status = ol_fail(OL_EIO,
                         "%s: lacks %" PRId64 " rows, which are lost: %s. Mend the cause and go on "
                         "with --resume from the last checkpoint",
                         t->journal, t->wait, t->failure);
    else if (t->shown != t->size)
        status =
            ol_fail(OL_EIO,
                    "%s: lacks the last %" PRId64 " rows: %s. All of them are in %s: mend the "
                    "cause, then `outerloop inspect FOLDER --rebuild`",
                    t->path, t->line - (t->shown > 0 ? t->at_shown : 2), t->failure, t->journal);
    ol_tables_sync(t);
    if (status == OL_OK)
        status = ol_commit_file(t->path, t->path);
    free_tables(t);
    return status;
}

ol_status ol_tables_rebuild(const char *path, const ol_table_spec *const *specs, int n,
                            const ol_run_record *record, ol_tables_report *report)
{
    int64_t last[OL_MOST_TABLES];
    ol_tables *t;
    ol_status status;

    for (int i = 0; i < OL_MOST_TABLES; i++)
        last[i] = INT64_MAX;
    OL_TRY(allocate(path, specs, n, &t));
    OL_CHECK(ol_path_exists(path) || ol_path_exists(t->journal), OL_EDATA,
             "%s: there is neither that file nor its journal", path);
    status = begin(t, record, last, NULL, report);
    report->rows = t->line - 2;
    if (status == OL_OK)
        status = update(t, true);
    free_tables(t);
    return status;
}
