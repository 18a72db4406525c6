/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/record/score_book.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/mean.h"
#include "outerloop/base/size.h" /* OL_ALLOCATE */

static void finish_file(ol_score_file *f)
{
    ol_stored_table_finish(&f->table);
    free(f->scores);
    *f = (ol_score_file){0};
}

static ol_status read_scores(const ol_archive *metrics, ol_score_file *f)
{
    int64_t training = 0;

    OL_TRY(ol_stored_table_read(metrics, &ol_eval_score_table, ol_stored_scores, &f->table));
    f->n = f->table.n;
    if (f->n == 0)
        return OL_OK;
    OL_TRY(ol_archive_get_i64(metrics, "/", "seed", &training));
    OL_TRY(OL_ALLOCATE(f->scores, f->n, "scores"));
    for (size_t i = 0; i < f->n; i++)
        f->scores[i] = ol_stored_score(&f->table, i, training);
    return OL_OK;
}

void ol_score_gain(size_t n, const double *before, const double *after, double *mean_before,
                   double *mean_after)
{
    ol_mean all = {0}, gain = {0};

    for (size_t i = n - (n + 9) / 10; i < n; i++) {
        ol_mean_add(&all, after[i]); /* NaN where every episode was dropped */
        ol_mean_add(&gain, before[i] - after[i]);
    }
    *mean_after = ol_mean_value(all);
    *mean_before = *mean_after + ol_mean_value(gain);
}

static ol_status read_training(const ol_archive *metrics, ol_score_file *f)
{
    OL_AUTO_STORED_TABLE steps = {0};

    f->seconds = f->before = f->after = (double)NAN;
    OL_TRY(ol_stored_table_read(metrics, &ol_step_table,
                                OL_STORED(OL_STEP_SECONDS) | OL_STORED(OL_STEP_LOSS_BEFORE) |
                                    OL_STORED(OL_STEP_LOSS_AFTER),
                                &steps));
    if (steps.n == 0)
        return OL_OK;
    f->seconds = ol_stored_sum(&steps, OL_STEP_SECONDS);
    if (ol_stored_inner(metrics))
        ol_score_gain(steps.n, steps.number[OL_STEP_LOSS_BEFORE], steps.number[OL_STEP_LOSS_AFTER],
                      &f->before, &f->after);
    return OL_OK;
}

ol_status ol_score_book_add(ol_score_book *book, const ol_archive *metrics)
{
    OL_AUTO(finish_file) ol_score_file f = {0};

    OL_TRY(read_scores(metrics, &f));
    if (f.n == 0)
        return OL_OK;
    OL_TRY(read_training(metrics, &f));
    OL_TRY(OL_GROW(book->files, book->n, "files of scores"));
    book->files[book->n++] = f;
    f = (ol_score_file){0};
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

/* One row of the table: the scores of a learner in all files, moved together at `at`. */
static ol_eval_learner collect(const ol_score_book *book, const char *name, ol_eval_score *at)
{
    ol_eval_learner learner = {.name = name, .scores = at};
    ol_mean seconds = {0}, before = {0}, after = {0};

    for (size_t k = 0; k < book->n; k++) {
        const ol_score_file *f = &book->files[k];
        const bool again = has_training(&learner, f->scores[0].training);
        const size_t had = learner.n;
        for (size_t i = 0; i < f->n && !again; i++)
            if (strcmp(f->table.text[OL_SCORE_LEARNER].items[i], name) == 0)
                at[learner.n++] = f->scores[i];
        if (learner.n == had)
            continue;
        ol_mean_add(&seconds, f->seconds);
        ol_mean_add(&before, f->before);
        ol_mean_add(&after, f->after);
    }
    learner.seconds = ol_mean_value(seconds);
    learner.before = ol_mean_value(before);
    learner.after = ol_mean_value(after);
    return learner;
}

ol_status ol_score_book_table(const ol_score_book *book, int width, ol_text *out)
{
    size_t room = 0, n = 0, used = 0;
    OL_AUTO_FREE ol_eval_learner *learners = NULL;
    OL_AUTO_FREE ol_eval_score *scores = NULL;

    for (size_t f = 0; f < book->n; f++)
        room += book->files[f].n;
    OL_TRY(OL_ALLOCATE(learners, room, "learners"));
    OL_TRY(OL_ALLOCATE(scores, room, "scores"));
    for (size_t f = 0; f < book->n; f++) {
        for (size_t i = 0; i < book->files[f].n; i++) {
            const char *name = book->files[f].table.text[OL_SCORE_LEARNER].items[i];
            if (is_known(learners, n, name))
                continue;
            learners[n] = collect(book, name, scores + used);
            used += learners[n++].n;
        }
    }
    return ol_eval_table(learners, n, width, out);
}

void ol_score_book_finish(ol_score_book *book)
{
    for (size_t f = 0; f < book->n; f++)
        finish_file(&book->files[f]);
    free(book->files);
    *book = (ol_score_book){0};
}
