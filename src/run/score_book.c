/* SPDX-License-Identifier: BSD-3-Clause */
#include "score_book.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* ol_allocate */

static void finish_file(score_file *f)
{
    stored_table_finish(&f->table);
    free(f->scores);
    *f = (score_file){0};
}

static void fill_score(const stored_table *t, size_t i, int64_t training, ol_eval_score *score)
{
    const char *group = stored_group(t, i);

    *score = (ol_eval_score){.training = training,
                             .task = t->text[OL_SCORE_TASK].items[i],
                             .group = *group ? group : NULL,
                             .seed = (int)t->number[OL_SCORE_SEED][i],
                             .steps = (int)t->number[OL_SCORE_STEPS][i],
                             .metric = stored_metric(t, i),
                             .score = t->number[OL_SCORE_SCORE][i],
                             .chance = t->number[OL_SCORE_CHANCE][i],
                             .majority = t->number[OL_SCORE_MAJORITY][i]};
}

static ol_status read_scores(const ol_archive *metrics, score_file *f)
{
    static const int columns[] = {
        OL_SCORE_LEARNER, OL_SCORE_TASK,   OL_SCORE_SEED,  OL_SCORE_STEPS,  OL_SCORE_METRIC,
        OL_SCORE_SCORE,   OL_SCORE_UNSEEN, OL_SCORE_GROUP, OL_SCORE_CHANCE, OL_SCORE_MAJORITY};
    int64_t training = 0;

    OL_TRY(stored_table_read(metrics, &ol_eval_score_table, columns,
                             sizeof columns / sizeof *columns, &f->table));
    f->n = f->table.n;
    if (f->n == 0)
        return OL_OK;
    OL_TRY(ol_archive_get_i64(metrics, "/", "seed", &training));
    f->scores = calloc(f->n, sizeof *f->scores);
    OL_CHECK(f->scores, OL_ENOMEM, "no memory for %zu scores", f->n);
    for (size_t i = 0; i < f->n; i++)
        fill_score(&f->table, i, training, &f->scores[i]);
    return OL_OK;
}

void ol_score_gain(size_t n, const double *before, const double *after, double *mean_before,
                   double *mean_after)
{
    double sum = 0, gain = 0;
    int counted = 0, measured = 0;

    for (size_t i = n - (n + 9) / 10; i < n; i++) {
        if (!isfinite(after[i]))
            continue; /* every episode was dropped */
        sum += after[i];
        counted++;
        if (isfinite(before[i])) {
            gain += before[i] - after[i];
            measured++;
        }
    }
    *mean_after = counted > 0 ? sum / counted : (double)NAN;
    *mean_before = measured > 0 ? *mean_after + gain / measured : (double)NAN;
}

/* columns [2][n] */
static ol_status read_columns(const ol_archive *metrics, size_t n, double *columns, score_file *f)
{
    OL_TRY(ol_archive_read_f64(metrics, "train/step/seconds", n, columns));
    f->seconds = 0.0;
    for (size_t i = 0; i < n; i++)
        f->seconds += columns[i];
    /* Episodes have a column for each inner step, and none without an inner loop. */
    if (!ol_archive_has(metrics, "train/episode/support_loss_0"))
        return OL_OK;
    OL_TRY(ol_archive_read_f64(metrics, "train/step/loss_before", n, columns));
    OL_TRY(ol_archive_read_f64(metrics, "train/step/loss_after", n, columns + n));
    ol_score_gain(n, columns, columns + n, &f->before, &f->after);
    return OL_OK;
}

static ol_status read_training(const ol_archive *metrics, score_file *f)
{
    size_t n = 0;
    double *columns;
    ol_status status;

    f->seconds = f->before = f->after = (double)NAN;
    if (!ol_archive_has(metrics, "train/step/seconds"))
        return OL_OK;
    OL_TRY(ol_archive_count(metrics, "train/step/seconds", &n));
    if (n == 0)
        return OL_OK;
    OL_TRY(ol_allocate(2 * n, sizeof *columns, "meta-steps", (void **)&columns));
    status = read_columns(metrics, n, columns, f);
    free(columns);
    return status;
}

ol_status ol_score_book_add(score_book *book, const ol_archive *metrics)
{
    score_file f = {0}, *files = NULL;
    ol_status status = read_scores(metrics, &f);

    if (status == OL_OK && f.n > 0)
        status = read_training(metrics, &f);
    if (status == OL_OK && f.n > 0) {
        files = realloc(book->files, (book->n + 1) * sizeof *files);
        if (!files)
            status = ol_fail(OL_ENOMEM, "no memory for %zu scores", f.n);
    }
    if (!files) {
        finish_file(&f);
        return status;
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
            if (strcmp(f->table.text[OL_SCORE_LEARNER].items[i], name) == 0)
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
            const char *name = book->files[f].table.text[OL_SCORE_LEARNER].items[i];
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
