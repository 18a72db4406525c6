/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "outerloop/base/file.h"
#include "outerloop/base/log.h"
#include "outerloop/base/size.h" /* OL_GROW */
#include "outerloop/report/report.h"

struct options {
    ol_cli_words runs;
    const char *html, *json, *csv, *latex, *samples;
};

/* A document into a file; "-" is standard output. */
static ol_status write_document(const ol_report *report, const char *path,
                                ol_status (*make)(const ol_report *, ol_text *))
{
    OL_AUTO_TEXT text = {0};

    if (!path)
        return OL_OK;
    OL_TRY(make(report, &text));
    if (strcmp(path, "-") == 0) {
        ol_log_print(text.data, text.size);
        return OL_OK;
    }
    OL_TRY(ol_write_file(path, text.data, text.size));
    ol_cli_say("wrote %s\n", path);
    return OL_OK;
}

/* results.json in the folder of the page, unless a name is given. */
static ol_status write_json(const ol_report *report, const struct options *o)
{
    char path[PATH_MAX];
    const char *slash;

    if (o->json || !o->html || strcmp(o->html, "-") == 0)
        return write_document(report, o->json, ol_report_json);
    slash = strrchr(o->html, '/');
    OL_TRY(
        ol_path_format(path, "%.*sresults.json", slash ? (int)(slash + 1 - o->html) : 0, o->html));
    return write_document(report, path, ol_report_json);
}

static ol_status write_samples(const ol_report *report, const char *folder)
{
    int files, prompts;

    if (!folder)
        return OL_OK;
    OL_TRY(ol_report_samples(report, folder, &files, &prompts));
    ol_cli_say("wrote %d files %s/samples_*.jsonl, %s\n", files, folder,
               prompts == files ? "with prompts"
               : prompts == 0   ? "without prompts: the run's task files are not where they were"
                                : "not all with prompts: some task files are not where they were");
    return OL_OK;
}

static bool to_stdout(const struct options *o)
{
    const char *const paths[] = {o->html, o->json, o->csv, o->latex};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (paths[i] && strcmp(paths[i], "-") == 0)
            return true;
    return false;
}

static bool has(const char *folder, const char *name)
{
    char path[PATH_MAX];

    return ol_path_format(path, "%s/%s", folder, name) == OL_OK && ol_path_exists(path);
}

/* Folders of runs; zero is empty. */
typedef struct paths {
    char **items; /* [n], owned */
    size_t n;
} paths;

static void finish_paths(paths *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->items[i]);
    free(p->items);
}

static ol_status add(const char *path, paths *runs)
{
    OL_TRY(OL_GROW(runs->items, runs->n, "runs"));
    runs->items[runs->n] = strdup(path);
    OL_CHECK(runs->items[runs->n], OL_ENOMEM, "no memory for a run");
    runs->n++;
    return OL_OK;
}

/* The runs in a folder: itself, or those below one that is none, as a sweep's elements lie together.
 * Taken for one they would be trainings of one learner, though their settings differ. What only a run
 * has below itself tells one that has lost its job.cfg. */
static ol_status add_runs(const char *path, paths *runs)
{
    const size_t before = runs->n;
    struct dirent **entries = NULL;
    bool is_run = has(path, "job.cfg") || has(path, "metrics.h5");
    const int n = is_run ? 0 : scandir(path, &entries, NULL, versionsort);
    ol_status status = OL_OK;

    for (int i = 0; i < n; i++)
        is_run = is_run || strcmp(entries[i]->d_name, "untrained") == 0 ||
                 strncmp(entries[i]->d_name, "seed-", 5) == 0;
    for (int i = 0; i < n; i++) {
        char below[PATH_MAX];

        if (status == OL_OK && !is_run && entries[i]->d_name[0] != '.') {
            status = ol_path_format(below, "%s/%s", path, entries[i]->d_name);
            if (status == OL_OK && has(below, "job.cfg"))
                status = add(below, runs);
        }
        free(entries[i]);
    }
    free(entries);
    return status == OL_OK && runs->n == before ? add(path, runs) : status;
}

static ol_status report_runs(const struct options *o)
{
    OL_AUTO(ol_report_drop) ol_report *report = NULL;
    OL_AUTO(finish_paths) paths runs = {0};
    OL_AUTO_TEXT text = {0};

    for (size_t i = 0; i < o->runs.n; i++)
        OL_TRY(add_runs(o->runs.items[i], &runs));
    OL_TRY(ol_report_open((const char *const *)runs.items, (int)runs.n, &report));
    if (!to_stdout(o)) {
        OL_TRY(ol_report_text(report, ol_log_columns(STDOUT_FILENO), &text));
        ol_log_print(text.data, text.size);
    }
    OL_TRY(write_document(report, o->html, ol_report_html));
    OL_TRY(write_json(report, o));
    OL_TRY(write_document(report, o->csv, ol_report_csv));
    OL_TRY(write_document(report, o->latex, ol_report_latex));
    return write_samples(report, o->samples);
}

int ol_cmd_report(int argc, char **argv)
{
    struct options o = {0};
    const ol_cli_option options[] = {
        {"out", 'o', "FILE.html", "write a page that stands alone, and results.json beside it",
         .text = &o.html, .writes = true},
        {"json", 0, "FILE", "write results with lm-evaluation-harness's keys", .text = &o.json,
         .writes = true},
        {"csv", 0, "FILE", "write the tables as CSV", .text = &o.csv, .writes = true},
        {"latex", 0, "FILE", "write the tables as LaTeX", .text = &o.latex, .writes = true},
        {"samples", 0, "FOLDER",
         "write every prediction with its prompts, as samples_LEARNER_TASK.jsonl",
         .text = &o.samples},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .args = "RUN...",
        .words = &o.runs,
        .thing = "run",
        .which = "The output folder of one, or of several",
        .doc = "Tell what runs came to: curves of training, scores of each task, differences "
               "between learners, and the final table.\v"
               "RUN is the output folder of a job, the folder of an arm, a metrics.h5, or a folder "
               "with runs in it, as a sweep's; several make one table. A FILE of - is standard "
               "output, and then nothing else is printed. "
               "docs/results-in-python.md, installed as " OL_DOC
               "/docs/results-in-python.md, has recipes for what is not in here.",
    };
    int code;

    ol_cli_read(&syntax, argc, argv);
    code = ol_cli_finish(report_runs(&o), false);
    free(o.runs.items);
    return code;
}
