/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/record/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outerloop/base/child.h"       /* ol_child_run */
#include "outerloop/base/log.h"         /* ol_log_warn */
#include "outerloop/base/text.h"        /* ol_text */
#include "outerloop/store/archive.h"    /* ol_archive */
#include "outerloop/store/checkpoint.h" /* ol_checkpoint_newest */

ol_status ol_run_folder_name(const char *output, ol_run_folder *folder)
{
    folder->claim = (ol_run_claim){0};
    OL_TRY(ol_path_format(folder->path, "%s", output));
    OL_TRY(ol_path_format(folder->job, "%s/job.cfg", output));
    OL_TRY(ol_path_format(folder->metrics, "%s/metrics.h5", output));
    OL_TRY(ol_path_format(folder->journal, "%s/metrics.jsonl", output));
    OL_TRY(ol_path_format(folder->checkpoints, "%s/checkpoints", output));
    return ol_path_format(folder->log, "%s/log.txt", output);
}

ol_status ol_run_folder_members(const ol_job *job, ol_text *names)
{
    OL_TRY(ol_text_format(names, "checkpoints\nsuite\ntune\nuntrained\n"));
    for (int i = 0; i < job->train_seeds.n; i++)
        OL_TRY(ol_text_format(names, "seed-%d\n", job->train_seeds.items[i]));
    for (int i = 0; i < job->n_arms && job->train_seeds.n == 0; i++)
        OL_TRY(ol_text_format(names, "%s\n", job->arms[i]->name));
    return OL_OK;
}

static bool same_ints(const ol_conf_ints *a, const ol_conf_ints *b)
{
    return a->n == b->n && memcmp(a->items, b->items, (size_t)a->n * sizeof a->items[0]) == 0;
}

/* True when the stored scores of `before` are those that `job` would make from the same weights. */
static bool same_evaluation(const ol_job *job, const ol_job *before)
{
    const unsigned scored = OL_STAGE_EVAL | OL_STAGE_ADAPT;
    const ol_job_eval *a = &job->eval, *b = &before->eval;

    return (job->stages & scored) == (before->stages & scored) && same_ints(&a->seeds, &b->seeds) &&
           a->shots == b->shots && a->adapt_rows == b->adapt_rows &&
           same_ints(&a->adapt_steps, &b->adapt_steps) &&
           ol_job_adapt_lr(job) == ol_job_adapt_lr(before) && a->rows == b->rows;
}

/* Is the checkpoint of that name whole and the job's? */
static bool is_own(const char *folder, const char *name, const ol_job *job)
{
    char path[PATH_MAX];
    OL_AUTO_CHECKPOINT *file = NULL;

    return ol_path_format(path, "%s/%s", folder, name) == OL_OK &&
           ol_checkpoint_open(path, &file) == OL_OK &&
           ol_job_same_run(job, path, ol_checkpoint_head(file)->job,
                           strlen(ol_checkpoint_head(file)->job)) == OL_OK;
}

/* Meta-step of the newest checkpoint by name; 0 when there is none. One of more meta-steps than are
 * asked for is looked at: a refusal is about to follow from it. */
static int64_t newest_step(const char *checkpoints, const ol_job *job)
{
    DIR *folder = opendir(checkpoints);
    const struct dirent *entry;
    int64_t newest = 0;

    while (folder && (entry = readdir(folder))) {
        int64_t step;
        int end = 0;

        if (sscanf(entry->d_name, "step-%" SCNd64 ".h5%n", &step, &end) == 1 && end > 0 &&
            entry->d_name[end] == '\0' && step > newest &&
            (step <= job->train.steps || is_own(checkpoints, entry->d_name, job)))
            newest = step;
    }
    if (folder)
        closedir(folder);
    return newest;
}

static ol_status compare_jobs(ol_run_folder *folder, const ol_job *job, const char *text,
                              size_t size)
{
    ol_run_claim *claim = &folder->claim;
    OL_AUTO_JOB *before = NULL;

    OL_TRY(ol_job_same_run(job, folder->job, text, size));
    OL_TRY(ol_job_read_text(folder->job, text, size, &before));
    claim->same_evaluation = same_evaluation(job, before);
    claim->steps = before->train.steps;
    claim->step = newest_step(folder->checkpoints, job);
    OL_CHECK(
        !(job->stages & OL_STAGE_TRAIN) || claim->step <= job->train.steps, OL_EUSAGE,
        "%s: this run has made %lld meta-steps, and train.steps now asks it for %d (an arm for as "
        "many as cost the same): raise it, or choose another folder with --set output=...",
        folder->path, (long long)claim->step, job->train.steps);
    claim->finished = claim->same_evaluation &&
                      (!(job->stages & OL_STAGE_TRAIN) || claim->step == job->train.steps);
    return OL_OK;
}

/* The job as a checkpoint has it. *text is the caller's. */
static ol_status job_of_checkpoint(const char *path, char **text)
{
    OL_AUTO_CHECKPOINT *file = NULL;

    OL_TRY(ol_checkpoint_open(path, &file));
    *text = strdup(ol_checkpoint_head(file)->job);
    OL_CHECK(*text, OL_ENOMEM, "%s: no memory for its job", path);
    return OL_OK;
}

enum { MOST_TEXT = 1 << 18 };
static const ol_child_limits metrics_limits = {.seconds = 10, .memory = (size_t)1 << 30};

/* An ol_child_work: the job as metrics.h5 has it, which may be damaged too. */
static ol_status read_metrics_job(void *payload, void *answer)
{
    const char *path = payload;
    OL_AUTO_ARCHIVE *file = NULL;
    OL_AUTO_FREE char *text = NULL;

    OL_TRY(ol_archive_open(path, &file));
    OL_TRY(ol_archive_read_text(file, "job", &text));
    OL_CHECK(strlen(text) < MOST_TEXT, OL_EDATA, "%s: its job is too long", path);
    strcpy(answer, text);
    return OL_OK;
}

static ol_status job_of_metrics(char *path, char **text)
{
    *text = calloc(1, MOST_TEXT);
    OL_CHECK(*text, OL_ENOMEM, "%s: no memory for its job", path);
    return ol_child_run(read_metrics_job, path, metrics_limits, path, *text, MOST_TEXT);
}

/* The job of the results in a folder, and which file has it. */
static ol_status job_of_results(const ol_run_folder *folder, char **text, char from[PATH_MAX])
{
    int64_t step;

    OL_TRY(ol_checkpoint_newest(folder->checkpoints, NULL, NULL, from, &step));
    if (from[0])
        return job_of_checkpoint(from, text);
    OL_TRY(ol_path_format(from, "%s", folder->metrics));
    return job_of_metrics(from, text);
}

/* The arms of a job know whose they are. *any: one of them has begun. */
static bool arms_are_ours(const ol_job *job, bool *any)
{
    *any = false;
    for (int i = 0; i < job->n_arms; i++) {
        ol_run_folder folder;

        if (ol_run_folder_own(ol_job_arm(job, i), true, &folder) != OL_OK)
            return false;
        *any = *any || folder.claim.continues;
    }
    return true;
}

/* Is job.cfg none that can be read? */
static bool is_damaged(const ol_run_folder *folder)
{
    OL_AUTO_JOB *job = NULL;

    return ol_job_read_stored(folder->job, &job) != OL_OK;
}

/* When job.cfg does not say that the folder is the job's: what else there is says so? `reason` is
 * why job.cfg does not. */
static bool restore_claim(ol_run_folder *folder, const ol_job *job, bool has_results,
                          const char *reason)
{
    ol_run_claim *claim = &folder->claim;
    OL_AUTO_FREE char *text = NULL;
    char from[PATH_MAX] = "";
    bool ours, any;

    if (has_results) {
        ours = job_of_results(folder, &text, from) == OL_OK &&
               compare_jobs(folder, job, text, strlen(text)) == OL_OK;
    } else {
        ours = arms_are_ours(job, &any) && (any || is_damaged(folder));
        *claim = (ol_run_claim){.same_evaluation = true, .steps = job->train.steps};
        snprintf(from, sizeof from, "this job");
    }
    if (!ours)
        return false;
    claim->continues = true;
    claim->finished = false;
    if (ol_path_exists(folder->job))
        snprintf(claim->restored, sizeof claim->restored,
                 "%s is damaged: it is written anew from %s (%s)", folder->job, from, reason);
    else
        snprintf(claim->restored, sizeof claim->restored,
                 "%s is missing: it is written anew from %s", folder->job, from);
    return true;
}

/* The run in a folder, as its job.cfg tells of it. */
static ol_status read_claim(ol_run_folder *folder, const ol_job *job)
{
    OL_AUTO_FREE char *text = NULL;
    size_t size = 0;

    OL_CHECK(ol_path_exists(folder->job), OL_EUSAGE,
             "%s: holds results but no job.cfg that tells of which job: choose another folder with "
             "--set output=...",
             folder->path);
    OL_TRY(ol_read_file(folder->job, &text, &size));
    OL_TRY(compare_jobs(folder, job, text, size));
    folder->claim.continues = true;
    return OL_OK;
}

ol_status ol_run_folder_own(const ol_job *job, bool resume, ol_run_folder *folder)
{
    OL_TRY(ol_run_folder_name(job->output, folder));
    return ol_run_folder_claim(folder, job, resume);
}

ol_status ol_run_folder_claim(ol_run_folder *folder, const ol_job *job, bool resume)
{
    const bool has_job = ol_path_exists(folder->job);
    const bool has_results = ol_path_exists(folder->metrics) || ol_path_exists(folder->checkpoints);
    char reason[1024];
    ol_status status;

    folder->claim = (ol_run_claim){0};
    OL_CHECK(!ol_path_exists(folder->path) || ol_path_is_folder(folder->path), OL_EUSAGE,
             "%s: is a file, and the output must be a folder: choose another with --set output=...",
             folder->path);
    if (!has_job && !has_results)
        return OL_OK;
    OL_CHECK(resume || !has_job, OL_EUSAGE,
             "%s: holds a run already: go on with it by --resume, or choose another folder with "
             "--set output=...",
             folder->path);
    status = read_claim(folder, job);
    if (status == OL_OK)
        return OL_OK;
    snprintf(reason, sizeof reason, "%.1023s", ol_status_message());
    if (resume && restore_claim(folder, job, has_results, reason))
        return OL_OK;
    folder->claim = (ol_run_claim){0};
    return ol_fail(status, "%s", reason);
}

/* A file, or a folder with all that is in it. */
static ol_status remove_leftover(void *payload, const char *path)
{
    (void)payload;
    OL_CHECK(ol_remove_all(path), OL_EIO, "%s: cannot remove: %s", path, strerror(errno));
    return OL_OK;
}

/* What writers that were killed left behind. */
static ol_status sweep(const char *folder)
{
    static const char *const patterns[] = {"*.tmp-[0-9]*", "*.rebuild-[0-9]*",
                                           ".write-test-[0-9]*"};

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        OL_TRY(ol_each_file(folder, patterns[i], remove_leftover, NULL));
    return OL_OK;
}

static ol_status cannot_write(const ol_run_folder *folder, int error)
{
    return ol_fail(OL_EIO,
                   "%s: cannot write there: %s; choose another folder with --set output=...",
                   folder->path, strerror(error));
}

ol_status ol_run_folder_check(const ol_run_folder *folder)
{
    OL_TRY(ol_check_folders(folder->path));
    if (ol_path_exists(folder->path) && access(folder->path, W_OK | X_OK) != 0)
        return cannot_write(folder, errno);
    return OL_OK;
}

ol_status ol_run_folder_make(const ol_run_folder *folder)
{
    char probe[PATH_MAX];
    int file;

    OL_TRY(ol_make_folders(folder->path));
    OL_TRY(ol_path_format(probe, "%s/.write-test-%ld", folder->path, (long)getpid()));
    file = open(probe, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0)
        return cannot_write(folder, errno);
    close(file);
    unlink(probe);
    OL_TRY(sweep(folder->path));
    return sweep(folder->checkpoints);
}
