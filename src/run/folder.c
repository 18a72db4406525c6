/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outerloop/base/text.h" /* ol_text */

ol_status ol_run_folder_name(const char *output, ol_run_folder *folder)
{
    OL_TRY(ol_path_format(folder->path, "%s", output));
    OL_TRY(ol_path_format(folder->job, "%s/job.cfg", output));
    OL_TRY(ol_path_format(folder->metrics, "%s/metrics.h5", output));
    OL_TRY(ol_path_format(folder->journal, "%s/metrics.jsonl", output));
    OL_TRY(ol_path_format(folder->checkpoints, "%s/checkpoints", output));
    return ol_path_format(folder->log, "%s/log.txt", output);
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

/* Meta-step of the newest checkpoint by name; 0 when there is none. */
static int64_t newest_step(const char *checkpoints)
{
    DIR *folder = opendir(checkpoints);
    const struct dirent *entry;
    int64_t newest = 0;

    while (folder && (entry = readdir(folder))) {
        int64_t step;
        int end = 0;

        if (sscanf(entry->d_name, "step-%" SCNd64 ".h5%n", &step, &end) == 1 && end > 0 &&
            entry->d_name[end] == '\0' && step > newest)
            newest = step;
    }
    if (folder)
        closedir(folder);
    return newest;
}

static ol_status compare_jobs(const ol_run_folder *folder, const ol_job *job, const char *text,
                              size_t size, ol_run_claim *claim)
{
    ol_job *before = NULL;

    OL_TRY(ol_job_same_run(job, folder->job, text, size));
    OL_TRY(ol_job_read_text(folder->job, text, size, &before));
    claim->same_evaluation = same_evaluation(job, before);
    claim->steps = before->train.steps;
    ol_job_destroy(before);
    claim->step = newest_step(folder->checkpoints);
    OL_CHECK(
        !(job->stages & OL_STAGE_TRAIN) || claim->step <= job->train.steps, OL_EUSAGE,
        "%s: this run has made %lld meta-steps, and train.steps now asks it for %d (an arm for as "
        "many as cost the same): raise it, or choose another folder with --set output=...",
        folder->path, (long long)claim->step, job->train.steps);
    claim->finished = claim->same_evaluation &&
                      (!(job->stages & OL_STAGE_TRAIN) || claim->step == job->train.steps);
    return OL_OK;
}

ol_status ol_run_folder_claim(const ol_run_folder *folder, const ol_job *job, bool resume,
                              ol_run_claim *claim)
{
    const bool has_job = ol_path_exists(folder->job);
    const bool has_results = ol_path_exists(folder->metrics) || ol_path_exists(folder->checkpoints);
    char *text = NULL;
    size_t size = 0;
    ol_status status;

    *claim = (ol_run_claim){0};
    OL_CHECK(!ol_path_exists(folder->path) || ol_path_is_folder(folder->path), OL_EUSAGE,
             "%s: is a file, and the output must be a folder: choose another with --set output=...",
             folder->path);
    if (!has_job && !has_results)
        return OL_OK;
    OL_CHECK(has_job, OL_EUSAGE,
             "%s: holds results but no job.cfg that tells of which job: choose another folder with "
             "--set output=...",
             folder->path);
    OL_CHECK(resume, OL_EUSAGE,
             "%s: holds a run already: go on with it by --resume, or choose another folder with "
             "--set output=...",
             folder->path);
    OL_TRY(ol_read_file(folder->job, &text, &size));
    status = compare_jobs(folder, job, text, size, claim);
    free(text);
    if (status != OL_OK)
        *claim = (ol_run_claim){0};
    claim->continues = status == OL_OK;
    return status;
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
    return OL_OK;
}

ol_status ol_run_folder_write_job(const ol_run_folder *folder, const ol_job *job)
{
    ol_text text = {0};
    ol_status status = ol_job_text(job, &text);

    if (status == OL_OK)
        status = ol_write_file(folder->job, text.data, text.size);
    ol_text_finish(&text);
    return status;
}
