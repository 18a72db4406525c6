/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/record/score_book.h
 * Scores of metrics files, brought together for the final table. Local.
 */
#ifndef OUTERLOOP_RECORD_SCORE_BOOK_H
#define OUTERLOOP_RECORD_SCORE_BOOK_H

#include "outerloop/eval/table.h" /* ol_eval_score */
#include "outerloop/record/stored_table.h"

/** Scores of one metrics file, by learner. */
typedef struct ol_score_file {
    ol_stored_table table; /**< that `scores` and learners borrow from */
    ol_eval_score *scores; /**< [n]                                    */
    size_t n;
    double seconds;       /**< of training in the same file; NaN when there was none             */
    double before, after; /**< query loss around its inner loop, as in ol_eval_learner           */
} ol_score_file;

/** Scores of several metrics files. Start from a zero struct. */
typedef struct ol_score_book {
    ol_score_file *files;
    size_t n;
} ol_score_book;

/** Query loss around the inner loop over the last tenth of n meta-steps: the mean after it, and that plus
 * the mean gain of those in which the loss before was measured too. NaN where there is none. */
void ol_score_gain(size_t n, const double *before, const double *after, double *mean_before,
                   double *mean_after);

/** Add the scores of a metrics file, if it has any. Errors: OL_EDATA, OL_ENOMEM. */
ol_status ol_score_book_add(ol_score_book *book, const ol_archive *metrics);

/** Append the final table over all learners of the book; nothing when there are none. A learner that
 * several files have is one row, averaged over the trainings, whose seeds tell them apart; of equal
 * ones the first counts. Errors: OL_ENOMEM. */
ol_status ol_score_book_table(const ol_score_book *book, int width, ol_text *out);

void ol_score_book_finish(ol_score_book *book);

#endif
