/* SPDX-License-Identifier: BSD-3-Clause */
/* Scores of metrics files, brought together for the final table. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "inspect_parts.h"

static void finish_file(score_file *f)
{
    ol_strings_finish(&f->learner);
    ol_strings_finish(&f->task);
    ol_strings_finish(&f->group);
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
    OL_TRY(ol_archive_read_f64(metrics, "eval/score/unseen_domain", f->n, column));
    for (size_t i = 0; i < f->n; i++)
        f->scores[i].unseen = column[i] != 0.0;
    OL_TRY(ol_archive_read_f64(metrics, "eval/score/score", f->n, column));
    for (size_t i = 0; i < f->n; i++)
        f->scores[i].score = column[i];
    return OL_OK;
}

static ol_status training_seconds(const ol_archive *metrics, double *seconds)
{
    size_t n = 0;
    double *column;
    ol_status status;

    *seconds = (double)NAN;
    if (!ol_archive_has(metrics, "train/step/seconds"))
        return OL_OK;
    OL_TRY(ol_archive_count(metrics, "train/step/seconds", &n));
    if (n == 0)
        return OL_OK;
    column = malloc(n * sizeof *column);
    OL_CHECK(column, OL_ENOMEM, "no memory for %zu meta-steps", n);
    status = ol_archive_read_f64(metrics, "train/step/seconds", n, column);
    *seconds = 0.0;
    for (size_t i = 0; i < n && status == OL_OK; i++)
        *seconds += column[i];
    free(column);
    return status;
}

static ol_status read_file(const ol_archive *metrics, score_file *f)
{
    double *column = malloc(f->n * sizeof *column);
    ol_status status;

    f->scores = calloc(f->n, sizeof *f->scores);
    if (!column || !f->scores) {
        free(column);
        return ol_fail(OL_ENOMEM, "no memory for %zu scores", f->n);
    }
    status = read_numbers(metrics, f, column);
    free(column);
    OL_TRY(status);
    OL_TRY(ol_archive_read_strings(metrics, "eval/score/learner", &f->learner));
    OL_TRY(ol_archive_read_strings(metrics, "eval/score/task", &f->task));
    OL_CHECK(f->learner.n == f->n && f->task.n == f->n, OL_EDATA,
             "%s: eval/score has columns of unequal length; run with --resume to repair it",
             ol_archive_path(metrics));
    if (ol_archive_has(metrics,
                       "eval/score/group")) /* runs of before there were groups have none */
        OL_TRY(ol_archive_read_strings(metrics, "eval/score/group", &f->group));
    for (size_t i = 0; i < f->n; i++) {
        f->scores[i].task = f->task.items[i];
        f->scores[i].group = i < f->group.n ? f->group.items[i] : "";
    }
    return training_seconds(metrics, &f->seconds);
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

/* One row of the table: the scores of a learner in a file, moved together at `at`. */
static ol_eval_learner collect(const score_file *f, const char *name, ol_eval_score *at)
{
    ol_eval_learner learner = {.name = name, .scores = at, .seconds = f->seconds};

    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->learner.items[i], name) == 0)
            at[learner.n++] = f->scores[i];
    if (strcmp(name, "untrained") == 0)
        learner.seconds = (double)NAN;
    return learner;
}

ol_status ol_score_book_table(const score_book *book, ol_text *out)
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
    /* A learner that several files score, as "untrained" may be, counts where it stands first. */
    for (size_t f = 0; f < book->n && status == OL_OK; f++) {
        for (size_t i = 0; i < book->files[f].n; i++) {
            const char *name = book->files[f].learner.items[i];
            if (is_known(learners, n, name))
                continue;
            learners[n] = collect(&book->files[f], name, scores + used);
            used += learners[n++].n;
        }
    }
    if (status == OL_OK)
        status = ol_eval_table(learners, n, out);
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
