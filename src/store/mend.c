/* SPDX-License-Identifier: BSD-3-Clause */
#include "mend.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outerloop/base/clock.h" /* ol_clock_utc */

static const char no_memory[] = "no memory for the rows of metrics";

ol_status ol_table_files_init(const char *path, const ol_table_spec *const *specs, int n,
                              ol_table_files *out)
{
    const size_t length = strlen(path);
    const bool named = length > 3 && strcmp(path + length - 3, ".h5") == 0;

    out->specs = specs;
    out->n = n;
    OL_TRY(ol_path_format(out->path, "%s", path));
    return ol_path_format(out->journal, "%.*s.jsonl", (int)(named ? length - 3 : length), path);
}

ol_child_limits ol_metrics_limits(int64_t bytes)
{
    const double all = (double)bytes;

    return (ol_child_limits){.seconds = 60.0 + all / 1e6,
                             .cpu = 1.0 + all / 1e6,
                             .memory = ((size_t)1 << 30) + 8 * (size_t)all};
}

void ol_mend_finish(ol_mend *mend)
{
    ol_lines_finish(&mend->lines);
    ol_lines_finish(&mend->recovered);
    json_decref(mend->json);
}

void ol_tables_report_finish(ol_tables_report *report)
{
    ol_text_finish(&report->broken);
    ol_text_finish(&report->notes);
}

/* A child reads metrics.h5. What it finds wrong, or falls over, is a line of the report. */
static ol_status examine(ol_mend *m, const char *recovered)
{
    const char *path = m->files->path;
    ol_examination e = {.files = m->files, .lines = &m->lines, .recovered = recovered};
    struct stat st;
    ol_status status;

    status = ol_child_run(ol_metrics_examine, &e,
                          ol_metrics_limits(stat(path, &st) == 0 ? st.st_size : 0), path,
                          &m->finding, sizeof m->finding);
    if (status == OL_ENOMEM)
        return status;
    m->metrics_bad = status != OL_OK || *m->finding.differs;
    if (!m->metrics_bad)
        return OL_OK;
    return ol_text_format(&m->report->broken, "%s\n",
                          status != OL_OK ? ol_status_message() : m->finding.differs);
}

static bool is_foreign(const ol_mend *m, const char *run_id)
{
    return m->run_id && run_id && *run_id && strcmp(run_id, m->run_id) != 0;
}

static ol_status tell_foreign(const ol_mend *m, const char *path, const char *run_id)
{
    return ol_text_format(&m->report->broken,
                          "%s: is of another run (%s); the checkpoints beside it are of %s\n", path,
                          run_id, m->run_id);
}

/* A whole journal of another run is none. */
static ol_status drop_foreign_lines(ol_mend *m)
{
    json_auto_t *json = NULL;
    ol_run_record record = {0};

    if (m->lines.run.length == 0)
        return OL_OK;
    OL_TRY(ol_line_record(&m->lines.run, &record, &json));
    if (!is_foreign(m, record.run_id))
        return OL_OK;
    OL_TRY(tell_foreign(m, m->files->journal, record.run_id));
    m->journal_bad = true;
    m->lines.n = m->lines.run.length = 0;
    return OL_OK;
}

/* And so is a whole metrics.h5: nothing was found in it. */
static ol_status drop_foreign_finding(ol_mend *m)
{
    if (!is_foreign(m, m->finding.run_id))
        return OL_OK;
    OL_TRY(tell_foreign(m, m->files->path, m->finding.run_id));
    m->finding = (ol_finding){0};
    m->metrics_bad = true;
    return OL_OK;
}

ol_status ol_mend_read(ol_mend *m, bool recover)
{
    const ol_table_files *f = m->files;
    char recovered[PATH_MAX];
    ol_status status;

    OL_TRY(ol_path_format(recovered, "%s.tmp-%ld", f->journal, (long)getpid()));
    if (f->n > 0)
        OL_TRY(ol_lines_read(f->journal, f->specs, f->n, &m->lines));
    m->journal_bad = m->lines.n_faults > 0;
    if (m->journal_bad)
        OL_TRY(ol_text_append(&m->report->broken, m->lines.faults.data, m->lines.faults.size));
    OL_TRY(drop_foreign_lines(m));
    m->metrics_there = ol_path_exists(f->path);
    if (!m->metrics_there)
        return OL_OK;
    status = examine(m, recover ? recovered : NULL);
    if (status == OL_OK)
        status = drop_foreign_finding(m);
    if (status == OL_OK && recover && m->finding.more > 0)
        status = ol_lines_read(recovered, f->specs, f->n, &m->recovered);
    unlink(recovered);
    return status;
}

/* By table, then row; what the journal has stands before what metrics.h5 has. */
static int by_row(const void *a, const void *b)
{
    const ol_line *x = a, *y = b;

    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    return (x->nth > y->nth) - (x->nth < y->nth);
}

/* Say which rows are missing between those that are there. */
static ol_status count_lost(const ol_mend *m, int64_t *lost)
{
    int64_t next[OL_MOST_TABLES] = {0};

    for (int t = 0; lost && t < m->files->n; t++)
        lost[t] = 0;
    for (size_t i = 0; i < m->lines.n; i++) {
        const ol_line *row = &m->lines.items[i];
        const int64_t from = next[row->table];

        next[row->table] = row->nth + 1;
        if (row->nth <= from)
            continue;
        m->report->lost += row->nth - from;
        if (lost)
            lost[row->table] += row->nth - from;
        OL_TRY(ol_text_format(&m->report->broken,
                              "%s: rows %" PRId64 " to %" PRId64
                              " are lost: neither file has them\n",
                              m->files->specs[row->table]->path, from, row->nth - 1));
    }
    return OL_OK;
}

static ol_status join_rows(ol_mend *m)
{
    const size_t had = m->lines.n;
    size_t taken;

    for (size_t i = 0; i < m->recovered.n; i++)
        if (m->finding.sound[m->recovered.items[i].table])
            OL_TRY(ol_lines_add(&m->lines, m->recovered.items[i]));
    taken = m->lines.n - had;
    if (taken == 0)
        return OL_OK;
    m->journal_bad = m->journal_bad || m->lines.there;
    qsort(m->lines.items, m->lines.n, sizeof *m->lines.items, by_row);
    return ol_text_format(&m->report->notes,
                          "%zu row%s that the journal lacked come%s from metrics.h5\n", taken,
                          taken == 1 ? "" : "s", taken == 1 ? "s" : "");
}

/* What stays the same over restarts is taken from the first line, or the file's root. */
static ol_status join_record(const ol_run_record *record, ol_mend *m)
{
    ol_run_record first = {0};

    m->record = *record;
    ol_clock_utc(m->now);
    if (!m->record.created)
        m->record.created = m->now;
    if (*m->finding.run_id)
        m->record.run_id = m->finding.run_id;
    if (*m->finding.created)
        m->record.created = m->finding.created;
    if (m->lines.run.length == 0)
        return OL_OK;
    OL_TRY(ol_line_record(&m->lines.run, &first, &m->json));
    m->record.created = first.created;
    m->record.run_id = first.run_id;
    m->record.job = first.job;
    m->record.seed = first.seed;
    return OL_OK;
}

ol_status ol_mend_join(ol_mend *m, const ol_run_record *record, int64_t *lost)
{
    OL_TRY(ol_lines_renew(&m->lines, m->files->journal, m->files->specs));
    OL_TRY(join_rows(m));
    OL_TRY(join_record(record, m));
    return count_lost(m, lost);
}

void ol_mend_end(const ol_mend *m)
{
    m->report->last = -1;
    for (size_t i = 0; i < m->lines.n; i++)
        if (m->lines.items[i].table == 0)
            m->report->last = ol_line_index(&m->lines.items[i], m->files->specs[0]);
}

static ol_status format_rows(const ol_mend *m, ol_text *text)
{
    int64_t next[OL_MOST_TABLES] = {0}, line = 1;

    OL_TRY(ol_line_format_run(&m->record, text));
    OL_TRY(ol_line_seal(text, 0, 0, line++));
    for (size_t i = 0; i < m->lines.n; i++) {
        const ol_line *row = &m->lines.items[i];
        const size_t start = text->size;

        OL_TRY(ol_text_append(text, row->body, row->length));
        OL_TRY(ol_line_seal(text, start, next[row->table]++, line++));
    }
    return OL_OK;
}

/* Keep a damaged file as PATH.damaged-1, or the next number that is free.
   @param keep  link, where it is written over, and not every file system lets; or rename */
static ol_status keep_damaged(const char *path, int (*keep)(const char *, const char *),
                              ol_text *notes)
{
    char name[PATH_MAX];

    for (int i = 1;; i++) {
        OL_TRY(ol_path_format(name, "%s.damaged-%d", path, i));
        if (!ol_path_exists(name))
            break;
    }
    if (keep(path, name) == 0)
        return ol_text_format(notes, "the damaged file is kept as %s\n", name);
    OL_CHECK(keep == link, OL_EIO, "%s: cannot rename to %s: %s", path, name, strerror(errno));
    return OL_OK;
}

ol_status ol_mend_write(const ol_mend *m)
{
    OL_AUTO_TEXT text = {0};

    OL_TRY(format_rows(m, &text));
    if (m->journal_bad && m->lines.there)
        OL_TRY(keep_damaged(m->files->journal, link, &m->report->notes));
    if (m->metrics_bad)
        OL_TRY(keep_damaged(m->files->path, rename, &m->report->notes));
    unlink(m->files->path); /* so that rows which are cut off now do not come back from it */
    return ol_write_file(m->files->journal, text.data, text.size);
}

/* --- check ----------------------------------------------------------------------------------- */

ol_status ol_tables_job(const char *path, char **job)
{
    OL_AUTO(ol_lines_finish) ol_lines lines = {0};
    json_auto_t *json = NULL;
    ol_run_record record = {0};
    ol_table_files files;

    *job = NULL;
    OL_TRY(ol_table_files_init(path, NULL, 0, &files));
    OL_TRY(ol_lines_read(files.journal, NULL, 0, &lines));
    if (lines.run.length > 0)
        OL_TRY(ol_line_record(&lines.run, &record, &json));
    if (record.job)
        *job = strdup(record.job);
    OL_CHECK(*job || !record.job, OL_ENOMEM, "%s", no_memory);
    return OL_OK;
}

/* Rows of the journal that metrics.h5 has not are none of its damage: it is written now and then. */
static ol_status note_lag(const ol_mend *m)
{
    int64_t behind = (int64_t)m->lines.n + m->finding.more;

    for (int t = 0; t < m->files->n; t++)
        behind -= m->finding.rows[t];
    return behind <= 0
               ? OL_OK
               : ol_text_format(&m->report->notes,
                                "%s: lacks the last %" PRId64 " rows, which the journal has: the "
                                "run goes on, or was killed; --resume or inspect --rebuild brings "
                                "them\n",
                                m->files->path, behind);
}

/* What the two are to each other. */
static ol_status compare(const ol_mend *m)
{
    const ol_table_files *f = m->files;
    ol_text *broken = &m->report->broken;

    if (!m->lines.there)
        OL_TRY(ol_text_format(
            broken, "%s: is missing; inspect --rebuild makes it from metrics.h5\n", f->journal));
    else if (m->finding.more > 0)
        OL_TRY(ol_text_format(broken,
                              "%s: lacks %" PRId64 " rows, which metrics.h5 has; --resume or "
                              "inspect --rebuild brings them\n",
                              f->journal, m->finding.more));
    if (!m->metrics_there)
        return ol_text_format(
            broken, "%s: is missing; inspect --rebuild makes it from the journal\n", f->path);
    if (m->metrics_bad || !m->lines.there)
        return OL_OK;
    return m->finding.compared
               ? note_lag(m)
               : ol_text_format(&m->report->notes,
                                "%s: has the columns of another version; read, not compared\n",
                                f->path);
}

ol_status ol_tables_check(const char *path, const ol_table_spec *const *specs, int n,
                          const char *run_id, ol_tables_report *report)
{
    ol_table_files files;
    OL_AUTO(ol_mend_finish) ol_mend m = {.files = &files, .run_id = run_id, .report = report};

    OL_TRY(ol_table_files_init(path, specs, n, &files));
    OL_TRY(ol_mend_read(&m, false));
    if (n > 0)
        OL_TRY(compare(&m));
    ol_mend_end(&m);
    report->rows = (int64_t)m.lines.n;
    report->journal = m.lines.there && !m.journal_bad && m.finding.more == 0;
    report->metrics = m.metrics_there && !m.metrics_bad;
    return OL_OK;
}
