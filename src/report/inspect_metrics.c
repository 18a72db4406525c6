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
#include "outerloop/base/mean.h"
#include "outerloop/base/size.h" /* OL_ALLOCATE */

enum {
    LATEST = 10, /* episodes of a task that its summary is the mean of */
    LOSSES = 48, /* bytes of a text of two */
    TASK = 36,   /* columns of a task's name, most  */
    NUMBERS = 30 /* of what stands beside it        */
};

/* "4.8210 -> 4.7102"; one number where nothing was adapted, or before was not measured. */
static void losses_text(double before, double after, char text[LOSSES])
{
    if (isnan(before) || before == after)
        snprintf(text, LOSSES, "%.4f", after);
    else
        snprintf(text, LOSSES, "%.4f -> %.4f", before, after);
}

static ol_status inspect_steps(const ol_archive *metrics, ol_text *out)
{
    OL_AUTO_STORED_TABLE t = {0};
    const double *step, *before, *after;
    char time[32], first[LOSSES], end[LOSSES];
    double seconds, dropped;
    size_t last;

    OL_TRY(ol_stored_table_read(metrics, &ol_step_table,
                                OL_STORED(OL_STEP_NUMBER) | OL_STORED(OL_STEP_LOSS_BEFORE) |
                                    OL_STORED(OL_STEP_LOSS_AFTER) | OL_STORED(OL_STEP_SECONDS) |
                                    OL_STORED(OL_STEP_TOKENS) | OL_STORED(OL_STEP_DROPPED),
                                &t));
    if (t.n == 0)
        return OL_OK;
    last = t.n - 1;
    step = t.number[OL_STEP_NUMBER];
    before = t.number[OL_STEP_LOSS_BEFORE];
    after = t.number[OL_STEP_LOSS_AFTER];
    seconds = ol_stored_sum(&t, OL_STEP_SECONDS);
    dropped = ol_stored_sum(&t, OL_STEP_DROPPED);
    ol_clock_duration(seconds, time);
    OL_TRY(ol_inspect_line(out, "training", "%zu meta-steps, the last is %.0f; %s; %.0f tokens/s",
                           t.n, step[last], time,
                           seconds > 0.0 ? ol_stored_sum(&t, OL_STEP_TOKENS) / seconds : 0.0));
    losses_text(before[0], after[0], first);
    losses_text(before[last], after[last], end);
    OL_TRY(ol_inspect_line(out, "loss", "%s nats at step %.0f, %s at step %.0f", first, step[0],
                           end, step[last]));
    if (dropped > 0.0)
        OL_TRY(ol_inspect_line(out, "dropped", "%.0f episodes whose loss was not finite", dropped));
    return OL_OK;
}

/* The learner's own outer parameters after the last meta-step. */
static ol_status inspect_own(const ol_archive *metrics, ol_text *out)
{
    OL_AUTO_STORED_TABLE t = {0};

    OL_TRY(ol_stored_table_read(metrics, &ol_own_table,
                                OL_STORED(OL_OWN_NAME) | OL_STORED(OL_OWN_LEAST) |
                                    OL_STORED(OL_OWN_MEAN) | OL_STORED(OL_OWN_MOST),
                                &t));
    if (t.n == 0)
        return OL_OK;
    return ol_inspect_line(out, t.text[OL_OWN_NAME].items[0], "from %.4g to %.4g, mean %.4g",
                           t.number[OL_OWN_LEAST][t.n - 1], t.number[OL_OWN_MOST][t.n - 1],
                           t.number[OL_OWN_MEAN][t.n - 1]);
}

/* train/episode, and its rows by task, then number. */
typedef struct episodes {
    ol_stored_table *table;
    size_t *order; /* [n] */
} episodes;

static const char *task_of(const episodes *e, size_t row)
{
    return e->table->text[OL_EPISODE_TASK].items[row];
}

static int compare_rows(const void *a, const void *b, void *payload)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const int by_task = strcmp(task_of(payload, x), task_of(payload, y));

    return by_task != 0 ? by_task : (x > y) - (x < y);
}

/* One line for the task whose rows are from .. to-1 of the order. */
static ol_status describe_task(const episodes *e, size_t from, size_t to, int width, ol_text *out)
{
    ol_mean gain = {0}, after = {0};
    char losses[LOSSES];

    for (size_t i = to - from > LATEST ? to - LATEST : from; i < to; i++) {
        const double end = e->table->number[OL_EPISODE_AFTER][e->order[i]];

        ol_mean_add(&after, end); /* NaN of one that was dropped */
        ol_mean_add(&gain, e->table->number[OL_EPISODE_BEFORE][e->order[i]] - end);
    }
    losses_text(ol_mean_value(after) + ol_mean_value(gain), ol_mean_value(after), losses);
    OL_TRY(ol_text_append(out, "  ", 2));
    OL_TRY(ol_text_cell(out, task_of(e, e->order[from]), width, true));
    return ol_text_format(out, " %8zu   %s\n", to - from, losses);
}

/* Columns that the terminal leaves for a task's name. */
static int name_width(void)
{
    const int columns = ol_log_columns(STDOUT_FILENO), room = columns - NUMBERS;

    return columns == 0 || room > TASK ? TASK : room > 10 ? room : 10;
}

static ol_status inspect_episodes(const ol_archive *metrics, ol_text *out)
{
    OL_AUTO_STORED_TABLE t = {0};
    OL_AUTO_FREE size_t *order = NULL;
    const int width = name_width();
    episodes e;

    OL_TRY(ol_stored_table_read(metrics, &ol_episode_table,
                                OL_STORED(OL_EPISODE_TASK) | OL_STORED(OL_EPISODE_BEFORE) |
                                    OL_STORED(OL_EPISODE_AFTER),
                                &t));
    if (t.n == 0)
        return OL_OK;
    OL_TRY(OL_ALLOCATE(order, t.n, "episodes"));
    for (size_t i = 0; i < t.n; i++)
        order[i] = i;
    e = (episodes){&t, order};
    qsort_r(order, t.n, sizeof *order, compare_rows, &e);
    OL_TRY(ol_text_append(out, "\n", 1));
    OL_TRY(ol_text_wrap(out,
                        "query loss before -> after the inner loop, mean of a task's latest 10 "
                        "episodes",
                        0, ol_log_columns(STDOUT_FILENO)));
    OL_TRY(ol_text_format(out, "\n  %-*s %8s   loss\n", width,
                          width < 13 ? "task" : "training task", "episodes"));
    for (size_t from = 0, to; from < t.n; from = to) {
        for (to = from + 1; to < t.n; to++)
            if (strcmp(task_of(&e, order[to]), task_of(&e, order[from])) != 0)
                break;
        OL_TRY(describe_task(&e, from, to, width, out));
    }
    return ol_text_append(out, "\n", 1);
}

ol_status ol_inspect_training(const ol_archive *metrics, ol_text *out)
{
    OL_TRY(inspect_steps(metrics, out));
    OL_TRY(inspect_own(metrics, out));
    return inspect_episodes(metrics, out);
}
