/* SPDX-License-Identifier: BSD-3-Clause */
/* A metrics file as learners of a report. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_GROW */
#include "report_parts.h"

/* Learners of a file at hand: read from it, or left out as their training was in already. */
enum { TAKEN = 1, PASSED };

const char *const report_fact_names[REPORT_FACTS] = {"version", "git_commit", "created", "run_id",
                                                     "host",    "ranks",      "blas",    "mpi"};

/* The word, kept by the report; NULL without memory. */
static const char *report_word(ol_report *report, const char *text)
{
    report_words *w = &report->words;
    for (int i = 0; i < w->n; i++)
        if (strcmp(w->items[i], text) == 0)
            return w->items[i];
    if (OL_GROW(w->items, w->n, "words") != OL_OK)
        return NULL;
    w->items[w->n] = strdup(text);
    return w->items[w->n] ? w->items[w->n++] : NULL;
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
    OL_TRY(OL_GROW(r->learners, r->n_learners, "learners"));
    l = &r->learners[r->n_learners++];
    *l = (report_learner){.run = run, .name = strdup(name), .seconds = (double)NAN};
    OL_CHECK(l->name, OL_ENOMEM, "no memory for a learner");
    *out = l;
    return OL_OK;
}

/* Has the learner this training already? Otherwise it has now. */
static ol_status add_training(report_learner *l, int64_t seed, bool *known)
{
    *known = false;
    for (int i = 0; i < l->n_trainings; i++)
        *known = *known || l->trainings[i] == seed;
    if (*known)
        return OL_OK;
    OL_TRY(OL_GROW(l->trainings, l->n_trainings, "trainings"));
    l->trainings[l->n_trainings++] = seed;
    return OL_OK;
}

static ol_status add_score(ol_report *r, report_learner *l, const ol_stored_table *c, size_t i,
                           int64_t training)
{
    report_score s = {.of = ol_stored_score(c, i, training),
                      .calibration = c->number[OL_SCORE_CALIBRATION][i]};

    s.of.task = report_word(r, s.of.task);
    s.of.group = report_word(r, s.of.group);
    OL_CHECK(s.of.task && s.of.group, OL_ENOMEM, "no memory for a name");
    OL_TRY(OL_GROW(l->scores, l->n_scores, "scores"));
    l->scores[l->n_scores++] = s;
    return OL_OK;
}

/* --- predictions ------------------------------------------------------------------------------ */

static ol_status count_row(report_learner *l, const char *task, int steps, bool right)
{
    for (int i = l->n_tallies - 1; i >= 0; i--) /* the one at hand is the last, most often */
        if (l->tallies[i].task == task && l->tallies[i].steps == steps) {
            l->tallies[i].rows++;
            l->tallies[i].right += right;
            return OL_OK;
        }
    OL_TRY(OL_GROW(l->tallies, l->n_tallies, "tasks"));
    l->tallies[l->n_tallies++] =
        (report_tally){.task = task, .steps = steps, .rows = 1, .right = right ? 1 : 0};
    return OL_OK;
}

static ol_status read_predictions(ol_report *r, int run, const ol_archive *file, const char *taken)
{
    OL_AUTO_STORED_TABLE t = {0};
    report_learner *l = NULL;

    OL_TRY(ol_stored_table_read(file, &ol_eval_prediction_table,
                                OL_STORED(OL_PREDICTION_LEARNER) | OL_STORED(OL_PREDICTION_TASK) |
                                    OL_STORED(OL_PREDICTION_STEPS) |
                                    OL_STORED(OL_PREDICTION_PREDICTED_INDEX) |
                                    OL_STORED(OL_PREDICTION_GOLD_INDEX),
                                &t));
    for (size_t i = 0; i < t.n; i++) {
        const char *word = report_word(r, t.text[OL_PREDICTION_TASK].items[i]);
        const char *learner = t.text[OL_PREDICTION_LEARNER].items[i];

        OL_CHECK(word, OL_ENOMEM, "no memory for a name");
        if (!l || strcmp(l->name, learner) != 0)
            OL_TRY(find_learner(r, run, learner, &l));
        if (taken[l - r->learners] == TAKEN)
            OL_TRY(count_row(l, word, (int)t.number[OL_PREDICTION_STEPS][i],
                             t.number[OL_PREDICTION_PREDICTED_INDEX][i] ==
                                 t.number[OL_PREDICTION_GOLD_INDEX][i]));
    }
    return OL_OK;
}

/* --- a file ----------------------------------------------------------------------------------- */

/* Mean of trainings' seconds, of which n-1 are in already. */
static void add_seconds(report_learner *l, const ol_stored_table *s)
{
    const double sum = ol_stored_sum(s, OL_STEP_SECONDS);

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
static ol_status describe(const ol_archive *file, report_learner *l, ol_stored_table *series)
{
    if (!l->metrics[0])
        OL_TRY(ol_path_format(l->metrics, "%s", ol_archive_path(file)));
    OL_TRY(read_job(file, l));
    l->inner = l->inner || ol_stored_inner(file);
    if (report_is_start(l))
        return OL_OK;
    add_seconds(l, series);
    if (l->series.n == 0) {
        l->series = *series;
        *series = (ol_stored_table){0};
    }
    return OL_OK;
}

/* The name that a file without scores goes by: the job's. */
static ol_status name_of_job(const ol_archive *file, char name[256])
{
    OL_AUTO_FREE char *text = NULL;
    OL_AUTO_JOB *job = NULL;

    snprintf(name, 256, "trained");
    if (!ol_archive_has(file, "job"))
        return OL_OK;
    OL_TRY(ol_archive_read_text(file, "job", &text));
    if (ol_job_read_text("job", text, strlen(text), &job) == OL_OK)
        snprintf(name, 256, "%s", job->name);
    return OL_OK;
}

/* All learners that the file scores, with their scores; those whose training was in already are
 * passed over. */
static ol_status add_learners(ol_report *r, int run, const ol_archive *file,
                              const ol_stored_table *c, ol_stored_table *series, char *taken)
{
    int64_t training = 0;
    char name[256];

    if (ol_archive_has_attribute(file, "/", "seed"))
        OL_TRY(ol_archive_get_i64(file, "/", "seed", &training));
    if (c->n == 0 && series->n == 0)
        return OL_OK;
    OL_TRY(name_of_job(file, name));
    for (size_t i = 0; i < (c->n > 0 ? c->n : 1); i++) {
        const char *learner = c->n > 0 ? c->text[OL_SCORE_LEARNER].items[i] : name;
        report_learner *l;
        bool known;

        OL_TRY(find_learner(r, run, learner, &l));
        if (!taken[l - r->learners]) {
            OL_TRY(add_training(l, training, &known));
            taken[l - r->learners] = known ? PASSED : TAKEN;
            if (!known)
                OL_TRY(describe(file, l, series));
        }
        if (taken[l - r->learners] == TAKEN && c->n > 0)
            OL_TRY(add_score(r, l, c, i, training));
    }
    return OL_OK;
}

static ol_status read_facts(const ol_archive *file, report_run *run)
{
    for (int i = 0; i < REPORT_FACTS; i++)
        if (!run->facts[i] && ol_archive_has_attribute(file, "/", report_fact_names[i]))
            OL_TRY(ol_archive_show(file, "/", report_fact_names[i], &run->facts[i]));
    return OL_OK;
}

ol_status report_read_metrics(ol_report *report, int run, const char *path)
{
    OL_AUTO_ARCHIVE *file = NULL;
    OL_AUTO_STORED_TABLE scores = {0}, series = {0};
    OL_AUTO_FREE char *taken = NULL;

    OL_TRY(ol_archive_open(path, &file));
    OL_TRY(read_facts(file, &report->runs[run]));
    OL_TRY(ol_stored_table_read(file, &ol_step_table,
                                OL_STORED(OL_STEP_NUMBER) | OL_STORED(OL_STEP_LOSS_BEFORE) |
                                    OL_STORED(OL_STEP_LOSS_AFTER) | OL_STORED(OL_STEP_GRAD_NORM) |
                                    OL_STORED(OL_STEP_SECONDS),
                                &series));
    OL_TRY(ol_stored_table_read(file, &ol_eval_score_table, ol_stored_scores, &scores));
    OL_TRY(OL_ALLOCATE(taken, (size_t)report->n_learners + scores.n + 1, "learners"));
    OL_TRY(add_learners(report, run, file, &scores, &series, taken));
    return scores.n > 0 ? read_predictions(report, run, file, taken) : OL_OK;
}
