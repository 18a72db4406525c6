/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of `report` share. Local. */
#ifndef REPORT_REPORT_PARTS_H
#define REPORT_REPORT_PARTS_H

#include <stdbool.h>

#include "outerloop/base/file.h" /* PATH_MAX  */
#include "outerloop/base/mean.h"
#include "outerloop/eval/table.h" /* ol_eval_learner */
#include "outerloop/job/job.h"    /* ol_job    */
#include "outerloop/record/stored_table.h"
#include "outerloop/report/report.h"
#include "outerloop/store/archive.h"

/* What a metrics file says besides of a score, and of the predictions that it was made of. */
typedef struct report_detail {
    double calibration; /* NaN where the file does not say */
    int64_t rows, right;
} report_detail;

/* A training of a learner, and the file it was read from, by number. */
typedef struct report_training {
    int64_t seed;
    int file;
} report_training;

typedef struct report_learner {
    int run;                /* number of its run */
    char *name, *label;     /* label: with the run's name in front where there are several */
    char metrics[PATH_MAX]; /* of its first training */
    ol_eval_score *scores;  /* [n_scores] texts are borrowed from the tables */
    report_detail *details; /* [n_scores] of each */
    size_t n_scores;
    ol_stored_table series;     /* train/step of its first training; empty where there was none */
    report_training *trainings; /* [n_trainings] */
    int n_trainings;
    ol_mean seconds, before,
        after;   /* of trainings, as in ol_eval_learner; before: of inner loops */
    bool inner;  /* has an inner loop */
    ol_job *job; /* as resolved; NULL when this version cannot read it */
    char *job_text;
} report_learner;

enum { REPORT_FACTS = 8 };

typedef struct report_run {
    char *path, *name;
    ol_job *job;               /* of its folder; NULL where it has none, or none of this version */
    char *facts[REPORT_FACTS]; /* of the first file, by report_fact_names; NULL: it has none */
} report_run;

extern const char *const report_fact_names[REPORT_FACTS];

/* A count of adaptation steps, and its title. */
typedef struct report_count {
    int steps;
    char name[OL_STEPS_TEXT];
} report_count;

/* What scores are told of: all tasks, a group of them, or one. */
typedef struct report_subject {
    const char *name;         /* in words                              */
    const char *group, *task; /* NULL: of all                          */
    const char *belongs;      /* of a task: to this group, "" for none */
} report_subject;

struct ol_report {
    report_run *runs; /* [n_runs] */
    int n_runs;
    report_learner *learners; /* [n_learners] in the order of the tables */
    int n_learners;
    ol_stored_table *tables; /* [n_files] eval/score of each file */
    int n_files;
    const report_learner **scored; /* [n_scored] those that have scores */
    ol_eval_learner *rows;         /* [n_scored] these, as eval takes them */
    report_count *counts;          /* [n_counts] by ol_steps_before     */
    report_subject *subjects;      /* [n_subjects] all, groups, then tasks in order of appearance */
    int n_scored, n_counts, n_subjects;
    int parts, tasks; /* subjects[parts .. tasks-1] are the parts of tables: all tasks and each
                           group, without all where there are several groups and every task is in
                           one; from `tasks` on each is a task */
    ol_eval_summary *stats; /* [n_scored, n_counts, n_subjects] */
};

/* --- reading (report_read.c) ------------------------------------------------------------------ */

/* Add the learners of a metrics file to the run at hand. */
ol_status report_read_metrics(ol_report *report, int run, const char *path);

/* --- numbers (report_stats.c) ----------------------------------------------------------------- */

/* List what the scores are about, and work all statistics out. */
ol_status report_summarise(ol_report *report);

/* Of scored learner l at count c. Its mean is NaN where there are no scores. */
static inline const ol_eval_summary *report_stat_of(const ol_report *r, int l, int c, int subject)
{
    return &r->stats[(l * r->n_counts + c) * r->n_subjects + subject];
}

/* Rows of a table: from -REPORT_FLOORS what comes without learning, guessing and the commonest answer,
   then from 0 the scored learners. Of the former there is a mean alone, NaN where no file says. */
enum { REPORT_FLOORS = 2 };
const char *report_row_name(const ol_report *report, int row);
ol_eval_summary report_row_stat(const ol_report *report, int row, int c, int subject);

/* Write a number in percent; nothing where it is none. */
void report_percent(double value, int digits, char text[24]);

/* The numbers of a row in percent; "" for what there is not. */
typedef struct report_cell {
    char mean[24], half[24], worst[24]; /* half: of the interval */
    bool best;                          /* no other learner's mean is higher */
} report_cell;
report_cell report_cell_of(const ol_report *report, int row, int c, int subject);

/* The first scored learner of the best mean but for one; -1 where there is none. */
int report_leader(const ol_report *report, int c, int subject, int but);

/* Mean of scored learner a less b over what both have, in points. */
ol_status report_difference(const ol_report *report, int a, int b, int c, int subject,
                            char text[OL_INTERVAL_TEXT]);

/* Is it what training started from? */
bool report_is_start(const report_learner *learner);

/* The most tasks, seeds and trainings of scored learners from .. to-1 at any count, and all their
   metrics. */
ol_eval_summary report_most(const ol_report *report, int from, int to, int subject);

/* The word for the scores of the report: "accuracy", "macro-F1", or both. */
const char *report_metric_words(const ol_report *report);

/* The keys in which the jobs of the runs differ, with their values. */
ol_status report_keys(const ol_report *report, int width, ol_text *out);

/* Means of a column over `points` equal stretches; fewer when it is shorter. Returns how many. */
int report_thin(size_t n, const double *values, int points, double *out);

/* --- pieces of pages (report_html.c, report_draw.c) ------------------------------------------- */

enum { REPORT_COLORS = 10 }; /* classes c0 .. c9 of the page, for learners in their order */

/* Append a text in which letters of `special` are written as [letter of it] of `as`. */
ol_status report_escape(ol_text *out, const char *text, const char *special, const char *const *as);

/* Append with <, >, & and quotes written out, between what stands before and after it. */
ol_status report_put(ol_text *out, const char *before, const char *text, const char *after);

/* Scores of all learners at one step count as dots on a line each. */
ol_status report_draw_scores(const ol_report *report, int c, int subject, ol_text *out);

/* Loss before and after over the meta-steps of a learner, on an axis up to `most`. */
ol_status report_draw_loss(const report_learner *learner, double most, ol_text *out);

/* |G| over the meta-steps of a learner, logarithmic. */
ol_status report_draw_norm(const report_learner *learner, ol_text *out);

#endif
