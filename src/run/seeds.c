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
    ol_conf_sets sets; /* those of the command line, then what was chosen */
    bool resume;
    bool *work_started;
    ol_job *job;
    ol_run_folder folder; /* rank 0's, of the job's output */
    ol_run_lock lock;
    ol_score_book book;
} whole;

/* The job with one seed, in a folder of its own. */
static ol_status read_seed(const whole *w, int seed, ol_job **job)
{
    char output[PATH_MAX];
    OL_AUTO_SETS sets = {0};

    *job = NULL;
    OL_TRY(ol_conf_sets_add_all(&sets, w->sets.n, (const char *const *)w->sets.items));
    OL_TRY(ol_conf_sets_add(&sets, "seed=%d", seed));
    OL_TRY(ol_path_format(output, "%s/seed-%d", w->job->output, seed));
    OL_TRY(ol_conf_sets_add_string(&sets, "output", output));
    OL_TRY(ol_conf_sets_add(&sets, "train_seeds=[]"));
    return ol_job_read(ol_job_source_of(w->path, &sets), job);
}

/* What a later seed would be refused for is said before any work. */
static ol_status claim_seed(const whole *w, int seed)
{
    OL_AUTO_JOB *job = NULL;

    OL_TRY(read_seed(w, seed, &job));
    for (int i = 0; i < ol_job_arms(job); i++) {
        ol_run_folder folder;

        OL_TRY(ol_run_folder_own(ol_job_arm(job, i), w->resume, &folder));
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

/* Rank 0: may this job run in its folder, and its seeds in theirs? */
static ol_status claim_whole(whole *w)
{
    OL_TRY(ol_run_folder_own(w->job, w->resume, &w->folder));
    for (int i = 0; i < w->job->train_seeds.n; i++)
        OL_TRY(claim_seed(w, w->job->train_seeds.items[i]));
    return OL_OK;
}

/* Rank 0: in the folder around several runs, whose log and STOP file it has. */
static ol_status enter_whole(whole *w)
{
    OL_TRY(ol_run_folder_make(&w->folder));
    ol_stop_watch(OL_STOP_WHOLE, w->folder.path);
    return ol_log_open(w->folder.log);
}

static ol_status open_seeds(whole *w)
{
    OL_TRY(claim_whole(w));
    OL_TRY(enter_whole(w));
    return is_written(&w->folder, w->job) ? OL_OK : ol_job_write(w->job, w->folder.job);
}

static ol_status run_once(whole *w, const ol_job *job)
{
    return ol_run_once(w->comm, job, w->resume, w->work_started, &w->book);
}

static ol_status run_seeds(whole *w)
{
    const ol_conf_ints *seeds = &w->job->train_seeds;

    OL_TRY(OL_ON_FIRST(w->comm, open_seeds(w)));
    for (int i = 0; i < seeds->n; i++) {
        OL_AUTO_JOB *job = NULL;

        ol_log_info("training %d of %d, from seed %d", i + 1, seeds->n, seeds->items[i]);
        OL_TRY(ol_comm_agree(w->comm, read_seed(w, seeds->items[i], &job)));
        OL_TRY(run_once(w, job));
        OL_TRY(OL_ON_FIRST(w->comm, ol_log_open(w->folder.log)));
    }
    return OL_OK;
}

static ol_status read_job(whole *w)
{
    ol_job_destroy(w->job);
    w->job = NULL;
    return ol_comm_agree(w->comm, ol_job_read(ol_job_source_of(w->path, &w->sets), &w->job));
}

/* The setup of the first run of all, to look at. */
static ol_status look(const whole *w, ol_run_look *out)
{
    const ol_conf_ints *seeds = &w->job->train_seeds;

    if (seeds->n > 0)
        OL_TRY(ol_comm_agree(w->comm, read_seed(w, seeds->items[0], &out->first)));
    return ol_setup_create(w->comm, out->first ? out->first : w->job, w->resume, true, &out->setup);
}

/* What would be refused after tuning is refused before it. */
static ol_status check_inputs(const whole *w)
{
    OL_AUTO_RUN_LOOK out = {0};

    return look(w, &out);
}

/* Rank 0: is there anything of an earlier tuning? */
static ol_status claim_tuning(whole *w, bool *begun)
{
    char path[PATH_MAX];

    OL_TRY(w->resume ? ol_run_folder_name(w->job->output, &w->folder)
                     : ol_run_folder_own(w->job, false, &w->folder));
    OL_TRY(ol_path_format(path, "%s/tune", w->folder.path));
    *begun = ol_path_exists(path);
    return OL_OK;
}

/* Put the choice of the grids in the place of them. */
static ol_status tune(whole *w)
{
    bool begun = false;

    OL_TRY(OL_ON_FIRST(w->comm, claim_tuning(w, &begun)));
    OL_TRY(ol_comm_broadcast(w->comm, &begun, sizeof begun, 0));
    if (!begun)
        OL_TRY(check_inputs(w));
    OL_TRY(OL_ON_FIRST(w->comm, enter_whole(w)));
    OL_TRY(ol_tune(w->comm, w->job, &w->folder, w->resume, w->work_started, &w->sets));
    ol_stop_watch(OL_STOP_WHOLE, NULL);
    return read_job(w);
}

/* A signal that came while the program started is obeyed here, where there is nothing to save. */
static ol_status heed_early_stop(whole *w)
{
    bool stop = false;

    OL_TRY(ol_stop_agree(w->comm, &stop));
    return stop ? ol_stop_here("%s: stopped before any work", w->job->name) : OL_OK;
}

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

static ol_status run_whole(whole *w)
{
    OL_TRY(read_job(w));
    OL_TRY(heed_early_stop(w));
    ol_comm_watch(w->comm, 60.0 * w->job->train.stall_minutes);
    OL_TRY(
        OL_ON_FIRST(w->comm, ol_run_lock_take(w->job, &w->lock))); /* this run's alone from here */
    ol_describe_idle(w->job, ol_comm_size(w->comm));
    if (ol_tune_wanted(w->job))
        OL_TRY(tune(w));
    OL_TRY(w->job->train_seeds.n > 0 ? run_seeds(w) : run_once(w, w->job));
    return OL_ON_FIRST(w->comm, print_table(&w->book));
}

static void whole_finish(whole *w)
{
    ol_run_lock_release(&w->lock);
    ol_score_book_finish(&w->book);
    ol_job_destroy(w->job);
    ol_conf_sets_finish(&w->sets);
}

static ol_status whole_init(whole *w, ol_comm *comm, ol_job_source source, bool resume)
{
    *w = (whole){.comm = comm, .path = source.path, .resume = resume, .lock = OL_RUN_LOCK_INIT};
    return ol_comm_agree(comm, ol_conf_sets_add_all(&w->sets, source.n, source.sets));
}

ol_status ol_run_look_at(ol_comm *comm, ol_job_source source, bool resume, ol_run_look *out)
{
    OL_AUTO(whole_finish) whole w;
    OL_AUTO_RUN_LOOK made = {0};

    *out = made;
    OL_TRY(whole_init(&w, comm, source, resume));
    OL_TRY(read_job(&w));
    if (w.job->train_seeds.n > 0)
        OL_TRY(OL_ON_FIRST(comm, claim_whole(&w)));
    OL_TRY(look(&w, &made));
    made.job = w.job;
    w.job = NULL;
    return OL_GIVE(out, made);
}

void ol_run_look_finish(ol_run_look *look)
{
    ol_setup_destroy(look->setup);
    ol_job_destroy(look->first);
    ol_job_destroy(look->job);
    *look = (ol_run_look){0};
}

ol_status ol_run_job(ol_comm *comm, ol_job_source source, bool resume, bool *work_started)
{
    OL_AUTO(whole_finish) whole w;
    ol_status status;

    *work_started = false;
    ol_stop_join(comm);
    status = whole_init(&w, comm, source, resume);
    w.work_started = work_started;
    if (status == OL_OK)
        status = run_whole(&w);
    ol_stop_join(NULL);
    ol_stop_watch(OL_STOP_WHOLE, NULL);
    return status;
}
