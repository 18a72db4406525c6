/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/scores.h"

#include <stdio.h>
#include <string.h>

#include "outerloop/base/log.h" /* ol_log_warn */
#include "outerloop/record/metric_columns.h"
#include "outerloop/run/progress.h" /* ol_progress */
#include "outerloop/run/stop.h"     /* ol_stop_wanted */

enum { ITEMS_A_RANK = 8 }; /* of a portion: enough for ranks to be evenly busy */

ol_evaluation_spec ol_scores_spec(const ol_arm *arm)
{
    const ol_job *job = arm->job;
    ol_evaluation_spec spec = ol_targets_evaluation(arm->targets);

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

/* Stored scores as they are met, from the first on. */
typedef struct stored {
    const ol_evaluation_spec *spec;
    int64_t there;                   /* predictions in all                              */
    int64_t met, sum;                /* scores that are as expected, their predictions  */
    int64_t tasks, kept, kept_below; /* whole tasks of these, their scores, predictions */
    bool ended;
} stored;

/* Take a score when it is the one that comes next, with all its predictions: items stand in order, each
 * with its scorings. */
static ol_status take_stored(void *payload, int64_t row, const ol_cell *cells)
{
    stored *s = payload;
    const ol_evaluation_spec *spec = s->spec;
    const int64_t each = ol_eval_scorings(&spec->scoring), item = s->met / each;
    const int64_t task = item / spec->n_seeds;

    (void)row;
    s->ended = s->ended || task == spec->n_tasks;
    if (s->ended)
        return OL_OK;
    s->sum += cells[OL_SCORE_ROWS].i;
    s->ended = strcmp(cells[OL_SCORE_TASK].text, spec->tasks[task]) != 0 ||
               cells[OL_SCORE_SEED].i != spec->seeds[item % spec->n_seeds] ||
               cells[OL_SCORE_STEPS].i != ol_eval_steps(&spec->scoring, (int)(s->met % each)) ||
               s->sum > s->there;
    if (!s->ended && ++s->met % (spec->n_seeds * each) == 0) {
        s->tasks++;
        s->kept = s->met;
        s->kept_below = s->sum;
    }
    return OL_OK;
}

/* Rank 0: what earlier starts have scored already, of whole tasks. */
static ol_status restore(const ol_evaluation_spec *spec, ol_metrics *metrics, int *tasks)
{
    stored s = {.spec = spec, .there = ol_metrics_rows(metrics, OL_TABLE_PREDICTION)};

    if (ol_metrics_rows(metrics, OL_TABLE_SCORE) > 0)
        OL_TRY(ol_metrics_read(metrics, OL_TABLE_SCORE, take_stored, &s));
    *tasks = (int)s.tasks;
    return ol_metrics_keep_scores(metrics, s.kept, s.kept_below);
}

static ol_status store(const ol_arm *arm, const ol_evaluation_spec *spec,
                       const ol_evaluation *evaluation, ol_metrics *metrics)
{
    const bool several = evaluation->diverged > 1;

    if (evaluation->diverged > 0)
        ol_log_warn("%s: %d adaptation%s ran into a loss that is not finite and score%s 0: lower "
                    "eval.adapt_lr (%g)",
                    arm->row, evaluation->diverged, several ? "s" : "", several ? "" : "s",
                    ol_job_adapt_lr(arm->job));
    OL_TRY(ol_evaluation_store(evaluation, spec, arm->row, ol_metrics_sink, metrics));
    ol_metrics_flush(metrics);
    return OL_OK;
}

static ol_status score_portion(const ol_setup *s, const ol_arm *arm, const ol_evaluation_spec *spec,
                               ol_metrics *metrics)
{
    OL_AUTO(ol_evaluation_finish) ol_evaluation evaluation = {0};

    OL_TRY(ol_evaluate(s->comm, arm->model, ol_state_borrow(&s->state), spec, &evaluation));
    return OL_ON_FIRST(s->comm, store(arm, spec, &evaluation, metrics));
}

ol_status ol_score_targets(const ol_setup *s, const ol_arm *arm, ol_metrics *metrics)
{
    ol_evaluation_spec spec = ol_scores_spec(arm);
    const int all = spec.n_tasks;
    const int at_once = (ITEMS_A_RANK * ol_comm_size(s->comm) + spec.n_seeds - 1) / spec.n_seeds;
    char what[OL_ROW_NAME + 32];
    ol_progress progress;

    OL_TRY(OL_ON_FIRST(s->comm, restore(&spec, metrics, &spec.first)));
    OL_TRY(ol_comm_broadcast(s->comm, &spec.first, sizeof spec.first, 0));
    if (spec.first == all)
        return OL_OK;
    if (spec.first >
        0) /* slurm/run.sbatch sees by it that a start came further than the one before */
        ol_log_info("%s: going on from %d of %d target tasks scored", arm->row, spec.first, all);
    snprintf(what, sizeof what, "%s, scoring targets", arm->row);
    progress = ol_progress_start(what, spec.first, all, arm->job->train.log_seconds);
    while (spec.first < all) {
        bool stop = false;
        ol_status status;

        OL_TRY(ol_stop_agree(s->comm, &stop));
        if (stop)
            return ol_stop_here("%s: stopped with %d of %d target tasks scored", arm->row,
                                spec.first, all);
        spec.n_tasks = all - spec.first < at_once ? all - spec.first : at_once;
        status = score_portion(s, arm, &spec, metrics);
        if (status == OL_ESTOPPED)
            continue; /* the portion was given up, and all agree on why */
        OL_TRY(status);
        spec.first += spec.n_tasks;
        ol_progress_count(&progress, spec.first);
    }
    ol_progress_end();
    return OL_OK;
}
