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
#include "outerloop/base/size.h" /* OL_ALLOCATE */

static const double least_seconds = 1.0;  /* between updates                   */
static const double share = 100.0;        /* an update's own time, that long   */
static const double retry_seconds = 10.0; /* after an update that failed       */

struct ol_tables {
    ol_table_files files;
    int fd;                       /* of the journal                                           */
    off_t size;                   /* bytes of its whole lines                                 */
    int64_t line;                 /* number of the next line                                  */
    int64_t shown;                /* of the first line that metrics.h5 has not; 0: it has none */
    int64_t rows[OL_MOST_TABLES]; /* of the tables, those that wait included                  */
    int64_t wait;                 /* rows that could not be written to the journal            */
    ol_text waiting;              /* and their lines                                          */
    double due;                   /* when metrics.h5 is brought up to the journal             */
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
            return ol_fail(OL_EIO, "%s: cannot append, and cannot undo it: %s", t->files.journal,
                           strerror(errno));
        return ol_fail(OL_EIO, "%s: cannot append: %s", t->files.journal, strerror(reason));
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

    assert(table >= 0 && table < t->files.n);
    status = ol_line_format(t->files.specs[table], cells, &t->waiting);
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
    t->fd = open(t->files.journal, O_RDWR | O_APPEND | O_CLOEXEC);
    OL_CHECK(t->fd >= 0 && fstat(t->fd, &st) == 0, OL_EIO, "%s: cannot append: %s",
             t->files.journal, strerror(errno));
    t->size = st.st_size;
    return OL_OK;
}

/* Where the journal was removed, or another put in its place, it is written again from the file
   that is still open. */
static ol_status keep_journal(ol_tables *t)
{
    OL_AUTO_FREE char *text = NULL;
    char folder[PATH_MAX];
    struct stat own, there;

    if (fstat(t->fd, &own) == 0 && stat(t->files.journal, &there) == 0 &&
        own.st_ino == there.st_ino && own.st_dev == there.st_dev)
        return OL_OK;
    OL_TRY(ol_path_folder(t->files.journal, folder));
    OL_TRY(ol_make_folders(folder));
    text = malloc((size_t)t->size + 1);
    OL_CHECK(text, OL_ENOMEM, "%s: no memory to write it again", t->files.journal);
    OL_CHECK(pread(t->fd, text, (size_t)t->size, 0) == (ssize_t)t->size, OL_EIO,
             "%s: is gone, and cannot be read any more", t->files.journal);
    OL_TRY(ol_write_file(t->files.journal, text, (size_t)t->size));
    ol_log_warn("%s: was removed or replaced; it is written again", t->files.journal);
    return open_journal(t);
}

/* --- metrics.h5 ------------------------------------------------------------------------------ */

/* A child makes the file aside, and it takes its place.
   @param had  rows of the file there is that it begins with; 0: it is made of the journal alone */
static ol_status update(ol_tables *t, int64_t had)
{
    const char *path = t->files.path;
    char aside[PATH_MAX];
    ol_making making = {.files = &t->files, .aside = aside, .had = had, .rows = t->line - 2};
    ol_status status;

    OL_TRY(ol_path_format(aside, "%s.tmp-%ld", path, (long)getpid()));
    status = ol_child_run(ol_metrics_make, &making, ol_metrics_limits(2 * t->size), path, NULL, 0);
    if (status == OL_OK && rename(aside, path) != 0)
        status = ol_fail(OL_EIO, "%s: cannot write: %s", path, strerror(errno));
    if (status != OL_OK)
        unlink(aside);
    else
        t->shown = t->line;
    return status;
}

static ol_status bring_up(ol_tables *t)
{
    OL_TRY(keep_journal(t));
    OL_TRY(write_waiting(t));
    if (t->shown == t->line && ol_path_exists(t->files.path))
        return OL_OK;
    if (t->shown > 2 && update(t, t->shown - 2) == OL_OK)
        return OL_OK;
    return update(t, 0);
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
        ol_log_warn("%s: cannot sync to disk: %s", t->files.journal, strerror(errno));
}

/* --- beginning and end ----------------------------------------------------------------------- */

static void free_tables(ol_tables **tables)
{
    ol_tables *t = *tables;

    if (!t)
        return;
    if (t->fd >= 0)
        close(t->fd);
    ol_text_finish(&t->waiting);
    free(t);
}
#define AUTO_TABLES OL_AUTO(free_tables) ol_tables

/* @param out  freed by its AUTO_TABLES, also after an error */
static ol_status allocate(const char *path, const ol_table_spec *const *specs, int n,
                          ol_tables **out)
{
    assert(n <= OL_MOST_TABLES);
    OL_TRY(OL_ALLOCATE(*out, 1, "tables of metrics"));
    (*out)->fd = -1;
    return ol_table_files_init(path, specs, n, &(*out)->files);
}

/* Of each table the leading rows up to last[table]. */
static void keep_rows(const ol_tables *t, const int64_t *last, ol_lines *lines)
{
    bool ended[OL_MOST_TABLES] = {false};
    size_t kept = 0;

    for (size_t i = 0; i < lines->n; i++) {
        const ol_line *row = &lines->items[i];
        const int table = row->table;

        ended[table] = ended[table] || ol_line_index(row, t->files.specs[table]) > last[table];
        if (!ended[table])
            lines->items[kept++] = *row;
    }
    lines->n = kept;
}

/* Write the journal as it is to be, and go on with it. */
static ol_status write_anew(ol_tables *t, const ol_mend *m)
{
    memset(t->rows, 0, sizeof t->rows);
    for (size_t i = 0; i < m->lines.n; i++)
        t->rows[m->lines.items[i].table]++;
    t->line = (int64_t)m->lines.n + 2;
    t->shown = 0;
    OL_TRY(ol_mend_write(m));
    return open_journal(t);
}

/* Mend, cut, and write. */
static ol_status begin(ol_tables *t, const ol_run_record *record, const char *run_id,
                       const int64_t *last, int64_t *lost, ol_tables_report *report)
{
    OL_AUTO(ol_mend_finish) ol_mend m = {.files = &t->files, .run_id = run_id, .report = report};

    OL_TRY(ol_mend_read(&m, true));
    OL_TRY(ol_mend_join(&m, record, lost));
    if (last)
        keep_rows(t, last, &m.lines);
    ol_mend_end(&m);
    return write_anew(t, &m);
}

/* Lines of a text as so many log messages. */
static void log_lines(const ol_text *text)
{
    size_t n;

    for (const char *at = text->data, *line; (line = ol_text_line(&at, &n));)
        ol_log_warn("%.*s", (int)n, line);
}

ol_status ol_tables_open(const char *path, const ol_table_spec *const *specs, int n,
                         const ol_run_record *record, const char *run_id, const int64_t *last,
                         int64_t *lost, ol_tables **out)
{
    OL_AUTO(ol_tables_report_finish) ol_tables_report report = {0};
    AUTO_TABLES *t = NULL;
    ol_status status;

    *out = NULL;
    OL_TRY(allocate(path, specs, n, &t));
    status = begin(t, record, run_id, last, lost, &report);
    log_lines(&report.broken);
    log_lines(&report.notes);
    OL_TRY(status);
    ol_tables_flush(t);
    return OL_GIVE(out, t);
}

ol_status ol_tables_create(const char *path, const ol_table_spec *const *specs, int n,
                           const ol_run_record *record, ol_tables **out)
{
    ol_mend m = {.record = *record};
    AUTO_TABLES *t = NULL;

    *out = NULL;
    OL_TRY(allocate(path, specs, n, &t));
    m.files = &t->files;
    ol_clock_utc(m.now);
    if (!m.record.created)
        m.record.created = m.now;
    OL_TRY(write_anew(t, &m));
    ol_tables_flush(t);
    return OL_GIVE(out, t);
}

int64_t ol_tables_rows(const ol_tables *t, int table)
{
    return t->rows[table];
}

ol_status ol_tables_read(ol_tables *t, int table, ol_tables_visit *visit, void *payload)
{
    const ol_table_spec *spec = t->files.specs[table];
    OL_AUTO(ol_lines_finish) ol_lines lines = {0};
    OL_AUTO_FREE ol_cell *cells = calloc((size_t)spec->n, sizeof *cells);
    ol_status status = OL_OK;

    OL_CHECK(cells, OL_ENOMEM, "%s: no memory", t->files.journal);
    OL_TRY(keep_journal(t));
    OL_TRY(ol_lines_read(t->files.journal, t->files.specs, t->files.n, &lines));
    for (size_t i = 0; i < lines.n && status == OL_OK; i++) {
        json_t *json = NULL;

        if (lines.items[i].table != table)
            continue;
        OL_TRY(ol_line_cells(&lines.items[i], spec, cells, &json));
        status = visit(payload, lines.items[i].nth, cells);
        ol_line_release(spec, cells, json);
    }
    return status;
}

ol_status ol_tables_cut(ol_tables *t, const int64_t *last)
{
    OL_AUTO(ol_mend_finish) ol_mend m = {.files = &t->files};
    size_t had;

    OL_TRY(keep_journal(t));
    OL_TRY(write_waiting(t));
    OL_TRY(ol_lines_read(t->files.journal, t->files.specs, t->files.n, &m.lines));
    OL_TRY(ol_line_record(&m.lines.run, &m.record, &m.json));
    had = m.lines.n;
    keep_rows(t, last, &m.lines);
    return m.lines.n < had ? write_anew(t, &m) : OL_OK;
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
                         t->files.journal, t->wait, t->failure);
    else if (t->shown != t->line)
        status = ol_fail(OL_EIO,
                         "%s: lacks the last %" PRId64 " rows: %s. All of them are in %s: mend the "
                         "cause, then `outerloop inspect FOLDER --rebuild`",
                         t->files.path, t->line - (t->shown > 0 ? t->shown : 2), t->failure,
                         t->files.journal);
    ol_tables_sync(t);
    if (status == OL_OK)
        status = ol_commit_file(t->files.path, t->files.path);
    free_tables(&t);
    return status;
}

ol_status ol_tables_rebuild(const char *path, const ol_table_spec *const *specs, int n,
                            const ol_run_record *record, const char *run_id,
                            ol_tables_report *report)
{
    AUTO_TABLES *t = NULL;
    ol_status status;

    OL_TRY(allocate(path, specs, n, &t));
    OL_CHECK(ol_path_exists(path) || ol_path_exists(t->files.journal), OL_EDATA,
             "%s: there is neither that file nor its journal", path);
    status = begin(t, record, run_id, NULL, NULL, report);
    report->rows = t->line - 2;
    return status == OL_OK ? update(t, 0) : status;
}
