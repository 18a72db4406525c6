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

ol_status ol_journal_path(const char *metrics, char path[PATH_MAX])
{
    const size_t n = strlen(metrics);
    const bool named = n > 3 && strcmp(metrics + n - 3, ".h5") == 0;

    return ol_path_format(path, "%.*s.jsonl", (int)(named ? n - 3 : n), metrics);
}

static off_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? st.st_size : 0;
}

ol_child_limits ol_metrics_limits(const char *path, off_t bytes)
{
    const double all = (double)(bytes + size_of(path));

    return (ol_child_limits){.seconds = 60.0 + all / 1e6,
                             .cpu = 1.0 + all / 1e6,
                             .memory = ((size_t)1 << 30) + 8 * (size_t)all};
}

void ol_mend_finish(ol_mend *mend)
{
    ol_lines_finish(&mend->lines);
    ol_lines_finish(&mend->recovered);
    free(mend->rows);
    json_decref(mend->json);
    *mend = (ol_mend){0};
}

void ol_tables_report_finish(ol_tables_report *report)
{
    ol_text_finish(&report->broken);
    ol_text_finish(&report->notes);
}

/* A child reads metrics.h5. What it finds wrong, or falls over, is a line of the report. */
static ol_status examine(const char *path, const ol_table_spec *const *specs, int n,
                         const char *recovered, ol_tables_report *report, ol_mend *m)
{
    ol_examination e = {
        .path = path, .specs = specs, .n = n, .lines = &m->lines, .recovered = recovered};
    const ol_status status = ol_child_run(ol_metrics_examine, &e, ol_metrics_limits(path, 0), path,
                                          &m->finding, sizeof m->finding);

    if (status == OL_ENOMEM)
        return status;
    m->metrics_bad = status != OL_OK || *m->finding.differs;
    if (status != OL_OK)
        return ol_text_format(&report->broken, "%s\n", ol_status_message());
    return m->metrics_bad ? ol_text_format(&report->broken, "%s\n", m->finding.differs) : OL_OK;
}

ol_status ol_mend_read(const char *path, const ol_table_spec *const *specs, int n, bool recover,
                       ol_tables_report *report, ol_mend *m)
{
    char journal[PATH_MAX], recovered[PATH_MAX];
    ol_status status;

    OL_TRY(ol_journal_path(path, journal));
    OL_TRY(ol_path_format(recovered, "%s.tmp-%ld", journal, (long)getpid()));
    if (n > 0)
        OL_TRY(ol_lines_read(journal, specs, n, &m->lines));
    m->journal_bad = m->lines.n_faults > 0;
    if (m->journal_bad)
        OL_TRY(ol_text_append(&report->broken, m->lines.faults.data, m->lines.faults.size));
    m->metrics_there = ol_path_exists(path);
    if (!m->metrics_there)
        return OL_OK;
    status = examine(path, specs, n, recover ? recovered : NULL, report, m);
    if (status == OL_OK && recover && m->finding.more > 0)
        status = ol_lines_read(recovered, specs, n, &m->recovered);
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
static ol_status count_lost(const ol_table_spec *const *specs, const ol_mend *m, int64_t *next,
                            int64_t *lost, ol_tables_report *report)
{
    for (size_t i = 0; i < m->n; i++) {
        const ol_line *row = &m->rows[i];
        const int64_t from = next[row->table];

        next[row->table] = row->nth + 1;
        if (row->nth <= from)
            continue;
        report->lost += row->nth - from;
        if (lost)
            lost[row->table] += row->nth - from;
        OL_TRY(ol_text_format(&report->broken,
                              "%s: rows %" PRId64 " to %" PRId64
                              " are lost: neither file has them\n",
                              specs[row->table]->path, from, row->nth - 1));
    }
    return OL_OK;
}

static ol_status join_rows(ol_tables_report *report, ol_mend *m)
{
    size_t taken = 0;

    m->rows = calloc(m->lines.n + m->recovered.n + 1, sizeof *m->rows);
    OL_CHECK(m->rows, OL_ENOMEM, "%s", no_memory);
    if (m->lines.n > 0)
        memcpy(m->rows, m->lines.items, m->lines.n * sizeof *m->rows);
    m->n = m->lines.n;
    for (size_t i = 0; i < m->recovered.n; i++)
        if (m->finding.sound[m->recovered.items[i].table]) {
            m->rows[m->n++] = m->recovered.items[i];
            taken++;
        }
    if (taken == 0)
        return OL_OK;
    m->journal_bad = m->journal_bad || m->lines.there;
    qsort(m->rows, m->n, sizeof *m->rows, by_row);
    return ol_text_format(&report->notes,
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

ol_status ol_mend_join(const char *path, const ol_table_spec *const *specs, int n,
                       const ol_run_record *record, int64_t *lost, ol_tables_report *report,
                       ol_mend *m)
{
    char journal[PATH_MAX];
    int64_t *next;
    ol_status status;

    OL_TRY(ol_journal_path(path, journal));
    OL_TRY(ol_lines_renew(&m->lines, journal, specs));
    OL_TRY(join_rows(report, m));
    OL_TRY(join_record(record, m));
    next = calloc((size_t)n + 1, sizeof *next);
    OL_CHECK(next, OL_ENOMEM, "%s", no_memory);
    if (lost)
        memset(lost, 0, (size_t)n * sizeof *lost);
    status = count_lost(specs, m, next, lost, report);
    free(next);
    return status;
}

/* A name for what is kept: PATH.damaged-N. */
static ol_status free_name(const char *path, char name[PATH_MAX])
{
    for (int i = 1;; i++) {
        OL_TRY(ol_path_format(name, "%s.damaged-%d", path, i));
        if (!ol_path_exists(name))
            return OL_OK;
    }
}

ol_status ol_set_aside(const char *path, ol_text *notes)
{
    char name[PATH_MAX];

    OL_TRY(free_name(path, name));
    OL_CHECK(rename(path, name) == 0, OL_EIO, "%s: cannot rename to %s: %s", path, name,
             strerror(errno));
    return ol_text_format(notes, "the damaged file is kept as %s\n", name);
}

static ol_status format_rows(const ol_mend *m, ol_text *text)
{
    int64_t next[OL_MOST_TABLES] = {0}, line = 1;
    ol_status status = ol_line_format_run(&m->record, text);

    if (status == OL_OK)
        status = ol_line_seal(text, 0, 0, line++);
    for (size_t i = 0; i < m->n && status == OL_OK; i++) {
        const ol_line *row = &m->rows[i];
        const size_t start = text->size;

        status = ol_text_append(text, row->body, row->length);
        if (status == OL_OK)
            status = ol_line_seal(text, start, next[row->table]++, line++);
    }
    return status;
}

ol_status ol_mend_write(const char *path, const ol_mend *m, ol_tables_report *report)
{
    char journal[PATH_MAX], kept[PATH_MAX];
    ol_text text = {0};
    ol_status status;

    OL_TRY(ol_journal_path(path, journal));
    status = format_rows(m, &text);
    if (status == OL_OK && m->journal_bad && m->lines.there) {
        status = free_name(journal, kept);
        if (status == OL_OK && link(journal, kept) == 0)
            status = ol_text_format(&report->notes, "the damaged file is kept as %s\n", kept);
    }
    if (status == OL_OK && m->metrics_bad)
        status = ol_set_aside(path, &report->notes);
    else if (status == OL_OK)
        unlink(path); /* so that rows which are cut off now do not come back from it */
    if (status == OL_OK)
        status = ol_write_file(journal, text.data, text.size);
    ol_text_finish(&text);
    return status;
}

/* --- check ----------------------------------------------------------------------------------- */

ol_status ol_tables_job(const char *path, char **job)
{
    char journal[PATH_MAX];
    ol_lines lines = {0};
    ol_run_record record = {0};
    json_t *json = NULL;
    ol_status status;

    *job = NULL;
    OL_TRY(ol_journal_path(path, journal));
    status = ol_lines_read(journal, NULL, 0, &lines);
    if (status == OL_OK && lines.run.length > 0)
        status = ol_line_record(&lines.run, &record, &json);
    if (status == OL_OK && record.job) {
        *job = strdup(record.job);
        if (!*job)
            status = ol_fail(OL_ENOMEM, "%s", no_memory);
    }
    json_decref(json);
    ol_lines_finish(&lines);
    return status;
}

/* Rows of the journal that metrics.h5 has not are none of its damage: it is written now and then. */
static ol_status note_lag(const char *path, int n, const ol_mend *m, ol_tables_report *report)
{
    int64_t behind = (int64_t)m->lines.n + m->finding.more;

    for (int t = 0; t < n; t++)
        behind -= m->finding.rows[t];
    return behind <= 0
               ? OL_OK
               : ol_text_format(&report->notes,
                                "%s: lacks the last %" PRId64 " rows, which the journal has: the "
                                "run goes on, or was killed; --resume or inspect --rebuild brings "
                                "them\n",
                                path, behind);
}

/* What the two are to each other. */
static ol_status compare(const char *path, int n, const ol_mend *m, ol_tables_report *report)
{
    char journal[PATH_MAX];

    OL_TRY(ol_journal_path(path, journal));
    if (!m->lines.there)
        OL_TRY(ol_text_format(&report->broken,
                              "%s: is missing; inspect --rebuild makes it from metrics.h5\n",
                              journal));
    else if (m->finding.more > 0)
        OL_TRY(ol_text_format(&report->broken,
                              "%s: lacks %" PRId64 " rows, which metrics.h5 has; --resume or "
                              "inspect --rebuild brings them\n",
                              journal, m->finding.more));
    if (!m->metrics_there)
        return ol_text_format(
            &report->broken, "%s: is missing; inspect --rebuild makes it from the journal\n", path);
    if (m->metrics_bad || !m->lines.there)
        return OL_OK;
    return m->finding.compared
               ? note_lag(path, n, m, report)
               : ol_text_format(&report->notes,
                                "%s: has the columns of another version; read, not compared\n",
                                path);
}

ol_status ol_tables_check(const char *path, const ol_table_spec *const *specs, int n,
                          ol_tables_report *report)
{
    ol_mend m = {0};
    ol_status status = ol_mend_read(path, specs, n, false, report, &m);

    if (status == OL_OK && n > 0)
        status = compare(path, n, &m, report);
    report->rows = (int64_t)m.lines.n;
    report->journal = m.lines.there && !m.journal_bad && m.finding.more == 0;
    report->metrics = m.metrics_there && !m.metrics_bad;
    ol_mend_finish(&m);
    return status;
}
