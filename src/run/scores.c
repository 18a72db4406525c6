/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/scores.h"

#include <stdio.h>
#include <string.h>

#include "outerloop/base/log.h" /* ol_log_warn */
#include "outerloop/record/metric_columns.h"
#include "outerloop/run/progress.h" /* ol_progress */
#include "outerloop/run/stop.h"     /* ol_stop_wanted */

enum { ITEMS_A_RANK = 8 }; /* of a portion: enough for ranks to be evenly busy */

ol_evaluation_spec ol_scores_spec(const ol_job *job, ol_targets *targets)
{
    ol_evaluation_spec spec = ol_targets_evaluation(targets);

    spec.scoring.learner = ol_job_learner_spec(job);
    spec.scoring.learner.adam.lr = ol_job_adapt_lr(job);
    spec.scoring.learner.stop = ol_stop_wanted;
    spec.scoring.in_context = (job->stages & OL_STAGE_EVAL) != 0;
    spec.scoring.pmi = job->eval.pmi;
    if (job->stages & OL_STAGE_ADAPT) {
        spec.scoring.counts = job->eval.adapt_steps.items;
        spec.scoring.n_counts = job->eval.adapt_steps.n;
    }
    return spec;
}

/* What row i of the table must be of. */
typedef struct place {
    const char *task;
    int seed, steps;
} place;

/* Items in order, each with its scorings. */
static place expected(const ol_evaluation_spec *spec, size_t i)
{
    const size_t n = (size_t)ol_eval_scorings(&spec->scoring);
    const size_t item = i / n, task = item / (size_t)spec->n_seeds;

    return (place){.task = spec->tasks[task],
                   .seed = spec->seeds[item % (size_t)spec->n_seeds],
                   .steps = ol_eval_steps(&spec->scoring, (int)(i % n))};
}

/* Stored scores as they are met, from the first on. */
typedef struct stored {
    const ol_evaluation_spec *spec;
    int64_t there;                   /* predictions in all                              */
    int64_t met, sum;                /* scores that are as expected, their predictions  */
    int64_t tasks, kept, kept_below; /* whole tasks of these, their scores, predictions */
    bool ended;
} stored;

/* Take a score when it is the one that comes next, with all its predictions. */
static ol_status take_stored(void *payload, int64_t row, const ol_cell *cells)
{
    stored *s = payload;
    const int64_t a_task = (int64_t)s->spec->n_seeds * ol_eval_scorings(&s->spec->scoring);
    place want;

    (void)row;
    s->ended = s->ended || s->met == a_task * s->spec->n_tasks;
    if (s->ended)
        return OL_OK;
    want = expected(s->spec, (size_t)s->met);
    s->sum += cells[OL_SCORE_ROWS].i;
    s->ended = strcmp(cells[OL_SCORE_TASK].text, want.task) != 0 ||
               cells[OL_SCORE_SEED].i != want.seed || cells[OL_SCORE_STEPS].i != want.steps ||
               s->sum > s->there;
    if (!s->ended && ++s->met % a_task == 0) {
        s->tasks++;
        s->kept = s->met;
        s->kept_below = s->sum;
    }
    return OL_OK;
}

/* Rank 0: what earlier starts have scored already, of whole tasks. */
static ol_status restore(const ol_scoring *scoring, const ol_evaluation_spec *spec, int *tasks)
{
    stored s = {.spec = spec, .there = ol_metrics_rows(scoring->metrics, OL_TABLE_PREDICTION)};

    if (ol_metrics_rows(scoring->metrics, OL_TABLE_SCORE) > 0)
        OL_TRY(ol_metrics_read(scoring->metrics, OL_TABLE_SCORE, take_stored, &s));
    *tasks = (int)s.tasks;
    return ol_metrics_keep_scores(scoring->metrics, s.kept, s.kept_below);
}

/* A portion: some tasks of the whole, whose source counts from the first of them. */
typedef struct portion {
    const ol_evaluation_spec *whole;
    int first;
} portion;

static ol_status portion_source(void *payload, int task, int seed, ol_eval_target *target)
{
    const portion *p = payload;

    return p->whole->source(p->whole->payload, p->first + task, seed, target);
}

static ol_status store(const ol_scoring *scoring, const ol_evaluation_spec *spec,
                       const ol_evaluation *evaluation)
{
    if (evaluation->diverged > 0)
        ol_log_warn("%s: %d adaptation%s ran into a loss that is not finite and score%s 0: lower "
                    "eval.adapt_lr (%g)",
                    scoring->name, evaluation->diverged, evaluation->diverged > 1 ? "s" : "",
                    evaluation->diverged > 1 ? "" : "s", ol_job_adapt_lr(scoring->job));
    OL_TRY(ol_evaluation_store(evaluation, spec, scoring->name, ol_metrics_sink, scoring->metrics));
    ol_metrics_flush(scoring->metrics);
    return OL_OK;
}

static ol_status score_portion(ol_setup *setup, const ol_scoring *scoring,
                               const ol_evaluation_spec *whole, int first, int tasks)
{
    portion p = {whole, first};
    ol_evaluation_spec spec = *whole;
    ol_evaluation evaluation = {0};
    ol_status status;

    spec.tasks += first;
    spec.n_tasks = tasks;
    spec.unseen = spec.unseen ? spec.unseen + first : NULL;
    spec.groups = spec.groups ? spec.groups + first : NULL;
    spec.costs = spec.costs ? spec.costs + (ptrdiff_t)first * spec.n_seeds : NULL;
    spec.source = portion_source;
    spec.payload = &p;
    OL_TRY(ol_evaluate(setup->comm, scoring->model, scoring->state, &spec, &evaluation));
    status = ol_comm_rank(setup->comm) == 0 ? store(scoring, &spec, &evaluation) : OL_OK;
    ol_evaluation_finish(&evaluation);
    return ol_comm_agree(setup->comm, status);
}

static ol_status stopped(const ol_scoring *scoring, int done, int tasks)
{
    return ol_fail(OL_ESTOPPED,
                   "%s: stopped with %d of %d target tasks scored, everything is saved; go on "
                   "with --resume (exit code 85 is no failure)",
                   scoring->name, done, tasks);
}

ol_status ol_score_targets(ol_setup *setup, const ol_scoring *scoring)
{
    const ol_evaluation_spec spec = ol_scores_spec(scoring->job, scoring->targets);
    const int at_once =
        (ITEMS_A_RANK * ol_comm_size(setup->comm) + spec.n_seeds - 1) / spec.n_seeds;
    char what[128];
    ol_progress progress;
    int done = 0;
    bool stop = false;
    ol_status status = OL_OK;

    if (ol_comm_rank(setup->comm) == 0)
        status = restore(scoring, &spec, &done);
    OL_TRY(ol_comm_agree(setup->comm, status));
    OL_TRY(ol_comm_broadcast(setup->comm, &done, sizeof done, 0));
    if (done == spec.n_tasks)
        return OL_OK;
    if (done > 0) /* slurm/run.sbatch sees by it that a start came further than the one before */
        ol_log_info("%s: going on from %d of %d target tasks scored", scoring->name, done,
                    spec.n_tasks);
    snprintf(what, sizeof what, "%s, scoring targets", scoring->name);
    progress = ol_progress_start(what, done, spec.n_tasks, scoring->job->train.log_seconds);
    while (done < spec.n_tasks) {
        const int left = spec.n_tasks - done;
        const int tasks = left < at_once ? left : at_once;

        OL_TRY(ol_stop_agree(setup->comm, &stop));
        if (stop)
            return stopped(scoring, done, spec.n_tasks);
        status = score_portion(setup, scoring, &spec, done, tasks);
        if (status == OL_ESTOPPED) {
            OL_TRY(ol_stop_agree(setup->comm, &stop));
            return stopped(scoring, done, spec.n_tasks);
        }
        OL_TRY(status);
        done += tasks;
        ol_progress_count(&progress, done, "");
    }
    ol_progress_end();
    return OL_OK;
}
