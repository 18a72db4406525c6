/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build_id.h"                  /* OL_GIT_COMMIT */
#include "outerloop/base/clock.h"      /* ol_clock_peak_bytes */
#include "outerloop/base/log.h"        /* ol_log_* */
#include "outerloop/kernel/gemm.h"     /* ol_gemm_library */
#include "outerloop/kernel/products.h" /* ol_products_describe */
#include "outerloop/kernel/rate.h"     /* ol_gemm_pace */
#include "outerloop/record/metrics.h"  /* ol_metrics */
#include "outerloop/record/snapshot.h" /* ol_snapshot_resume */
#include "outerloop/run/memory.h"      /* ol_memory_plan */
#include "outerloop/run/scores.h"      /* ol_score_targets */
#include "outerloop/run/setup.h"       /* ol_setup */
#include "outerloop/run/stop.h"        /* ol_stop_watch */
#include "outerloop/run/train.h"       /* ol_train */
#include "run_parts.h"

typedef struct runner {
    ol_setup *setup;
    char missing[2048]; /* rank 0: what metrics lack of an arm that is done with; or "" */
} runner;

const char *ol_run_commit(void)
{
    return OL_GIT_COMMIT;
}

/* Open the metrics of an arm on rank 0. */
static ol_status open_metrics(const ol_setup *s, const ol_arm *arm, const ol_run_mark *mark,
                              bool resume, bool scores, ol_metrics **out)
{
    const ol_job *job = arm->job;
    const ol_learner_spec learner = ol_job_learner_spec(job);
    char blas[256];
    OL_AUTO_TEXT text = {0};
    ol_run_record record = {
        .version = OL_VERSION,
        .git_commit = ol_run_commit(),
        .run_id = mark->run_id,
        .host = ol_comm_host(s->comm),
        .slurm_job_id = getenv("SLURM_JOB_ID"),
        .blas = blas,
        .mpi = ol_comm_library(),
        .seed = job->seed,
        .restart_count = mark->restarts,
        .ranks = ol_comm_size(s->comm),
        .threads = job->threads,
    };

    OL_TRY(ol_job_text(job, &text));
    record.job = text.data;
    snprintf(blas, sizeof blas, "%s; products in %s", ol_gemm_library(), ol_products_describe());
    return ol_metrics_open(arm->folder, ol_learner_steps(&learner), &record, resume, mark->step,
                           scores, out);
}

/* What is known of the data of an arm. */
static ol_status record_data(const ol_setup *s, const ol_arm *arm, ol_metrics *metrics)
{
    if (s->scored)
        OL_TRY(ol_metrics_overlap(metrics, &s->overlap));
    if (arm->cuts)
        OL_TRY(ol_metrics_cuts(metrics, "train", ol_sampler_tasks(arm->sampler), arm->cuts));
    return arm->targets ? ol_metrics_cuts(metrics, "target", ol_targets_tasks(arm->targets),
                                          ol_targets_cuts(arm->targets))
                        : OL_OK;
}

/* Rank 0: make the folder of an arm this run's own from here on. */
static ol_status enter(const ol_setup *s, const ol_arm *arm, const ol_run_mark *mark, bool resume,
                       bool scores, ol_metrics **metrics)
{
    const ol_run_claim *claim = &arm->folder->claim;

    if (!claim->continues && arm->folder != s->folders) /* that of the job has its job.cfg */
        OL_TRY(ol_job_write(arm->job, arm->folder->job));
    OL_TRY(ol_log_open(arm->folder->log));
    OL_TRY(open_metrics(s, arm, mark, resume, scores, metrics));
    if (claim->continues && !claim->finished) /* no score is left that it would not make */
        OL_TRY(ol_job_write(arm->job, arm->folder->job));
    OL_TRY(record_data(s, arm, *metrics));
    ol_stop_watch(OL_STOP_ARM, arm->folder->path);
    return OL_OK;
}

/* Back to the job's own log and STOP file. Rows that metrics lack are told at once, and fail the
 * job when all else is done. */
static void leave(runner *r, ol_metrics *metrics, ol_status status)
{
    char failure[2048];

    snprintf(failure, sizeof failure, "%.2047s", ol_status_message()); /* of `status` */
    if (ol_metrics_close(metrics) != OL_OK) {
        ol_log_warn("%s", ol_status_message());
        if (!*r->missing)
            snprintf(r->missing, sizeof r->missing, "%.2047s", ol_status_message());
    }
    if (status != OL_OK)
        ol_fail(status, "%s", failure);
    if (ol_comm_rank(r->setup->comm) != 0 || status != OL_OK)
        return; /* the last words of a run belong in the log of the arm that they are about */
    ol_stop_watch(OL_STOP_ARM, NULL);
    if (ol_log_open(r->setup->folders->log) != OL_OK)
        ol_log_warn("%s", ol_status_message());
}

/* Another length of training is another schedule: say what that does to the rate. */
static void describe_schedule(const ol_arm *arm, int64_t step)
{
    ol_job before = *arm->job;
    double was, is;

    before.train.steps = arm->folder->claim.steps;
    if (before.train.steps == arm->job->train.steps || step >= arm->job->train.steps)
        return;
    was = ol_job_outer_spec(&before, step).adam.lr;
    is = ol_job_outer_spec(arm->job, step).adam.lr;
    if (was != is)
        ol_log_info("%s: train.steps was %d and is %d: at meta-step %lld the outer rate goes from "
                    "%.3g to %.3g, for its schedule ends at train.steps",
                    arm->job->name, before.train.steps, arm->job->train.steps, (long long)step + 1,
                    was, is);
}

/* Where an arm begins: at the start, or where it broke off. */
static ol_status begin(ol_setup *s, const ol_arm *arm, ol_run_mark *mark, ol_metrics **metrics)
{
    const ol_run_claim *claim = &arm->folder->claim;
    const bool trains = arm->sampler;
    bool found = false, resume, scores;

    OL_TRY(ol_setup_begin(s, arm));
    *mark = (ol_run_mark){0};
    ol_run_id_make(ol_comm_host(s->comm), mark->run_id);
    if (claim->continues && arm != s->start)
        OL_TRY(ol_snapshot_resume(s->comm, arm->folder->checkpoints, arm->job, arm->model,
                                  s->shared, &s->state, mark, &found));
    mark->restarts += claim->continues;
    if (found && trains)
        describe_schedule(arm, mark->step);
    resume = claim->continues && (found || !trains);
    scores = claim->same_evaluation && (found ? mark->step >= arm->job->train.steps : !trains);
    return OL_ON_FIRST(s->comm, enter(s, arm, mark, resume, scores, metrics));
}

static ol_status work(ol_setup *s, const ol_arm *arm, ol_run_mark *mark, ol_metrics *metrics)
{
    if (arm->sampler && mark->step < arm->job->train.steps)
        OL_TRY(ol_train(s, arm, metrics, mark));
    return s->scored ? ol_score_targets(s, arm, metrics) : OL_OK;
}

static ol_status run_arm(runner *r, const ol_arm *arm)
{
    ol_metrics *metrics = NULL;
    ol_run_mark mark;
    ol_status status = begin(r->setup, arm, &mark, &metrics);

    if (status == OL_OK)
        status = work(r->setup, arm, &mark, metrics);
    leave(r, metrics, status);
    return status;
}

static ol_status add_to_book(const ol_run_folder *folder, ol_score_book *book)
{
    OL_AUTO_ARCHIVE *metrics = NULL;

    OL_CHECK(ol_path_exists(folder->metrics), OL_EIO,
             "%s: was removed while the run was at work; go on with --resume, which makes it again",
             folder->metrics);
    OL_TRY(ol_archive_open(folder->metrics, &metrics));
    return ol_score_book_add(book, metrics);
}

/* Every arm is, so that the job's own job.cfg stays as it was too. */
static bool is_finished(const ol_setup *s)
{
    const ol_run_claim *claim = &s->folders->claim;
    bool finished = claim->continues && claim->same_evaluation && !claim->restored[0];

    for (int i = 0; i < s->n_arms; i++)
        finished = finished && s->arms[i].folder->claim.finished;
    return finished;
}

/* Rank 0: make the job's folder this run's own. An arm that works there replaces the job.cfg of a run that
 * is gone on with when it begins. */
static ol_status enter_job(const ol_setup *s)
{
    const bool shared = s->arms->folder == s->folders;

    OL_TRY(ol_log_open(s->folders->log));
    if (!(shared && s->folders->claim.continues) && !is_finished(s))
        OL_TRY(ol_job_write(s->job, s->folders->job));
    ol_stop_watch(OL_STOP_JOB, s->folders->path);
    return OL_OK;
}

/* Rank 0, when all is done: are all results there? What was scored, as the files have it. */
static ol_status account(const runner *r, ol_score_book *book)
{
    const ol_setup *s = r->setup;

    OL_CHECK(!*r->missing, OL_EIO, "%s", r->missing);
    if (!ol_path_exists(s->folders->job)) /* the folder was removed: those of arms keep theirs */
        OL_TRY(ol_job_write(s->job, s->folders->job));
    for (int i = 0; s->scored && i < s->n_rows; i++)
        OL_TRY(add_to_book(s->rows[i].folder, book));
    return OL_OK;
}

static ol_status run(runner *r, ol_score_book *book)
{
    const double began = ol_clock_seconds();
    ol_setup *s = r->setup;
    ol_comm_stats peak, planned;
    ol_memory memory;
    char spent[32];

    OL_TRY(OL_ON_FIRST(s->comm, enter_job(s)));
    OL_TRY(ol_comm_agree(s->comm, ol_memory_plan(s, ol_comm_size(s->comm), &memory)));
    ol_setup_describe(s, &memory);
    if (s->job->stages & OL_STAGE_TRAIN)
        OL_TRY(ol_pace_start(s->comm, ol_gemm_pace, &s->pace));
    for (int i = 0; i < s->n_rows; i++)
        OL_TRY(run_arm(r, &s->rows[i]));
    OL_TRY(OL_ON_FIRST(s->comm, account(r, book)));
    OL_TRY(ol_comm_reduce(s->comm, (double)ol_clock_peak_bytes(), &peak));
    OL_TRY(ol_comm_reduce(s->comm, (double)memory.peak, &planned));
    ol_clock_duration(ol_clock_seconds() - began, spent);
    ol_log_info("done in %s; peak memory %.1f MiB (rank %d), data and libraries included; planned "
                "%.1f MiB",
                spent, peak.max.value / 1048576.0, peak.max.rank, planned.max.value / 1048576.0);
    return OL_OK;
}

ol_status ol_run_once(ol_comm *comm, const ol_job *job, bool resume, bool *work_started,
                      ol_score_book *book)
{
    runner r = {0};
    ol_status status;

    OL_TRY(ol_setup_create(comm, job, resume, false, &r.setup));
    *work_started = true;
    status = run(&r, book);
    ol_stop_watch(OL_STOP_JOB, NULL);
    ol_setup_destroy(r.setup);
    return status;
}
