/* SPDX-License-Identifier: BSD-3-Clause */
#include "score_book.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* ol_allocate */

static void finish_file(score_file *f)
{
    ol_strings_finish(&f->learner);
    ol_strings_finish(&f->task);
    ol_strings_finish(&f->group);
    ol_strings_finish(&f->metric);
    free(f->scores);
    *f = (score_file){0};
}

static ol_status read_numbers(const ol_archive *metrics, score_file *f, double *column)
{
    OL_TRY(ol_archive_read_f64(metrics, "eval/score/seed", f->n, column));
    for (size_t i = 0; i < f->n; i++)
        f->scores[i].seed = (int)column[i];
    OL_TRY(ol_archive_read_f64(metrics, "eval/score/adapt_steps", f->n, column));
    for (size_t i = 0; i < f->n; i++)
        f->scores[i].steps = (int)column[i];
    OL_TRY(ol_archive_read_f64(metrics, "eval/score/score", f->n, column));
    for (size_t i = 0; i < f->n; i++)
        f->scores[i].score = column[i];
    OL_TRY(ol_archive_read_f64(metrics, "eval/score/chance", f->n, column));
    for (size_t i = 0; i < f->n; i++)
        f->scores[i].chance = column[i];
    OL_TRY(ol_archive_read_f64(metrics, "eval/score/majority", f->n, column));
    for (size_t i = 0; i < f->n; i++)
        f->scores[i].majority = column[i];
    return OL_OK;
}

/* Groups by name where the file has them; tasks of none may be of the one that there always is. */
static ol_status read_groups(const ol_archive *metrics, score_file *f, double *column)
{
    OL_TRY(ol_archive_read_f64(metrics, "eval/score/unseen_domain", f->n, column));
    for (size_t i = 0; i < f->n; i++)
        f->scores[i].group = column[i] != 0.0 ? "unseen domains" : NULL;
    if (!ol_archive_has(metrics, "eval/score/group"))
        return OL_OK;
    return ol_archive_read_strings(metrics, "eval/score/group", &f->group);
}

static ol_status read_texts(const ol_archive *metrics, score_file *f)
{
    int64_t seed = 0;

    OL_TRY(ol_archive_get_i64(metrics, "/", "seed", &seed));
    OL_TRY(ol_archive_read_strings(metrics, "eval/score/learner", &f->learner));
    OL_TRY(ol_archive_read_strings(metrics, "eval/score/task", &f->task));
    OL_TRY(ol_archive_read_strings(metrics, "eval/score/metric", &f->metric));
    OL_CHECK(f->learner.n == f->n && f->task.n == f->n && f->metric.n == f->n &&
                 (f->group.n == 0 || f->group.n == f->n),
             OL_EDATA,
             "%s: eval/score has columns of unequal length; run with --resume to repair it",
             ol_archive_path(metrics));
    for (size_t i = 0; i < f->n; i++) {
        ol_eval_score *s = &f->scores[i];
        s->training = seed;
        s->task = f->task.items[i];
        if (f->group.n > 0 && f->group.items[i][0])
            s->group = f->group.items[i];
        s->metric = strcmp(f->metric.items[i], ol_metric_name(OL_MACRO_F1)) == 0 ? OL_MACRO_F1
                                                                                 : OL_ACCURACY;
    }
    return OL_OK;
}

/* Mean of the last tenth of a column, over the meta-steps that have a loss. */
static ol_status mean_of_last(const ol_archive *metrics, const char *object, size_t n,
                              double *column, double *mean)
{
    double sum = 0;
    size_t counted = 0;

    OL_TRY(ol_archive_read_f64(metrics, object, n, column));
    for (size_t i = n - (n + 9) / 10; i < n; i++)
        if (isfinite(column[i])) {
            sum += column[i];
            counted++;
        }
    *mean = counted > 0 ? sum / (double)counted : (double)NAN;
    return OL_OK;
}

static ol_status read_columns(const ol_archive *metrics, size_t n, double *column, score_file *f)
{
    OL_TRY(ol_archive_read_f64(metrics, "train/step/seconds", n, column));
    f->seconds = 0.0;
    for (size_t i = 0; i < n; i++)
        f->seconds += column[i];
    /* Episodes have a column for each inner step, and none without an inner loop. */
    if (!ol_archive_has(metrics, "train/episode/support_loss_0"))
        return OL_OK;
    OL_TRY(mean_of_last(metrics, "train/step/loss_before", n, column, &f->before));
    return mean_of_last(metrics, "train/step/loss_after", n, column, &f->after);
}

static ol_status read_training(const ol_archive *metrics, score_file *f)
{
    size_t n = 0;
    double *column;
    ol_status status;

    f->seconds = f->before = f->after = (double)NAN;
    if (!ol_archive_has(metrics, "train/step/seconds"))
        return OL_OK;
    OL_TRY(ol_archive_count(metrics, "train/step/seconds", &n));
    if (n == 0)
        return OL_OK;
    OL_TRY(ol_allocate(n, sizeof *column, "meta-steps", (void **)&column));
    status = read_columns(metrics, n, column, f);
    free(column);
    return status;
}

static ol_status read_file(const ol_archive *metrics, score_file *f)
{
    double *column = NULL;
    ol_status status = ol_allocate(f->n, sizeof *f->scores, "scores", (void **)&f->scores);

    if (status == OL_OK)
        status = ol_allocate(f->n, sizeof *column, "scores", (void **)&column);
    OL_TRY(status);
    status = read_numbers(metrics, f, column);
    if (status == OL_OK)
        status = read_groups(metrics, f, column);
    free(column);
    OL_TRY(status);
    OL_TRY(read_texts(metrics, f));
    return read_training(metrics, f);
}

ol_status ol_score_book_add(score_book *book, const ol_archive *metrics)
{
    score_file f = {0};
    score_file *files;
    ol_status status;

    if (!ol_archive_is_group(metrics, "eval/score"))
        return OL_OK;
    OL_TRY(ol_archive_count(metrics, "eval/score/number", &f.n));
    if (f.n == 0)
        return OL_OK;
    status = read_file(metrics, &f);
    files = status == OL_OK ? realloc(book->files, (book->n + 1) * sizeof *files) : NULL;
    if (!files) {
        finish_file(&f);
        return status != OL_OK ? status : ol_fail(OL_ENOMEM, "no memory for %zu scores", f.n);
    }
    book->files = files;
    book->files[book->n++] = f;
    return OL_OK;
}

static bool is_known(const ol_eval_learner *learners, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(learners[i].name, name) == 0)
            return true;
    return false;
}

static bool has_training(const ol_eval_learner *learner, int64_t training)
{
    for (size_t i = 0; i < learner->n; i++)
        if (learner->scores[i].training == training)
            return true;
    return false;
}

/* Mean of some values, NaN when there are none. */
typedef struct mean {
    double sum;
    int n;
} mean;

static void count_in(mean *m, double value)
{
    if (isnan(value))
        return;
    m->sum += value;
    m->n++;
}

static double mean_value(const mean *m)
{
    return m->n > 0 ? m->sum / m->n : (double)NAN;
}

/* One row of the table: the scores of a learner in all files, moved together at `at`. */
static ol_eval_learner collect(const score_book *book, const char *name, ol_eval_score *at)
{
    ol_eval_learner learner = {.name = name, .scores = at};
    mean seconds = {0}, before = {0}, after = {0};

    for (size_t k = 0; k < book->n; k++) {
        const score_file *f = &book->files[k];
        const bool again = has_training(&learner, f->scores[0].training);
        const size_t had = learner.n;
        for (size_t i = 0; i < f->n && !again; i++)
            if (strcmp(f->learner.items[i], name) == 0)
                at[learner.n++] = f->scores[i];
        if (learner.n == had)
            continue;
        count_in(&seconds, f->seconds);
        count_in(&before, f->before);
        count_in(&after, f->after);
    }
    learner.seconds = mean_value(&seconds);
    learner.before = mean_value(&before);
    learner.after = mean_value(&after);
    return learner;
}

ol_status ol_score_book_table(const score_book *book, int width, ol_text *out)
{
    size_t room = 0, n = 0, used = 0;
    ol_eval_learner *learners;
    ol_eval_score *scores;
    ol_status status;

    for (size_t f = 0; f < book->n; f++)
        room += book->files[f].n;
    learners = calloc(room + 1, sizeof *learners);
    scores = calloc(room + 1, sizeof *scores);
    status = learners && scores ? OL_OK : ol_fail(OL_ENOMEM, "no memory for %zu scores", room);
    for (size_t f = 0; f < book->n && status == OL_OK; f++) {
        for (size_t i = 0; i < book->files[f].n; i++) {
            const char *name = book->files[f].learner.items[i];
            if (is_known(learners, n, name))
                continue;
            learners[n] = collect(book, name, scores + used);
            used += learners[n++].n;
        }
    }
    if (status == OL_OK)
        status = ol_eval_table(learners, n, width, out);
    free(learners);
    free(scores);
    return status;
}

void ol_score_book_finish(score_book *book)
{
    for (size_t f = 0; f < book->n; f++)
        finish_file(&book->files[f]);
    free(book->files);
    *book = (score_book){0};
}
