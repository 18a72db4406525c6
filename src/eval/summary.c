/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/eval/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_ALLOCATE */

/* Scores of one learner at one step count, by task, then seed, then training, each once. */
typedef struct selection {
    const ol_eval_score **items; /* [n] */
    size_t n;
} selection;

/* Scores as the bootstrap takes them, and what they were made of. */
typedef struct grid {
    ol_cells cells;
    int *first;       /* [tasks+1]           */
    double *values;   /* [cells, R]          */
    int64_t *columns; /* [R] seeds of trainings */
} grid;

static int compare_cell(const ol_eval_score *x, const ol_eval_score *y)
{
    const int by_task = strcmp(x->task, y->task);

    return by_task != 0 ? by_task : (x->seed > y->seed) - (x->seed < y->seed);
}

/* Later entries of equal ones stay later. */
static int compare_scores(const void *a, const void *b)
{
    const ol_eval_score *const *x = a, *const *y = b;
    const int by_cell = compare_cell(*x, *y);

    if (by_cell != 0)
        return by_cell;
    if ((*x)->training != (*y)->training)
        return (*x)->training < (*y)->training ? -1 : 1;
    return (*x > *y) - (*x < *y);
}

bool ol_eval_is_in(const ol_eval_score *score, const char *group)
{
    return !group || (score->group && strcmp(score->group, group) == 0);
}

static void finish_selection(selection *s)
{
    free(s->items);
}
#define AUTO_SELECTION OL_AUTO(finish_selection) selection

/* @param s  zero at first */
static ol_status choose(const ol_eval_learner *learner, int steps, const char *group, selection *s)
{
    size_t n = 0;

    OL_TRY(OL_ALLOCATE(s->items, learner->n, "scores to summarise"));
    for (size_t i = 0; i < learner->n; i++)
        if (learner->scores[i].steps == steps && ol_eval_is_in(&learner->scores[i], group) &&
            (!learner->task || strcmp(learner->scores[i].task, learner->task) == 0))
            s->items[n++] = &learner->scores[i];
    qsort(s->items, n, sizeof *s->items, compare_scores);
    for (size_t i = 0; i < n; i++) {
        const bool again = i + 1 < n && compare_cell(s->items[i], s->items[i + 1]) == 0 &&
                           s->items[i]->training == s->items[i + 1]->training;
        if (!again) /* else measured again later, as after a resume */
            s->items[s->n++] = s->items[i];
    }
    return OL_OK;
}

static int find_column(const grid *g, int64_t training)
{
    for (int r = 0; r < g->cells.trainings; r++)
        if (g->columns[r] == training)
            return r;
    return -1;
}

static void finish_grid(grid *g)
{
    free(g->first);
    free(g->values);
    free(g->columns);
}
#define AUTO_GRID OL_AUTO(finish_grid) grid

/* An empty grid for the trainings of s. @param g  zero at first */
static ol_status grid_init(grid *g, const selection *s)
{
    OL_TRY(OL_ALLOCATE(g->first, s->n + 1, "scores to summarise"));
    OL_TRY(OL_ALLOCATE(g->columns, s->n, "scores to summarise"));
    for (size_t i = 0; i < s->n; i++)
        if (find_column(g, s->items[i]->training) < 0)
            g->columns[g->cells.trainings++] = s->items[i]->training;
    OL_TRY(OL_ALLOCATE(g->values, s->n * (size_t)g->cells.trainings, "scores to summarise"));
    g->cells.first = g->first;
    g->cells.values = g->values;
    return OL_OK;
}

static ol_status grid_fill(grid *g, const selection *s)
{
    int cells = 0;

    OL_TRY(grid_init(g, s));
    for (size_t i = 0; i < s->n; i++) {
        const int R = g->cells.trainings;
        if (i == 0 || strcmp(s->items[i]->task, s->items[i - 1]->task) != 0)
            g->first[g->cells.tasks++] = cells;
        if (i == 0 || compare_cell(s->items[i], s->items[i - 1]) != 0)
            for (int r = 0, at = cells++ * R; r < R; r++)
                g->values[at + r] = (double)NAN;
        g->values[(cells - 1) * R + find_column(g, s->items[i]->training)] = s->items[i]->score;
    }
    g->first[g->cells.tasks] = cells;
    return OL_OK;
}

/* (2) */
static double worst_of(const grid *g)
{
    double sum = 0;

    for (int t = 0; t < g->cells.tasks; t++) {
        double least = (double)INFINITY;
        for (int i = g->first[t]; i < g->first[t + 1]; i++)
            least = fmin(least, ol_cell_mean(&g->cells, i));
        sum += least;
    }
    return sum / g->cells.tasks;
}

/* Means over tasks of the means over what each has: of guessing, and of the commonest answer. */
static void add_floors(const selection *s, ol_eval_summary *summary)
{
    double chance = 0, majority = 0;

    for (size_t i = 0, next; i < s->n; i = next) {
        double a = 0, b = 0;
        for (next = i; next < s->n && strcmp(s->items[next]->task, s->items[i]->task) == 0;
             next++) {
            a += s->items[next]->chance;
            b += s->items[next]->majority;
        }
        chance += a / (double)(next - i);
        majority += b / (double)(next - i);
    }
    summary->chance = chance / summary->tasks;
    summary->majority = majority / summary->tasks;
}

static ol_status summarise(const selection *s, ol_eval_summary *summary)
{
    AUTO_GRID g = {0};

    OL_TRY(grid_fill(&g, s));
    OL_TRY(ol_bootstrap(&g.cells, &summary->score));
    summary->worst = worst_of(&g);
    summary->tasks = g.cells.tasks;
    summary->trainings = g.cells.trainings;
    for (int t = 0; t < g.cells.tasks; t++)
        if (g.first[t + 1] - g.first[t] > summary->seeds)
            summary->seeds = g.first[t + 1] - g.first[t];
    for (size_t i = 0; i < s->n; i++)
        summary->metrics |= 1u << s->items[i]->metric;
    add_floors(s, summary);
    return OL_OK;
}

ol_status ol_eval_summarise(const ol_eval_learner *learner, int steps, const char *group,
                            ol_eval_summary *summary)
{
    const double none = (double)NAN;
    AUTO_SELECTION s = {0};

    *summary = (ol_eval_summary){
        .score = {none, none, none}, .worst = none, .chance = none, .majority = none};
    OL_TRY(choose(learner, steps, group, &s));
    return s.n > 0 ? summarise(&s, summary) : OL_OK;
}

/* One cell of both: what is known in a training of both, or the means where none is. */
static bool subtract(const grid *a, int i, const grid *b, int j, double *out)
{
    const int R = a->cells.trainings;
    bool any = false;

    for (int r = 0; r < R; r++) {
        const int q = find_column(b, a->columns[r]);
        out[r] = q < 0 ? (double)NAN : a->values[i * R + r] - b->values[j * b->cells.trainings + q];
        any = any || !isnan(out[r]);
    }
    return any;
}

static bool shares_training(const grid *a, const grid *b)
{
    for (int r = 0; r < a->cells.trainings; r++)
        if (find_column(b, a->columns[r]) >= 0)
            return true;
    return false;
}

/* One column of cell means in the place of all trainings. */
static void average(grid *g)
{
    for (int i = 0; i < g->first[g->cells.tasks]; i++)
        g->values[i] = ol_cell_mean(&g->cells, i); /* never writes past what it still reads */
    g->cells.trainings = 1;
    g->columns[0] = 0;
}

/* The cells of a grid are in the order of the selection: the entries that begin one. */
static size_t next_cell(const selection *s, size_t i)
{
    size_t next = i + 1;

    while (next < s->n && compare_cell(s->items[next], s->items[i]) == 0)
        next++;
    return next;
}

/* d becomes a less b, over the cells of both; a and b are in the same order. */
static void difference(const selection *sa, const grid *a, const selection *sb, const grid *b,
                       grid *d)
{
    const int R = d->cells.trainings;
    const char *task = NULL;
    int i = 0, j = 0, cells = 0;

    for (size_t x = 0, y = 0; x < sa->n && y < sb->n;) {
        const int order = compare_cell(sa->items[x], sb->items[y]);
        if (order == 0 && subtract(a, i, b, j, d->values + (ptrdiff_t)cells * R)) {
            if (!task || strcmp(task, sa->items[x]->task) != 0)
                d->first[d->cells.tasks++] = cells;
            task = sa->items[x]->task;
            cells++;
        }
        if (order <= 0) {
            x = next_cell(sa, x);
            i++;
        }
        if (order >= 0) {
            y = next_cell(sb, y);
            j++;
        }
    }
    d->first[d->cells.tasks] = cells;
}

static ol_status compare(const selection *sa, grid *a, const selection *sb, grid *b,
                         ol_interval *out)
{
    AUTO_GRID d = {0};

    if (!shares_training(a, b)) {
        average(a);
        average(b);
    }
    OL_TRY(grid_init(&d, sa));
    d.cells.trainings = a->cells.trainings;
    difference(sa, a, sb, b, &d);
    return ol_bootstrap(&d.cells, out);
}

ol_status ol_eval_compare(const ol_eval_learner *a, const ol_eval_learner *b, int steps,
                          const char *group, ol_interval *out)
{
    AUTO_SELECTION sa = {0}, sb = {0};
    AUTO_GRID ga = {0}, gb = {0};

    *out = (ol_interval){(double)NAN, (double)NAN, (double)NAN};
    OL_TRY(choose(a, steps, group, &sa));
    OL_TRY(choose(b, steps, group, &sb));
    if (sa.n == 0 || sb.n == 0)
        return OL_OK;
    OL_TRY(grid_fill(&ga, &sa));
    OL_TRY(grid_fill(&gb, &sb));
    return compare(&sa, &ga, &sb, &gb, out);
}
