/* SPDX-License-Identifier: BSD-3-Clause */
/* What a metrics file says of training, for people. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inspect_parts.h"
#include "outerloop/base/clock.h" /* ol_clock_duration */
#include "outerloop/base/log.h"   /* ol_log_columns */

enum {
    LATEST = 10, /* episodes of a task that its summary is the mean of */
    LOSSES = 48, /* bytes of a text of two */
    TASK = 36,   /* columns of a task's name, most  */
    NUMBERS = 30 /* of what stands beside it        */
};

/* Columns of train/step. */
typedef struct steps {
    size_t n;
    double *step, *before, *after, *seconds, *tokens, *dropped;
} steps;

static void finish_steps(steps *s)
{
    free(s->step);
    free(s->before);
    free(s->after);
    free(s->seconds);
    free(s->tokens);
    free(s->dropped);
}

/* A numeric column of n rows, owned by the caller. */
static ol_status read_column(const ol_archive *metrics, const char *object, size_t n, double **out)
{
    *out = calloc(n + 1, sizeof **out);
    OL_CHECK(*out, OL_ENOMEM, "no memory for %zu rows", n);
    return ol_archive_read_f64(metrics, object, n, *out);
}

static ol_status read_steps(const ol_archive *metrics, steps *s)
{
    OL_TRY(read_column(metrics, "train/step/step", s->n, &s->step));
    OL_TRY(read_column(metrics, "train/step/loss_before", s->n, &s->before));
    OL_TRY(read_column(metrics, "train/step/loss_after", s->n, &s->after));
    OL_TRY(read_column(metrics, "train/step/seconds", s->n, &s->seconds));
    OL_TRY(read_column(metrics, "train/step/tokens", s->n, &s->tokens));
    return read_column(metrics, "train/step/dropped", s->n, &s->dropped);
}

static double sum(const double *x, size_t n)
{
    double total = 0.0;

    for (size_t i = 0; i < n; i++)
        total += x[i];
    return total;
}

/* "4.8210 -> 4.7102"; one number where nothing was adapted, or before was not measured. */
static void losses_text(double before, double after, char text[LOSSES])
{
    if (isnan(before) || before == after)
        snprintf(text, LOSSES, "%.4f", after);
    else
        snprintf(text, LOSSES, "%.4f -> %.4f", before, after);
}

static ol_status describe_steps(const steps *s, ol_text *out)
{
    const size_t last = s->n - 1;
    const double seconds = sum(s->seconds, s->n), tokens = sum(s->tokens, s->n);
    char time[32], first[LOSSES], end[LOSSES];

    ol_clock_duration(seconds, time);
    OL_TRY(ol_inspect_line(out, "training", "%zu meta-steps, the last is %.0f; %s; %.0f tokens/s",
                           s->n, s->step[last], time, seconds > 0.0 ? tokens / seconds : 0.0));
    losses_text(s->before[0], s->after[0], first);
    losses_text(s->before[last], s->after[last], end);
    OL_TRY(ol_inspect_line(out, "loss", "%s nats at step %.0f, %s at step %.0f", first, s->step[0],
                           end, s->step[last]));
    if (sum(s->dropped, s->n) > 0.0)
        OL_TRY(ol_inspect_line(out, "dropped", "%.0f episodes whose loss was not finite",
                               sum(s->dropped, s->n)));
    return OL_OK;
}

static ol_status inspect_steps(const ol_archive *metrics, ol_text *out)
{
    steps s = {0};
    ol_status status;

    OL_TRY(ol_archive_count(metrics, "train/step/step", &s.n));
    if (s.n == 0)
        return OL_OK;
    status = read_steps(metrics, &s);
    if (status == OL_OK)
        status = describe_steps(&s, out);
    finish_steps(&s);
    return status;
}

/* The learner's own outer parameters after the last meta-step. */
static ol_status inspect_own(const ol_archive *metrics, ol_text *out)
{
    static const char *const columns[] = {"train/own/least", "train/own/mean", "train/own/most"};
    ol_strings name = {0};
    double last[3] = {0}, *values = NULL;
    size_t n;
    ol_status status = OL_OK;

    OL_TRY(ol_archive_count(metrics, "train/own/step", &n));
    if (n == 0)
        return OL_OK;
    for (int i = 0; i < 3 && status == OL_OK; i++) {
        status = read_column(metrics, columns[i], n, &values);
        last[i] = status == OL_OK ? values[n - 1] : 0;
        free(values);
    }
    if (status == OL_OK)
        status = ol_archive_read_names(metrics, "train/own/name", &name);
    if (status == OL_OK && name.n > 0)
        status = ol_inspect_line(out, name.items[0], "from %.4g to %.4g, mean %.4g", last[0],
                                 last[2], last[1]);
    ol_strings_finish(&name);
    return status;
}

/* Columns of train/episode. */
typedef struct episodes {
    size_t n;
    ol_strings task;
    double *before, *after;
    size_t *order; /* rows by task, then number */
} episodes;

static int compare_rows(const void *a, const void *b, void *payload)
{
    const episodes *e = payload;
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const int by_task = strcmp(e->task.items[x], e->task.items[y]);

    return by_task != 0 ? by_task : (x > y) - (x < y);
}

/* One line for the task that row `from` of the order begins. Returns the row after its last. */
static ol_status describe_task(const episodes *e, size_t from, int width, size_t *next,
                               ol_text *out)
{
    const char *task = e->task.items[e->order[from]];
    double gain = 0.0, after = 0.0;
    size_t to = from, first;
    int counted = 0, measured = 0;
    char losses[LOSSES];

    while (to < e->n && strcmp(e->task.items[e->order[to]], task) == 0)
        to++;
    first = to - from > LATEST ? to - LATEST : from;
    for (size_t i = first; i < to; i++) {
        const double loss = e->after[e->order[i]], begun = e->before[e->order[i]];
        if (!isfinite(loss))
            continue; /* dropped */
        after += loss;
        counted++;
        if (isfinite(begun)) { /* not every one is measured */
            gain += begun - loss;
            measured++;
        }
    }
    losses_text(measured > 0 ? (after / counted) + (gain / measured) : (double)NAN, after / counted,
                losses);
    *next = to;
    OL_TRY(ol_text_append(out, "  ", 2));
    OL_TRY(ol_text_cell(out, task, width, true));
    return ol_text_format(out, " %8zu   %s\n", to - from, losses);
}

/* Columns that the terminal leaves for a task's name. */
static int name_width(void)
{
    const int columns = ol_log_columns(STDOUT_FILENO), room = columns - NUMBERS;

    return columns == 0 || room > TASK ? TASK : room > 10 ? room : 10;
}

static ol_status describe_episodes(const ol_archive *metrics, episodes *e, ol_text *out)
{
    const int width = name_width();

    OL_TRY(read_column(metrics, "train/episode/query_loss_before", e->n, &e->before));
    OL_TRY(read_column(metrics, "train/episode/query_loss_after", e->n, &e->after));
    OL_TRY(ol_archive_read_names(metrics, "train/episode/task", &e->task));
    OL_CHECK(e->task.n == e->n, OL_EDATA,
             "%s: train/episode has columns of unequal length; run with --resume to repair it",
             ol_archive_path(metrics));
    e->order = calloc(e->n, sizeof *e->order);
    OL_CHECK(e->order, OL_ENOMEM, "no memory for %zu episodes", e->n);
    for (size_t i = 0; i < e->n; i++)
        e->order[i] = i;
    qsort_r(e->order, e->n, sizeof *e->order, compare_rows, e);
    OL_TRY(ol_text_format(out, "\n"));
    OL_TRY(ol_text_wrap(out,
                        "query loss before -> after the inner loop, mean of a task's latest 10 "
                        "episodes",
                        0, ol_log_columns(STDOUT_FILENO)));
    OL_TRY(ol_text_format(out, "\n  %-*s %8s   loss\n", width,
                          width < 13 ? "task" : "training task", "episodes"));
    for (size_t i = 0; i < e->n;)
        OL_TRY(describe_task(e, i, width, &i, out));
    return ol_text_append(out, "\n", 1);
}

static ol_status inspect_episodes(const ol_archive *metrics, ol_text *out)
{
    episodes e = {0};
    ol_status status;

    OL_TRY(ol_archive_count(metrics, "train/episode/episode", &e.n));
    if (e.n == 0)
        return OL_OK;
    status = describe_episodes(metrics, &e, out);
    ol_strings_finish(&e.task);
    free(e.before);
    free(e.after);
    free(e.order);
    return status;
}

ol_status ol_inspect_metrics(const ol_archive *metrics, score_book *book, ol_text *out)
{
    if (ol_archive_is_group(metrics, "train/step"))
        OL_TRY(inspect_steps(metrics, out));
    if (ol_archive_is_group(metrics, "train/own"))
        OL_TRY(inspect_own(metrics, out));
    if (ol_archive_is_group(metrics, "train/episode"))
        OL_TRY(inspect_episodes(metrics, out));
    return ol_score_book_add(book, metrics);
}
