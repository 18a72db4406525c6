/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/eval/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/clock.h" /* ol_clock_duration */

enum {
    NAME_WIDTH = 16, /* of the learner column, at least                                      */
    NAME_MOST = 32,  /* longer names are cut                                                 */
    PAIR_WIDTH = 16, /* of one step count: mean and worst                                    */
    LINE_WIDTH = 100,
    TIME_WIDTH = 14, /* "  59 min 59 s"                                                      */
};

/* Order by task, then seed; later entries of equal ones stay later. */
static int compare_scores(const void *a, const void *b)
{
    const ol_eval_score *const *x = a, *const *y = b;
    const int by_task = strcmp((*x)->task, (*y)->task);

    if (by_task != 0)
        return by_task;
    if ((*x)->seed != (*y)->seed)
        return (*x)->seed < (*y)->seed ? -1 : 1;
    return (*x > *y) - (*x < *y);
}

/* Mean and least over the seeds of the task that sorted[0] belongs to. Returns the entries used. */
static size_t task_scores(const ol_eval_score *const *sorted, size_t n, double *mean, double *least,
                          int *seeds)
{
    double sum = 0.0;
    size_t i = 0;

    *seeds = 0;
    *least = (double)INFINITY;
    for (; i < n && strcmp(sorted[i]->task, sorted[0]->task) == 0; i++) {
        if (i + 1 < n && strcmp(sorted[i + 1]->task, sorted[0]->task) == 0 &&
            sorted[i + 1]->seed == sorted[i]->seed)
            continue; /* measured again later, as after a resume */
        sum += sorted[i]->score;
        *least = fmin(*least, sorted[i]->score);
        ++*seeds;
    }
    *mean = sum / *seeds;
    return i;
}

ol_status ol_eval_summarise(const ol_eval_learner *learner, int steps, bool unseen_only,
                            ol_eval_summary *summary)
{
    const ol_eval_score **chosen = malloc((learner->n + 1) * sizeof *chosen);
    double mean = 0.0, worst = 0.0;
    size_t n = 0;

    OL_CHECK(chosen, OL_ENOMEM, "no memory to summarise %zu scores", learner->n);
    *summary = (ol_eval_summary){.mean = (double)NAN, .worst = (double)NAN};
    for (size_t i = 0; i < learner->n; i++)
        if (learner->scores[i].steps == steps && (!unseen_only || learner->scores[i].unseen))
            chosen[n++] = &learner->scores[i];
    qsort(chosen, n, sizeof *chosen, compare_scores);
    for (size_t i = 0; i < n;) {
        double task_mean, task_least;
        int seeds;
        i += task_scores(chosen + i, n - i, &task_mean, &task_least, &seeds);
        mean += task_mean;
        worst += task_least;
        summary->tasks++;
        if (seeds > summary->seeds)
            summary->seeds = seeds;
    }
    free(chosen);
    if (summary->tasks > 0) {
        summary->mean = mean / summary->tasks;   /* (1) */
        summary->worst = worst / summary->tasks; /* (2) */
    }
    return OL_OK;
}

/* Step counts that any learner has, ascending; *counts is the caller's. */
static ol_status find_counts(const ol_eval_learner *learners, size_t n, bool unseen_only,
                             int **counts, int *n_counts)
{
    size_t room = 1;

    for (size_t l = 0; l < n; l++)
        room += learners[l].n;
    *n_counts = 0;
    *counts = malloc(room * sizeof **counts);
    OL_CHECK(*counts, OL_ENOMEM, "no memory for a table of %zu scores", room);
    for (size_t l = 0; l < n; l++)
        for (size_t i = 0; i < learners[l].n; i++) {
            const int steps = learners[l].scores[i].steps;
            int at = 0;
            if (unseen_only && !learners[l].scores[i].unseen)
                continue;
            while (at < *n_counts && (*counts)[at] < steps)
                at++;
            if (at < *n_counts && (*counts)[at] == steps)
                continue;
            memmove(*counts + at + 1, *counts + at, (size_t)(*n_counts - at) * sizeof **counts);
            (*counts)[at] = steps;
            ++*n_counts;
        }
    return OL_OK;
}

/* Bytes of the cell that hold a name cut to the column, code points whole. */
static int name_bytes(const char *name, int width)
{
    int used = 0;

    for (int columns = 0; name[used] && columns < width; columns++)
        do
            used++;
        while (((unsigned char)name[used] & 0xc0) == 0x80);
    return used;
}

static int name_columns(const char *name)
{
    int columns = 0;

    for (; *name; name++)
        columns += ((unsigned char)*name & 0xc0) != 0x80;
    return columns;
}

static ol_status add_name(const char *name, int width, ol_text *text)
{
    const int bytes = name_bytes(name, width);
    const int columns = name_columns(name);

    return ol_text_format(text, "%.*s%*s", bytes, name, columns < width ? width - columns : 0, "");
}

static ol_status add_heading(const int *counts, int n, int width, bool last, ol_text *text)
{
    OL_TRY(ol_text_format(text, "%*s", width, ""));
    for (int i = 0; i < n; i++) {
        char title[32] = "in context";
        if (counts[i] > 0)
            snprintf(title, sizeof title, "%d step%s", counts[i], counts[i] > 1 ? "s" : "");
        OL_TRY(ol_text_format(text, "%*s", PAIR_WIDTH, title));
    }
    OL_TRY(ol_text_format(text, "%s\n%-*s", last ? "   wall time" : "", width, "learner"));
    for (int i = 0; i < n; i++)
        OL_TRY(ol_text_format(text, "     mean  worst"));
    return ol_text_append(text, "\n", 1);
}

static ol_status add_percent(double value, int width, ol_text *text)
{
    return isnan(value) ? ol_text_format(text, "%*s", width, "-")
                        : ol_text_format(text, "%*.1f", width, 100.0 * value);
}

static ol_status add_learner(const ol_eval_learner *learner, const int *counts, int n,
                             bool unseen_only, int width, bool last, ol_text *text)
{
    char time[32] = "-";

    OL_TRY(add_name(learner->name, width - 1, text));
    OL_TRY(ol_text_append(text, " ", 1));
    for (int i = 0; i < n; i++) {
        ol_eval_summary summary;
        OL_TRY(ol_eval_summarise(learner, counts[i], unseen_only, &summary));
        OL_TRY(add_percent(summary.mean, 9, text));
        OL_TRY(add_percent(summary.worst, PAIR_WIDTH - 9, text));
    }
    if (learner->seconds >= 0.0)
        ol_clock_duration(learner->seconds, time);
    return last ? ol_text_format(text, "   %s\n", time) : ol_text_append(text, "\n", 1);
}

/* Most tasks and seeds that any learner has at any count, for the caption. */
static ol_status find_extent(const ol_eval_learner *learners, size_t n, const int *counts,
                             int n_counts, bool unseen_only, int *tasks, int *seeds)
{
    *tasks = *seeds = 0;
    for (size_t l = 0; l < n; l++)
        for (int i = 0; i < n_counts; i++) {
            ol_eval_summary summary;
            OL_TRY(ol_eval_summarise(&learners[l], counts[i], unseen_only, &summary));
            *tasks = summary.tasks > *tasks ? summary.tasks : *tasks;
            *seeds = summary.seeds > *seeds ? summary.seeds : *seeds;
        }
    return OL_OK;
}

static ol_status add_part(const char *title, const ol_eval_learner *learners, size_t n,
                          const int *counts, int n_counts, bool unseen_only, ol_text *text)
{
    int width = NAME_WIDTH, tasks, seeds;

    for (size_t l = 0; l < n; l++) {
        const int columns = name_columns(learners[l].name) + 1;
        width = columns > width ? columns : width;
    }
    width = width > NAME_MOST ? NAME_MOST : width;
    OL_TRY(find_extent(learners, n, counts, n_counts, unseen_only, &tasks, &seeds));
    OL_TRY(ol_text_format(text, "%s (%d task%s, %d seed%s; score in %%, mean and worst seed)\n\n",
                          title, tasks, tasks == 1 ? "" : "s", seeds, seeds == 1 ? "" : "s"));
    for (int done = 0; done < n_counts;) {
        const int fit = (LINE_WIDTH - width - TIME_WIDTH) / PAIR_WIDTH;
        const int block = n_counts - done < fit ? n_counts - done : fit;
        const bool last = done + block == n_counts;
        OL_TRY(add_heading(counts + done, block, width, last, text));
        for (size_t l = 0; l < n; l++)
            OL_TRY(add_learner(&learners[l], counts + done, block, unseen_only, width, last, text));
        OL_TRY(ol_text_append(text, "\n", 1));
        done += block;
    }
    return OL_OK;
}

/* A table under a title, of the learners that have scores. */
static ol_status add_table(const char *title, const ol_eval_learner *learners, size_t n,
                           bool unseen_only, ol_text *text)
{
    int *counts, n_counts;
    ol_status status = OL_OK;

    OL_TRY(find_counts(learners, n, unseen_only, &counts, &n_counts));
    if (n_counts > 0)
        status = add_part(title, learners, n, counts, n_counts, unseen_only, text);
    free(counts);
    return status;
}

static bool is_of(const ol_eval_score *score, const char *group)
{
    return score->group && score->group[0] && (!group || strcmp(score->group, group) == 0);
}

/* The next group in order of first scores, after `last`; NULL past the last. */
static const char *next_group(const ol_eval_learner *learners, size_t n, const char *last)
{
    for (size_t l = 0; l < n; l++) {
        size_t i = 0;

        while (last && i < learners[l].n && !is_of(&learners[l].scores[i], last))
            i++;
        /* groups stand together, as the targets' order has them */
        for (; i < learners[l].n; i++)
            if (is_of(&learners[l].scores[i], NULL) &&
                !(last && is_of(&learners[l].scores[i], last)))
                return learners[l].scores[i].group;
    }
    return NULL;
}

/* The table of one group: learners with those scores alone, copied to scores[0..]. */
static ol_status add_group(const char *group, const ol_eval_learner *learners, size_t n,
                           ol_eval_learner *some, ol_eval_score *scores, ol_text *text)
{
    for (size_t l = 0; l < n; l++) {
        some[l] = learners[l];
        some[l].scores = scores;
        some[l].n = 0;
        for (size_t i = 0; i < learners[l].n; i++)
            if (is_of(&learners[l].scores[i], group)) {
                *scores++ = learners[l].scores[i];
                some[l].n++;
            }
    }
    return add_table(group, some, n, false, text);
}

static ol_status add_groups(const ol_eval_learner *learners, size_t n, ol_text *text)
{
    size_t room = 1;
    ol_status status = OL_OK;

    for (size_t l = 0; l < n; l++)
        room += learners[l].n;
    ol_eval_learner *some = calloc(n + 1, sizeof *some);
    ol_eval_score *scores = calloc(room, sizeof *scores);

    if (!some || !scores)
        status = ol_fail(OL_ENOMEM, "no memory for a table of %zu scores", room);
    for (const char *group = next_group(learners, n, NULL); group && status == OL_OK;
         group = next_group(learners, n, group))
        status = add_group(group, learners, n, some, scores, text);
    free(some);
    free(scores);
    return status;
}

ol_status ol_eval_table(const ol_eval_learner *learners, size_t n, ol_text *text)
{
    if (next_group(learners, n, NULL))
        return add_groups(learners, n, text);
    OL_TRY(add_table("unseen tasks", learners, n, false, text));
    return add_table("tasks of unseen domains", learners, n, true, text);
}
