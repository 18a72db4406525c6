/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/eval/table.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/clock.h" /* ol_clock_duration */
#include "outerloop/base/size.h"  /* OL_ALLOCATE */

enum {
    LEAST_WIDTH = 40, /* of the whole                              */
    NAME_WIDTH = 16,  /* of the learner column, at least           */
    CELL_WIDTH = 18,  /* of one step count: mean, interval, worst  */
    MOST_GROUPS = 32,
    CELL_TEXT = OL_INTERVAL_TEXT,
};

static const double idle = 0.02; /* an inner loop that lowers the loss by less gains nothing */

/* What is being written, and for whom. */
typedef struct page {
    const ol_eval_learner *learners; /* [n] */
    size_t n;
    int width; /* of the whole           */
    int name;  /* of the learner column  */
    ol_text *text;
} page;

/* One part: the tasks of a group, NULL for all. */
typedef struct section {
    const char *group;
    int *counts; /* [n_counts] step counts that any learner has, in order */
    int n_counts;
    ol_eval_summary *summaries; /* [n, n_counts] */
} section;

/* Without the blanks that its columns end in. */
static ol_status end_line(ol_text *text)
{
    while (text->size > 0 && text->data[text->size - 1] == ' ')
        text->size--;
    return ol_text_append(text, "\n", 1);
}

/* A paragraph. */
static ol_status add_wrapped(const page *p, const char *words)
{
    return ol_text_wrap(p->text, words, 0, p->width);
}

/* Half of the interval, in percent; NaN when there is none. */
static double spread(const ol_interval *i)
{
    return 50.0 * (i->high - i->low);
}

int ol_interval_decimals(const ol_interval *i)
{
    return spread(i) >= 0.95 ? 0 : 1;
}

/* "76.4", or "76  ": the points of a column stand below each other. "-" for NaN. */
static void write_percent(double value, int digits, char text[CELL_TEXT])
{
    if (isnan(value))
        snprintf(text, CELL_TEXT, "-  ");
    else
        snprintf(text, CELL_TEXT, "%.*f%s", digits, 100.0 * value, digits == 0 ? "  " : "");
}

static ol_status add_percent(double value, int digits, int width, ol_text *text)
{
    char cell[CELL_TEXT];

    write_percent(value, digits, cell);
    return ol_text_cell(text, cell, width, false);
}

static ol_status add_cell(const ol_eval_summary *s, ol_text *text)
{
    const double half = spread(&s->score);
    const int digits = ol_interval_decimals(&s->score);
    char interval[CELL_TEXT] = "";

    if (!isnan(half))
        snprintf(interval, sizeof interval, "±%.*f", digits, half);
    OL_TRY(add_percent(s->score.mean, digits, 7, text));
    OL_TRY(ol_text_append(text, " ", 1));
    OL_TRY(ol_text_cell(text, interval, 4, true));
    return add_percent(s->worst, digits, CELL_WIDTH - 12, text);
}

/* In percent, as it is printed: never a zero with a minus. */
static double rounded(double value, int digits)
{
    const double unit = digits == 0 ? 1.0 : 10.0;

    return round(100.0 * value * unit) / unit + 0.0;
}

void ol_interval_difference(const ol_interval *d, char text[OL_INTERVAL_TEXT])
{
    const int digits = ol_interval_decimals(d);

    if (isnan(d->mean))
        snprintf(text, OL_INTERVAL_TEXT, "-");
    else if (isnan(d->low))
        snprintf(text, OL_INTERVAL_TEXT, "%+.1f", rounded(d->mean, 1));
    else
        snprintf(text, OL_INTERVAL_TEXT, "%+.*f [%.*f, %.*f]", digits, rounded(d->mean, digits),
                 digits, rounded(d->low, digits), digits, rounded(d->high, digits));
}

static void finish_section(section *part)
{
    free(part->counts);
    free(part->summaries);
}
#define AUTO_SECTION OL_AUTO(finish_section) section

static ol_status find_counts(const page *p, section *part)
{
    size_t room = 0;

    for (size_t l = 0; l < p->n; l++)
        room += p->learners[l].n;
    OL_TRY(OL_ALLOCATE(part->counts, room, "a table of scores"));
    for (size_t l = 0; l < p->n; l++)
        for (size_t i = 0; i < p->learners[l].n; i++) {
            const int steps = p->learners[l].scores[i].steps;
            int at = 0;
            if (!ol_eval_is_in(&p->learners[l].scores[i], part->group))
                continue;
            while (at < part->n_counts && ol_steps_before(part->counts[at], steps))
                at++;
            if (at < part->n_counts && part->counts[at] == steps)
                continue;
            memmove(part->counts + at + 1, part->counts + at,
                    (size_t)(part->n_counts - at) * sizeof *part->counts);
            part->counts[at] = steps;
            part->n_counts++;
        }
    return OL_OK;
}

static const ol_eval_summary *summary_of(const section *part, size_t learner, int count)
{
    return &part->summaries[learner * (size_t)part->n_counts + (size_t)count];
}

/* @param part  its group set; AUTO_SECTION frees it, also after an error */
static ol_status open_section(const page *p, section *part)
{
    size_t C;

    OL_TRY(find_counts(p, part));
    C = (size_t)part->n_counts;
    OL_TRY(OL_ALLOCATE(part->summaries, p->n * C, "a table of scores"));
    for (size_t i = 0; i < p->n * C; i++)
        OL_TRY(ol_eval_summarise(&p->learners[i / C], part->counts[i % C], part->group,
                                 &part->summaries[i]));
    return OL_OK;
}

static ol_status add_title(const page *p, const section *part)
{
    static const char *const metrics[] = {"", "accuracy", "macro-F1",
                                          "accuracy, macro-F1 of classification,"};
    ol_eval_summary most = {0};
    OL_AUTO_TEXT title = {0};

    for (size_t i = 0; i < p->n * (size_t)part->n_counts; i++) {
        const ol_eval_summary *s = &part->summaries[i];
        most.tasks = s->tasks > most.tasks ? s->tasks : most.tasks;
        most.seeds = s->seeds > most.seeds ? s->seeds : most.seeds;
        most.trainings = s->trainings > most.trainings ? s->trainings : most.trainings;
        most.metrics |= s->metrics;
    }
    OL_TRY(ol_text_format(&title, "%s: %d task%s, %d seed%s, %d training%s; %s in %%",
                          part->group ? part->group : "unseen tasks", most.tasks,
                          most.tasks == 1 ? "" : "s", most.seeds, most.seeds == 1 ? "" : "s",
                          most.trainings, most.trainings == 1 ? "" : "s",
                          metrics[most.metrics & 3]));
    OL_TRY(add_wrapped(p, title.data));
    return ol_text_append(p->text, "\n", 1);
}

/* "in context", "4 steps", ... */
static ol_status add_counts(const page *p, const section *part, int from, int to, int width)
{
    OL_TRY(ol_text_cell(p->text, "", p->name, true));
    for (int c = from; c < to; c++) {
        char title[OL_STEPS_TEXT];

        ol_steps_name(part->counts[c], title);
        OL_TRY(ol_text_cell(p->text, title, width, false));
    }
    return ol_text_append(p->text, "\n", 1);
}

static ol_status add_heading(const page *p, const section *part, int from, int to)
{
    OL_TRY(add_counts(p, part, from, to, CELL_WIDTH));
    OL_TRY(ol_text_cell(p->text, "learner", p->name, true));
    for (int c = from; c < to; c++)
        OL_TRY(ol_text_format(p->text, "%7s%11s", "mean", "worst"));
    return ol_text_append(p->text, "\n", 1);
}

/* What scores without any learning: the first learner that has a score there knows. */
static ol_status add_floor(const page *p, const section *part, const char *name, bool majority,
                           int from, int to)
{
    OL_TRY(ol_text_cell(p->text, name, p->name, true));
    for (int c = from; c < to; c++) {
        double value = (double)NAN;
        for (size_t l = 0; l < p->n && isnan(value); l++)
            value = majority ? summary_of(part, l, c)->majority : summary_of(part, l, c)->chance;
        OL_TRY(add_percent(value, 1, 7, p->text));
        OL_TRY(ol_text_cell(p->text, "", CELL_WIDTH - 7, true));
    }
    return end_line(p->text);
}

static ol_status add_scores(const page *p, const section *part, int from, int to)
{
    OL_TRY(add_heading(p, part, from, to));
    OL_TRY(add_floor(p, part, "chance", false, from, to));
    OL_TRY(add_floor(p, part, "majority", true, from, to));
    for (size_t l = 0; l < p->n; l++) {
        OL_TRY(ol_text_cell(p->text, p->learners[l].name, p->name - 1, true));
        OL_TRY(ol_text_append(p->text, " ", 1));
        for (int c = from; c < to; c++)
            OL_TRY(add_cell(summary_of(part, l, c), p->text));
        OL_TRY(end_line(p->text));
    }
    return ol_text_append(p->text, "\n", 1);
}

static bool was_trained(const ol_eval_learner *learner)
{
    return learner->seconds >= 0.0;
}

/* The learner with the most, at a step count, of those trained or of all, but for one; NULL when none
 * has a score. */
static const ol_eval_learner *best_of(const page *p, const section *part, int count, bool trained,
                                      const ol_eval_learner *but)
{
    const ol_eval_learner *best = NULL;
    double most = -1.0;

    for (size_t l = 0; l < p->n; l++) {
        const double mean = summary_of(part, l, count)->score.mean;
        const ol_eval_learner *learner = &p->learners[l];

        if (learner != but && (!trained || was_trained(learner)) &&
            mean > most) { /* never of NaN */
            most = mean;
            best = learner;
        }
    }
    return best;
}

static bool any_trained(const page *p)
{
    for (size_t l = 0; l < p->n; l++)
        if (was_trained(&p->learners[l]))
            return true;
    return false;
}

/* The differences of one learner, as text. */
static ol_status find_differences(const page *p, const section *part, size_t learner,
                                  char (*cells)[CELL_TEXT], int *widest)
{
    for (int c = 0; c < part->n_counts; c++) {
        const ol_eval_learner *rival = best_of(p, part, c, false, &p->learners[learner]);
        ol_interval d = {(double)NAN, (double)NAN, (double)NAN};
        if (rival)
            OL_TRY(ol_eval_compare(&p->learners[learner], rival, part->counts[c], part->group, &d));
        ol_interval_difference(&d, cells[c]);
        if (ol_text_columns(cells[c]) > *widest)
            *widest = ol_text_columns(cells[c]);
    }
    return OL_OK;
}

static ol_status add_differences(const page *p, const section *part, char (*cells)[CELL_TEXT],
                                 int width)
{
    const int fit = (p->width - p->name) / width;
    const bool all = !any_trained(p);

    OL_TRY(add_wrapped(p, "above its best rival, paired [95 % interval]"));
    for (int from = 0; from < part->n_counts; from += fit) {
        const int to = from + fit < part->n_counts ? from + fit : part->n_counts;
        OL_TRY(add_counts(p, part, from, to, width));
        for (size_t l = 0; l < p->n; l++) {
            if (!all && !was_trained(&p->learners[l]))
                continue;
            OL_TRY(ol_text_cell(p->text, p->learners[l].name, p->name - 1, true));
            OL_TRY(ol_text_append(p->text, " ", 1));
            for (int c = from; c < to; c++)
                OL_TRY(ol_text_cell(p->text, cells[l * (size_t)part->n_counts + (size_t)c], width,
                                    false));
            OL_TRY(end_line(p->text));
        }
        OL_TRY(ol_text_append(p->text, "\n", 1));
    }
    return OL_OK;
}

static ol_status compare_learners(const page *p, const section *part)
{
    OL_AUTO_FREE char(*cells)[CELL_TEXT] = NULL;
    int widest = CELL_WIDTH - 2;

    OL_TRY(OL_ALLOCATE(cells, p->n * (size_t)part->n_counts, "a table of differences"));
    for (size_t l = 0; l < p->n; l++)
        OL_TRY(find_differences(p, part, l, cells + l * (size_t)part->n_counts, &widest));
    return add_differences(p, part, cells, widest + 2);
}

static ol_status add_part(const page *p, const char *group)
{
    const int fit = (p->width - p->name) / CELL_WIDTH;
    AUTO_SECTION part = {.group = group};

    OL_TRY(open_section(p, &part));
    if (part.n_counts == 0)
        return OL_OK;
    OL_TRY(add_title(p, &part));
    for (int from = 0; from < part.n_counts; from += fit)
        OL_TRY(add_scores(p, &part, from, from + fit < part.n_counts ? from + fit : part.n_counts));
    return p->n > 1 ? compare_learners(p, &part) : OL_OK;
}

/* Groups in the order of their first score. @param all  every score is in one. */
static int find_groups(const page *p, const char *groups[MOST_GROUPS], bool *all)
{
    int n = 0;

    *all = true;
    for (size_t l = 0; l < p->n; l++)
        for (size_t i = 0; i < p->learners[l].n; i++) {
            const char *group = p->learners[l].scores[i].group;
            int g = 0;
            if (!group || !*group) {
                *all = false;
                continue;
            }
            while (g < n && strcmp(groups[g], group) != 0)
                g++;
            if (g == n && n < MOST_GROUPS)
                groups[n++] = group;
        }
    return n;
}

static bool has_inner_loop(const ol_eval_learner *l)
{
    return isfinite(l->before) && isfinite(l->after);
}

static ol_status add_trainings(const page *p)
{
    const bool times = p->width >= p->name + 32;

    if (!any_trained(p))
        return OL_OK;
    OL_TRY(ol_text_cell(p->text, "training", p->name, true));
    OL_TRY(ol_text_cell(p->text, "inner loop", 18, true));
    OL_TRY(ol_text_append(p->text, times ? "wall time" : "", times ? 9 : 0));
    OL_TRY(end_line(p->text));
    for (size_t l = 0; l < p->n; l++) {
        const ol_eval_learner *learner = &p->learners[l];
        char losses[CELL_TEXT] = "-", time[32];
        if (!was_trained(learner))
            continue;
        if (has_inner_loop(learner))
            snprintf(losses, sizeof losses, "%.3f → %.3f", learner->before, learner->after);
        ol_clock_duration(learner->seconds, time);
        OL_TRY(ol_text_cell(p->text, learner->name, p->name - 1, true));
        OL_TRY(ol_text_append(p->text, " ", 1));
        OL_TRY(ol_text_cell(p->text, losses, 18, true));
        OL_TRY(ol_text_append(p->text, time, times ? strlen(time) : 0));
        OL_TRY(end_line(p->text));
    }
    return ol_text_append(p->text, "\n", 1);
}

/* Learners whose inner loop is of no use, with what to do about it. */
static ol_status name_idle(const page *p)
{
    OL_AUTO_TEXT line = {0};

    for (size_t l = 0; l < p->n; l++) {
        const ol_eval_learner *learner = &p->learners[l];
        if (has_inner_loop(learner) && learner->before - learner->after <= idle * learner->before)
            OL_TRY(ol_text_format(&line, "%s%s", line.size > 0 ? ", " : "", learner->name));
    }
    if (line.size == 0)
        return OL_OK;
    OL_TRY(ol_text_format(&line, ": the inner loop gains next to nothing, so that there is "
                                 "little to meta-learn; raise learner.inner.lr or "
                                 "learner.inner.steps."));
    return add_wrapped(p, line.data);
}

static ol_status explain(const page *p)
{
    bool inner = false, pmi = false;

    for (size_t l = 0; l < p->n; l++) {
        inner = inner || has_inner_loop(&p->learners[l]);
        for (size_t i = 0; i < p->learners[l].n && !pmi; i++)
            pmi = p->learners[l].scores[i].steps == OL_STEPS_PMI;
    }
    OL_TRY(add_wrapped(p, "mean ± half its 95 % interval: a bootstrap over tasks, their seeds and "
                          "trainings. worst: the mean over tasks of each task's worst seed, as "
                          "MetaICL reports it. chance: guessing. majority: always a task's "
                          "commonest answer."));
    if (pmi)
        OL_TRY(add_wrapped(p, "PMI: in context, by option losses less those of the same options "
                              "after the input \"N/A\"."));
    if (inner)
        OL_TRY(add_wrapped(p, "inner loop: query loss in nats before → after it, over the last "
                              "tenth of training."));
    return name_idle(p);
}

/* "; above untrained by 36 [28, 44], multitask by ...", or of those it is below. */
static ol_status add_others(const page *p, const ol_eval_learner *best, int steps, bool above,
                            ol_text *line)
{
    const char *before = above ? "; above " : "; below ";

    for (size_t l = 0; l < p->n; l++) {
        char text[CELL_TEXT];
        ol_interval d;

        if (&p->learners[l] == best)
            continue;
        OL_TRY(ol_eval_compare(best, &p->learners[l], steps, NULL, &d));
        if (isnan(d.mean) || (d.mean >= 0) != above)
            continue;
        if (!above)
            d = (ol_interval){-d.mean, -d.high, -d.low};
        ol_interval_difference(&d, text);
        OL_TRY(
            ol_text_format(line, "%s%s by %s", before, p->learners[l].name, text + (*text == '+')));
        before = ", ";
    }
    return OL_OK;
}

/* The sentence, after a step count that is the index `count`. */
static ol_status say_lead(const page *p, const section *part, int count)
{
    const ol_eval_learner *best = best_of(p, part, count, true, NULL);
    const bool leads = best == best_of(p, part, count, false, NULL);
    const int steps = part->counts[count];
    const ol_eval_summary *own;
    OL_AUTO_TEXT line = {0};
    char title[OL_STEPS_TEXT];

    if (!best)
        return OL_OK;
    own = summary_of(part, (size_t)(best - p->learners), count);
    ol_steps_name(steps, title);
    OL_TRY(ol_text_format(&line, "In short: %s%s, %s%s with %.0f %% over ",
                          steps > 0 ? "after " : "", title, best->name,
                          leads ? " leads" : " is the best of what was trained,",
                          100.0 * own->score.mean));
    OL_TRY(own->tasks == 1 ? ol_text_format(&line, "the one unseen task")
                           : ol_text_format(&line, "all %d unseen tasks", own->tasks));
    OL_TRY(add_others(p, best, steps, true, &line));
    OL_TRY(add_others(p, best, steps, false, &line));
    OL_TRY(ol_text_append(&line, ".", 1));
    OL_TRY(ol_text_append(p->text, "\n", 1));
    return add_wrapped(p, line.data);
}

/* What the best gained, over all tasks, after the fewest steps of adaptation that were scored. */
static ol_status sum_up(const page *p)
{
    AUTO_SECTION part = {.group = NULL};
    int count = 0;

    OL_TRY(open_section(p, &part));
    while (count + 1 < part.n_counts && part.counts[count] <= 0)
        count++;
    return part.n_counts > 0 && p->n > 1 ? say_lead(p, &part, count) : OL_OK;
}

static page open_page(const ol_eval_learner *learners, size_t n, int width, ol_text *text)
{
    page p = {.learners = learners, .n = n, .name = NAME_WIDTH, .text = text};
    int most;

    p.width = width <= 0 || width > OL_TABLE_WIDTH ? OL_TABLE_WIDTH : width;
    p.width = p.width < LEAST_WIDTH ? LEAST_WIDTH : p.width;
    most = p.width - CELL_WIDTH < 2 * NAME_WIDTH ? p.width - CELL_WIDTH - 4 : 2 * NAME_WIDTH;
    for (size_t l = 0; l < n; l++) {
        const int columns = ol_text_columns(learners[l].name) + 1;
        p.name = columns > p.name ? columns : p.name;
    }
    p.name = p.name > most ? most : p.name;
    return p;
}

ol_status ol_eval_table(const ol_eval_learner *learners, size_t n, int width, ol_text *text)
{
    const page p = open_page(learners, n, width, text);
    const char *groups[MOST_GROUPS];
    size_t scores = 0;
    bool all;
    const int n_groups = find_groups(&p, groups, &all);

    for (size_t l = 0; l < n; l++)
        scores += learners[l].n;
    if (scores == 0)
        return OL_OK;
    if (!all || n_groups < 2)
        OL_TRY(add_part(&p, NULL));
    for (int g = 0; g < n_groups; g++)
        OL_TRY(add_part(&p, groups[g]));
    OL_TRY(add_trainings(&p));
    OL_TRY(explain(&p));
    return sum_up(&p);
}
