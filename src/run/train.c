/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/clock.h"           /* ol_clock_seconds */
#include "outerloop/base/digest.h"          /* ol_digest */
#include "outerloop/base/log.h"             /* ol_log_warn */
#include "outerloop/base/size.h"            /* OL_ALLOCATE */
#include "outerloop/collective/meta_step.h" /* ol_meta_stepper */
#include "outerloop/collective/phases.h"    /* ol_phases_gather */
#include "outerloop/run/progress.h"         /* ol_progress */
#include "outerloop/run/stop.h"             /* ol_stop_agree */
#include "outerloop/run/watch.h"            /* ol_watch_step */

/* One arm at work. */
typedef struct trainer {
    ol_setup *setup;
    const ol_arm *arm;
    ol_metrics *metrics;
    ol_run_mark *mark;
    ol_learner_spec learner;
    ol_meta_stepper *stepper;
    ol_progress progress;
    double *costs; /* [N] */
    bool loops;    /* it has an inner loop */
    int dropped_in_row;
    double saved_at;     /* on the common clock */
    double save_seconds; /* spent on checkpoints since began */
    double began;
    bool warned_of_saving;
    bool cannot_save; /* the latest try failed */
    ol_watch watch;
    ol_phase_times phases; /* of all meta-steps that are in train/phase */
    int64_t timed;         /* the last of them                          */
    bool warned_of_gradient;
} trainer;

static bool is_first(const trainer *t)
{
    return ol_comm_rank(t->setup->comm) == 0;
}

/* What each rank came to, as everyone's; the stopwatch knows it for waiting. */
static ol_status agree(const trainer *t, ol_status status)
{
    ol_phase_enter(OL_PHASE_WAIT);
    OL_TRY(ol_comm_agree(t->setup->comm, status));
    ol_phase_leave(OL_PHASE_OTHER);
    return OL_OK;
}

static ol_status predict_costs(trainer *t, int64_t step)
{
    const int N = t->arm->job->learner.episodes;
    OL_AUTO_FREE ol_episode_cost *costs = NULL;

    OL_TRY(OL_ALLOCATE(costs, N, "episodes"));
    OL_TRY(ol_sampler_costs(t->arm->sampler, (uint32_t)step, N, costs));
    for (int n = 0; n < N; n++)
        t->costs[n] =
            ol_learner_flop(t->arm->model, &t->learner, &costs[n].support, &costs[n].query);
    return OL_OK;
}

/* An ol_episode_source; a request to stop is heeded before each episode, and by the learner before
 * each inner step. */
static ol_status draw(void *payload, int64_t step, int n, ol_episode *episode)
{
    const trainer *t = payload;

    if (ol_stop_wanted())
        return ol_fail(OL_ESTOPPED, "asked to stop");
    return ol_sampler_draw(t->arm->sampler, (uint32_t)step, t->arm->job->learner.episodes, n,
                           episode);
}

static void digest_theta(const trainer *t, char digest[OL_DIGEST_TEXT])
{
    ol_digest(t->setup->state.theta, ol_learner_size(t->arm->model, &t->learner) * sizeof(ol_real),
              digest);
}

/* Rank 0: the rows of a meta-step, and a word about episodes that were dropped. */
static ol_status record(trainer *t, const ol_step_report *report, double lr, double seconds)
{
    const ol_episode_record *records = ol_meta_stepper_records(t->stepper);
    const int64_t step = t->mark->step;
    char digest[OL_DIGEST_TEXT];

    for (int n = 0; n < t->arm->job->learner.episodes; n++) {
        const ol_episode_record *r = &records[n];
        const char *task = ol_sampler_task(t->arm->sampler, r->task);
        ol_episode_record row = *r;

        if (!t->loops) /* not measured twice */
            row.report.query_before = row.report.query_after;
        if (r->dropped)
            ol_log_warn("meta-step %lld: episode %d (task %s, rank %d) is dropped: a loss or "
                        "gradient is not finite",
                        (long long)step, n, task, r->rank);
        OL_TRY(ol_metrics_episode(t->metrics, step, &row,
                                  ol_meta_stepper_inner_losses(t->stepper, n), task));
    }
    digest_theta(t, digest);
    if (t->learner.learner->own)
        OL_TRY(ol_metrics_own(t->metrics, step, t->learner.learner->own,
                              ol_learner_size(t->arm->model, &t->learner) - t->arm->model->P,
                              t->setup->state.theta + t->arm->model->P));
    return ol_metrics_step(
        t->metrics,
        &(ol_step_row){
            .step = step, .lr = lr, .seconds = seconds, .digest = digest, .report = report});
}

/* Say, once, that the meta-gradient is not what it should be. */
static void watch_gradient(trainer *t, const ol_step_report *report)
{
    const double root = t->arm->job->learner.inner.eps_root, median = ol_watch_median(&t->watch);
    double share = 0;
    char seen[128];

    if (t->learner.inner != OL_ADAMW || report->dropped == report->episodes)
        return;
    for (int n = 0; n < report->episodes; n++)
        share = fmax(share, ol_meta_stepper_records(t->stepper)[n].report.second_order);
    if (!ol_watch_step(&t->watch, share, report->grad_norm) || t->warned_of_gradient)
        return;
    t->warned_of_gradient = true;
    snprintf(seen, sizeof seen, "its norm is %.3g", report->grad_norm);
    if (median > 0)
        snprintf(seen, sizeof seen, "its norm is %.3g, where %.3g is usual", report->grad_norm,
                 median);
    if (share > 0)
        snprintf(seen, sizeof seen, "its second-order part is %.3g times the first-order one",
                 share);
    ol_log_warn("meta-step %lld: the meta-gradient is doubtful: %s. Inner AdamW steps from small "
                "second moments magnify rounding: raise learner.inner.eps_root (%g; try %g), or "
                "lower learner.inner.lr",
                (long long)t->mark->step, seen, root, fmax(100 * root, 1e-8));
}

/* All nodes must hold the same θ: anything else is broken memory, or a broken MPI. */
static ol_status compare_nodes(const trainer *t)
{
    const bool looks = ol_shared_state_mine(t->setup->shared);
    char first[OL_DIGEST_TEXT] = "", mine[OL_DIGEST_TEXT];
    ol_status status = OL_OK;

    if (looks)
        digest_theta(t, mine);
    if (is_first(t))
        memcpy(first, mine, sizeof first);
    OL_TRY(ol_comm_broadcast(t->setup->comm, first, sizeof first, 0));
    if (looks && strcmp(first, mine) != 0)
        status = ol_fail(OL_EMPI,
                         "meta-step %lld: the parameters here (%s) are not those of rank 0 (%s): "
                         "do all hosts have the same processors and libraries? Nothing is saved; "
                         "--resume goes on from the last checkpoint",
                         (long long)t->mark->step, mine, first);
    return ol_comm_agree(t->setup->comm, status);
}

/* Checkpoints are insurance: say so, once, when the premium gets high. */
static void weigh_saving(trainer *t)
{
    const double spent = ol_clock_seconds() - t->began;

    if (t->warned_of_saving || spent < 60.0 || t->save_seconds < 0.05 * spent)
        return;
    t->warned_of_saving = true;
    ol_log_warn("checkpoints take %.0f %% of the time: raise train.checkpoint_every (%d) or "
                "train.checkpoint_minutes (%g)",
                100.0 * t->save_seconds / spent, t->arm->job->train.checkpoint_every,
                t->arm->job->train.checkpoint_minutes);
}

/* Write a checkpoint. Collective; fails on all ranks when it cannot be written. */
static ol_status save(trainer *t)
{
    const ol_phase was = ol_phase_enter(OL_PHASE_SAVE);
    const double begin = ol_clock_seconds();
    char path[PATH_MAX];
    ol_status status = OL_OK;

    OL_TRY(compare_nodes(t));
    if (is_first(t)) {
        ol_metrics_sync(t->metrics); /* never fewer rows than the checkpoint has steps */
        status = ol_snapshot_write(t->arm->folder->checkpoints, t->arm->job, t->arm->model,
                                   &t->setup->state, t->mark, path);
    }
    t->save_seconds += ol_clock_seconds() - begin;
    status = ol_comm_agree(t->setup->comm, status);
    ol_phase_leave(was);
    return status;
}

/* A full disk does not end a run: it is said when it begins and when it ends. */
static ol_status tell_of_saving(trainer *t, ol_status status)
{
    const bool failed = status == OL_EIO;

    if (failed && !t->cannot_save)
        ol_log_warn(
            "no checkpoint at meta-step %lld, training goes on and each later one is tried: "
            "%s",
            (long long)t->mark->step, ol_status_message());
    else if (!failed && t->cannot_save && status == OL_OK)
        ol_log_info("checkpoints can be written again: there is one of meta-step %lld",
                    (long long)t->mark->step);
    t->cannot_save = failed;
    return failed ? OL_OK : status;
}

static ol_status save_if_due(trainer *t)
{
    const ol_job_train *train = &t->arm->job->train;
    const int64_t step = t->mark->step;
    bool due = train->checkpoint_every > 0 && step % train->checkpoint_every == 0;
    double now = 0;

    if (step >= train->steps)
        return OL_OK; /* the last one is on its way */
    OL_TRY(ol_comm_seconds(t->setup->comm, &now));
    OL_TRY(ol_pace_look(t->setup->comm, now, &t->setup->pace));
    due = due ||
          (train->checkpoint_minutes > 0 && now - t->saved_at >= 60.0 * train->checkpoint_minutes);
    if (!due)
        return OL_OK;
    OL_TRY(tell_of_saving(t, save(t)));
    t->saved_at = now;
    weigh_saving(t);
    return OL_OK;
}

static ol_status too_many_dropped(trainer *t)
{
    const ol_job_learner *l = &t->arm->job->learner;

    OL_TRY(save(t));
    return ol_fail(OL_ENONFINITE,
                   "%s: episodes were dropped in %d meta-steps in a row, the last of them %lld: "
                   "lower learner.inner.lr (%g) or learner.outer.lr (%g), or set "
                   "learner.outer.max_grad_norm; the state is saved in %s",
                   t->arm->job->name, t->dropped_in_row, (long long)t->mark->step, l->inner.lr,
                   l->outer.lr, t->arm->folder->checkpoints);
}

/* Is the query loss before adaptation asked for in this meta-step, counted from 0? Without an inner
 * loop it is the one after. */
static bool measures_before(const trainer *t, int64_t step)
{
    const ol_job_train *train = &t->arm->job->train;

    return train->before_every > 0 && t->loops &&
           (step % train->before_every == 0 || step == train->steps - 1);
}

static ol_status meta_step(trainer *t)
{
    const int64_t step = t->mark->step;
    const ol_outer_spec outer = ol_job_outer_spec(t->arm->job, step);
    const double began = ol_clock_seconds();
    ol_step_report report;
    double seconds;

    ol_phase_enter(OL_PHASE_DRAW);
    OL_TRY(agree(t, predict_costs(t, step)));
    ol_meta_stepper_measure_before(t->stepper, measures_before(t, step));
    OL_TRY(ol_meta_step(t->stepper, &outer, step, t->costs, draw, t, &t->setup->state, &report));
    seconds = ol_clock_seconds() - began;
    t->mark->step = step + 1;
    t->mark->tokens += report.tokens;
    t->mark->seconds += seconds;
    if (!t->loops)
        report.query_before = report.query_after;
    t->dropped_in_row = report.dropped > 0 ? t->dropped_in_row + 1 : 0;
    if (!is_first(t))
        return OL_OK;
    ol_phase_enter(OL_PHASE_METRICS);
    ol_progress_step(&t->progress, step + 1, t->loops ? report.query_before : (double)NAN,
                     report.query_after, report.tokens, seconds);
    OL_TRY(record(t, &report, outer.adam.lr, seconds));
    watch_gradient(t, &report);
    ol_metrics_flush(t->metrics);
    ol_phase_leave(OL_PHASE_OTHER);
    return OL_OK;
}

/* Rows of train/phase for the meta-step that was made last, its checkpoint included. Collective. */
static ol_status record_phases(trainer *t)
{
    ol_phase_row rows[OL_PHASES];
    ol_phase_times mine;

    if (!ol_phase_runs || t->mark->step == t->timed)
        return OL_OK;
    t->timed = t->mark->step;
    mine = ol_phase_read();
    ol_phases_add(&mine, &t->phases);
    ol_phase_enter(OL_PHASE_METRICS);
    OL_TRY(ol_phases_gather(t->setup->comm, &mine, rows));
    OL_TRY(ol_comm_agree(t->setup->comm, ol_metrics_phases(t->metrics, t->timed, rows)));
    ol_phase_leave(OL_PHASE_OTHER);
    return OL_OK;
}

/* Rank 0: where the seconds of this start went. */
static ol_status say_phases(const trainer *t, const ol_phase_row *rows)
{
    OL_AUTO_TEXT text = {0};

    OL_TRY(ol_phases_text(rows, ol_comm_size(t->setup->comm), &text));
    ol_log_info("%s: where the time of meta-steps went\n%.*s", t->arm->job->name,
                (int)text.size - 1, text.data);
    return OL_OK;
}

static ol_status end_phases(trainer *t)
{
    ol_phase_row rows[OL_PHASES];

    if (!ol_phase_runs)
        return OL_OK;
    ol_phase_stop();
    OL_TRY(ol_phases_gather(t->setup->comm, &t->phases, rows));
    return OL_ON_FIRST(t->setup->comm, say_phases(t, rows));
}

static ol_status stop(trainer *t)
{
    OL_TRY(save(t));
    OL_TRY(end_phases(t));
    return ol_stop_here("%s: stopped at meta-step %lld of %d", t->arm->job->name,
                        (long long)t->mark->step, t->arm->job->train.steps);
}

static ol_status loop(trainer *t)
{
    while (t->mark->step < t->arm->job->train.steps) {
        bool stops = false;
        ol_status status;

        OL_TRY(record_phases(t));
        ol_phase_enter(OL_PHASE_WAIT);
        OL_TRY(ol_stop_agree(t->setup->comm, &stops));
        ol_phase_leave(OL_PHASE_OTHER);
        if (stops)
            return stop(t);
        status = meta_step(t);
        if (status == OL_ESTOPPED)
            continue; /* the meta-step was given up, and the state is as before it */
        OL_TRY(agree(t, status));
        if (t->dropped_in_row >= t->arm->job->train.max_dropped)
            return too_many_dropped(t);
        OL_TRY(save_if_due(t));
    }
    OL_TRY(save(t));
    OL_TRY(record_phases(t));
    return end_phases(t);
}

static ol_status train(trainer *t)
{
    ol_comm *comm = t->setup->comm;
    const ol_arm *arm = t->arm;
    const int N = arm->job->learner.episodes;

    OL_TRY(ol_comm_agree(comm, OL_ALLOCATE(t->costs, N, "episodes")));
    OL_TRY(ol_meta_stepper_create(comm, arm->model, N, &t->learner, arm->support, arm->query,
                                  &t->stepper));
    ol_meta_stepper_share(t->stepper, t->setup->shared);
    OL_TRY(ol_comm_seconds(comm, &t->saved_at));
    if (arm->job->train.timers)
        ol_phase_start();
    return loop(t);
}

ol_status ol_train(ol_setup *setup, const ol_arm *arm, ol_metrics *metrics, ol_run_mark *mark)
{
    const ol_job *job = arm->job;
    trainer t = {.setup = setup,
                 .arm = arm,
                 .metrics = metrics,
                 .mark = mark,
                 .learner = ol_job_learner_spec(job),
                 .timed = mark->step,
                 .began = ol_clock_seconds()};
    ol_status status;

    t.learner.stop = ol_stop_wanted;
    t.loops = ol_learner_steps(&t.learner) > 0;
    t.progress = ol_progress_start(job->name, mark->step, job->train.steps, job->train.log_seconds);
    status = train(&t);
    ol_phase_stop();
    ol_progress_end();
    ol_meta_stepper_destroy(t.stepper);
    free(t.costs);
    return status;
}
