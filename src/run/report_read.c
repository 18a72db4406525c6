/* SPDX-License-Identifier: BSD-3-Clause */
/* A metrics file as learners of a report. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report_parts.h"

/* Learners of a file at hand: read from it, or left out as their training was in already. */
enum { TAKEN = 1, PASSED };

const char *const report_fact_names[8] = {"version", "git_commit", "created", "run_id",
                                          "host",    "ranks",      "blas",    "mpi"};

const char *report_word(ol_report *report, const char *text)
{
    report_words *w = &report->words;
    char **items;

    for (int i = 0; i < w->n; i++)
        if (strcmp(w->items[i], text) == 0)
            return w->items[i];
    items = realloc(w->items, (size_t)(w->n + 1) * sizeof *items);
    if (!items)
        return NULL;
    w->items = items;
    items[w->n] = strdup(text);
    return items[w->n] ? items[w->n++] : NULL;
}

/* A numeric column of n rows, owned by the caller; NaN where the file has none of that name. */
static ol_status read_column(const ol_archive *file, const char *object, size_t n, double **out)
{
    *out = malloc((n + 1) * sizeof **out);
    OL_CHECK(*out, OL_ENOMEM, "no memory for %zu rows", n);
    for (size_t i = 0; i < n; i++)
        (*out)[i] = (double)NAN;
    return ol_archive_has(file, object) ? ol_archive_read_f64(file, object, n, *out) : OL_OK;
}

/* As many rows as the index has: a file that is written to may have longer columns. */
static ol_status read_series(const ol_archive *file, report_series *s)
{
    if (!ol_archive_has(file, "train/step/step"))
        return OL_OK;
    OL_TRY(ol_archive_count(file, "train/step/step", &s->n));
    OL_TRY(read_column(file, "train/step/step", s->n, &s->step));
    OL_TRY(read_column(file, "train/step/loss_before", s->n, &s->before));
    OL_TRY(read_column(file, "train/step/loss_after", s->n, &s->after));
    OL_TRY(read_column(file, "train/step/grad_norm", s->n, &s->norm));
    OL_TRY(read_column(file, "train/step/seconds", s->n, &s->seconds));
    return read_column(file, "train/step/tokens", s->n, &s->tokens);
}

static void finish_series(report_series *s)
{
    free(s->step);
    free(s->before);
    free(s->after);
    free(s->norm);
    free(s->seconds);
    free(s->tokens);
    *s = (report_series){0};
}

/* The learner of that name in the run, made when it is not there. */
static ol_status find_learner(ol_report *r, int run, const char *name, report_learner **out)
{
    report_learner *l;

    for (int i = 0; i < r->n_learners; i++)
        if (r->learners[i].run == run && strcmp(r->learners[i].name, name) == 0) {
            *out = &r->learners[i];
            return OL_OK;
        }
    l = realloc(r->learners, (size_t)(r->n_learners + 1) * sizeof *l);
    OL_CHECK(l, OL_ENOMEM, "no memory for a learner");
    r->learners = l;
    l += r->n_learners;
    *l = (report_learner){
        .run = run, .name = strdup(name), .seconds = (double)NAN, .cache = report_cache_create()};
    r->n_learners++;
    OL_CHECK(l->name && l->cache, OL_ENOMEM, "no memory for a learner");
    *out = l;
    return OL_OK;
}

/* Has the learner this training already? Otherwise it has now. */
static ol_status add_training(report_learner *l, int64_t seed, bool *known)
{
    int64_t *seeds;

    *known = false;
    for (int i = 0; i < l->n_trainings; i++)
        *known = *known || l->trainings[i] == seed;
    if (*known)
        return OL_OK;
    seeds = realloc(l->trainings, (size_t)(l->n_trainings + 1) * sizeof *seeds);
    OL_CHECK(seeds, OL_ENOMEM, "no memory for a training");
    l->trainings = seeds;
    seeds[l->n_trainings++] = seed;
    return OL_OK;
}

/* Columns of eval/score. */
typedef struct score_columns {
    size_t n;
    ol_strings learner, task, group, metric;
    double *seed, *steps, *score, *unseen, *chance, *majority, *calibration; /* [n] */
} score_columns;

static void finish_scores(score_columns *c)
{
    ol_strings_finish(&c->learner);
    ol_strings_finish(&c->task);
    ol_strings_finish(&c->group);
    ol_strings_finish(&c->metric);
    free(c->seed);
    free(c->steps);
    free(c->score);
    free(c->unseen);
    free(c->chance);
    free(c->majority);
    free(c->calibration);
}

static ol_status read_scores(const ol_archive *file, score_columns *c)
{
    if (!ol_archive_has(file, "eval/score/number"))
        return OL_OK;
    OL_TRY(ol_archive_count(file, "eval/score/number", &c->n));
    if (c->n == 0)
        return OL_OK;
    OL_TRY(ol_archive_read_strings(file, "eval/score/learner", &c->learner));
    OL_TRY(ol_archive_read_strings(file, "eval/score/task", &c->task));
    OL_TRY(ol_archive_read_strings(file, "eval/score/metric", &c->metric));
    if (ol_archive_has(file, "eval/score/group"))
        OL_TRY(ol_archive_read_strings(file, "eval/score/group", &c->group));
    OL_CHECK(c->learner.n == c->n && c->task.n == c->n && c->metric.n == c->n &&
                 (c->group.n == 0 || c->group.n == c->n),
             OL_EDATA,
             "%s: eval/score has columns of unequal length; run with --resume to repair it",
             ol_archive_path(file));
    OL_TRY(read_column(file, "eval/score/seed", c->n, &c->seed));
    OL_TRY(read_column(file, "eval/score/adapt_steps", c->n, &c->steps));
    OL_TRY(read_column(file, "eval/score/score", c->n, &c->score));
    OL_TRY(read_column(file, "eval/score/unseen_domain", c->n, &c->unseen));
    OL_TRY(read_column(file, "eval/score/chance", c->n, &c->chance));
    OL_TRY(read_column(file, "eval/score/majority", c->n, &c->majority));
    return read_column(file, "eval/score/calibration_error", c->n, &c->calibration);
}

static ol_status add_score(ol_report *r, report_learner *l, const score_columns *c, size_t i,
                           int64_t training)
{
    const bool named = c->group.n > 0 && *c->group.items[i];
    const char *group = named ? c->group.items[i] : c->unseen[i] > 0.0 ? "unseen domains" : "";
    report_score s = {.task = report_word(r, c->task.items[i]),
                      .group = report_word(r, group),
                      .seed = (int)c->seed[i],
                      .steps = (int)c->steps[i],
                      .training = training,
                      .metric = strcmp(c->metric.items[i], ol_metric_name(OL_MACRO_F1)) == 0
                                    ? OL_MACRO_F1
                                    : OL_ACCURACY,
                      .score = c->score[i],
                      .chance = c->chance[i],
                      .majority = c->majority[i],
                      .calibration = c->calibration[i]};

    OL_CHECK(s.task && s.group, OL_ENOMEM, "no memory for a name");
    if ((l->n_scores & (l->n_scores - 1)) == 0) { /* doubles */
        const size_t room = l->n_scores > 0 ? 2 * l->n_scores : 1;
        report_score *scores = realloc(l->scores, room * sizeof *scores);

        OL_CHECK(scores, OL_ENOMEM, "no memory for %zu scores", room);
        l->scores = scores;
    }
    l->scores[l->n_scores++] = s;
    return OL_OK;
}

/* --- predictions ------------------------------------------------------------------------------ */

static ol_status count_row(report_learner *l, const char *task, int steps, bool right)
{
    report_tally *t;

    for (int i = l->n_tallies - 1; i >= 0; i--) /* the one at hand is the last, most often */
        if (l->tallies[i].task == task && l->tallies[i].steps == steps) {
            l->tallies[i].rows++;
            l->tallies[i].right += right;
            return OL_OK;
        }
    t = realloc(l->tallies, (size_t)(l->n_tallies + 1) * sizeof *t);
    OL_CHECK(t, OL_ENOMEM, "no memory for the rows of %s", task);
    l->tallies = t;
    t[l->n_tallies++] =
        (report_tally){.task = task, .steps = steps, .rows = 1, .right = right ? 1 : 0};
    return OL_OK;
}

static ol_status count_predictions(ol_report *r, int run, const ol_strings *learner,
                                   const ol_strings *task, const double *const columns[3], size_t n,
                                   const char *taken)
{
    const char *name = "";
    report_learner *l = NULL;

    for (size_t i = 0; i < n; i++) {
        const char *word = report_word(r, task->items[i]);

        OL_CHECK(word, OL_ENOMEM, "no memory for a name");
        if (!l || strcmp(name, learner->items[i]) != 0) {
            OL_TRY(find_learner(r, run, learner->items[i], &l));
            name = learner->items[i];
        }
        if (taken[l - r->learners] != TAKEN)
            continue;
        OL_TRY(count_row(l, word, (int)columns[0][i], columns[1][i] == columns[2][i]));
    }
    return OL_OK;
}

static ol_status read_predictions(ol_report *r, int run, const ol_archive *file, const char *taken)
{
    static const char *const names[3] = {"eval/prediction/adapt_steps",
                                         "eval/prediction/predicted_index",
                                         "eval/prediction/gold_index"};
    ol_strings learner = {0}, task = {0};
    double *columns[3] = {NULL, NULL, NULL};
    size_t n = 0;
    ol_status status = OL_OK;

    if (!ol_archive_has(file, "eval/prediction/number"))
        return OL_OK;
    OL_TRY(ol_archive_count(file, "eval/prediction/number", &n));
    if (n == 0)
        return OL_OK;
    status = ol_archive_read_strings(file, "eval/prediction/learner", &learner);
    if (status == OL_OK)
        status = ol_archive_read_strings(file, "eval/prediction/task", &task);
    for (int i = 0; i < 3 && status == OL_OK; i++)
        status = read_column(file, names[i], n, &columns[i]);
    if (status == OL_OK && (learner.n != n || task.n != n))
        status = ol_fail(OL_EDATA, "%s: eval/prediction has columns of unequal length",
                         ol_archive_path(file));
    if (status == OL_OK)
        status =
            count_predictions(r, run, &learner, &task, (const double *const *)columns, n, taken);
    for (int i = 0; i < 3; i++)
        free(columns[i]);
    ol_strings_finish(&learner);
    ol_strings_finish(&task);
    return status;
}

/* --- a file ----------------------------------------------------------------------------------- */

/* Mean of trainings' seconds, of which n-1 are in already. */
static void add_seconds(report_learner *l, const report_series *s)
{
    double sum = 0.0;

    for (size_t i = 0; i < s->n; i++)
        sum += s->seconds[i];
    if (s->n > 0)
        l->seconds = l->n_trainings > 1 && isfinite(l->seconds)
                         ? l->seconds + (sum - l->seconds) / l->n_trainings
                         : sum;
}

static ol_status read_job(const ol_archive *file, report_learner *l)
{
    if (l->job_text || !ol_archive_has(file, "job"))
        return OL_OK;
    OL_TRY(ol_archive_read_text(file, "job", &l->job_text));
    if (ol_job_read_text("job", l->job_text, strlen(l->job_text), &l->job) != OL_OK)
        l->job = NULL; /* of another version: the text will do */
    return OL_OK;
}

/* What a learner takes from a file besides scores. */
static ol_status describe(const ol_archive *file, report_learner *l, report_series *series)
{
    if (!l->metrics[0])
        OL_TRY(ol_path_format(l->metrics, "%s", ol_archive_path(file)));
    OL_TRY(read_job(file, l));
    l->inner = l->inner || ol_archive_has(file, "train/episode/support_loss_0");
    if (report_is_start(l))
        return OL_OK;
    add_seconds(l, series);
    if (l->series.n == 0) {
        l->series = *series;
        *series = (report_series){0};
    }
    return OL_OK;
}

/* The name that a file without scores goes by: the job's. */
static ol_status name_of_job(const ol_archive *file, char name[256])
{
    char *text = NULL;
    ol_job *job = NULL;

    snprintf(name, 256, "trained");
    if (!ol_archive_has(file, "job"))
        return OL_OK;
    OL_TRY(ol_archive_read_text(file, "job", &text));
    if (ol_job_read_text("job", text, strlen(text), &job) == OL_OK)
        snprintf(name, 256, "%s", job->name);
    ol_job_destroy(job);
    free(text);
    return OL_OK;
}

/* All learners that the file scores; those whose training was in already are passed over. */
static ol_status add_learners(ol_report *r, int run, const ol_archive *file, const score_columns *c,
                              report_series *series, char *taken)
{
    int64_t training = 0;
    char name[256];

    if (ol_archive_has_attribute(file, "/", "seed"))
        OL_TRY(ol_archive_get_i64(file, "/", "seed", &training));
    if (c->n == 0 && series->n == 0)
        return OL_OK;
    OL_TRY(name_of_job(file, name));
    for (size_t i = 0; i < (c->n > 0 ? c->n : 1); i++) {
        const char *learner = c->n > 0 ? c->learner.items[i] : name;
        report_learner *l;
        bool known;

        OL_TRY(find_learner(r, run, learner, &l));
        if (taken[l - r->learners])
            continue;
        OL_TRY(add_training(l, training, &known));
        taken[l - r->learners] = known ? PASSED : TAKEN;
        if (!known)
            OL_TRY(describe(file, l, series));
    }
    for (size_t i = 0; i < c->n; i++) {
        report_learner *l;

        OL_TRY(find_learner(r, run, c->learner.items[i], &l));
        if (taken[l - r->learners] == TAKEN)
            OL_TRY(add_score(r, l, c, i, training));
    }
    return OL_OK;
}

static ol_status read_facts(const ol_archive *file, report_run *run)
{
    for (int i = 0; i < 8; i++)
        if (!run->facts[i] && ol_archive_has_attribute(file, "/", report_fact_names[i]))
            OL_TRY(ol_archive_show(file, "/", report_fact_names[i], &run->facts[i]));
    return OL_OK;
}

ol_status report_read_metrics(ol_report *report, int run, const char *path)
{
    ol_archive *file;
    score_columns scores = {0};
    report_series series = {0};
    char *taken = NULL;
    ol_status status;

    OL_TRY(ol_archive_open(path, &file));
    status = read_facts(file, &report->runs[run]);
    if (status == OL_OK)
        status = read_series(file, &series);
    if (status == OL_OK)
        status = read_scores(file, &scores);
    if (status == OL_OK) {
        taken = calloc((size_t)report->n_learners + scores.n + 1, 1);
        status = taken ? add_learners(report, run, file, &scores, &series, taken)
                       : ol_fail(OL_ENOMEM, "no memory for %zu scores", scores.n);
    }
    if (status == OL_OK && scores.n > 0)
        status = read_predictions(report, run, file, taken);
    free(taken);
    finish_scores(&scores);
    finish_series(&series);
    ol_archive_close(file);
    return status;
}
