/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/scores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/log.h"      /* ol_log_warn */
#include "outerloop/run/progress.h"  /* ol_progress */
#include "outerloop/run/stop.h"      /* ol_stop_wanted */
#include "outerloop/store/archive.h" /* ol_archive */

enum { ITEMS_A_RANK = 8 }; /* of a portion: enough for ranks to be evenly busy */

static ol_evaluation_spec whole_spec(const ol_scoring *scoring)
{
    const ol_job *job = scoring->job;
    ol_evaluation_spec spec = ol_targets_evaluation(scoring->targets);

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

/* Columns of eval/score that tell which scores are there. */
typedef struct stored {
    ol_strings tasks;
    int64_t *seeds, *steps, *rows; /* [n] */
    size_t n;
} stored;

static void stored_finish(stored *s)
{
    ol_strings_finish(&s->tasks);
    free(s->seeds);
    free(s->steps);
    free(s->rows);
}

static ol_status read_columns(const char *path, stored *s)
{
    ol_archive *file = NULL;
    ol_status status;

    s->seeds = calloc(s->n + 1, sizeof *s->seeds);
    s->steps = calloc(s->n + 1, sizeof *s->steps);
    s->rows = calloc(s->n + 1, sizeof *s->rows);
    OL_CHECK(s->seeds && s->steps && s->rows, OL_ENOMEM, "no memory for %zu scores", s->n);
    OL_TRY(ol_archive_open(path, &file));
    status = ol_archive_read_strings(file, "eval/score/task", &s->tasks);
    if (status == OL_OK)
        status = ol_archive_read_i64(file, "eval/score/seed", s->n, s->seeds);
    if (status == OL_OK)
        status = ol_archive_read_i64(file, "eval/score/adapt_steps", s->n, s->steps);
    if (status == OL_OK)
        status = ol_archive_read_i64(file, "eval/score/rows", s->n, s->rows);
    ol_archive_close(file);
    return status == OL_OK && s->tasks.n != s->n
               ? ol_fail(OL_EDATA, "%s: eval/score: columns differ in length", path)
               : status;
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

/* Take the whole tasks that stand at the front of the tables, with all their predictions. */
static ol_status take_stored(const ol_scoring *scoring, const ol_evaluation_spec *spec,
                             const stored *s, int *tasks)
{
    const size_t a_task = (size_t)spec->n_seeds * (size_t)ol_eval_scorings(&spec->scoring);
    const int64_t there = ol_metrics_rows(scoring->metrics, OL_TABLE_PREDICTION);
    int64_t sum = 0, predictions = 0;
    size_t kept = 0;

    for (size_t i = 0; i < s->n && i < a_task * (size_t)spec->n_tasks; i++) {
        const place want = expected(spec, i);

        if (strcmp(s->tasks.items[i], want.task) != 0 || s->seeds[i] != want.seed ||
            s->steps[i] != want.steps)
            break;
        sum += s->rows[i];
        if (sum > there)
            break;
        if ((i + 1) % a_task == 0) {
            kept = i + 1;
            predictions = sum;
        }
    }
    *tasks = (int)(kept / a_task);
    return ol_metrics_keep_scores(scoring->metrics, (int64_t)kept, predictions);
}

/* Rank 0: what earlier starts have scored already. */
static ol_status restore(const ol_scoring *scoring, const ol_evaluation_spec *spec, int *tasks)
{
    stored s = {.n = (size_t)ol_metrics_rows(scoring->metrics, OL_TABLE_SCORE)};
    ol_status status;

    *tasks = 0;
    if (s.n == 0)
        return ol_metrics_keep_scores(scoring->metrics, 0, 0);
    status = read_columns(scoring->folder->metrics, &s);
    if (status == OL_OK) {
        status = take_stored(scoring, spec, &s, tasks);
    } else {
        ol_log_warn("%s; tasks are scored again", ol_status_message());
        status = ol_metrics_keep_scores(scoring->metrics, 0, 0);
    }
    stored_finish(&s);
    return status;
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
    ol_metrics_flush(scoring->metrics, true);
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
    const ol_evaluation_spec spec = whole_spec(scoring);
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
