/* SPDX-License-Identifier: BSD-3-Clause */
/* The metrics of a folder, read by a child, checked or rebuilt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect_parts.h"
#include "outerloop/base/file.h" /* ol_path_format */
#include "outerloop/job/job.h"   /* ol_job */
#include "outerloop/record/metrics.h"
#include "outerloop/store/checkpoint.h" /* ol_checkpoint_run */

/* The text of the job that they are of: the journal's, or the folder's. NULL when neither has one. */
static ol_status job_text(const char *path, char **text)
{
    char folder[PATH_MAX], file[PATH_MAX];
    size_t size;

    OL_TRY(ol_tables_job(path, text));
    OL_TRY(ol_path_folder(path, folder));
    OL_TRY(ol_path_format(file, "%s/job.cfg", folder));
    if (!*text && ol_path_exists(file))
        return ol_read_file(file, text, &size);
    return OL_OK;
}

/* Which run the checkpoints beside it say that it is; "" where they do not. */
static ol_status run_of(const char *path, char run_id[OL_CHECKPOINT_RUN_ID])
{
    char folder[PATH_MAX], checkpoints[PATH_MAX];

    OL_TRY(ol_path_folder(path, folder));
    OL_TRY(ol_path_format(checkpoints, "%s/checkpoints", folder));
    return ol_checkpoint_run(checkpoints, run_id);
}

/* The tables of a job; NULL when it cannot be read. */
static ol_status tables_of(const char *text, ol_metric_tables **tables)
{
    OL_AUTO_JOB *job = NULL;
    ol_learner_spec learner;

    if (!text || ol_job_read_text("job", text, strlen(text), &job) != OL_OK)
        return OL_OK;
    learner = ol_job_learner_spec(job);
    return ol_metric_tables_create(ol_learner_steps(&learner), tables);
}

/* Each line of a text behind a word. */
static ol_status add_lines(ol_text *out, const char *word, const ol_text *text)
{
    size_t n;

    for (const char *at = text->data, *line; (line = ol_text_line(&at, &n));)
        OL_TRY(ol_text_format(out, "  %-7s %.*s\n", word, (int)n, line));
    return OL_OK;
}

static ol_status check(inspection *s, const char *path, bool alone, const ol_metric_tables *tables,
                       const char *run_id, ol_tables_report *r)
{
    const bool compares = s->check && tables;

    OL_TRY(ol_tables_check(path, tables ? ol_metric_tables_specs(tables) : NULL,
                           compares ? OL_TABLES : 0, run_id, r));
    if (!s->check && r->metrics)
        return OL_OK;
    if (compares && r->journal)
        s->rows_to = r->last > 0 ? r->last : 0;
    if (compares && (r->journal || !alone))
        ol_inspect_count(s, r->journal, r->broken.data);
    ol_inspect_count(s, r->metrics, r->broken.data);
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
                         const ol_metric_tables *tables, const char *run_id, ol_tables_report *r)
{
    const ol_run_record record = {.version = OL_VERSION, .job = job};

    OL_CHECK(
        tables, OL_EDATA,
        "%s: cannot be rebuilt: neither its journal nor a job.cfg beside it tells of which job",
        path);
    OL_TRY(ol_tables_rebuild(path, ol_metric_tables_specs(tables), OL_TABLES, &record, run_id, r));
    OL_TRY(add_lines(s->out, "found", &r->broken));
    OL_TRY(add_lines(s->out, "note", &r->notes));
    OL_TRY(ol_text_format(s->out, "  rebuilt %s: %lld rows\n", path, (long long)r->rows));
    ol_inspect_count(s, r->lost == 0, r->broken.data);
    s->rows_to = r->last > 0 ? r->last : 0;
    return OL_OK;
}

static ol_status describe(inspection *s, const char *path, bool with_job)
{
    OL_AUTO_ARCHIVE *archive = NULL;
    OL_AUTO_FREE char *job = NULL;

    OL_TRY(ol_archive_open(path, &archive));
    OL_TRY(ol_inspect_file(s->out, "metrics", path));
    if (with_job && ol_archive_has(archive, "job")) {
        OL_TRY(ol_archive_read_text(archive, "job", &job));
        OL_TRY(ol_inspect_job(job, s->out));
    }
    OL_TRY(ol_inspect_training(archive, s->out));
    return ol_score_book_add(&s->book, archive);
}

ol_status ol_inspect_tables(inspection *s, const char *path, bool alone, bool with_job)
{
    OL_AUTO(ol_tables_report_finish) ol_tables_report report = {0};
    OL_AUTO(ol_metric_tables_drop) ol_metric_tables *tables = NULL;
    OL_AUTO_FREE char *job = NULL;
    char journal[PATH_MAX], run[OL_CHECKPOINT_RUN_ID];
    const char *run_id;
    ol_status status;

    OL_TRY(ol_path_format(journal, "%.*s.jsonl", (int)strlen(path) - 3, path));
    s->has_rows = ol_path_exists(path) || ol_path_exists(journal);
    s->rows_to = s->has_rows ? -1 : 0;
    if (!ol_path_exists(path) && !(ol_path_exists(journal) && s->how != OL_INSPECT_LOOK))
        return OL_OK;
    OL_TRY(job_text(path, &job));
    OL_TRY(tables_of(job, &tables));
    OL_TRY(run_of(path, run));
    run_id = run[0] ? run : NULL;
    OL_TRY(s->how == OL_INSPECT_REBUILD ? rebuild(s, path, job, tables, run_id, &report)
                                        : check(s, path, alone, tables, run_id, &report));
    if (!report.metrics && s->how != OL_INSPECT_REBUILD)
        return OL_OK;
    status = describe(s, path, with_job);
    return status == OL_EDATA ? ol_inspect_broken(s, path) : status;
}
