/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the jobs of several runs differ, key by key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_GROW */
#include "report_parts.h"

/* A key with its value in each run, one text each: [1 + runs]. */
typedef struct key_row {
    ol_text *cells;
    int runs;
} key_row;

/* Rows of the keys that differ. */
typedef struct sheet {
    const ol_report *report;
    const ol_job **jobs; /* [runs] NULL where there is none */
    key_row *rows;       /* [n] */
    int n;
} sheet;

static void finish_row(key_row *row)
{
    for (int i = 0; row->cells && i <= row->runs; i++)
        ol_text_finish(&row->cells[i]);
    free(row->cells);
    row->cells = NULL;
}

#define AUTO_ROW OL_AUTO(finish_row) key_row

static void finish_sheet(sheet *s)
{
    for (int i = 0; i < s->n; i++)
        finish_row(&s->rows[i]);
    free(s->rows);
    free(s->jobs);
}

static ol_status begin_row(const sheet *s, key_row *row)
{
    row->runs = s->report->n_runs;
    return OL_ALLOCATE(row->cells, row->runs + 1, "cells");
}

/* Are the values equal? */
static bool is_equal(const key_row *row)
{
    for (int i = 2; i <= row->runs; i++)
        if (strcmp(row->cells[1].data, row->cells[i].data) != 0)
            return false;
    return true;
}

/* The values of a key in jobs. */
static ol_status make_row(const sheet *s, const ol_job *const *jobs, const char *prefix, size_t key,
                          key_row *row)
{
    OL_TRY(begin_row(s, row));
    OL_TRY(ol_text_format(&row->cells[0], "%s%s", prefix, ol_job_keys.keys[key].path));
    for (int i = 0; i < row->runs; i++) {
        OL_TRY(ol_text_append(&row->cells[i + 1], "", 0));
        OL_TRY(jobs[i] ? ol_conf_value(ol_job_keys, key, jobs[i], &row->cells[i + 1])
                       : ol_text_format(&row->cells[i + 1], "?"));
    }
    return OL_OK;
}

/* Takes the row over where its values differ. */
static ol_status keep_row(sheet *s, key_row *kept)
{
    if (is_equal(kept))
        return OL_OK;
    OL_TRY(OL_GROW(s->rows, s->n, "keys"));
    s->rows[s->n++] = *kept;
    kept->cells = NULL;
    return OL_OK;
}

/* --- which keys --------------------------------------------------------------------------------- */

/* Every run has its own of these. */
static bool is_name(const char *path)
{
    return strcmp(path, "name") == 0 || strcmp(path, "output") == 0;
}

static ol_status compare_jobs(sheet *s)
{
    for (size_t key = 0; key < ol_job_keys.n; key++) {
        AUTO_ROW row = {0};

        if (is_name(ol_job_keys.keys[key].path))
            continue;
        OL_TRY(make_row(s, s->jobs, "", key, &row));
        OL_TRY(keep_row(s, &row));
    }
    return OL_OK;
}

static const ol_job *arm_of(const ol_job *job, const char *name)
{
    for (int i = 0; job && i < job->n_arms; i++)
        if (strcmp(job->arms[i]->name, name) == 0)
            return job->arms[i];
    return NULL;
}

/* A key that one of the arms says itself, and that sets them apart in another way than it does
   their jobs, whose row is in the sheet already. */
static ol_status compare_arm_key(sheet *s, const ol_job *const *arms, const char *prefix,
                                 size_t key)
{
    AUTO_ROW row = {0}, base = {0};
    bool own = false, as_base = true;

    for (int i = 0; i < s->report->n_runs; i++)
        own = own || ol_conf_own(arms[i]->conf, key);
    if (!own)
        return OL_OK;
    OL_TRY(make_row(s, arms, prefix, key, &row));
    OL_TRY(make_row(s, s->jobs, "", key, &base));
    for (int i = 1; i <= row.runs; i++)
        as_base = as_base && strcmp(row.cells[i].data, base.cells[i].data) == 0;
    return as_base ? OL_OK : keep_row(s, &row);
}

/* Arms that all runs have. */
static ol_status compare_arms(sheet *s)
{
    const int runs = s->report->n_runs;
    OL_AUTO_FREE const ol_job **arms = NULL;

    OL_TRY(OL_ALLOCATE(arms, runs, "jobs"));
    for (int a = 0; s->jobs[0] && a < s->jobs[0]->n_arms; a++) {
        char prefix[256];
        bool all = true;

        snprintf(prefix, sizeof prefix, "arms.%s.", s->jobs[0]->arms[a]->name);
        for (int i = 0; i < runs; i++) {
            arms[i] = arm_of(s->jobs[i], s->jobs[0]->arms[a]->name);
            all = all && arms[i];
        }
        for (size_t key = 0; all && key < ol_job_keys.n; key++)
            if (strncmp(ol_job_keys.keys[key].path, "learner.", 8) == 0)
                OL_TRY(compare_arm_key(s, arms, prefix, key));
    }
    return OL_OK;
}

/* "arms" itself, where the runs have not the same. */
static ol_status compare_lists(sheet *s)
{
    AUTO_ROW row = {0};

    OL_TRY(begin_row(s, &row));
    OL_TRY(ol_text_format(&row.cells[0], "arms"));
    for (int i = 0; i < row.runs; i++) {
        const ol_job *job = s->jobs[i];
        ol_text *cell = &row.cells[i + 1];

        for (int a = 0; job && a < job->n_arms; a++)
            OL_TRY(ol_text_format(cell, "%s%s", a ? ", " : "", job->arms[a]->name));
        if (!job || job->n_arms == 0)
            OL_TRY(ol_text_format(cell, job ? "none" : "?"));
    }
    return keep_row(s, &row);
}

/* --- the text ----------------------------------------------------------------------------------- */

static int widest(const sheet *s, int column)
{
    int most = column > 0 ? ol_text_columns(s->report->runs[column - 1].name) : 3;

    for (int i = 0; i < s->n; i++) {
        const int columns = ol_text_columns(s->rows[i].cells[column].data);
        most = columns > most ? columns : most;
    }
    return most;
}

/* A column a run. */
static ol_status write_table(const sheet *s, ol_text *out)
{
    const int step = s->report->n_runs + 1;

    for (int i = -1; i < s->n; i++)
        for (int c = 0; c < step; c++) {
            const char *cell = i >= 0  ? s->rows[i].cells[c].data
                               : c > 0 ? s->report->runs[c - 1].name
                                       : "key";

            OL_TRY(c + 1 < step ? ol_text_cell(out, cell, widest(s, c) + 2, true)
                                : ol_text_format(out, "%s\n", cell));
        }
    return ol_text_append(out, "\n", 1);
}

/* A line a run, where columns do not fit. */
static ol_status write_list(const sheet *s, int width, ol_text *out)
{
    for (int i = 0; i < s->n; i++) {
        OL_TRY(ol_text_format(out, "%s\n", s->rows[i].cells[0].data));
        for (int run = 0; run < s->report->n_runs; run++) {
            OL_AUTO_TEXT line = {0};

            OL_TRY(ol_text_format(&line, "%s: %s", s->report->runs[run].name,
                                  s->rows[i].cells[run + 1].data));
            OL_TRY(ol_text_append(out, "  ", 2));
            OL_TRY(ol_text_wrap(out, line.data, 4, width));
        }
    }
    return ol_text_append(out, "\n", 1);
}

static ol_status write_sheet(const sheet *s, int width, ol_text *out)
{
    int sum = 0;

    for (int i = 0; i < s->report->n_runs; i++)
        if (!s->jobs[i])
            OL_TRY(ol_text_format(out, "%s: no job.cfg that this version can read\n",
                                  s->report->runs[i].path));
    if (s->n == 0)
        return ol_text_format(out, "the jobs do not differ but for name and output\n\n");
    for (int c = 0; c <= s->report->n_runs; c++)
        sum += widest(s, c) + 2;
    OL_TRY(ol_text_format(out, "keys of the jobs that differ\n\n"));
    return sum - 2 <= width ? write_table(s, out) : write_list(s, width, out);
}

/* The job of a run: what stands in its folder, or else in its first file. */
static const ol_job *job_of(const ol_report *r, int run)
{
    if (r->runs[run].job)
        return r->runs[run].job;
    for (int i = 0; i < r->n_learners; i++)
        if (r->learners[i].run == run && r->learners[i].job)
            return r->learners[i].job;
    return NULL;
}

ol_status report_keys(const ol_report *r, int width, ol_text *out)
{
    OL_AUTO(finish_sheet) sheet s = {.report = r};

    OL_TRY(OL_ALLOCATE(s.jobs, r->n_runs, "jobs"));
    for (int i = 0; i < r->n_runs; i++)
        s.jobs[i] = job_of(r, i);
    OL_TRY(compare_jobs(&s));
    OL_TRY(compare_lists(&s));
    OL_TRY(compare_arms(&s));
    return write_sheet(&s, width, out);
}
