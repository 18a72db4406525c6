/* SPDX-License-Identifier: BSD-3-Clause */
/* The metrics of a folder, read by a child, checked or rebuilt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect_parts.h"
#include "outerloop/base/file.h" /* ol_path_format */
#include "outerloop/run/job.h"   /* ol_job */
#include "outerloop/run/metrics.h"

/* The text of the job that they are of: the journal's, or the folder's. NULL when neither has one. */
static ol_status job_text(const char *path, char **text)
{
    const char *slash = strrchr(path, '/');
    char file[PATH_MAX];
    size_t size;

    OL_TRY(ol_tables_job(path, text));
    OL_TRY(ol_path_format(file, "%.*sjob.cfg", slash ? (int)(slash - path) + 1 : 0, path));
    if (!*text && ol_path_exists(file))
        return ol_read_file(file, text, &size);
    return OL_OK;
}

/* The tables of a job; NULL when it cannot be read. */
static ol_status tables_of(const char *text, ol_metric_tables **tables)
{
    ol_job *job = NULL;
    ol_learner_spec learner;
    ol_status status;

    *tables = NULL;
    if (!text || ol_job_read_text("job", text, strlen(text), &job) != OL_OK)
        return OL_OK;
    learner = ol_job_learner_spec(job);
    status = ol_metric_tables_create(ol_learner_steps(&learner), tables);
    ol_job_destroy(job);
    return status;
}

/* Each line of a text behind a word. */
static ol_status add_lines(ol_text *out, const char *word, const ol_text *text)
{
    for (const char *at = text->data; at && *at;) {
        const size_t n = strcspn(at, "\n");

        OL_TRY(ol_text_format(out, "  %-7s %.*s\n", word, (int)n, at));
        at += n + (at[n] == '\n');
    }
    return OL_OK;
}

/* Count a file, and keep the first thing that is wrong. */
static void count(inspection *s, bool whole, const ol_text *broken)
{
    s->checked++;
    if (!whole && s->broken++ == 0 && broken->data)
        snprintf(s->first, sizeof s->first, "%.*s", (int)strcspn(broken->data, "\n"), broken->data);
}

static ol_status check(inspection *s, const char *path, bool alone, const ol_metric_tables *tables,
                       ol_tables_report *r)
{
    const bool compares = s->check && tables;

    OL_TRY(ol_tables_check(path, tables ? ol_metric_tables_specs(tables) : NULL,
                           compares ? OL_TABLES : 0, r));
    if (!s->check && r->metrics)
        return OL_OK;
    if (compares && (r->journal || !alone))
        count(s, r->journal, &r->broken);
    count(s, r->metrics, &r->broken);
    if (!(alone && compares && !r->journal && r->metrics && r->rows == 0))
        OL_TRY(add_lines(s->out, "BROKEN", &r->broken));
    OL_TRY(add_lines(s->out, "note", &r->notes));
    if (r->metrics)
        OL_TRY(ol_text_format(s->out, "  whole   %s: every row read\n", path));
    if (compares && r->journal)
        OL_TRY(ol_text_format(s->out, "  whole   %.*s.jsonl: %lld rows, every sum holds\n",
                              (int)strlen(path) - 3, path, (long long)r->rows));
    return OL_OK;
}

static ol_status rebuild(inspection *s, const char *path, const char *job,
                         const ol_metric_tables *tables, ol_tables_report *r)
{
    const ol_run_record record = {.version = OL_VERSION, .job = job};

    OL_CHECK(
        tables, OL_EDATA,
        "%s: cannot be rebuilt: neither its journal nor a job.cfg beside it tells of which job",
        path);
    OL_TRY(ol_tables_rebuild(path, ol_metric_tables_specs(tables), OL_TABLES, &record, r));
    OL_TRY(add_lines(s->out, "found", &r->broken));
    OL_TRY(add_lines(s->out, "note", &r->notes));
    OL_TRY(ol_text_format(s->out, "  rebuilt %s: %lld rows\n", path, (long long)r->rows));
    count(s, r->lost == 0, &r->broken);
    return OL_OK;
}

ol_status ol_inspect_tables(inspection *s, const char *path, bool alone, bool *readable)
{
    ol_tables_report report = {0};
    ol_metric_tables *tables = NULL;
    char *job = NULL, journal[PATH_MAX];
    ol_status status;

    *readable = false;
    OL_TRY(ol_path_format(journal, "%.*s.jsonl", (int)strlen(path) - 3, path));
    if (!ol_path_exists(path) && !(ol_path_exists(journal) && s->how != OL_INSPECT_LOOK))
        return OL_OK;
    status = job_text(path, &job);
    if (status == OL_OK)
        status = tables_of(job, &tables);
    if (status == OL_OK && s->how == OL_INSPECT_REBUILD)
        status = rebuild(s, path, job, tables, &report);
    else if (status == OL_OK)
        status = check(s, path, alone, tables, &report);
    *readable = status == OL_OK && (report.metrics || s->how == OL_INSPECT_REBUILD);
    ol_tables_report_finish(&report);
    ol_metric_tables_destroy(tables);
    free(job);
    return status;
}
