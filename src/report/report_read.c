/* SPDX-License-Identifier: BSD-3-Clause */
/* A metrics file as learners of a report. */
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h"         /* OL_GROW */
#include "outerloop/record/score_book.h" /* ol_score_gain */
#include "report_parts.h"

/* The file at hand. */
typedef struct source {
    ol_report *report;
    int run;
    const ol_archive *file;
    int64_t training; /* its seed */
    const ol_stored_table *scores;
    ol_stored_table *steps; /* until a learner has taken them over */
} source;

const char *const report_fact_names[REPORT_FACTS] = {"version", "git_commit", "created", "run_id",
                                                     "host",    "ranks",      "blas",    "mpi"};

/* --- learners --------------------------------------------------------------------------------- */

/* The learner of that name in the run; NULL where it has none. */
static report_learner *find_learner(const source *s, const char *name)
{
    for (int i = 0; i < s->report->n_learners; i++) {
        report_learner *l = &s->report->learners[i];

        if (l->run == s->run && strcmp(l->name, name) == 0)
            return l;
    }
    return NULL;
}

static ol_status make_learner(const source *s, const char *name, report_learner **out)
{
    ol_report *r = s->report;
    const bool several = r->n_runs > 1;
    ol_text label = {0};

    OL_TRY(OL_GROW(r->learners, r->n_learners, "learners"));
    *out = &r->learners[r->n_learners++];
    **out = (report_learner){.run = s->run, .name = strdup(name)};
    OL_CHECK((*out)->name, OL_ENOMEM, "no memory for a learner");
    OL_TRY(ol_text_format(&label, "%s%s%s", several ? r->runs[s->run].name : "", several ? "/" : "",
                          name));
    (*out)->label = label.data;
    return OL_OK;
}

/* Number of the file that a learner has this training from; 0: it has it not. */
static int file_of(const report_learner *l, int64_t training)
{
    for (int i = 0; i < l->n_trainings; i++)
        if (l->trainings[i].seed == training)
            return l->trainings[i].file;
    return 0;
}

/* The job that a file has, if any; of another version its text has to do. */
static ol_status read_job(const ol_archive *file, char **text, ol_job **job)
{
    if (!ol_archive_has(file, "job"))
        return OL_OK;
    OL_TRY(ol_archive_read_text(file, "job", text));
    (void)!ol_job_read_text("job", *text, strlen(*text), job);
    return OL_OK;
}

/* What a learner takes from a file besides scores. */
static ol_status describe(source *s, report_learner *l)
{
    const bool inner = ol_stored_inner(s->file);
    double before, after;

    if (!l->metrics[0])
        OL_TRY(ol_path_format(l->metrics, "%s", ol_archive_path(s->file)));
    if (!l->job_text)
        OL_TRY(read_job(s->file, &l->job_text, &l->job));
    l->inner = l->inner || inner;
    if (report_is_start(l) || s->steps->n == 0)
        return OL_OK;
    ol_mean_add(&l->seconds, ol_stored_sum(s->steps, OL_STEP_SECONDS));
    ol_score_gain(s->steps->n, s->steps->number[OL_STEP_LOSS_BEFORE],
                  s->steps->number[OL_STEP_LOSS_AFTER], &before, &after);
    ol_mean_add(&l->before, inner ? before : (double)NAN);
    ol_mean_add(&l->after, after);
    return l->series.n == 0 ? OL_GIVE(&l->series, *s->steps) : OL_OK;
}

/* The learner of that name, unless it has the training of this file from an earlier one: NULL. */
static ol_status take_learner(source *s, const char *name, report_learner **out)
{
    const int file = s->report->n_files;
    report_learner *l = find_learner(s, name);
    int from;

    if (!l)
        OL_TRY(make_learner(s, name, &l));
    from = file_of(l, s->training);
    *out = from == 0 || from == file ? l : NULL;
    if (from != 0)
        return OL_OK;
    OL_TRY(OL_GROW(l->trainings, l->n_trainings, "trainings"));
    l->trainings[l->n_trainings++] = (report_training){.seed = s->training, .file = file};
    return describe(s, l);
}

/* --- rows ------------------------------------------------------------------------------------- */

static ol_status add_score(source *s, size_t i)
{
    report_learner *l;

    OL_TRY(take_learner(s, s->scores->text[OL_SCORE_LEARNER].items[i], &l));
    if (!l)
        return OL_OK;
    OL_TRY(OL_GROW(l->scores, l->n_scores, "scores"));
    OL_TRY(OL_GROW(l->details, l->n_scores, "scores"));
    l->scores[l->n_scores] = ol_stored_score(s->scores, i, s->training);
    l->details[l->n_scores++] =
        (report_detail){.calibration = s->scores->number[OL_SCORE_CALIBRATION][i]};
    return OL_OK;
}

/* Count a prediction to its score. @param at  that of the one before, most often its own */
static void count_prediction(const report_learner *l, const ol_stored_table *t, size_t i,
                             int64_t training, size_t *at)
{
    for (size_t k = 0; k < l->n_scores; k++, ++*at) {
        const ol_eval_score *score = &l->scores[ *at %= l->n_scores];

        if (score->training == training && score->seed == t->number[OL_PREDICTION_SEED][i] &&
            score->steps == t->number[OL_PREDICTION_STEPS][i] &&
            strcmp(score->task, t->text[OL_PREDICTION_TASK].items[i]) == 0) {
            l->details[*at].rows++;
            l->details[*at].right += t->number[OL_PREDICTION_PREDICTED_INDEX][i] ==
                                     t->number[OL_PREDICTION_GOLD_INDEX][i];
            return;
        }
    }
}

static ol_status read_predictions(source *s)
{
    OL_AUTO_STORED_TABLE t = {0};
    size_t at = 0;

    OL_TRY(ol_stored_table_read(s->file, &ol_eval_prediction_table,
                                OL_STORED(OL_PREDICTION_LEARNER) | OL_STORED(OL_PREDICTION_TASK) |
                                    OL_STORED(OL_PREDICTION_SEED) | OL_STORED(OL_PREDICTION_STEPS) |
                                    OL_STORED(OL_PREDICTION_PREDICTED_INDEX) |
                                    OL_STORED(OL_PREDICTION_GOLD_INDEX),
                                &t));
    for (size_t i = 0; i < t.n; i++) {
        const report_learner *l = find_learner(s, t.text[OL_PREDICTION_LEARNER].items[i]);

        if (l && file_of(l, s->training) == s->report->n_files)
            count_prediction(l, &t, i, s->training, &at);
    }
    return OL_OK;
}

/* What a file without scores tells of: a training, under the name of its job. */
static ol_status add_training(source *s)
{
    OL_AUTO_FREE char *text = NULL;
    OL_AUTO_JOB *job = NULL;
    report_learner *l;

    OL_TRY(read_job(s->file, &text, &job));
    return take_learner(s, job ? job->name : "trained", &l);
}

ol_status report_read_metrics(ol_report *report, int run, const char *path)
{
    OL_AUTO_ARCHIVE *file = NULL;
    OL_AUTO_STORED_TABLE steps = {0};
    source s = {.report = report, .run = run, .steps = &steps};
    char **facts = report->runs[run].facts;
    ol_stored_table *scores;

    OL_TRY(ol_archive_open(path, &file));
    s.file = file;
    for (int i = 0; i < REPORT_FACTS; i++)
        if (!facts[i] && ol_archive_has_attribute(file, "/", report_fact_names[i]))
            OL_TRY(ol_archive_show(file, "/", report_fact_names[i], &facts[i]));
    if (ol_archive_has_attribute(file, "/", "seed"))
        OL_TRY(ol_archive_get_i64(file, "/", "seed", &s.training));
    OL_TRY(ol_stored_table_read(file, &ol_step_table,
                                OL_STORED(OL_STEP_NUMBER) | OL_STORED(OL_STEP_LOSS_BEFORE) |
                                    OL_STORED(OL_STEP_LOSS_AFTER) | OL_STORED(OL_STEP_GRAD_NORM) |
                                    OL_STORED(OL_STEP_SECONDS),
                                &steps));
    OL_TRY(OL_GROW(report->tables, report->n_files, "files"));
    s.scores = scores = &report->tables[report->n_files++];
    *scores = (ol_stored_table){0};
    OL_TRY(ol_stored_table_read(file, &ol_eval_score_table, ol_stored_scores, scores));
    if (scores->n == 0)
        return steps.n > 0 ? add_training(&s) : OL_OK;
    for (size_t i = 0; i < scores->n; i++)
        OL_TRY(add_score(&s, i));
    return read_predictions(&s);
}
