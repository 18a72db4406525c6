/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the jobs of several runs differ, key by key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job_keys.h"
#include "report_parts.h"

/* Rows of a key and its value in each run. */
typedef struct sheet {
    const ol_report *report;
    const ol_job **jobs; /* [runs] of which the values are at present; NULL where there is none */
    char **cells;        /* [n, 1 + runs] */
    int n;
} sheet;

static void finish_row(char **row, int runs)
{
    for (int i = 0; row && i <= runs; i++)
        free(row[i]);
    free(row);
}

/* A row of copies of these: is it of equal values? */
static bool is_equal(char *const *row, int runs)
{
    for (int i = 2; i <= runs; i++)
        if (strcmp(row[1], row[i]) != 0)
            return false;
    return true;
}

static char *taken(ol_text *text)
{
    return text->data ? text->data : strdup("");
}

/* The values of a key in jobs; *owned by the caller* (finish_row). */
static ol_status make_row(const sheet *s, const ol_job *const *jobs, const char *prefix, size_t key,
                          char ***out)
{
    const int runs = s->report->n_runs;
    char **row = calloc((size_t)runs + 1, sizeof *row);
    ol_text text = {0};
    ol_status status = row ? OL_OK : ol_fail(OL_ENOMEM, "no memory for a table");

    if (status == OL_OK)
        status = ol_text_format(&text, "%s%s", prefix, ol_job_keys.keys[key].path);
    for (int i = 0; i <= runs && status == OL_OK; i++) {
        row[i] = taken(&text);
        text = (ol_text){0};
        if (!row[i])
            status = ol_fail(OL_ENOMEM, "no memory for a table");
        else if (i < runs)
            status = jobs[i] ? ol_conf_value(ol_job_keys, key, jobs[i], &text)
                             : ol_text_format(&text, "?");
    }
    ol_text_finish(&text);
    if (status != OL_OK)
        finish_row(row, runs);
    else
        *out = row;
    return status;
}

/* Takes the row over, or frees it. */
static ol_status keep_row(sheet *s, char **row)
{
    const size_t width = (size_t)s->report->n_runs + 1;
    char **cells = realloc(s->cells, ((size_t)s->n + 1) * width * sizeof *cells);

    if (!cells) {
        finish_row(row, s->report->n_runs);
        return ol_fail(OL_ENOMEM, "no memory for a table");
    }
    s->cells = cells;
    memcpy(cells + (size_t)s->n++ * width, row, width * sizeof *cells);
    free(row);
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
        char **row;

        if (is_name(ol_job_keys.keys[key].path))
            continue;
        OL_TRY(make_row(s, s->jobs, "", key, &row));
        if (is_equal(row, s->report->n_runs))
            finish_row(row, s->report->n_runs);
        else
            OL_TRY(keep_row(s, row));
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
    const int runs = s->report->n_runs;
    char **row = NULL, **base = NULL;
    bool own = false, as_base = true;
    ol_status status;

    for (int i = 0; i < runs; i++)
        own = own || ol_conf_own(arms[i]->conf, key);
    if (!own)
        return OL_OK;
    OL_TRY(make_row(s, arms, prefix, key, &row));
    status = make_row(s, s->jobs, "", key, &base);
    for (int i = 1; i <= runs && status == OL_OK; i++)
        as_base = as_base && strcmp(row[i], base[i]) == 0;
    if (status == OL_OK)
        finish_row(base, runs);
    if (status == OL_OK && !as_base && !is_equal(row, runs))
        return keep_row(s, row);
    finish_row(row, runs);
    return status;
}

/* Arms that all runs have. */
static ol_status compare_arms(sheet *s)
{
    const int runs = s->report->n_runs;
    const ol_job **arms = calloc((size_t)runs, sizeof *arms);
    ol_status status = arms ? OL_OK : ol_fail(OL_ENOMEM, "no memory for a table");

    for (int a = 0; s->jobs[0] && a < s->jobs[0]->n_arms && status == OL_OK; a++) {
        char prefix[256];
        bool all = true;

        snprintf(prefix, sizeof prefix, "arms.%s.", s->jobs[0]->arms[a]->name);
        for (int i = 0; i < runs; i++) {
            arms[i] = arm_of(s->jobs[i], s->jobs[0]->arms[a]->name);
            all = all && arms[i];
        }
        for (size_t key = 0; all && key < ol_job_keys.n && status == OL_OK; key++)
            if (strncmp(ol_job_keys.keys[key].path, "learner.", 8) == 0)
                status = compare_arm_key(s, arms, prefix, key);
    }
    free(arms);
    return status;
}

/* "arms" itself, where the runs have not the same. */
static ol_status compare_lists(sheet *s)
{
    const int runs = s->report->n_runs;
    char **row = calloc((size_t)runs + 1, sizeof *row);
    bool whole = row && (row[0] = strdup("arms"));

    for (int i = 0; whole && i < runs; i++) {
        ol_text text = {0};

        for (int a = 0; whole && s->jobs[i] && a < s->jobs[i]->n_arms; a++)
            whole =
                ol_text_format(&text, "%s%s", a ? ", " : "", s->jobs[i]->arms[a]->name) == OL_OK;
        row[i + 1] = text.data ? text.data : strdup(s->jobs[i] ? "none" : "?");
        whole = whole && row[i + 1];
    }
    if (whole && !is_equal(row, runs))
        return keep_row(s, row);
    finish_row(row, runs);
    return whole ? OL_OK : ol_fail(OL_ENOMEM, "no memory for a table");
}

/* --- the text ----------------------------------------------------------------------------------- */

static int widest(const sheet *s, int column)
{
    const int step = s->report->n_runs + 1;
    int most = column > 0 ? ol_text_columns(s->report->runs[column - 1].name) : 3;

    for (int i = 0; i < s->n; i++) {
        const int columns = ol_text_columns(s->cells[i * step + column]);
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
            const char *cell = i >= 0  ? s->cells[i * step + c]
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
    const int step = s->report->n_runs + 1;

    for (int i = 0; i < s->n; i++) {
        OL_TRY(ol_text_format(out, "%s\n", s->cells[i * step]));
        for (int c = 1; c < step; c++) {
            ol_text line = {0};
            ol_status status = ol_text_format(&line, "%s: %s", s->report->runs[c - 1].name,
                                              s->cells[i * step + c]);

            if (status == OL_OK)
                status = ol_text_append(out, "  ", 2);
            if (status == OL_OK)
                status = ol_text_wrap(out, line.data, 4, width);
            ol_text_finish(&line);
            OL_TRY(status);
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
    sheet s = {.report = r, .jobs = calloc((size_t)r->n_runs + 1, sizeof *s.jobs)};
    ol_status status = s.jobs ? OL_OK : ol_fail(OL_ENOMEM, "no memory for a table");

    for (int i = 0; s.jobs && i < r->n_runs; i++)
        s.jobs[i] = job_of(r, i);
    if (status == OL_OK)
        status = compare_jobs(&s);
    if (status == OL_OK)
        status = compare_lists(&s);
    if (status == OL_OK)
        status = compare_arms(&s);
    if (status == OL_OK)
        status = write_sheet(&s, width, out);
    for (int i = 0; i < s.n * (r->n_runs + 1); i++)
        free(s.cells[i]);
    free(s.cells);
    free(s.jobs);
    return status;
}
