/* SPDX-License-Identifier: BSD-3-Clause */
/* The numbers of a report. What is a statistic comes from `eval`. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_ALLOCATE */
#include "report_parts.h"

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

/* Once, among the groups or the tasks, which begin there. */
static void add_subject(ol_report *r, int from, report_subject subject)
{
    for (int i = from; i < r->n_subjects; i++)
        if (strcmp(r->subjects[i].name, subject.name) == 0)
            return;
    r->subjects[r->n_subjects++] = subject;
}

static void add_subjects(ol_report *r, const ol_eval_learner *row, bool tasks)
{
    for (const ol_eval_score *s = row->scores; s < row->scores + row->n; s++)
        if (tasks)
            add_subject(r, r->tasks,
                        (report_subject){.name = s->task, .task = s->task, .belongs = s->group});
        else if (*s->group)
            add_subject(r, 1, (report_subject){.name = s->group, .group = s->group});
        else
            r->parts = 0; /* which all tasks are then, not the groups alone */
}

static void list_scores(ol_report *r)
{
    r->parts = 1;
    r->subjects[r->n_subjects++] = (report_subject){.name = "all unseen tasks"};
    for (int i = 0; i < r->n_learners; i++) {
        const report_learner *l = &r->learners[i];

        if (l->n_scores == 0)
            continue;
        r->rows[r->n_scored] = (ol_eval_learner){.name = l->label,
                                                 .scores = l->scores,
                                                 .n = l->n_scores,
                                                 .seconds = ol_mean_value(l->seconds),
                                                 .before = ol_mean_value(l->before),
                                                 .after = ol_mean_value(l->after)};
        for (size_t k = 0; k < l->n_scores; k++)
            add_count(r, l->scores[k].steps);
        add_subjects(r, &r->rows[r->n_scored], false);
        r->scored[r->n_scored++] = l;
    }
    r->tasks = r->n_subjects;
    if (r->tasks <= 2)
        r->parts = 0;
    for (int i = 0; i < r->n_scored; i++)
        add_subjects(r, &r->rows[i], true);
}

ol_status report_summarise(ol_report *r)
{
    ol_eval_summary *stat;
    size_t scores = 1;

    for (int i = 0; i < r->n_learners; i++)
        scores += r->learners[i].n_scores;
    OL_TRY(OL_ALLOCATE(r->scored, r->n_learners, "learners"));
    OL_TRY(OL_ALLOCATE(r->rows, r->n_learners, "learners"));
    OL_TRY(OL_ALLOCATE(r->counts, scores, "counts"));
    OL_TRY(OL_ALLOCATE(r->subjects, 2 * scores, "subjects"));
    list_scores(r);
    OL_TRY(OL_ALLOCATE(r->stats, (size_t)r->n_scored * (size_t)r->n_counts * (size_t)r->n_subjects,
                       "numbers of a report"));
    stat = r->stats;
    for (int l = 0; l < r->n_scored; l++)
        for (int c = 0; c < r->n_counts; c++)
            for (int s = 0; s < r->n_subjects; s++) {
                ol_eval_learner row = r->rows[l];

                row.task = r->subjects[s].task;
                OL_TRY(ol_eval_summarise(&row, r->counts[c].steps, r->subjects[s].group, stat++));
            }
    return OL_OK;
}

/* --- what is asked of them ----------------------------------------------------------------------- */

int report_leader(const ol_report *r, int c, int subject, int but)
{
    double most = -1.0;
    int leader = -1;

    for (int l = 0; l < r->n_scored; l++) {
        const double mean = report_stat_of(r, l, c, subject)->score.mean;

        if (l != but && mean > most) { /* never of NaN */
            most = mean;
            leader = l;
        }
    }
    return leader;
}

const char *report_row_name(const ol_report *r, int row)
{
    static const char *const floors[REPORT_FLOORS] = {"chance", "majority"};

    return row < 0 ? floors[row + REPORT_FLOORS] : r->scored[row]->label;
}

ol_eval_summary report_row_stat(const ol_report *r, int row, int c, int subject)
{
    const double none = (double)NAN;
    ol_eval_summary floor = {.score = {none, none, none}, .worst = none};

    if (row >= 0)
        return *report_stat_of(r, row, c, subject);
    for (int l = 0; l < r->n_scored && isnan(floor.score.mean); l++) {
        const ol_eval_summary *s = report_stat_of(r, l, c, subject);

        floor.score.mean = row == -REPORT_FLOORS ? s->chance : s->majority;
    }
    return floor;
}

void report_percent(double value, int digits, char text[24])
{
    if (!isnan(value))
        snprintf(text, 24, "%.*f", digits, 100.0 * value);
}

report_cell report_cell_of(const ol_report *r, int row, int c, int subject)
{
    const ol_eval_summary s = report_row_stat(r, row, c, subject);
    const int digits = ol_interval_decimals(&s.score), leader = report_leader(r, c, subject, -1);
    report_cell cell = {.best = row >= 0 && leader >= 0 &&
                                s.score.mean >= report_stat_of(r, leader, c, subject)->score.mean};

    report_percent(s.score.mean, digits, cell.mean);
    report_percent((s.score.high - s.score.low) / 2.0, digits, cell.half);
    report_percent(s.worst, digits, cell.worst);
    return cell;
}

ol_status report_difference(const ol_report *r, int a, int b, int c, int subject,
                            char text[OL_INTERVAL_TEXT])
{
    ol_interval d;

    OL_TRY(ol_eval_compare(&r->rows[a], &r->rows[b], r->counts[c].steps, r->subjects[subject].group,
                           &d));
    ol_interval_difference(&d, text);
    return OL_OK;
}

bool report_is_start(const report_learner *learner)
{
    return strcmp(learner->name, "untrained") == 0 || strcmp(learner->name, "start") == 0;
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
            most.metrics |= s->metrics;
        }
    return most;
}

const char *report_metric_words(const ol_report *r)
{
    switch (report_most(r, 0, r->n_scored, 0).metrics) {
    case 1u << OL_ACCURACY | 1u << OL_MACRO_F1:
        return "macro-F1 of classification tasks, accuracy of the others,";
    case 1u << OL_MACRO_F1:
        return "macro-F1";
    default:
        return "accuracy";
    }
}

int report_thin(size_t n, const double *values, int points, double *out)
{
    points = n < (size_t)points ? (int)n : points;
    for (int p = 0; p < points; p++) {
        const size_t to = n * (size_t)(p + 1) / (size_t)points;
        ol_mean mean = {0};

        for (size_t i = n * (size_t)p / (size_t)points; i < to; i++)
            ol_mean_add(&mean, values[i]);
        out[p] = ol_mean_value(mean);
    }
    return points;
}
