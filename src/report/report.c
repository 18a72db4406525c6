/* SPDX-License-Identifier: BSD-3-Clause */
/* Which files make a report, and what is in it. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_ALLOCATE */
#include "report_parts.h"

enum { DEPTH = 3 /* of folders below a run: arms, and their trainings */ };

/* --- folders ---------------------------------------------------------------------------------- */

static int is_plain(const struct dirent *entry)
{
    static const char *const others[] = {"suite", "checkpoints", "tune"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(entry->d_name, others[i]) == 0)
            return false;
    return entry->d_name[0] != '.';
}

/* Where a folder stands in the tables: the start, then arms as the job has them, then others. */
static int place_of(const char *name, const ol_job *job)
{
    if (strcmp(name, "untrained") == 0)
        return -1;
    for (int i = 0; job && i < job->n_arms; i++)
        if (strcmp(job->arms[i]->name, name) == 0)
            return i;
    return job ? job->n_arms : 0;
}

static int compare_entries(const void *a, const void *b, void *job)
{
    const char *x = (*(struct dirent *const *)a)->d_name, *y = (*(struct dirent *const *)b)->d_name;
    const int by_place = place_of(x, job) - place_of(y, job);

    return by_place != 0 ? by_place : strverscmp(x, y);
}

static ol_job *read_job(const char *folder)
{
    char path[PATH_MAX];
    ol_job *job = NULL;

    if (ol_path_format(path, "%s/job.cfg", folder) == OL_OK && ol_path_exists(path))
        (void)!ol_job_read_stored(path, &job);
    return job;
}

static ol_status read_folder(ol_report *r, int run, const char *folder, int depth)
{
    OL_AUTO_JOB *job = read_job(folder);
    struct dirent **entries = NULL;
    char path[PATH_MAX];
    ol_status status = OL_OK;
    int n;

    OL_TRY(ol_path_format(path, "%s/metrics.h5", folder));
    if (ol_path_exists(path))
        OL_TRY(report_read_metrics(r, run, path));
    if (depth == DEPTH)
        return OL_OK;
    n = scandir(folder, &entries, is_plain, NULL);
    if (n > 0)
        qsort_r(entries, (size_t)n, sizeof *entries, compare_entries, job);
    for (int i = 0; i < n; i++) {
        if (status == OL_OK)
            status = ol_path_format(path, "%s/%s", folder, entries[i]->d_name);
        if (status == OL_OK && ol_path_is_folder(path))
            status = read_folder(r, run, path, depth + 1);
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* --- runs ------------------------------------------------------------------------------------- */

/* The last word of a path, "runs/quickstart/" being quickstart. */
static char *name_of(const char *path)
{
    size_t end = strlen(path), begin;

    while (end > 1 && path[end - 1] == '/')
        end--;
    if (end > 11 && strncmp(path + end - 11, "/metrics.h5", 11) == 0)
        end -= 11;
    for (begin = end; begin > 0 && path[begin - 1] != '/'; begin--)
        ;
    return strndup(path + begin, end - begin);
}

static ol_status read_run(ol_report *r, const char *path)
{
    report_run *run = &r->runs[r->n_runs];
    const int before = r->n_learners;

    OL_CHECK(ol_path_exists(path), OL_EDATA, "%s: there is no such file or folder", path);
    run->path = strdup(path);
    run->name = name_of(path);
    OL_CHECK(run->path && run->name, OL_ENOMEM, "no memory for a run");
    for (int i = 0; i < r->n_runs; i++)
        if (strcmp(r->runs[i].name, run->name) == 0) { /* the whole path tells them apart */
            free(run->name);
            run->name = strdup(path);
            OL_CHECK(run->name, OL_ENOMEM, "no memory for a run");
            break;
        }
    r->n_runs++;
    if (ol_path_is_folder(path)) {
        run->job = read_job(path);
        OL_TRY(read_folder(r, r->n_runs - 1, path, 0));
    } else {
        OL_TRY(report_read_metrics(r, r->n_runs - 1, path));
    }
    OL_CHECK(r->n_learners > before, OL_EDATA,
             "%s: has no metrics.h5 with meta-steps or scores, itself or in its folders: "
             "name the output folder of a run, an arm's folder, or a metrics.h5",
             path);
    return OL_OK;
}

static ol_status make_labels(ol_report *r)
{
    for (int i = 0; i < r->n_learners; i++) {
        report_learner *l = &r->learners[i];
        ol_text text = {0};

        l->color = i % 10;
        if (r->n_runs > 1)
            OL_TRY(ol_text_format(&text, "%s/", r->runs[l->run].name));
        OL_TRY(ol_text_format(&text, "%s", l->name));
        l->label = text.data;
    }
    return OL_OK;
}

ol_status ol_report_open(const char *const *paths, int n, ol_report **out)
{
    OL_AUTO(ol_report_drop) ol_report *r = NULL;

    *out = NULL;
    OL_TRY(OL_ALLOCATE(r, 1, "reports"));
    OL_TRY(OL_ALLOCATE(r->runs, n + 1, "runs"));
    for (int i = 0; i < n; i++)
        OL_TRY(read_run(r, paths[i]));
    OL_TRY(make_labels(r));
    OL_TRY(report_summarise(r));
    return OL_GIVE(out, r);
}

static void finish_learner(report_learner *l)
{
    free(l->name);
    free(l->label);
    free(l->scores);
    free(l->tallies);
    free(l->trainings);
    free(l->job_text);
    ol_job_destroy(l->job);
    ol_stored_table_finish(&l->series);
}

void ol_report_close(ol_report *r)
{
    if (!r)
        return;
    for (int i = 0; i < r->n_learners; i++)
        finish_learner(&r->learners[i]);
    for (int i = 0; r->runs && i <= r->n_runs && r->runs[i].path; i++) {
        free(r->runs[i].path);
        free(r->runs[i].name);
        ol_job_destroy(r->runs[i].job);
        for (int k = 0; k < REPORT_FACTS; k++)
            free(r->runs[i].facts[k]);
    }
    for (int i = 0; i < r->words.n; i++)
        free(r->words.items[i]);
    free(r->words.items);
    free(r->scored);
    free(r->counts);
    free(r->subjects);
    free(r->stats);
    free(r->learners);
    free(r->runs);
    free(r);
}
