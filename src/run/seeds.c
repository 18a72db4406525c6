/* SPDX-License-Identifier: BSD-3-Clause */
/* A job: its settings chosen where it says so, run once or once for each of its train_seeds, and the
 * table that it ends in. */
#include "outerloop/run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outerloop/base/log.h"      /* ol_log_* */
#include "outerloop/record/folder.h" /* ol_run_folder */
#include "outerloop/record/lock.h"   /* ol_run_lock */
#include "outerloop/run/setup.h"     /* ol_setup_create, ol_describe_idle */
#include "outerloop/run/stop.h"      /* ol_stop_agree */
#include "run_parts.h"

/* One start of `outerloop run`. */
typedef struct whole {
    ol_comm *comm;
    const char *path;
    set_list sets; /* those of the command line, then what was chosen */
    bool resume;
    bool *work_started;
    ol_job *job;
    ol_run_lock lock;   /* rank 0's, of the job's output */
    ol_score_book book; /* rank 0's */
} whole;

/* The table is the answer to the command, so it goes to standard output; the log keeps it. */
static ol_status print_table(const ol_score_book *book)
{
    OL_AUTO_TEXT shown = {0}, kept = {0};

    OL_TRY(ol_score_book_table(book, ol_log_columns(STDOUT_FILENO), &shown));
    OL_TRY(ol_score_book_table(book, 0, &kept));
    if (shown.size > 0)
        ol_log_result(shown.data, shown.size, kept.data);
    return OL_OK;
}

/* The job with one seed, in a folder of its own. */
static ol_status read_seed(const whole *w, int seed, ol_job **job)
{
    char set[PATH_MAX];
    AUTO_SETS sets = {0};

    *job = NULL;
    for (size_t i = 0; i < w->sets.n; i++)
        OL_TRY(ol_set_list_add(&sets, w->sets.items[i]));
    snprintf(set, sizeof set, "seed=%d", seed);
    OL_TRY(ol_set_list_add(&sets, set));
    OL_TRY(ol_path_format(set, "%s/seed-%d", w->job->output, seed));
    OL_TRY(ol_set_list_add_output(&sets, set));
    OL_TRY(ol_set_list_add(&sets, "train_seeds=[]"));
    return ol_job_read(w->path, (const char *const *)sets.items, sets.n, job);
}

/* What a later seed would be refused for is said before any work. */
static ol_status claim_seed(const whole *w, int seed)
{
    OL_AUTO_JOB *job = NULL;

    OL_TRY(read_seed(w, seed, &job));
    for (int i = 0; i < ol_job_arms(job); i++) {
        ol_run_folder folder;
        ol_run_claim claim;

        OL_TRY(ol_run_folder_name(ol_job_arm(job, i)->output, &folder));
        OL_TRY(ol_run_folder_claim(&folder, ol_job_arm(job, i), w->resume, &claim));
    }
    return OL_OK;
}

/* The job as it stands in the folder already, so that it need not be written. */
static bool is_written(const ol_run_folder *folder, const ol_job *job)
{
    char now[OL_DIGEST_TEXT], then[OL_DIGEST_TEXT];
    OL_AUTO_JOB *before = NULL;

    return ol_job_read_stored(folder->job, &before) == OL_OK && ol_job_digest(job, now) == OL_OK &&
           ol_job_digest(before, then) == OL_OK && strcmp(now, then) == 0;
}

/* May this job run in its folder, and its seeds in theirs? */
static ol_status claim_whole(const whole *w, ol_run_folder *folder)
{
    ol_run_claim claim;

    OL_TRY(ol_run_folder_name(w->job->output, folder));
    OL_TRY(ol_run_folder_claim(folder, w->job, w->resume, &claim));
    for (int i = 0; i < w->job->train_seeds.n; i++)
        OL_TRY(claim_seed(w, w->job->train_seeds.items[i]));
    return OL_OK;
}

/* Rank 0: the folder of all seeds. */
static ol_status open_folder(const whole *w, ol_run_folder *folder)
{
    OL_TRY(claim_whole(w, folder));
    OL_TRY(ol_run_folder_make(folder));
    return is_written(folder, w->job) ? OL_OK : ol_job_write(w->job, folder->job);
}

static ol_status run_seed(whole *w, int seed)
{
    ol_job *job;

    OL_TRY(ol_comm_agree(w->comm, read_seed(w, seed, &job)));
    return ol_run_once(w->comm, job, w->resume, w->work_started, &w->book);
}

static ol_status run_seeds(whole *w)
{
    const ol_conf_ints *seeds = &w->job->train_seeds;
    const bool first = ol_comm_rank(w->comm) == 0;
    ol_run_folder folder = {0};

    OL_TRY(ol_comm_agree(w->comm, first ? open_folder(w, &folder) : OL_OK));
    if (first)
        ol_stop_watch_whole(folder.path);
    for (int i = 0; i < seeds->n; i++) {
        OL_TRY(ol_comm_agree(w->comm, first ? ol_log_open(folder.log) : OL_OK));
        ol_log_info("training %d of %d, from seed %d", i + 1, seeds->n, seeds->items[i]);
        OL_TRY(run_seed(w, seeds->items[i]));
    }
    return ol_comm_agree(w->comm, first ? ol_log_open(folder.log) : OL_OK);
}

static ol_status read_job(whole *w)
{
    ol_job_destroy(w->job);
    w->job = NULL;
    return ol_comm_agree(
        w->comm, ol_job_read(w->path, (const char *const *)w->sets.items, w->sets.n, &w->job));
}

static ol_status run_alone(whole *w)
{
    ol_job *job = w->job;

    w->job = NULL; /* it is the run's */
    return ol_run_once(w->comm, job, w->resume, w->work_started, &w->book);
}

/* The setup of the first run of all, to look at. */
static ol_status first_setup(const whole *w, ol_setup **setup)
{
    const ol_conf_ints *seeds = &w->job->train_seeds;
    ol_job *job;

    OL_TRY(ol_comm_agree(
        w->comm, seeds->n > 0
                     ? read_seed(w, seeds->items[0], &job)
                     : ol_job_read(w->path, (const char *const *)w->sets.items, w->sets.n, &job)));
    return ol_setup_create(w->comm, job, w->resume, true, setup);
}

/* What would be refused after tuning is refused before it. */
static ol_status check_inputs(const whole *w)
{
    OL_AUTO_SETUP *setup = NULL;

    return first_setup(w, &setup);
}

/* Put the choice of the grids in the place of them. */
static ol_status tune(whole *w)
{
    const bool first = ol_comm_rank(w->comm) == 0;
    bool begun = false;
    char path[PATH_MAX];
    ol_run_folder folder;
    ol_run_claim claim;
    ol_status status = OL_OK;

    OL_TRY(ol_comm_agree(w->comm, ol_run_folder_name(w->job->output, &folder)));
    if (first && !w->resume)
        status = ol_run_folder_claim(&folder, w->job, false, &claim);
    OL_TRY(ol_comm_agree(w->comm, status));
    if (first)
        begun = ol_path_format(path, "%s/tune", folder.path) == OL_OK && ol_path_exists(path);
    OL_TRY(ol_comm_broadcast(w->comm, &begun, sizeof begun, 0));
    if (!begun)
        OL_TRY(check_inputs(w));
    if (first) {
        ol_stop_watch_whole(folder.path);
        status = ol_run_folder_make(&folder);
        if (status == OL_OK)
            status = ol_log_open(folder.log);
    }
    OL_TRY(ol_comm_agree(w->comm, status));
    status = ol_tune(w->comm, w->job, w->resume, w->work_started, &w->sets);
    if (first)
        ol_stop_watch_whole(NULL);
    OL_TRY(status);
    return read_job(w);
}

static ol_status copy_sets(whole *w, const char *const *sets, size_t n_sets)
{
    for (size_t i = 0; i < n_sets; i++)
        OL_TRY(ol_set_list_add(&w->sets, sets[i]));
    return OL_OK;
}

/* A signal that came while the program started is obeyed here, where there is nothing to save. */
static ol_status heed_early_stop(whole *w)
{
    bool stop = false;

    OL_TRY(ol_stop_agree(w->comm, &stop));
    OL_CHECK(!stop, OL_ESTOPPED,
             "%s: stopped before any work, everything is saved; go on with --resume (exit code 85 "
             "is no failure)",
             w->job->name);
    return OL_OK;
}

/* The output is this run's alone from here on. */
static ol_status lock_output(whole *w)
{
    const bool first = ol_comm_rank(w->comm) == 0;

    return ol_comm_agree(w->comm, first ? ol_run_lock_take(w->job, &w->lock) : OL_OK);
}

static ol_status run_whole(whole *w)
{
    OL_TRY(read_job(w));
    OL_TRY(heed_early_stop(w));
    ol_comm_watch(w->comm, 60.0 * w->job->train.stall_minutes);
    OL_TRY(lock_output(w));
    ol_describe_idle(w->job, ol_comm_size(w->comm));
    if (ol_tune_wanted(w->job))
        OL_TRY(tune(w));
    OL_TRY(w->job->train_seeds.n > 0 ? run_seeds(w) : run_alone(w));
    return ol_comm_agree(w->comm, ol_comm_rank(w->comm) == 0 ? print_table(&w->book) : OL_OK);
}

ol_status ol_run_look(ol_comm *comm, const char *path, const char *const *sets, size_t n_sets,
                      bool resume, ol_job **job, ol_setup **setup)
{
    whole w = {.comm = comm, .path = path, .resume = resume};
    ol_run_folder folder;
    ol_status status = ol_comm_agree(comm, copy_sets(&w, sets, n_sets));

    *setup = NULL;
    *job = NULL;
    if (status == OL_OK)
        status = read_job(&w);
    if (status == OL_OK && w.job->train_seeds.n > 0)
        status = ol_comm_agree(comm, ol_comm_rank(comm) == 0 ? claim_whole(&w, &folder) : OL_OK);
    if (status == OL_OK)
        status = first_setup(&w, setup);
    if (status == OL_OK)
        *job = w.job;
    else
        ol_job_destroy(w.job);
    ol_set_list_finish(&w.sets);
    return status;
}

ol_status ol_run_job(ol_comm *comm, const char *path, const char *const *sets, size_t n_sets,
                     bool resume, bool *work_started)
{
    whole w = {.comm = comm,
               .path = path,
               .resume = resume,
               .work_started = work_started,
               .lock = OL_RUN_LOCK_INIT};
    ol_status status;

    *work_started = false;
    ol_stop_join(comm);
    status = ol_comm_agree(comm, copy_sets(&w, sets, n_sets));
    if (status == OL_OK)
        status = run_whole(&w);
    ol_run_lock_release(&w.lock);
    ol_score_book_finish(&w.book);
    ol_job_destroy(w.job);
    ol_set_list_finish(&w.sets);
    ol_stop_join(NULL);
    ol_stop_watch(NULL, NULL);
    ol_stop_watch_whole(NULL);
    return status;
}
