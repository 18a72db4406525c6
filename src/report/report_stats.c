/* SPDX-License-Identifier: BSD-3-Clause */
/* The numbers of a report. What is a statistic comes from `eval`, and from here alone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h"         /* OL_ALLOCATE */
#include "outerloop/eval/table.h"        /* ol_eval_summarise */
#include "outerloop/record/score_book.h" /* ol_score_gain */
#include "report_parts.h"

/* A learner as eval takes it; of a task alone where one is named. @param scores  [n_scores] */
static ol_eval_learner as_learner(const report_learner *l, const char *task, ol_eval_score *scores)
{
    ol_eval_learner out = {.name = l->label,
                           .scores = scores,
                           .seconds = l->seconds,
                           .before = (double)NAN,
                           .after = (double)NAN};

    if (l->inner)
        ol_score_gain(l->series.n, l->series.number[OL_STEP_LOSS_BEFORE],
                      l->series.number[OL_STEP_LOSS_AFTER], &out.before, &out.after);
    for (size_t i = 0; i < l->n_scores; i++)
        if (!task || strcmp(l->scores[i].of.task, task) == 0)
            scores[out.n++] = l->scores[i].of;
    return out;
}

/* --- what the scores are about ----------------------------------------------------------------- */

static void add_count(ol_report *r, int steps)
{
    int at = 0;

    while (at < r->n_counts && ol_steps_before(r->counts[at].steps, steps))
        at++;
    if (at < r->n_counts && r->counts[at].steps == steps)
        return;
    memmove(r->counts + at + 1, r->counts + at, (size_t)(r->n_counts - at) * sizeof *r->counts);
    r->counts[at].steps = steps;
    ol_steps_name(steps, r->counts[at].name);
    r->n_counts++;
}

/* Once: words are kept once. */
static void add_subject(ol_report *r, report_subject subject)
{
    for (int i = 1; i < r->n_subjects; i++)
        if (r->subjects[i].group == subject.group && r->subjects[i].task == subject.task)
            return;
    r->subjects[r->n_subjects++] = subject;
}

static void list_scores(ol_report *r)
{
    bool grouped = true;

    for (int i = 0; i < r->n_learners; i++)
        if (r->learners[i].n_scores > 0)
            r->scored[r->n_scored++] = &r->learners[i];
    r->subjects[r->n_subjects++] = (report_subject){.name = "all unseen tasks"};
    for (int i = 0; i < r->n_scored; i++)
        for (size_t j = 0; j < r->scored[i]->n_scores; j++) {
            const ol_eval_score *s = &r->scored[i]->scores[j].of;

            add_count(r, s->steps);
            grouped = grouped && *s->group;
            if (*s->group)
                add_subject(r, (report_subject){.name = s->group, .group = s->group});
        }
    r->tasks = r->n_subjects;
    r->parts = grouped && r->tasks > 2 ? 1 : 0;
    for (int i = 0; i < r->n_scored; i++)
        for (size_t j = 0; j < r->scored[i]->n_scores; j++) {
            const ol_eval_score *s = &r->scored[i]->scores[j].of;

            add_subject(r, (report_subject){.name = s->task, .task = s->task, .belongs = s->group});
        }
}

static ol_status summarise(const report_learner *l, const report_subject *of, int steps,
                           ol_eval_summary *stat)
{
    OL_AUTO_FREE ol_eval_score *scores = NULL;
    ol_eval_learner learner;

    OL_TRY(OL_ALLOCATE(scores, l->n_scores, "scores"));
    learner = as_learner(l, of->task, scores);
    return ol_eval_summarise(&learner, steps, of->group, stat);
}

ol_status report_summarise(ol_report *r)
{
    size_t scores = 1, n;

    for (int i = 0; i < r->n_learners; i++)
        scores += r->learners[i].n_scores;
    OL_TRY(OL_ALLOCATE(r->scored, r->n_learners, "learners"));
    OL_TRY(OL_ALLOCATE(r->counts, scores, "counts"));
    OL_TRY(OL_ALLOCATE(r->subjects, 2 * (r->words.n + 1), "subjects"));
    list_scores(r);
    n = (size_t)r->n_scored * (size_t)r->n_counts * (size_t)r->n_subjects;
    OL_TRY(OL_ALLOCATE(r->stats, n, "numbers of a report"));
    for (size_t i = 0; i < n; i++) {
        const size_t subject = i % (size_t)r->n_subjects, at = i / (size_t)r->n_subjects;

        OL_TRY(summarise(r->scored[at / (size_t)r->n_counts], &r->subjects[subject],
                         r->counts[at % (size_t)r->n_counts].steps, &r->stats[i]));
    }
    return OL_OK;
}

double report_best(const ol_report *r, int c, int subject)
{
    double best = -1.0;

    for (int l = 0; l < r->n_scored; l++)
        best = fmax(best, report_stat_of(r, l, c, subject)->score.mean);
    return best;
}

const char *const report_floor_names[REPORT_FLOORS] = {"chance", "majority"};

double report_floor(const ol_report *r, int c, int subject, int floor)
{
    double value = (double)NAN;

    for (int l = 0; l < r->n_scored && isnan(value); l++) {
        const ol_eval_summary *s = report_stat_of(r, l, c, subject);

        value = floor == REPORT_MAJORITY ? s->majority : s->chance;
    }
    return value;
}

ol_status report_difference(const ol_report *r, int a, int b, int c, int subject, ol_interval *out)
{
    OL_AUTO_FREE ol_eval_score *x = NULL, *y = NULL;
    ol_eval_learner la, lb;

    OL_TRY(OL_ALLOCATE(x, r->scored[a]->n_scores, "scores"));
    OL_TRY(OL_ALLOCATE(y, r->scored[b]->n_scores, "scores"));
    la = as_learner(r->scored[a], NULL, x);
    lb = as_learner(r->scored[b], NULL, y);
    return ol_eval_compare(&la, &lb, r->counts[c].steps, r->subjects[subject].group, out);
}

ol_status report_final_table(const ol_report *r, int width, ol_text *out)
{
    OL_AUTO_FREE ol_eval_learner *learners = NULL;
    OL_AUTO_FREE ol_eval_score *scores = NULL;
    size_t all = 0, used = 0;

    for (int i = 0; i < r->n_scored; i++)
        all += r->scored[i]->n_scores;
    OL_TRY(OL_ALLOCATE(learners, r->n_scored, "learners"));
    OL_TRY(OL_ALLOCATE(scores, all, "scores"));
    for (int i = 0; i < r->n_scored; i++) {
        learners[i] = as_learner(r->scored[i], NULL, scores + used);
        used += learners[i].n;
    }
    return ol_eval_table(learners, (size_t)r->n_scored, width, out);
}

bool report_is_start(const report_learner *learner)
{
    return strcmp(learner->name, "untrained") == 0 || strcmp(learner->name, "start") == 0;
}

int report_decimals(const ol_interval *interval)
{
    return isnan(interval->low) || interval->high - interval->low < 0.02 ? 1 : 0;
}

ol_eval_summary report_most(const ol_report *r, int from, int to, int subject)
{
    ol_eval_summary most = {0};

    for (int l = from; l < to; l++)
        for (int c = 0; c < r->n_counts; c++) {
            const ol_eval_summary *s = report_stat_of(r, l, c, subject);

            most.tasks = s->tasks > most.tasks ? s->tasks : most.tasks;
            most.seeds = s->seeds > most.seeds ? s->seeds : most.seeds;
            most.trainings = s->trainings > most.trainings ? s->trainings : most.trainings;
        }
    return most;
}

const char *report_metric_words(const ol_report *r)
{
    bool has[2] = {false, false};

    for (int i = 0; i < r->n_scored; i++)
        for (size_t j = 0; j < r->scored[i]->n_scores; j++)
            has[r->scored[i]->scores[j].of.metric == OL_MACRO_F1] = true;
    return has[0] && has[1] ? "macro-F1 of classification tasks, accuracy of the others,"
           : has[1]         ? "macro-F1"
                            : "accuracy";
}

int report_thin(size_t n, const double *values, int points, double *out)
{
    int made = 0;

    points = n < (size_t)points ? (int)n : points;
    for (int p = 0; p < points; p++) {
        const size_t from = n * (size_t)p / (size_t)points,
                     to = n * (size_t)(p + 1) / (size_t)points;
        double sum = 0.0;
        size_t counted = 0;

        for (size_t i = from; i < to; i++)
            if (isfinite(values[i])) {
                sum += values[i];
                counted++;
            }
        out[made++] = counted > 0 ? sum / (double)counted : (double)NAN;
    }
    return made;
}
