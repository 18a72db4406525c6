/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of `report` share. Local. */
#ifndef RUN_REPORT_PARTS_H
#define RUN_REPORT_PARTS_H

#include <stdbool.h>

#include "outerloop/base/file.h"  /* PATH_MAX  */
#include "outerloop/eval/score.h" /* ol_metric */
#include "outerloop/run/job.h"    /* ol_job    */
#include "outerloop/run/report.h"
#include "outerloop/store/archive.h"

/* Texts that live as long as the report, each once. */
typedef struct report_words {
    char **items;
    int n;
} report_words;

/* One score; task and group point into the words of the report. */
typedef struct report_score {
    const char *task, *group; /* group: "" for none */
    int seed, steps;
    int64_t training; /* seed of the training */
    ol_metric metric;
    double score, chance, majority, calibration; /* NaN where the file does not say */
} report_score;

/* Rows of a task at one step count, over all seeds, right and in all. */
typedef struct report_tally {
    const char *task;
    int steps;
    int64_t rows, right;
} report_tally;

/* Columns of train/step. */
typedef struct report_series {
    size_t n;
    double *step, *before, *after, *norm, *seconds, *tokens; /* [n] */
} report_series;

/* Statistics that were asked for: they are drawn thousands of times each. */
typedef struct report_cache report_cache;

typedef struct report_learner {
    int run; /* number of its run */
    char *name, *label;
    char metrics[PATH_MAX]; /* of its first training */
    report_score *scores;   /* [n_scores] */
    size_t n_scores;
    report_tally *tallies; /* [n_tallies] */
    int n_tallies;
    report_series series; /* of its first training; empty where there was none */
    int64_t *trainings;   /* [n_trainings] seeds */
    int n_trainings;
    double seconds; /* of training, mean over trainings; NaN where there was none */
    bool inner;     /* has an inner loop */
    ol_job *job;    /* as resolved; NULL when this version cannot read it */
    char *job_text;
    report_cache *cache; /* of report_stat_of */
} report_learner;

typedef struct report_run {
    char *path, *name;
    ol_job *job;    /* of its folder; NULL where it has none, or none of this version */
    char *facts[8]; /* of the first file, by report_fact_names; NULL where it has none */
} report_run;

extern const char *const report_fact_names[8];

struct ol_report {
    report_run *runs; /* [n_runs] */
    int n_runs;
    report_learner *learners; /* [n_learners] in the order of the tables */
    int n_learners;
    report_words words;
    const char **tasks;  /* [n_tasks] in order of appearance  */
    const char **groups; /* [n_groups], without ""           */
    int *counts;         /* [n_counts] by ol_steps_before     */
    int n_tasks, n_groups, n_counts;
};

/* A mean over tasks. low and high are NaN where there is no interval. */
typedef struct report_stat {
    double mean, low, high;
    double worst, chance, majority;
    int tasks, seeds, trainings;
} report_stat;

/* --- reading (report_read.c) ------------------------------------------------------------------ */

/* Add the learners of a metrics file to the run at hand. */
ol_status report_read_metrics(ol_report *report, int run, const char *path);

/* The word, kept by the report; NULL without memory. */
const char *report_word(ol_report *report, const char *text);

/* --- numbers (report_stats.c): the only place that calls upon the statistics of `eval` -------- */

/* Of a learner at a step count: over all tasks, a group (not NULL), or one task (not NULL). */
ol_status report_stat_of(const report_learner *learner, int steps, const char *group,
                         const char *task, report_stat *stat);

/* What comes without learning, NaN where no file says: chance, or the commonest answer. */
ol_status report_floor(const ol_report *report, int steps, const char *group, const char *task,
                       bool majority, double *floor);

/* A cache, and its end. */
report_cache *report_cache_create(void);
void report_cache_destroy(report_cache *cache);

/* Mean of a less b over what both have. */
ol_status report_difference(const report_learner *a, const report_learner *b, int steps,
                            const char *group, report_stat *stat);

/* Is it what training started from? */
bool report_is_start(const report_learner *learner);

/* The final table as `run` prints it. */
ol_status report_final_table(const ol_report *report, int width, ol_text *out);

/* Decimals that a percentage deserves: one where its interval is below ±1 or there is none. */
int report_decimals(const report_stat *stat);

/* The parts of the tables: all tasks (NULL) and each group; without all, where there are several
   groups and every task is in one. Returns how many. @param parts  [report->n_groups + 1] */
int report_parts(const ol_report *report, const char **parts);

/* The group of a task, "" for none. */
const char *report_group_of(const ol_report *report, const char *task);

/* What a part is about, in words. */
const char *report_part_name(const char *group);

/* The word for the scores of the report: "accuracy", "macro-F1", or both. */
const char *report_metric_words(const ol_report *report);

/* The keys in which the jobs of the runs differ, with their values. */
ol_status report_keys(const ol_report *report, int width, ol_text *out);

/* --- pieces of pages (report_html.c, report_draw.c) ------------------------------------------- */

/* Append with <, >, & and quotes written out. */
ol_status report_escape(const char *text, ol_text *out);

/* Scores of all learners at one step count as dots on a line each. */
ol_status report_draw_scores(const ol_report *report, int steps, const char *group, ol_text *out);

/* Loss before and after over the meta-steps of a learner, on an axis up to `most`. */
ol_status report_draw_loss(const report_learner *learner, double most, ol_text *out);

/* |G| over the meta-steps of a learner, logarithmic. */
ol_status report_draw_norm(const report_learner *learner, ol_text *out);

/* Means of a column over `points` equal stretches; fewer when it is shorter. Returns how many. */
int report_thin(size_t n, const double *values, int points, double *out);

/* Color of learner i: a class c0 .. c9 of the page. */
static inline int report_color(int i)
{
    return i % 10;
}

#endif
