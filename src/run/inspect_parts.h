/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of `inspect` share. */
#ifndef RUN_INSPECT_PARTS_H
#define RUN_INSPECT_PARTS_H

#include "outerloop/eval/table.h"    /* ol_eval_learner */
#include "outerloop/store/archive.h" /* ol_archive */

/* One call of ol_inspect. */
typedef struct inspection {
    bool check;
    ol_text *out;
    int checked;     /* files read in full           */
    int broken;      /* files found damaged          */
    char first[512]; /* message of the first of them */
} inspection;

/* Scores of one metrics file, by learner. */
typedef struct score_file {
    ol_strings learner, task, group; /* [n] names that `scores` and learners borrow   */
    ol_eval_score *scores;           /* [n]                                           */
    size_t n;
    double seconds; /* of training in the same file; NaN when there was none   */
} score_file;

/* Scores of several metrics files. */
typedef struct score_book {
    score_file *files;
    size_t n;
} score_book;

/* Add the scores of a metrics file, if it has any. */
ol_status ol_score_book_add(score_book *book, const ol_archive *metrics);

/* Append the final table over all learners of the book; nothing when there are none. */
ol_status ol_score_book_table(const score_book *book, ol_text *out);

void ol_score_book_finish(score_book *book);

/* Append a line "label      value". */
ol_status ol_inspect_line(ol_text *out, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Append what a job text says in a few lines. */
ol_status ol_inspect_job(const char *name, const char *text, ol_text *out);

/* Append what a metrics file says of training; its scores go to `book`. */
ol_status ol_inspect_metrics(const ol_archive *metrics, score_book *book, ol_text *out);

#endif
