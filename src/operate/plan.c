/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/operate/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h"  /* OL_ALLOCATE */
#include "outerloop/run/run.h"    /* ol_run_look_at */
#include "outerloop/run/scores.h" /* ol_scores_spec */
#include "plan_parts.h"

enum {
    CHECKPOINT_REST = 96 << 10, /* bytes of a checkpoint beside its tensors            */
    ROW_BYTES = 650,            /* of a row in metrics.h5 and metrics.jsonl together    */
    STEP_BYTES = 40,            /* and a number more for each inner step                */
    LEAD_LEAST = 60,            /* s: what SLURM and a slow start of saving may take    */
};

static const double BUDGET = 8;        /* s of measuring in all */
static const double DISK_RATE = 100e6; /* bytes/s: a shared file system that is busy */

/* Same work: the time of one is that of the other. */
static bool same_work(const ol_arm *a, const ol_arm *b)
{
    const ol_job_learner *x = &a->job->learner, *y = &b->job->learner;

    return a->sampler == b->sampler && strcmp(x->algorithm, y->algorithm) == 0 &&
           x->order == y->order && x->episodes == y->episodes && x->support == y->support &&
           x->query == y->query && x->inner.steps == y->inner.steps &&
           x->inner.optimizer == y->inner.optimizer && x->inner.storage == y->inner.storage &&
           x->inner.storage_mib == y->inner.storage_mib && x->inner.moments == y->inner.moments;
}

static ol_status time_training(plan_clock *clock, ol_setup *s, int i, int ranks, ol_plan_part *part)
{
    ol_plan_arm *out = &part->arms[i];

    for (int j = 0; j < i; j++)
        if (same_work(&s->arms[i], &s->arms[j])) {
            const ol_plan_arm *like = &part->arms[j];

            out->step_seconds = like->step_seconds;
            out->piece_seconds = like->piece_seconds;
            out->measured = like->measured;
            out->train_seconds = out->steps * out->step_seconds;
            out->tokens = like->steps > 0 ? like->tokens / like->steps * out->steps : 0;
            return OL_OK;
        }
    return plan_training_time(clock, s, &s->arms[i], ranks, out);
}

/* Targets that an arm before it was timed on, with as many steps on them, take as long. */
static ol_status time_scoring(plan_clock *clock, ol_setup *s, int i, int ranks, ol_plan_part *part)
{
    const ol_arm *arm = &s->arms[i];

    for (int j = 0; j < i; j++)
        if (s->arms[j].targets == arm->targets &&
            s->arms[j].job->learner.inner.optimizer == arm->job->learner.inner.optimizer) {
            part->arms[i].score_seconds = part->arms[j].score_seconds;
            return OL_OK;
        }
    return plan_scoring_time(clock, s, arm, ranks, &part->arms[i].score_seconds);
}

static ol_status plan_arm(plan_clock *clock, ol_setup *s, int i, int ranks, ol_plan_part *part)
{
    const ol_job *job = s->arms[i].job;
    ol_plan_arm *out = &part->arms[i];

    snprintf(out->name, sizeof out->name, "%s", job->name);
    if (s->job->stages & OL_STAGE_TRAIN) {
        out->steps = job->train.steps;
        out->episodes = job->learner.episodes;
        out->evaluations = ol_job_evaluations_per_step(job) * job->train.steps;
        OL_TRY(time_training(clock, s, i, ranks, part));
    }
    if (s->scored)
        OL_TRY(time_scoring(clock, s, i, ranks, part));
    return OL_OK;
}

/* Checkpoints that stay: the newest, and those of keep_every. */
static double kept(const ol_job_train *t)
{
    const double every = t->keep_every > 0 ? t->steps / t->keep_every : 0;
    const double made = t->checkpoint_every > 0     ? (double)t->steps / t->checkpoint_every + 1
                        : t->checkpoint_minutes > 0 ? (double)t->keep_last
                                                    : 1;

    return fmin(t->keep_last + every, fmax(1, made));
}

/* Rows of one scoring of all targets. */
static double score_rows(const ol_arm *arm)
{
    const ol_evaluation_spec spec = ol_scores_spec(arm);
    double rows = 0;

    for (int i = 0; i < spec.n_tasks; i++)
        rows += ol_targets_note(arm->targets, i)->scored;
    return rows * ol_eval_scorings(&spec.scoring);
}

static void plan_disk(const ol_setup *s, ol_plan_part *part)
{
    double metrics = 0, checkpoints = 0;

    for (int i = 0; i < s->n_arms; i++) {
        const ol_job *job = s->arms[i].job;
        const ol_learner_spec spec = ol_job_learner_spec(job);
        const size_t one =
            3 * ol_learner_size(s->arms[i].model, &spec) * sizeof(ol_real) + CHECKPOINT_REST;

        if (s->job->stages & OL_STAGE_TRAIN) {
            part->checkpoint = one > part->checkpoint ? one : part->checkpoint;
            checkpoints += (double)one * kept(&job->train);
            metrics += (double)job->train.steps * (1 + job->learner.episodes) *
                       (ROW_BYTES + STEP_BYTES * ol_learner_steps(&spec));
        }
        if (s->scored)
            metrics += ROW_BYTES * score_rows(&s->arms[i]) * (s->baseline && i == 0 ? 2 : 1);
    }
    part->metrics = (size_t)(metrics * part->times);
    part->checkpoints = (size_t)(checkpoints * part->times);
}

static void add_up(const ol_plan_part *part, const ol_memory *memory, ol_plan *plan)
{
    for (int i = 0; i < part->n; i++) {
        const int episodes = part->arms[i].episodes;
        const int rounds = (episodes + plan->ranks - 1) / plan->ranks;

        plan->piece_seconds = fmax(plan->piece_seconds, part->arms[i].piece_seconds);
        plan->episodes = episodes > plan->episodes ? episodes : plan->episodes;
        plan->rounds = rounds > plan->rounds ? rounds : plan->rounds;
    }
    if (memory->peak > plan->memory.peak)
        plan->memory = *memory;
    plan->seconds += part->seconds;
    plan->disk += part->checkpoints + part->metrics;
    plan->save_seconds = fmax(plan->save_seconds, (double)part->checkpoint / DISK_RATE);
}

static ol_status plan_part(plan_clock *clock, ol_setup *s, const char *what, int times,
                           ol_plan *plan)
{
    ol_plan_part *part = &plan->parts[plan->n_parts++];
    ol_memory memory;

    *part = (ol_plan_part){.what = what, .n = s->n_arms, .times = times};
    OL_TRY(ol_comm_agree(clock->comm, OL_ALLOCATE(part->arms, s->n_arms, "arms of a plan")));
    OL_TRY(ol_comm_agree(clock->comm, ol_memory_plan(s, plan->ranks, &memory)));
    if (plan->n_parts > 1) { /* what this process has by now is not what a run would have */
        memory.libraries = plan->memory.libraries;
        memory.data = plan->memory.data;
        memory.setup = plan->memory.setup;
        memory.peak = ol_memory_peak(&memory);
    }
    for (int i = 0; i < s->n_arms; i++) {
        OL_TRY(plan_arm(clock, s, i, plan->ranks, part));
        part->seconds += part->arms[i].train_seconds + part->arms[i].score_seconds;
    }
    if (s->scored)
        part->items = ol_targets_evaluation(s->arms[0].targets).n_tasks *
                      ol_targets_evaluation(s->arms[0].targets).n_seeds;
    part->start_seconds = s->baseline ? part->arms[0].score_seconds : 0;
    part->seconds = times * (part->seconds + part->start_seconds);
    plan_disk(s, part);
    add_up(part, &memory, plan);
    return OL_OK;
}

/* The runs that choose among the cells of grids. */
static ol_status plan_tuning(plan_clock *clock, const ol_job *job, bool resume, ol_plan *plan)
{
    static const char *const names[] = {"tuning the start", "tuning"};

    for (int trained = 0; trained < 2; trained++) {
        OL_AUTO_JOB *search = NULL;
        OL_AUTO_SETUP *setup = NULL;

        OL_TRY(ol_comm_agree(clock->comm, ol_tune_job(job, trained > 0, &search)));
        if (!search)
            continue;
        OL_TRY(ol_setup_create(clock->comm, search, resume, true, &setup));
        OL_TRY(plan_part(clock, setup, names[trained], 1, plan));
    }
    return OL_OK;
}

static int lead(const ol_plan *plan)
{
    const double seconds = 2 * (plan->piece_seconds + plan->save_seconds);

    return 60 * (int)ceil(fmax(seconds, LEAD_LEAST) / 60);
}

/* Lets go of the setup before others are made. */
static ol_status plan_all(plan_clock *clock, ol_run_look *look, bool resume, ol_plan *plan)
{
    const ol_job *job = look->job;
    const int seeds = job->train_seeds.n;

    snprintf(plan->name, sizeof plan->name, "%s", job->name);
    plan->threads = job->threads;
    plan->gflops = clock->gflops;
    OL_TRY(plan_part(clock, look->setup, "run", seeds > 0 ? seeds : 1, plan));
    ol_setup_destroy(look->setup);
    look->setup = NULL;
    OL_TRY(plan_tuning(clock, job, resume, plan));
    plan->measured = clock->measured;
    plan->lead = lead(plan);
    return OL_OK;
}

ol_status ol_plan_job(ol_comm *comm, ol_job_source source, bool resume, int ranks, ol_plan *out)
{
    OL_AUTO_RUN_LOOK look = {0};
    plan_clock clock;
    ol_status status;

    *out = (ol_plan){.ranks = ranks};
    OL_TRY(ol_run_look_at(comm, source, resume, &look));
    OL_TRY(plan_clock_start(comm, BUDGET, &clock));
    status = plan_all(&clock, &look, resume, out);
    if (status != OL_OK)
        ol_plan_finish(out);
    return status;
}

void ol_plan_finish(ol_plan *plan)
{
    for (int i = 0; i < plan->n_parts; i++)
        free(plan->parts[i].arms);
    *plan = (ol_plan){0};
}
