/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of `report` share. Local. */
#ifndef REPORT_REPORT_PARTS_H
#define REPORT_REPORT_PARTS_H

#include <stdbool.h>

#include "outerloop/base/file.h"    /* PATH_MAX  */
#include "outerloop/eval/summary.h" /* ol_eval_score */
#include "outerloop/job/job.h"      /* ol_job    */
#include "outerloop/record/stored_table.h"
#include "outerloop/report/report.h"
#include "outerloop/store/archive.h"

/* Texts that live as long as the report, each once. */
typedef struct report_words {
    char **items;
    int n;
} report_words;

/* One score; task and group ("" for none) point into the words of the report. */
typedef struct report_score {
    ol_eval_score of;
    double calibration; /* NaN where the file does not say */
} report_score;

/* Rows of a task at one step count, over all seeds, right and in all. */
typedef struct report_tally {
    const char *task;
    int steps;
    int64_t rows, right;
} report_tally;

typedef struct report_learner {
    int run; /* number of its run */
    char *name, *label;
    char metrics[PATH_MAX]; /* of its first training */
    report_score *scores;   /* [n_scores] */
    size_t n_scores;
    report_tally *tallies; /* [n_tallies] */
    int n_tallies;
    ol_stored_table series; /* train/step of its first training; empty where there was none */
    int64_t *trainings;     /* [n_trainings] seeds */
    int n_trainings;
    double seconds; /* of training, mean over trainings; NaN where there was none */
    bool inner;     /* has an inner loop */
    ol_job *job;    /* as resolved; NULL when this version cannot read it */
    char *job_text;
    int color; /* a class c0 .. c9 of the page */
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
    report_words words;
    const report_learner **scored; /* [n_scored] those that have scores */
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

/* --- numbers (report_stats.c): the only place that calls upon the statistics of `eval` -------- */

/* List what the scores are about, and work all statistics out. */
ol_status report_summarise(ol_report *report);

/* Of scored learner l at count c. Its mean is NaN where there are no scores. */
static inline const ol_eval_summary *report_stat_of(const ol_report *r, int l, int c, int subject)
{
    return &r->stats[(l * r->n_counts + c) * r->n_subjects + subject];
}

/* The best mean of the learners; -1 where there is none. */
double report_best(const ol_report *report, int c, int subject);

/* What comes without learning, NaN where no file says: chance, or the commonest answer. */
enum { REPORT_CHANCE, REPORT_MAJORITY, REPORT_FLOORS };
extern const char *const report_floor_names[REPORT_FLOORS];
double report_floor(const ol_report *report, int c, int subject, int floor);

/* Mean of scored learner a less b over what both have. */
ol_status report_difference(const ol_report *report, int a, int b, int c, int subject,
                            ol_interval *out);

/* Is it what training started from? */
bool report_is_start(const report_learner *learner);

/* The final table as `run` prints it. */
ol_status report_final_table(const ol_report *report, int width, ol_text *out);

/* Decimals that a percentage deserves: one where its interval is below ±1 or there is none. */
int report_decimals(const ol_interval *interval);

/* The most tasks, seeds and trainings of scored learners from .. to-1 at any count. */
ol_eval_summary report_most(const ol_report *report, int from, int to, int subject);

/* The word for the scores of the report: "accuracy", "macro-F1", or both. */
const char *report_metric_words(const ol_report *report);

/* The keys in which the jobs of the runs differ, with their values. */
ol_status report_keys(const ol_report *report, int width, ol_text *out);

/* --- pieces of pages (report_html.c, report_draw.c) ------------------------------------------- */

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

/* Means of a column over `points` equal stretches; fewer when it is shorter. Returns how many. */
int report_thin(size_t n, const double *values, int points, double *out);

#endif
