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

/* Where an entry stands in the tables: the start, the folder's own metrics, then arms as the job has
 * them, then others. */
static int place_of(const char *name, const ol_job *job)
{
    int arm = 0;

    if (strcmp(name, "untrained") == 0)
        return -1;
    if (strcmp(name, "metrics.h5") == 0)
        return 0;
    while (job && arm < job->n_arms && strcmp(job->arms[arm]->name, name) != 0)
        arm++;
    return arm + 1;
}

static int compare_entries(const void *a, const void *b, void *job)
{
    const char *x = (*(struct dirent *const *)a)->d_name, *y = (*(struct dirent *const *)b)->d_name;
    const int by_place = place_of(x, job) - place_of(y, job);

    return by_place != 0 ? by_place : strverscmp(x, y);
}

static ol_status read_folder(ol_report *r, int run, const char *folder, int depth);

/* A metrics file, or a folder that can have some. */
static ol_status read_entry(ol_report *r, int run, const char *folder, const char *name, int depth)
{
    char path[PATH_MAX];

    OL_TRY(ol_path_format(path, "%s/%s", folder, name));
    if (strcmp(name, "metrics.h5") == 0)
        return ol_path_exists(path) ? report_read_metrics(r, run, path) : OL_OK;
    return depth < DEPTH && ol_path_is_folder(path) ? read_folder(r, run, path, depth + 1) : OL_OK;
}

static ol_status read_folder(ol_report *r, int run, const char *folder, int depth)
{
    struct dirent **entries = NULL;
    OL_AUTO_JOB *job = NULL;
    char path[PATH_MAX];
    ol_status status = OL_OK;
    int n;

    OL_TRY(ol_path_format(path, "%s/job.cfg", folder));
    (void)!ol_job_read_stored(path, &job); /* NULL of another version, too */
    n = scandir(folder, &entries, is_plain, NULL);
    if (n > 0)
        qsort_r(entries, (size_t)n, sizeof *entries, compare_entries, job);
    for (int i = 0; i < n; i++) {
        if (status == OL_OK)
            status = read_entry(r, run, folder, entries[i]->d_name, depth);
        free(entries[i]);
    }
    free(entries);
    if (depth > 0)
        return status;
    r->runs[run].job = job;
    job = NULL;
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

static ol_status read_run(ol_report *r, int number, const char *path)
{
    report_run *run = &r->runs[number];
    const int before = r->n_learners;

    OL_CHECK(ol_path_exists(path), OL_EDATA, "%s: there is no such file or folder", path);
    run->path = strdup(path);
    run->name = name_of(path);
    for (int i = 0; i < number && run->name; i++)
        if (strcmp(r->runs[i].name, run->name) == 0) { /* the whole path tells them apart */
            free(run->name);
            run->name = strdup(path);
            break;
        }
    OL_CHECK(run->path && run->name, OL_ENOMEM, "no memory for a run");
    OL_TRY(ol_path_is_folder(path) ? read_folder(r, number, path, 0)
                                   : report_read_metrics(r, number, path));
    OL_CHECK(r->n_learners > before, OL_EDATA,
             "%s: has no metrics.h5 with meta-steps or scores, itself or in its folders: "
             "name the output folder of a run, an arm's folder, or a metrics.h5",
             path);
    return OL_OK;
}

ol_status ol_report_open(const char *const *paths, int n, ol_report **out)
{
    OL_AUTO(ol_report_drop) ol_report *r = NULL;

    *out = NULL;
    OL_TRY(OL_ALLOCATE(r, 1, "reports"));
    OL_TRY(OL_ALLOCATE(r->runs, n, "runs"));
    r->n_runs = n;
    for (int i = 0; i < n; i++)
        OL_TRY(read_run(r, i, paths[i]));
    OL_TRY(report_summarise(r));
    return OL_GIVE(out, r);
}

static void finish_learner(report_learner *l)
{
    free(l->name);
    free(l->label);
    free(l->scores);
    free(l->details);
    free(l->trainings);
    free(l->job_text);
    ol_job_destroy(l->job);
    ol_stored_table_finish(&l->series);
}

static void finish_run(report_run *run)
{
    free(run->path);
    free(run->name);
    ol_job_destroy(run->job);
    for (int i = 0; i < REPORT_FACTS; i++)
        free(run->facts[i]);
}

void ol_report_close(ol_report *r)
{
    if (!r)
        return;
    for (int i = 0; i < r->n_learners; i++)
        finish_learner(&r->learners[i]);
    for (int i = 0; i < r->n_runs; i++)
        finish_run(&r->runs[i]);
    for (int i = 0; i < r->n_files; i++)
        ol_stored_table_finish(&r->tables[i]);
    free(r->tables);
    free(r->scored);
    free(r->rows);
    free(r->counts);
    free(r->subjects);
    free(r->stats);
    free(r->learners);
    free(r->runs);
    free(r);
}
