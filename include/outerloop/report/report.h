/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/report/report.h
 * What runs came to: tables, curves and differences, for a terminal, a page, a paper, a program.
 *
 * A run is a folder that `run` made, an arm's folder, or a metrics.h5. All that is told is read from
 * the metrics.h5 of its arms. Several runs make one report: their learners then have the run's name
 * in front. Learners of one run that were trained from several starts are one learner.
 *
 * Local. Files are opened to read, so that a run that is under way is not disturbed.
 */
#ifndef OUTERLOOP_REPORT_REPORT_H
#define OUTERLOOP_REPORT_REPORT_H

#include "outerloop/base/text.h" /* ol_text */

typedef struct ol_report ol_report;

/**
 * Read runs. @param out *owned by the caller* (ol_report_close)
 * Errors: OL_EDATA when a path is no run, or holds neither scores nor training; OL_ENOMEM.
 */
ol_status ol_report_open(const char *const *paths, int n, ol_report **out);

/** Accepts NULL. */
void ol_report_close(ol_report *report);
OL_DROPS(ol_report, ol_report_close)

/* Each appends a whole document. Errors: OL_ENOMEM. */

/** Tables for a terminal of that many columns (0: not known), with curves of a line each. */
ol_status ol_report_text(const ol_report *report, int width, ol_text *out);

/** What sets several runs apart, in short: the keys of their jobs that differ, paired differences
 *  between the runs, and the final table. */
ol_status ol_report_brief(const ol_report *report, int width, ol_text *out);

/** One HTML page that stands alone: drawings inside, no script, nothing fetched. Light or dark as
 *  the reader's system is; narrow screens get narrow columns. */
ol_status ol_report_html(const ol_report *report, ol_text *out);

/**
 * JSON with the keys of lm-evaluation-harness: results, groups, configs, versions, n-shot,
 * higher_is_better, n-samples, config. A key of results is LEARNER/COUNT/TASK, as "maml/4_steps/
 * capitals" or "maml/in_context/capitals"; its "acc,none" counts rows of all seeds, "f1,none" is the
 * macro-F1 that the tables show of tasks scored by it, "ece,none" the expected calibration error.
 */
ol_status ol_report_json(const ol_report *report, ol_text *out);

/** Learners down, step counts across, mean and worst seed: for all tasks, each group, each task. */
ol_status ol_report_csv(const ol_report *report, ol_text *out);

/** The same as LaTeX (booktabs), the best mean of a column in bold. */
ol_status ol_report_latex(const ol_report *report, ol_text *out);

/**
 * Write FOLDER/samples_LEARNER_TASK.jsonl: a line a prediction, as lm-evaluation-harness has them,
 * with prompts where the run's task files and tokenizer still stand where it found them.
 * @param files    how many were written
 * @param prompts  how many of these have prompts
 * Errors: OL_EIO, OL_EDATA, OL_ENOMEM.
 */
ol_status ol_report_samples(const ol_report *report, const char *folder, int *files, int *prompts);

#endif
