/* SPDX-License-Identifier: BSD-3-Clause */
/* The numbers of a report. What is a statistic comes from `eval`, and from here alone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/eval/table.h" /* ol_eval_summarise */
#include "report_parts.h"
#include "score_book.h" /* ol_score_gain */

static const report_stat NOTHING = {.mean = (double)NAN,
                                    .low = (double)NAN,
                                    .high = (double)NAN,
                                    .worst = (double)NAN,
                                    .chance = (double)NAN,
                                    .majority = (double)NAN};

/* A learner as eval takes it; of a task alone where one is named. */
static ol_status as_learner(const report_learner *l, const char *task, ol_eval_score **scores,
                            ol_eval_learner *out)
{
    *scores = calloc(l->n_scores + 1, sizeof **scores);
    OL_CHECK(*scores, OL_ENOMEM, "no memory for %zu scores", l->n_scores);
    *out = (ol_eval_learner){.name = l->label,
                             .scores = *scores,
                             .seconds = l->seconds,
                             .before = (double)NAN,
                             .after = (double)NAN};
    if (l->inner)
        ol_score_gain(l->series.n, l->series.before, l->series.after, &out->before, &out->after);
    for (size_t i = 0; i < l->n_scores; i++) {
        const report_score *s = &l->scores[i];

        if (task && strcmp(s->task, task) != 0)
            continue;
        (*scores)[out->n++] = (ol_eval_score){.task = s->task,
                                              .group = s->group,
                                              .seed = s->seed,
                                              .steps = s->steps,
                                              .training = s->training,
                                              .metric = s->metric,
                                              .score = s->score,
                                              .chance = s->chance,
                                              .majority = s->majority};
    }
    return OL_OK;
}

/* --- what was asked for before ----------------------------------------------------------------- */

typedef struct entry {
    int steps;
    const char *group, *task; /* words of the report, or NULL */
    report_stat stat;
} entry;

struct report_cache {
    entry *entries;
    size_t n, room;
};

report_cache *report_cache_create(void)
{
    return calloc(1, sizeof(report_cache));
}

void report_cache_destroy(report_cache *cache)
{
    if (cache)
        free(cache->entries);
    free(cache);
}

/* Without memory it is forgotten, and worked out again. */
static void remember(report_cache *cache, const entry *e)
{
    if (cache->n == cache->room) {
        const size_t room = cache->room > 0 ? 2 * cache->room : 16;
        entry *entries = realloc(cache->entries, room * sizeof *entries);

        if (!entries)
            return;
        cache->entries = entries;
        cache->room = room;
    }
    cache->entries[cache->n++] = *e;
}

ol_status report_stat_of(const report_learner *learner, int steps, const char *group,
                         const char *task, report_stat *stat)
{
    ol_eval_score *scores;
    ol_eval_learner l;
    ol_eval_summary s;
    ol_status status;

    for (size_t i = 0; i < learner->cache->n; i++) {
        const entry *e = &learner->cache->entries[i];

        if (e->steps == steps && e->group == group && e->task == task) {
            *stat = e->stat;
            return OL_OK;
        }
    }
    OL_TRY(as_learner(learner, task, &scores, &l));
    status = ol_eval_summarise(&l, steps, group, &s);
    free(scores);
    OL_TRY(status);
    *stat = (report_stat){.mean = s.score.mean,
                          .low = s.score.low,
                          .high = s.score.high,
                          .worst = s.worst,
                          .chance = s.chance,
                          .majority = s.majority,
                          .tasks = s.tasks,
                          .seeds = s.seeds,
                          .trainings = s.trainings};
    remember(learner->cache, &(entry){steps, group, task, *stat});
    return OL_OK;
}

ol_status report_difference(const report_learner *a, const report_learner *b, int steps,
                            const char *group, report_stat *stat)
{
    ol_eval_score *x = NULL, *y = NULL;
    ol_eval_learner la, lb;
    ol_interval d;
    ol_status status;

    *stat = NOTHING;
    status = as_learner(a, NULL, &x, &la);
    if (status == OL_OK)
        status = as_learner(b, NULL, &y, &lb);
    if (status == OL_OK)
        status = ol_eval_compare(&la, &lb, steps, group, &d);
    free(x);
    free(y);
    OL_TRY(status);
    stat->mean = d.mean;
    stat->low = d.low;
    stat->high = d.high;
    return OL_OK;
}

ol_status report_final_table(const ol_report *report, int width, ol_text *out)
{
    const size_t n = (size_t)report->n_learners;
    ol_eval_learner *learners = calloc(n + 1, sizeof *learners);
    ol_eval_score **scores = calloc(n + 1, sizeof *scores);
    ol_status status =
        learners && scores ? OL_OK : ol_fail(OL_ENOMEM, "no memory for %zu learners", n);
    size_t used = 0;

    for (size_t i = 0; i < n && status == OL_OK; i++)
        if (report->learners[i].n_scores > 0) {
            status = as_learner(&report->learners[i], NULL, &scores[used], &learners[used]);
            used++;
        }
    if (status == OL_OK)
        status = ol_eval_table(learners, used, width, out);
    for (size_t i = 0; scores && i < used; i++)
        free(scores[i]);
    free(scores);
    free(learners);
    return status;
}

bool report_is_start(const report_learner *learner)
{
    return strcmp(learner->name, "untrained") == 0 || strcmp(learner->name, "start") == 0;
}

ol_status report_floor(const ol_report *r, int steps, const char *group, const char *task,
                       bool majority, double *floor)
{
    *floor = (double)NAN;
    for (int i = 0; i < r->n_learners && isnan(*floor); i++) {
        report_stat s;

        OL_TRY(report_stat_of(&r->learners[i], steps, group, task, &s));
        *floor = majority ? s.majority : s.chance;
    }
    return OL_OK;
}

int report_decimals(const report_stat *stat)
{
    return isnan(stat->low) || stat->high - stat->low < 0.02 ? 1 : 0;
}

const char *report_part_name(const char *group)
{
    return group ? group : "all unseen tasks";
}

const char *report_group_of(const ol_report *r, const char *task)
{
    for (int i = 0; i < r->n_learners; i++)
        for (size_t j = 0; j < r->learners[i].n_scores; j++)
            if (r->learners[i].scores[j].task == task)
                return r->learners[i].scores[j].group;
    return "";
}

int report_parts(const ol_report *r, const char **parts)
{
    bool grouped = r->n_groups > 1;
    int n = 0;

    for (int t = 0; t < r->n_tasks; t++)
        grouped = grouped && *report_group_of(r, r->tasks[t]);
    if (!grouped)
        parts[n++] = NULL;
    for (int g = 0; g < r->n_groups; g++)
        parts[n++] = r->groups[g];
    return n;
}

const char *report_metric_words(const ol_report *report)
{
    bool has[2] = {false, false};

    for (int i = 0; i < report->n_learners; i++)
        for (size_t j = 0; j < report->learners[i].n_scores; j++)
            has[report->learners[i].scores[j].metric == OL_MACRO_F1] = true;
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
