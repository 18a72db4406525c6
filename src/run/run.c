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
    bool first;         /* this is rank 0 */
    char missing[2048]; /* rank 0: what metrics lack of an arm that is done with; or "" */
} runner;

const char *ol_run_commit(void)
{
    return OL_GIT_COMMIT;
}

/* Open the metrics of a folder on rank 0. */
static ol_status open_metrics(const runner *r, const ol_run_folder *folder, const ol_job *job,
                              const ol_run_mark *mark, bool resume, bool scores, ol_metrics **out)
{
    const ol_learner_spec learner = ol_job_learner_spec(job);
    ol_comm *comm = r->setup->comm;
    char blas[256];
    OL_AUTO_TEXT text = {0};
    ol_run_record record = {
        .version = OL_VERSION,
        .git_commit = ol_run_commit(),
        .run_id = mark->run_id,
        .host = ol_comm_host(comm),
        .slurm_job_id = getenv("SLURM_JOB_ID"),
        .blas = blas,
        .mpi = ol_comm_library(),
        .seed = job->seed,
        .restart_count = mark->restarts,
        .ranks = ol_comm_size(comm),
        .threads = job->threads,
    };

    OL_TRY(ol_job_text(job, &text));
    record.job = text.data;
    snprintf(blas, sizeof blas, "%s; products in %s", ol_gemm_library(), ol_products_describe());
    OL_TRY(ol_metrics_open(folder, ol_learner_steps(&learner), &record, resume, mark->step, scores,
                           out));
    return r->setup->scored ? ol_metrics_overlap(*out, &r->setup->overlap) : OL_OK;
}

/* The start is asked as the job's own learner would be, where any arm is asked so. */
static ol_targets *untrained_targets(const ol_setup *s)
{
    ol_targets *own = s->targets[ol_job_demonstrations(s->job)];

    return own ? own : s->arms[0].targets;
}

/* What the caps cut of the data of an arm; NULL: of the start, which trains on nothing. */
static ol_status record_cuts(const ol_setup *s, const ol_arm *arm, ol_metrics *metrics)
{
    const ol_targets *targets = arm ? arm->targets : untrained_targets(s);

    for (int i = 0; arm && arm->cuts && i < ol_sampler_tasks(arm->sampler); i++)
        OL_TRY(ol_metrics_cut(metrics, ol_sampler_task(arm->sampler, i), "train", &arm->cuts[i]));
    for (int i = 0; targets && i < ol_targets_tasks(targets); i++)
        OL_TRY(ol_metrics_cut(metrics, ol_targets_task(targets, i), "target",
                              &ol_targets_note(targets, i)->cut));
    return OL_OK;
}

/* Rank 0: make a folder this run's own from here on. @param arm  NULL: the start's */
static ol_status enter(const runner *r, const ol_arm *arm, const ol_run_folder *folder,
                       const ol_job *job, const ol_run_mark *mark, bool resume, bool scores,
                       ol_metrics **metrics)
{
    OL_TRY(ol_log_open(folder->log));
    OL_TRY(open_metrics(r, folder, job, mark, resume, scores, metrics));
    OL_TRY(record_cuts(r->setup, arm, *metrics));
    ol_stop_watch(r->setup->folder.path, folder->path);
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
    if (!r->first || status != OL_OK)
        return; /* the last words of a run belong in the log of the arm that they are about */
    ol_stop_watch(r->setup->folder.path, NULL);
    if (ol_log_open(r->setup->folder.log) != OL_OK)
        ol_log_warn("%s", ol_status_message());
}

static ol_status run_untrained(runner *r)
{
    ol_setup *s = r->setup;
    const ol_run_claim *claim = &s->untrained_claim;
    ol_run_mark mark = {.restarts = claim->continues};
    ol_metrics *metrics = NULL;
    ol_status status = OL_OK;

    OL_TRY(ol_setup_start(s, s->job, s->model));
    ol_run_id_make(ol_comm_host(s->comm), mark.run_id);
    if (r->first && (!claim->same_evaluation || claim->restored[0]))
        status = ol_job_write(s->job, s->untrained.job);
    if (r->first && status == OL_OK)
        status = enter(r, NULL, &s->untrained, s->job, &mark, claim->continues,
                       claim->same_evaluation, &metrics);
    status = ol_comm_agree(s->comm, status);
    if (status == OL_OK)
        status = ol_score_targets(s, &(ol_scoring){.name = s->start_name,
                                                   .job = s->job,
                                                   .model = s->model,
                                                   .targets = untrained_targets(s),
                                                   .state = ol_state_borrow(&s->state),
                                                   .folder = &s->untrained,
                                                   .metrics = metrics});
    leave(r, metrics, status);
    return status;
}

/* Another length of training is another schedule: say what that does to the rate. */
static void describe_schedule(const ol_arm *arm, int64_t step)
{
    ol_job before = *arm->job;
    double was, is;

    before.train.steps = arm->claim.steps;
    if (arm->claim.steps == arm->job->train.steps || step >= arm->job->train.steps)
        return;
    was = ol_job_outer_spec(&before, step).adam.lr;
    is = ol_job_outer_spec(arm->job, step).adam.lr;
    if (was != is)
        ol_log_info("%s: train.steps was %d and is %d: at meta-step %lld the outer rate goes from "
                    "%.3g to %.3g, for its schedule ends at train.steps",
                    arm->job->name, arm->claim.steps, arm->job->train.steps, (long long)step + 1,
                    was, is);
}

/* Where an arm begins: at the start, or where it broke off. */
static ol_status begin_arm(runner *r, const ol_arm *arm, ol_run_mark *mark, ol_metrics **metrics)
{
    ol_setup *s = r->setup;
    const bool trains = (s->job->stages & OL_STAGE_TRAIN) != 0;
    bool found = false, resume, finished;
    ol_status status = OL_OK;

    OL_TRY(ol_setup_start(s, arm->job, arm->model));
    *mark = (ol_run_mark){0};
    ol_run_id_make(ol_comm_host(s->comm), mark->run_id);
    if (arm->claim.continues)
        OL_TRY(ol_snapshot_resume(s->comm, arm->folder.checkpoints, arm->job, arm->model, s->shared,
                                  &s->state, mark, &found));
    mark->restarts += arm->claim.continues;
    resume = arm->claim.continues && (found || !trains);
    finished = found ? mark->step >= arm->job->train.steps : !trains;
    if (found && trains)
        describe_schedule(arm, mark->step);
    if (r->first && !(arm->claim.continues && arm->claim.finished))
        status = ol_job_write(arm->job, arm->folder.job);
    if (r->first && status == OL_OK)
        status = enter(r, arm, &arm->folder, arm->job, mark, resume,
                       arm->claim.same_evaluation && finished, metrics);
    return ol_comm_agree(s->comm, status);
}

static ol_status work_arm(runner *r, const ol_arm *arm, ol_run_mark *mark, ol_metrics *metrics)
{
    ol_setup *s = r->setup;

    if ((s->job->stages & OL_STAGE_TRAIN) && mark->step < arm->job->train.steps)
        OL_TRY(ol_train(s, arm, metrics, mark));
    if (!s->scored)
        return OL_OK;
    return ol_score_targets(s, &(ol_scoring){.name = arm->row,
                                             .job = arm->job,
                                             .model = arm->model,
                                             .targets = arm->targets,
                                             .state = ol_state_borrow(&s->state),
                                             .folder = &arm->folder,
                                             .metrics = metrics});
}

static ol_status run_arm(runner *r, const ol_arm *arm)
{
    ol_metrics *metrics = NULL;
    ol_run_mark mark;
    ol_status status = begin_arm(r, arm, &mark, &metrics);

    if (status == OL_OK)
        status = work_arm(r, arm, &mark, metrics);
    leave(r, metrics, status);
    return status;
}

static ol_status run_all(runner *r)
{
    ol_setup *s = r->setup;

    if (s->baseline)
        OL_TRY(run_untrained(r));
    for (int i = 0; i < s->n_arms; i++)
        OL_TRY(run_arm(r, &s->arms[i]));
    return OL_OK;
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
    bool finished = s->claim.continues && s->claim.same_evaluation && !s->claim.restored[0];

    for (int i = 0; i < s->n_arms; i++)
        finished = finished && s->arms[i].claim.continues && s->arms[i].claim.finished;
    return finished;
}

/* What was scored, as the files have it. */
static ol_status fill_book(const ol_setup *s, ol_score_book *book)
{
    if (!s->scored)
        return OL_OK;
    if (s->baseline)
        OL_TRY(add_to_book(&s->untrained, book));
    for (int i = 0; i < s->n_arms; i++)
        OL_TRY(add_to_book(&s->arms[i].folder, book));
    return OL_OK;
}

/* Rank 0, when all is done: are all results there? */
static ol_status account(const runner *r, ol_score_book *book)
{
    const ol_setup *s = r->setup;

    OL_CHECK(!*r->missing, OL_EIO, "%s", r->missing);
    if (!ol_path_exists(s->folder.job)) /* the folder was removed: those of arms keep theirs */
        OL_TRY(ol_job_write(s->job, s->folder.job));
    return fill_book(s, book);
}

static ol_status run(runner *r, ol_score_book *book)
{
    const double began = ol_clock_seconds();
    ol_setup *s = r->setup;
    ol_comm_stats peak, planned;
    ol_memory memory;
    char spent[32];
    ol_status status = OL_OK;

    if (r->first) {
        status = ol_log_open(s->folder.log);
        /* A job without arms has one job.cfg, and its arm replaces it when it begins. */
        if (status == OL_OK && (s->job->n_arms > 0 || !s->claim.continues) && !is_finished(s))
            status = ol_job_write(s->job, s->folder.job);
    }
    OL_TRY(ol_comm_agree(s->comm, status));
    if (r->first)
        ol_stop_watch(s->folder.path, NULL);
    OL_TRY(ol_comm_agree(s->comm, ol_memory_plan(s, ol_comm_size(s->comm), &memory)));
    ol_setup_describe(s, &memory);
    if (s->job->stages & OL_STAGE_TRAIN)
        OL_TRY(ol_pace_start(s->comm, ol_gemm_pace, &s->pace));
    OL_TRY(run_all(r));
    OL_TRY(ol_comm_agree(s->comm, r->first ? account(r, book) : OL_OK));
    OL_TRY(ol_comm_reduce(s->comm, (double)ol_clock_peak_bytes(), &peak));
    OL_TRY(ol_comm_reduce(s->comm, (double)memory.peak, &planned));
    ol_clock_duration(ol_clock_seconds() - began, spent);
    ol_log_info("done in %s; peak memory %.1f MiB (rank %d), data and libraries included; planned "
                "%.1f MiB",
                spent, peak.max.value / 1048576.0, peak.max.rank, planned.max.value / 1048576.0);
    return OL_OK;
}

ol_status ol_run_once(ol_comm *comm, ol_job *job, bool resume, bool *work_started,
                      ol_score_book *book)
{
    runner r = {.first = ol_comm_rank(comm) == 0};
    ol_status status;

    OL_TRY(ol_setup_create(comm, job, resume, false, &r.setup));
    *work_started = true;
    status = run(&r, book);
    ol_setup_destroy(r.setup);
    return status;
}
