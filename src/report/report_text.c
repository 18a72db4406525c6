/* SPDX-License-Identifier: BSD-3-Clause */
/* A report for a terminal. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/clock.h" /* ol_clock_duration */
#include "outerloop/base/size.h"  /* OL_ALLOCATE */
#include "report_parts.h"

enum {
    WIDTH = 100, /* where the terminal says nothing */
    LEAST = 40,
    NAME = 24,       /* columns of a learner's name, most */
    TASK = 28,       /* of a task's                       */
    GROUP = 16,      /* of its group, where there is room   */
    CELL = 9,        /* of a score in the table of tasks  */
    SPARK = 60,      /* of a curve, most                  */
    DIFFERENCE = 22, /* of a difference and its interval        */
    NARROW = 68,     /* below it a difference has its own line  */
    PAIRS = 15,      /* more are told against the best alone */
};

static int task_width(int width)
{
    return width < 80 ? 16 : TASK;
}

static int name_width(const ol_report *r, int most)
{
    int width = 8;

    for (int i = 0; i < r->n_learners; i++) {
        const int columns = ol_text_columns(r->learners[i].label);
        width = columns > width ? columns : width;
    }
    return width < most ? width : most;
}

/* --- runs and curves -------------------------------------------------------------------------- */

static ol_status describe_runs(const ol_report *r, int width, ol_text *out)
{
    for (int i = 0; i < r->n_runs; i++) {
        const report_run *run = &r->runs[i];

        OL_TRY(ol_text_format(out, "%s\n", run->path));
        if (run->facts[0] && run->facts[1] && run->facts[2])
            OL_TRY(ol_text_format(out, "  outerloop %s, commit %.12s%s%s\n", run->facts[0],
                                  run->facts[1], width < 60 ? "\n  " : ", ", run->facts[2]));
    }
    return ol_text_append(out, "\n", 1);
}

/* A curve in one line of blocks, between its least and most. */
static ol_status spark(size_t n, const double *values, int width, bool logarithmic, ol_text *out)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double points[SPARK], least = (double)INFINITY, most = -(double)INFINITY;
    const int made = report_thin(n, values, width < SPARK ? width : SPARK, points);

    for (int i = 0; i < made; i++) {
        points[i] = logarithmic ? log(fmax(points[i], 1e-300)) : points[i] / 8.0; /* no overflow */
        if (isfinite(points[i])) {
            least = fmin(least, points[i]);
            most = fmax(most, points[i]);
        }
    }
    for (int i = 0; i < made; i++) {
        const double share = most > least ? (points[i] - least) / (most - least) : 0.0;

        OL_TRY(isfinite(points[i]) ? ol_text_format(out, "%s", blocks[(int)(7.999 * share)])
                                   : ol_text_append(out, "?", 1));
    }
    return OL_OK;
}

static ol_status add_curve(const report_learner *l, int name, int width, ol_text *out)
{
    const double before = ol_mean_value(l->before), after = ol_mean_value(l->after);
    const ol_stored_table *s = &l->series;
    char time[32];

    ol_clock_duration(ol_mean_value(l->seconds), time);
    OL_TRY(ol_text_cell(out, l->label, name, true));
    OL_TRY(
        ol_text_format(out, "  %.0f meta-steps in %s", s->number[OL_STEP_NUMBER][s->n - 1], time));
    OL_TRY(width < 90 ? ol_text_format(out, "\n%*s  ", name, "")
                      : ol_text_format(out, "; at the end "));
    OL_TRY(isfinite(before) ? ol_text_format(out, "loss %.3f → %.3f%s\n", before, after,
                                             width < 60 ? "" : " in the inner loop")
                            : ol_text_format(out, "loss %.3f\n", after));
    OL_TRY(ol_text_format(out, "%*s  loss ", name, ""));
    OL_TRY(spark(s->n, s->number[OL_STEP_LOSS_AFTER], width - name - 8, false, out));
    OL_TRY(ol_text_format(out, "\n%*s  |G|  ", name, ""));
    OL_TRY(spark(s->n, s->number[OL_STEP_GRAD_NORM], width - name - 8, true, out));
    return ol_text_append(out, "\n", 1);
}

static ol_status add_curves(const ol_report *r, int width, ol_text *out)
{
    const int name = name_width(r, NAME < width / 3 ? NAME : width / 3);
    bool any = false;

    for (int i = 0; i < r->n_learners; i++) {
        if (r->learners[i].series.n == 0)
            continue;
        if (!any)
            OL_TRY(ol_text_format(out,
                                  "training (query loss after inner loops,%snats a "
                                  "token; |G|: logarithmic)\n\n",
                                  width < 90 ? "\n" : " "));
        any = true;
        OL_TRY(add_curve(&r->learners[i], name, width, out));
    }
    return any ? ol_text_append(out, "\n", 1) : OL_OK;
}

/* --- differences ------------------------------------------------------------------------------ */

/* Scored learners, of which b is taken from a. */
typedef struct pair {
    int a, b;
} pair;

/* Pairs worth a line: all, or where these are many those of the best at the last count.
   @param across  those between runs only, and of one name where there are any such
   @param pairs   *owned by the caller* */
static ol_status list_pairs(const ol_report *r, bool across, pair **pairs, int *n)
{
    const int all = r->n_scored * (r->n_scored - 1) / 2;
    const int best = report_leader(r, r->n_counts - 1, 0, -1);
    int shared = 0;

    OL_TRY(OL_ALLOCATE(*pairs, all, "differences"));
    for (int a = r->n_scored - 1; a >= 0; a--)
        for (int b = a - 1; b >= 0; b--) {
            const report_learner *x = r->scored[a], *y = r->scored[b];
            const bool same = across && strcmp(x->name, y->name) == 0;

            if (across && (x->run == y->run || report_is_start(x) || report_is_start(y)))
                continue;
            if (same && shared++ == 0)
                *n = 0; /* the others are of no interest then */
            if (same || (shared == 0 && (all <= PAIRS || a == best || b == best)))
                (*pairs)[(*n)++] = all > PAIRS && !same && b == best ? (pair){b, a} : (pair){a, b};
        }
    return OL_OK;
}

/* On a line with the counts from .. to-1, or where that does not fit a line each. */
static ol_status add_pair(const ol_report *r, const pair *p, int subject, int from, int to,
                          int name, bool narrow, ol_text *out)
{
    OL_TRY(ol_text_cell(out, r->scored[p->a]->label, name, true));
    OL_TRY(ol_text_format(out, " - "));
    OL_TRY(ol_text_cell(out, r->scored[p->b]->label, name, true));
    for (int c = from; c < to; c++) {
        char text[OL_INTERVAL_TEXT];

        OL_TRY(report_difference(r, p->a, p->b, c, subject, text));
        if (narrow) {
            OL_TRY(ol_text_format(out, "\n  "));
            OL_TRY(ol_text_cell(out, r->counts[c].name, 12, true));
        }
        OL_TRY(ol_text_cell(out, text, DIFFERENCE, false));
    }
    return ol_text_append(out, "\n", 1);
}

static ol_status add_part(const ol_report *r, const pair *pairs, int n, int subject, int width,
                          ol_text *out)
{
    const int name = name_width(r, width < 80 ? 14 : 20);
    const bool narrow = width < NARROW;
    const int most = narrow ? r->n_counts : (width - 2 * name - 3) / DIFFERENCE;

    OL_TRY(ol_text_format(out, "differences, %s%s(points, paired [95 %% interval])\n\n",
                          r->subjects[subject].name, narrow ? "\n" : " "));
    for (int from = 0, to; from < r->n_counts; from = to) {
        to = r->n_counts - from < most ? r->n_counts : from + most;
        if (!narrow) {
            OL_TRY(ol_text_format(out, "%*s", 2 * name + 3, ""));
            for (int c = from; c < to; c++)
                OL_TRY(ol_text_cell(out, r->counts[c].name, DIFFERENCE, false));
            OL_TRY(ol_text_append(out, "\n", 1));
        }
        for (int i = 0; i < n; i++)
            OL_TRY(add_pair(r, &pairs[i], subject, from, to, name, narrow, out));
        OL_TRY(ol_text_append(out, "\n", 1));
    }
    return OL_OK;
}

/* @param across  between the runs, not within one */
static ol_status add_differences(const ol_report *r, int width, bool across, ol_text *out)
{
    OL_AUTO_FREE pair *pairs = NULL;
    int n = 0;

    OL_TRY(list_pairs(r, across, &pairs, &n));
    for (int part = r->parts; part < r->tasks && n > 0; part++)
        OL_TRY(add_part(r, pairs, n, part, width, out));
    return OL_OK;
}

/* --- tasks ------------------------------------------------------------------------------------ */

static ol_status add_score(const ol_eval_summary *s, ol_text *out)
{
    char mean[24] = "-", worst[24] = "-";

    report_percent(s->score.mean, 0, mean);
    report_percent(s->worst, 0, worst);
    return ol_text_format(out, "%*s%*s", CELL + 1, mean, CELL - 2, worst);
}

/* The learners from .. to-1 beside one another. */
static ol_status add_tasks_of(const ol_report *r, int c, int from, int to, int width, ol_text *out)
{
    const int task = task_width(width);

    OL_TRY(ol_text_cell(out, r->counts[c].name, task, true));
    for (int l = from; l < to; l++) {
        OL_TRY(ol_text_append(out, "  ", 2));
        OL_TRY(ol_text_cell(out, r->scored[l]->label, 2 * CELL - 3, false));
    }
    OL_TRY(ol_text_format(out, "\n%-*s", task, "task"));
    for (int l = from; l < to; l++)
        OL_TRY(ol_text_format(out, "%*s%*s", CELL + 1, "mean", CELL - 2, "worst"));
    for (int t = r->tasks; t < r->n_subjects; t++) {
        const char *group = width < WIDTH ? "" : r->subjects[t].belongs;

        OL_TRY(ol_text_append(out, "\n", 1));
        OL_TRY(ol_text_cell(out, r->subjects[t].name, task, true));
        for (int l = from; l < to; l++)
            OL_TRY(add_score(report_stat_of(r, l, c, t), out));
        OL_TRY(ol_text_format(out, "%s%s", *group ? "  " : "", group));
    }
    return ol_text_append(out, "\n\n", 2);
}

static ol_status add_tasks(const ol_report *r, int width, ol_text *out)
{
    const int room = width - task_width(width) - (width < WIDTH ? 0 : GROUP);
    const int fit = room < 2 * (2 * CELL - 1) ? 1 : room / (2 * CELL - 1), n = r->n_scored;

    OL_TRY(ol_text_format(out, "tasks (score in %%, mean and worst seed)\n\n"));
    for (int c = 0; c < r->n_counts; c++)
        for (int at = 0; at < n; at += fit)
            OL_TRY(add_tasks_of(r, c, at, n - at < fit ? n : at + fit, width, out));
    return OL_OK;
}

/* --- documents -------------------------------------------------------------------------------- */

static int fitting(int width)
{
    return width <= 0 || width > WIDTH ? WIDTH : width < LEAST ? LEAST : width;
}

static ol_status add_no_scores(ol_text *out)
{
    return ol_text_format(out, "no scores yet: they come with the stages eval and adapt\n");
}

ol_status ol_report_text(const ol_report *r, int width, ol_text *out)
{
    width = fitting(width);
    OL_TRY(describe_runs(r, width, out));
    OL_TRY(add_curves(r, width, out));
    if (r->n_counts == 0)
        return add_no_scores(out);
    OL_TRY(add_tasks(r, width, out));
    OL_TRY(add_differences(r, width, false, out));
    return ol_eval_table(r->rows, (size_t)r->n_scored, width, out);
}

ol_status ol_report_brief(const ol_report *r, int width, ol_text *out)
{
    width = fitting(width);
    OL_TRY(describe_runs(r, width, out));
    OL_TRY(report_keys(r, width, out));
    if (r->n_counts == 0)
        return add_no_scores(out);
    OL_TRY(add_differences(r, width, true, out));
    return ol_eval_table(r->rows, (size_t)r->n_scored, width, out);
}
