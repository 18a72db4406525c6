/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/record/metrics.h
 * What a run says to programs: metrics.h5 and metrics.jsonl of one run folder.
 *
 *     train/step        a row a meta-step
 *     train/episode     a row an episode
 *     train/own         a row a meta-step of learners with outer parameters of their own
 *     train/phase       a row a phase of each meta-step; only where train.timers is set
 *     eval/score        a row one (stage, learner, task, seed, adaptation steps)
 *     eval/prediction   a row a test row under each of those
 *     data/overlap      a row a pair of training and test task that share a name or rows
 *     data/check        one row: how much was compared to find these
 *
 * Rows go to the journal at once and to metrics.h5 once a second, or less often where that would take over
 * a hundredth of the time (table.h). Neither ever stops a run; what is missing at its end makes it fail. A
 * run that is gone on with mends both, and cuts them back to where its checkpoint stands.
 *
 * Rank 0 has them; on other ranks the object is NULL and every function does nothing. Local.
 */
#ifndef OUTERLOOP_RECORD_METRICS_H
#define OUTERLOOP_RECORD_METRICS_H

#include "outerloop/collective/evaluate.h"  /* ol_evaluation */
#include "outerloop/collective/meta_step.h" /* ol_episode_record, ol_step_report */
#include "outerloop/collective/phases.h"    /* ol_phase_row */
#include "outerloop/data/cut.h"             /* ol_cut */
#include "outerloop/data/overlap.h"         /* ol_overlap */
#include "outerloop/record/folder.h"        /* ol_run_folder */
#include "outerloop/store/table.h"          /* ol_run_record */

enum {
    OL_TABLE_STEP,
    OL_TABLE_EPISODE,
    OL_TABLE_OWN,
    OL_TABLE_PHASE,
    OL_TABLE_SCORE,
    OL_TABLE_PREDICTION,
    OL_TABLE_OVERLAP,
    OL_TABLE_CHECK,
    OL_TABLE_CUT,
    OL_TABLES
};

/** The tables of a run whose inner loop has K steps; they differ in the columns support_loss_k. */
typedef struct ol_metric_tables ol_metric_tables;

/** @param out *owned by the caller* (ol_metric_tables_destroy). Errors: OL_ENOMEM. */
ol_status ol_metric_tables_create(int K, ol_metric_tables **out);

/** Accepts NULL. */
void ol_metric_tables_destroy(ol_metric_tables *tables);
OL_DROPS(ol_metric_tables, ol_metric_tables_destroy)

/** The descriptions, [OL_TABLES], for a journal or a rebuild. Borrowed. */
const ol_table_spec *const *ol_metric_tables_specs(const ol_metric_tables *tables);

typedef struct ol_metrics ol_metrics;

/**
 * Open the metrics of a run folder.
 * @param K        support losses an episode
 * @param record   what the root of the file says
 * @param resume   keep what is there, of training the meta-steps up to `step`
 * @param scores   keep stored scores too
 * @param out      *owned by the caller* (ol_metrics_close)
 * Errors: OL_EIO, OL_ENOMEM.
 */
ol_status ol_metrics_open(const ol_run_folder *folder, int K, const ol_run_record *record,
                          bool resume, int64_t step, bool scores, ol_metrics **out);

/** One meta-step, for train/step. */
typedef struct ol_step_row {
    int64_t step; /**< number, from 1 */
    double lr;
    double seconds;
    const char *digest; /**< of θ after it */
    const ol_step_report *report;
} ol_step_row;

/** Add a row to train/step. Errors of all that add: OL_ENOMEM. */
ol_status ol_metrics_step(ol_metrics *metrics, const ol_step_row *row);

/** Add a row to train/episode. @param support_losses  [K]; @param task  its name */
ol_status ol_metrics_episode(ol_metrics *metrics, int64_t step, const ol_episode_record *record,
                             const double *support_losses, const char *task);

/** Add a row to train/own. @param values  [n] the learner's own parameters, after the meta-step */
ol_status ol_metrics_own(ol_metrics *metrics, int64_t step, const char *name, size_t n,
                         const ol_real *values);

/** Add the rows of a meta-step to train/phase. @param rows  [OL_PHASES] */
ol_status ol_metrics_phases(ol_metrics *metrics, int64_t step, const ol_phase_row *rows);

/** Record what training shares with the test tasks. */
ol_status ol_metrics_overlap(ol_metrics *metrics, const ol_overlap *overlap);

/** Add a row to data/cut. @param role  "train" or "target" */
ol_status ol_metrics_cut(ol_metrics *metrics, const char *task, const char *role,
                         const ol_cut *cut);

/**
 * Take one row for a table.
 * @param table  &ol_eval_score_table or &ol_eval_prediction_table
 * @param cells  borrowed for the call. cells[0], the index, is the sink's to set: rows of that
 *               table so far
 */
typedef ol_status ol_row_sink(void *payload, const ol_table_spec *table, ol_cell *cells);

/**
 * Give all rows to a sink, in order of items and step counts. In-context rows are of the stage
 * "eval", those by PMI of "pmi", adapted ones of "adapt". Local. Errors: those of the sink.
 * @param learner  name of the row in tables: "untrained", or of the arm
 */
ol_status ol_evaluation_store(const ol_evaluation *evaluation, const ol_evaluation_spec *spec,
                              const char *learner, ol_row_sink *sink, void *payload);

/** An ol_row_sink with an ol_metrics as payload: sets the index and adds the row. */
ol_status ol_metrics_sink(void *metrics, const ol_table_spec *table, ol_cell *cells);

/** Write what is due to metrics.h5; put a folder that was removed back. */
void ol_metrics_flush(ol_metrics *metrics);

/** Put the journal on disk: where a checkpoint is. */
void ol_metrics_sync(ol_metrics *metrics);

/** Rows of a table so far. */
int64_t ol_metrics_rows(const ol_metrics *metrics, int table);

/** Call visit(payload, row, cells) of each row of a table, as the journal has it. On rank 0.
 *  Errors: OL_EDATA, OL_ENOMEM. */
ol_status ol_metrics_read(const ol_metrics *metrics, int table, ol_tables_visit *visit,
                          void *payload);

/** Keep that many rows of the two eval tables. Errors: OL_EIO, OL_ENOMEM. */
ol_status ol_metrics_keep_scores(ol_metrics *metrics, int64_t scores, int64_t predictions);

/** Write what is not written yet, and free. Errors: OL_EIO, with what is missing and how it is had.
 *  Accepts NULL. */
ol_status ol_metrics_close(ol_metrics *metrics);

#endif
