/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of `inspect` share. */
#ifndef REPORT_INSPECT_PARTS_H
#define REPORT_INSPECT_PARTS_H

#include "outerloop/job/job.h" /* ol_job */
#include "outerloop/record/score_book.h"
#include "outerloop/report/inspect.h"
#include "outerloop/store/archive.h" /* ol_archive */

/* One call of ol_inspect. */
typedef struct inspection {
    ol_inspect_how how;
    bool check; /* how == OL_INSPECT_CHECK */
    ol_text *out;
    ol_score_book book; /* of all metrics files      */
    int checked;        /* files read in full           */
    int broken;         /* files found damaged          */
    char first[512];    /* message of the first of them */
    /* Of the folder at hand: */
    ol_job *job;      /* its own, *borrowed*; NULL when that cannot be read                */
    bool has_rows;    /* there is a metrics file                                           */
    int64_t rows_to;  /* meta-step of the last row; -1: not known, or that is not the task */
    int64_t saved_to; /* meta-step of the newest whole checkpoint of the job               */
} inspection;

/* Count a file that was read in full. @param broken  what is wrong, unless it is whole: a line of it
   is kept, of the first such file; or NULL */
void ol_inspect_count(inspection *s, bool whole, const char *broken);

/* Say and count that a file is damaged, with the message of the failure at hand, and go on. */
ol_status ol_inspect_broken(inspection *s, const char *path);

/* A metrics file and its journal, as the inspection's `how` says; then what they hold.
   @param alone  the file was asked for, not its folder: a journal need not be there */
ol_status ol_inspect_tables(inspection *s, const char *path, bool alone, bool with_job);

/* Append a line "label      value". */
ol_status ol_inspect_line(ol_text *out, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The line of a file: its path and size. */
ol_status ol_inspect_file(ol_text *out, const char *label, const char *path);

/* Append what a job text says in a few lines. */
ol_status ol_inspect_job(const char *text, ol_text *out);

/* Append what a metrics file says of training. */
ol_status ol_inspect_training(const ol_archive *metrics, ol_text *out);

#endif
