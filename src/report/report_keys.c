/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the jobs of several runs differ, key by key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_ALLOCATE */
#include "report_parts.h"

/* A row of names, then a row a key that differs with its value in each run: texts that each end in a
   NUL, so that a row not wanted is cut off again. */
typedef struct sheet {
    const ol_job **jobs; /* [columns - 1] of the runs; NULL where there is none */
    ol_text cells;       /* [rows, columns] */
    int columns;
} sheet;

static void finish_sheet(sheet *s)
{
    ol_text_finish(&s->cells);
    free(s->jobs);
}

static const char *after(const char *cell)
{
    return cell + strlen(cell) + 1;
}

static ol_status add_cell(sheet *s, const char *prefix, const char *text)
{
    OL_TRY(ol_text_format(&s->cells, "%s%s", prefix, text));
    return ol_text_append(&s->cells, "", 1);
}

/* A row: the values of a key in jobs. */
static ol_status add_values(sheet *s, const ol_job *const *jobs, const char *prefix, size_t key)
{
    OL_TRY(add_cell(s, prefix, ol_job_keys.keys[key].path));
    for (int i = 0; i < s->columns - 1; i++) {
        if (jobs[i])
            OL_TRY(ol_conf_value(ol_job_keys, key, jobs[i], &s->cells));
        OL_TRY(add_cell(s, "", jobs[i] ? "" : "?"));
    }
    return OL_OK;
}

/* The last row, which begins there, stays where its values differ. */
static void keep_row(sheet *s, size_t row)
{
    const char *first = after(s->cells.data + row), *cell = first;

    for (int c = 2; c < s->columns; c++) {
        cell = after(cell);
        if (strcmp(first, cell) != 0)
            return;
    }
    s->cells.size = row;
}

/* --- which keys --------------------------------------------------------------------------------- */

/* "arms" itself, where the runs have not the same. */
static ol_status compare_lists(sheet *s)
{
    const size_t row = s->cells.size;

    OL_TRY(add_cell(s, "", "arms"));
    for (int i = 0; i < s->columns - 1; i++) {
        const ol_job *job = s->jobs[i];

        for (int a = 0; job && a < job->n_arms; a++)
            OL_TRY(ol_text_format(&s->cells, "%s%s", a ? ", " : "", job->arms[a]->name));
        OL_TRY(add_cell(s, "", !job ? "?" : job->n_arms == 0 ? "none" : ""));
    }
    keep_row(s, row);
    return OL_OK;
}

/* The arm of that name in each run, whether all have it. */
static bool find_arms(const sheet *s, const char *name, const ol_job **arms)
{
    for (int i = 0; i < s->columns - 1; i++) {
        arms[i] = NULL;
        for (int a = 0; s->jobs[i] && a < s->jobs[i]->n_arms; a++)
            if (strcmp(s->jobs[i]->arms[a]->name, name) == 0)
                arms[i] = s->jobs[i]->arms[a];
        if (!arms[i])
            return false;
    }
    return true;
}

/* Is a key looked at? Of arms those of learners alone that one of them says itself. */
static bool is_asked(const sheet *s, const ol_job *const *jobs, size_t key)
{
    const char *path = ol_job_keys.keys[key].path;

    if (jobs == s->jobs) /* every run has its own of these */
        return strcmp(path, "name") != 0 && strcmp(path, "output") != 0;
    for (int i = 0; i < s->columns - 1; i++)
        if (ol_conf_own(jobs[i]->conf, key))
            return strncmp(path, "learner.", 8) == 0;
    return false;
}

/* Rows for the keys in which jobs differ. Arms have to do so in another way than their jobs, whose rows
   are in the sheet already. */
static ol_status compare(sheet *s, const ol_job *const *jobs, const char *prefix)
{
    for (size_t key = 0; key < ol_job_keys.n; key++) {
        const size_t row = s->cells.size;
        size_t end;

        if (!is_asked(s, jobs, key))
            continue;
        OL_TRY(add_values(s, jobs, prefix, key));
        end = s->cells.size;
        if (jobs != s->jobs)
            OL_TRY(add_values(s, s->jobs, prefix, key));
        if (s->cells.size - end == end - row &&
            memcmp(s->cells.data + row, s->cells.data + end, end - row) == 0)
            end = row;
        s->cells.size = end;
        if (end > row)
            keep_row(s, row);
    }
    return OL_OK;
}

/* Arms that all runs have. */
static ol_status compare_arms(sheet *s)
{
    OL_AUTO_FREE const ol_job **arms = NULL;

    OL_TRY(OL_ALLOCATE(arms, s->columns, "jobs"));
    for (int a = 0; s->jobs[0] && a < s->jobs[0]->n_arms; a++) {
        const char *name = s->jobs[0]->arms[a]->name;
        char prefix[256];

        snprintf(prefix, sizeof prefix, "arms.%s.", name);
        if (find_arms(s, name, arms))
            OL_TRY(compare(s, arms, prefix));
    }
    return OL_OK;
}

/* --- the text ----------------------------------------------------------------------------------- */

static int widest(const sheet *s, int column)
{
    int most = 0, i = 0;

    for (const char *cell = s->cells.data; cell < s->cells.data + s->cells.size; cell = after(cell))
        if (i++ % s->columns == column && ol_text_columns(cell) > most)
            most = ol_text_columns(cell);
    return most;
}

/* A column a run. */
static ol_status write_table(const sheet *s, ol_text *out)
{
    const char *cell = s->cells.data;

    while (cell < s->cells.data + s->cells.size) {
        for (int c = 0; c < s->columns - 1; c++, cell = after(cell))
            OL_TRY(ol_text_cell(out, cell, widest(s, c) + 2, true));
        OL_TRY(ol_text_format(out, "%s\n", cell));
        cell = after(cell);
    }
    return ol_text_append(out, "\n", 1);
}

/* A line a run, where columns do not fit. */
static ol_status write_list(const sheet *s, const ol_report *r, int width, ol_text *out)
{
    const char *cell = s->cells.data;

    for (int c = 0; c < s->columns; c++)
        cell = after(cell);
    while (cell < s->cells.data + s->cells.size) {
        OL_TRY(ol_text_format(out, "%s\n", cell));
        for (int i = 0; i < r->n_runs; i++) {
            OL_AUTO_TEXT line = {0};

            cell = after(cell);
            OL_TRY(ol_text_format(&line, "%s: %s", r->runs[i].name, cell));
            OL_TRY(ol_text_append(out, "  ", 2));
            OL_TRY(ol_text_wrap(out, line.data, 4, width));
        }
        cell = after(cell);
    }
    return ol_text_append(out, "\n", 1);
}

/* The job of a run: what stands in its folder, or else in its first file. */
static const ol_job *job_of(const ol_report *r, int run)
{
    const ol_job *job = r->runs[run].job;

    for (int i = 0; i < r->n_learners && !job; i++)
        if (r->learners[i].run == run)
            job = r->learners[i].job;
    return job;
}

ol_status report_keys(const ol_report *r, int width, ol_text *out)
{
    OL_AUTO(finish_sheet) sheet s = {.columns = r->n_runs + 1};
    size_t names;
    int sum = 0;

    OL_TRY(OL_ALLOCATE(s.jobs, r->n_runs, "jobs"));
    OL_TRY(add_cell(&s, "", "key"));
    for (int i = 0; i < r->n_runs; i++) {
        OL_TRY(add_cell(&s, "", r->runs[i].name));
        s.jobs[i] = job_of(r, i);
        if (!s.jobs[i])
            OL_TRY(ol_text_format(out, "%s: no job.cfg that this version can read\n",
                                  r->runs[i].path));
    }
    names = s.cells.size;
    OL_TRY(compare(&s, s.jobs, ""));
    OL_TRY(compare_lists(&s));
    OL_TRY(compare_arms(&s));
    if (s.cells.size == names)
        return ol_text_format(out, "the jobs do not differ but for name and output\n\n");
    for (int c = 0; c < s.columns; c++)
        sum += widest(&s, c) + 2;
    OL_TRY(ol_text_format(out, "keys of the jobs that differ\n\n"));
    return sum - 2 <= width ? write_table(&s, out) : write_list(&s, r, width, out);
}
