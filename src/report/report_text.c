/* SPDX-License-Identifier: BSD-3-Clause */
/* A report for a terminal. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/clock.h"        /* ol_clock_duration */
#include "outerloop/record/score_book.h" /* ol_score_gain */
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

static ol_status put_percent(double value, int width, ol_text *out)
{
    char text[24] = "-";

    if (!isnan(value))
        snprintf(text, sizeof text, "%.0f", 100.0 * value);
    return ol_text_cell(out, text, width, false);
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
        points[i] = logarithmic ? log(fmax(points[i], 1e-300)) : points[i];
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
    const ol_stored_table *s = &l->series;
    double before, after;
    char time[32];

    ol_score_gain(s->n, s->number[OL_STEP_LOSS_BEFORE], s->number[OL_STEP_LOSS_AFTER], &before,
                  &after);
    ol_clock_duration(l->seconds, time);
    OL_TRY(ol_text_cell(out, l->label, name, true));
    OL_TRY(
        ol_text_format(out, "  %.0f meta-steps in %s", s->number[OL_STEP_NUMBER][s->n - 1], time));
    OL_TRY(width < 90 ? ol_text_format(out, "\n%*s  ", name, "")
                      : ol_text_format(out, "; at the end "));
    OL_TRY(l->inner && isfinite(before) ? ol_text_format(out, "loss %.3f → %.3f%s\n", before, after,
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

/* Step counts that stand beside one another. */
typedef struct block {
    int name; /* columns of a learner */
    bool narrow;
    int from, to; /* of the counts */
    bool across;  /* between runs only: of the same learner where any is in several of them */
    bool shared;  /* some is */
} block;

/* The learner of the best mean at the last count: what others are held against. */
static int find_best(const ol_report *r)
{
    const int last = r->n_counts - 1;

    for (int l = 0; l < r->n_scored; l++)
        if (report_stat_of(r, l, last, 0)->score.mean >= report_best(r, last, 0))
            return l;
    return 0;
}

static ol_status put_difference(const ol_report *r, int a, int b, int c, int subject, ol_text *out)
{
    ol_interval d;
    char text[64] = "-";

    OL_TRY(report_difference(r, a, b, c, subject, &d));
    if (!isnan(d.mean) && !isnan(d.low))
        snprintf(text, sizeof text, "%+.*f [%.*f, %.*f]", report_decimals(&d), 100.0 * d.mean,
                 report_decimals(&d), 100.0 * d.low, report_decimals(&d), 100.0 * d.high);
    else if (!isnan(d.mean))
        snprintf(text, sizeof text, "%+.1f", 100.0 * d.mean);
    return ol_text_cell(out, text, DIFFERENCE, false);
}

/* On a line with the counts of the block, or where that does not fit a line each. */
static ol_status add_pair(const ol_report *r, int a, int b, int subject, const block *k,
                          ol_text *out)
{
    OL_TRY(ol_text_cell(out, r->scored[a]->label, k->name, true));
    OL_TRY(ol_text_format(out, " - "));
    OL_TRY(ol_text_cell(out, r->scored[b]->label, k->name, true));
    for (int c = k->from; c < k->to; c++) {
        if (k->narrow) {
            OL_TRY(ol_text_format(out, "\n  "));
            OL_TRY(ol_text_cell(out, r->counts[c].name, 12, true));
        }
        OL_TRY(put_difference(r, a, b, c, subject, out));
    }
    return ol_text_append(out, "\n", 1);
}

static bool is_shared(const ol_report *r, int a, int b)
{
    const report_learner *x = r->scored[a], *y = r->scored[b];

    return x->run != y->run && !report_is_start(x) && strcmp(x->name, y->name) == 0;
}

static bool is_pair(const ol_report *r, int a, int b, const block *k)
{
    const report_learner *x = r->scored[a], *y = r->scored[b];

    return k->shared
               ? is_shared(r, a, b)
               : !k->across || (x->run != y->run && !report_is_start(x) && !report_is_start(y));
}

static bool any_pair(const ol_report *r, const block *k)
{
    for (int a = 0; a < r->n_scored; a++)
        for (int b = 0; b < a; b++)
            if (is_pair(r, a, b, k))
                return true;
    return false;
}

static ol_status add_pairs(const ol_report *r, int subject, const block *k, ol_text *out)
{
    const bool few = k->shared || r->n_scored * (r->n_scored - 1) / 2 <= PAIRS;
    const int best = find_best(r);

    for (int a = r->n_scored - 1; a >= 0; a--)
        for (int b = a - 1; b >= 0; b--) {
            if (!is_pair(r, a, b, k))
                continue;
            if (few || a == best)
                OL_TRY(add_pair(r, a, b, subject, k, out));
            else if (b == best)
                OL_TRY(add_pair(r, b, a, subject, k, out));
        }
    return ol_text_append(out, "\n", 1);
}

static ol_status add_differences_of(const ol_report *r, int subject, int width, bool across,
                                    ol_text *out)
{
    block k = {.name = name_width(r, width < 80 ? 14 : 20),
               .narrow = width < NARROW,
               .across = across,
               .shared = true};
    const int fit = (width - 2 * k.name - 3) / DIFFERENCE, most = k.narrow ? r->n_counts : fit;

    k.shared = across && any_pair(r, &k);
    if (!any_pair(r, &k))
        return OL_OK;
    OL_TRY(ol_text_format(out, "differences, %s%s(points, paired [95 %% interval])\n\n",
                          r->subjects[subject].name, k.narrow ? "\n" : " "));
    for (; k.from < r->n_counts; k.from = k.to) {
        k.to = r->n_counts - k.from < most ? r->n_counts : k.from + most;
        if (!k.narrow)
            OL_TRY(ol_text_format(out, "%*s", 2 * k.name + 3, ""));
        for (int c = k.from; c < k.to && !k.narrow; c++)
            OL_TRY(ol_text_cell(out, r->counts[c].name, DIFFERENCE, false));
        OL_TRY(k.narrow ? OL_OK : ol_text_append(out, "\n", 1));
        OL_TRY(add_pairs(r, subject, &k, out));
    }
    return OL_OK;
}

/* @param across  between the runs, not within one */
static ol_status add_differences(const ol_report *r, int width, bool across, ol_text *out)
{
    for (int part = r->parts; part < r->tasks; part++)
        OL_TRY(add_differences_of(r, part, width, across, out));
    return OL_OK;
}

/* --- tasks ------------------------------------------------------------------------------------ */

static ol_status add_task_rows(const ol_report *r, int c, int from, int to, int task, bool grouped,
                               ol_text *out)
{
    for (int t = r->tasks; t < r->n_subjects; t++) {
        OL_TRY(ol_text_cell(out, r->subjects[t].name, task, true));
        for (int l = from; l < to; l++) {
            OL_TRY(put_percent(report_stat_of(r, l, c, t)->score.mean, CELL + 1, out));
            OL_TRY(put_percent(report_stat_of(r, l, c, t)->worst, CELL - 2, out));
        }
        if (grouped && *r->subjects[t].belongs)
            OL_TRY(ol_text_format(out, "  %s", r->subjects[t].belongs));
        OL_TRY(ol_text_append(out, "\n", 1));
    }
    return ol_text_append(out, "\n", 1);
}

/* Some learners beside one another, as many as fit. */
static ol_status add_task_block(const ol_report *r, int c, int from, int to, int task, bool grouped,
                                ol_text *out)
{
    OL_TRY(ol_text_cell(out, r->counts[c].name, task, true));
    for (int l = from; l < to; l++) {
        OL_TRY(ol_text_append(out, "  ", 2));
        OL_TRY(ol_text_cell(out, r->scored[l]->label, 2 * CELL - 3, false));
    }
    OL_TRY(ol_text_append(out, "\n", 1));
    OL_TRY(ol_text_cell(out, "task", task, true));
    for (int l = from; l < to; l++)
        OL_TRY(ol_text_format(out, "%*s%*s", CELL + 1, "mean", CELL - 2, "worst"));
    OL_TRY(ol_text_append(out, "\n", 1));
    return add_task_rows(r, c, from, to, task, grouped, out);
}

static ol_status add_tasks(const ol_report *r, int width, ol_text *out)
{
    const int task = width < 80 ? 16 : TASK,
              room = (width - task - (width < WIDTH ? 0 : GROUP)) / (2 * CELL - 1);
    const int fit = room < 1 ? 1 : room, n = r->n_scored;

    OL_TRY(ol_text_format(out, "tasks (score in %%, mean and worst seed)\n\n"));
    for (int c = 0; c < r->n_counts; c++)
        for (int at = 0; at < n; at += fit)
            OL_TRY(
                add_task_block(r, c, at, n - at < fit ? n : at + fit, task, width >= WIDTH, out));
    return OL_OK;
}

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
    return report_final_table(r, width, out);
}

ol_status ol_report_brief(const ol_report *r, int width, ol_text *out)
{
    width = fitting(width);
    OL_TRY(describe_runs(r, width, out));
    OL_TRY(report_keys(r, width, out));
    if (r->n_counts == 0)
        return add_no_scores(out);
    OL_TRY(add_differences(r, width, true, out));
    return report_final_table(r, width, out);
}
