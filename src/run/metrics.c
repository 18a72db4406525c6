/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/clock.h"    /* ol_clock_seconds */
#include "outerloop/base/log.h"      /* ol_log_warn */
#include "outerloop/store/journal.h" /* ol_journal */

static const double flush_seconds = 1.0;

struct ol_metrics {
    ol_metric_tables *shape;
    const ol_table_spec *const *specs; /* [OL_TABLES], of `shape` */
    int K;
    ol_tables *tables;
    ol_journal *journal;
    char journal_path[PATH_MAX];
    ol_cell *cells; /* scratch: the widest row */
    double flushed_at;
};

/* Open metrics.h5 of an earlier start; make it again from the journal when it is lost, or lacks
 * meta-steps that the checkpoint has (rows that a full disk refused). */
static ol_status reopen(ol_metrics *m, const ol_run_folder *folder, const ol_run_record *record,
                        int64_t step)
{
    int64_t rows = 0;
    ol_status status = ol_tables_open(folder->metrics, m->specs, OL_TABLES, record, &m->tables);

    if (status == OL_OK)
        status = ol_tables_rows_through(m->tables, OL_TABLE_STEP, step, &rows);
    if (status == OL_OK && rows == step)
        return OL_OK;
    if (status != OL_OK)
        ol_log_warn("%s; it is made again from metrics.jsonl", ol_status_message());
    ol_tables_destroy(m->tables);
    m->tables = NULL;
    status = ol_journal_rebuild(folder->journal, folder->metrics, m->specs, OL_TABLES, record);
    if (status == OL_OK)
        return ol_tables_open(folder->metrics, m->specs, OL_TABLES, record, &m->tables);
    ol_log_warn("%s; metrics start anew", ol_status_message());
    return ol_tables_create(folder->metrics, m->specs, OL_TABLES, record, &m->tables);
}

/* Cut both files back to the checkpoint's meta-step. */
static ol_status cut_back(ol_metrics *m, int64_t step, bool scores)
{
    int64_t rows[OL_TABLES];

    for (int t = 0; t < OL_TABLES; t++) {
        if (t == OL_TABLE_STEP || t == OL_TABLE_EPISODE || t == OL_TABLE_OWN)
            OL_TRY(ol_tables_rows_through(m->tables, t, step, &rows[t]));
        else if (scores && (t == OL_TABLE_SCORE || t == OL_TABLE_PREDICTION))
            rows[t] = ol_tables_rows(m->tables, t);
        else
            rows[t] = 0; /* the overlap and the cuts are recorded at every start */
        OL_TRY(ol_tables_truncate(m->tables, t, rows[t]));
    }
    if (ol_journal_truncate(m->journal_path, m->specs, OL_TABLES, rows) != OL_OK) {
        ol_log_warn("%s; metrics.jsonl starts anew", ol_status_message());
        return ol_write_file(m->journal_path, "", 0);
    }
    return OL_OK;
}

static ol_status open_files(ol_metrics *m, const ol_run_folder *folder, const ol_run_record *record,
                            bool resume, int64_t step, bool scores)
{
    int widest = 0;

    for (int t = 0; t < OL_TABLES; t++)
        widest = m->specs[t]->n > widest ? m->specs[t]->n : widest;
    m->cells = calloc((size_t)widest, sizeof *m->cells);
    OL_CHECK(m->cells, OL_ENOMEM, "metrics: no memory for a row");
    OL_TRY(ol_path_format(m->journal_path, "%s", folder->journal));
    if (resume) {
        OL_TRY(reopen(m, folder, record, step));
        OL_TRY(cut_back(m, step, scores));
    } else {
        OL_TRY(ol_tables_create(folder->metrics, m->specs, OL_TABLES, record, &m->tables));
        OL_TRY(ol_write_file(folder->journal, "", 0));
    }
    return ol_journal_open(folder->journal, m->specs, OL_TABLES, &m->journal);
}

ol_status ol_metrics_open(const ol_run_folder *folder, int K, const ol_run_record *record,
                          bool resume, int64_t step, bool scores, ol_metrics **out)
{
    ol_metrics *m = calloc(1, sizeof *m);
    ol_status status;

    *out = NULL;
    OL_CHECK(m, OL_ENOMEM, "metrics: no memory");
    m->K = K;
    m->flushed_at = -1e9;
    status = ol_metric_tables_create(K, &m->shape);
    if (status == OL_OK) {
        m->specs = ol_metric_tables_specs(m->shape);
        status = open_files(m, folder, record, resume, step, scores);
    }
    if (status != OL_OK) {
        ol_metrics_close(m);
        return status;
    }
    *out = m;
    return OL_OK;
}

static ol_status add(ol_metrics *m, int table, const ol_cell *cells)
{
    ol_journal_append(m->journal, table, cells);
    return ol_tables_append(m->tables, table, cells);
}

ol_status ol_metrics_step(ol_metrics *m, const ol_step_row *row)
{
    const ol_step_report *r = row->report;
    const double rate = row->seconds > 0.0 ? (double)r->tokens / row->seconds : 0.0;

    if (!m)
        return OL_OK;
    const ol_cell cells[] = {{.i = row->step},
                             {.f = r->query_before},
                             {.f = r->query_after},
                             {.f = r->grad_norm},
                             {.f = row->lr},
                             {.f = row->seconds},
                             {.f = r->inner_seconds},
                             {.f = r->outer_seconds},
                             {.f = r->comm_seconds},
                             {.i = r->tokens},
                             {.f = rate},
                             {.i = r->episodes},
                             {.i = r->dropped},
                             {.text = row->digest}};

    return add(m, OL_TABLE_STEP, cells);
}

ol_status ol_metrics_episode(ol_metrics *m, int64_t step, const ol_episode_record *record,
                             const double *support_losses, const char *task)
{
    const ol_episode_report *r = &record->report;
    ol_cell *c;

    if (!m)
        return OL_OK;
    c = m->cells;
    *c++ = (ol_cell){.i = step};
    *c++ = (ol_cell){.i = record->episode};
    *c++ = (ol_cell){.text = task};
    *c++ = (ol_cell){.i = record->rank};
    *c++ = (ol_cell){.i = record->dropped};
    for (int k = 0; k < m->K; k++)
        *c++ = (ol_cell){.f = support_losses[k]};
    *c++ = (ol_cell){.f = r->query_before};
    *c++ = (ol_cell){.f = r->query_after};
    *c++ = (ol_cell){.f = r->grad_norm};
    *c++ = (ol_cell){.f = r->second_order};
    *c++ = (ol_cell){.f = record->seconds};
    *c++ = (ol_cell){.i = record->tokens};
    return add(m, OL_TABLE_EPISODE, m->cells);
}

ol_status ol_metrics_own(ol_metrics *m, int64_t step, const char *name, size_t n,
                         const ol_real *values)
{
    double least = INFINITY, most = -INFINITY, sum = 0;

    if (!m)
        return OL_OK;
    for (size_t i = 0; i < n; i++) {
        least = fmin(least, (double)values[i]);
        most = fmax(most, (double)values[i]);
        sum += (double)values[i];
    }
    const ol_cell cells[] = {
        {.i = step}, {.text = name}, {.f = least}, {.f = sum / (double)n}, {.f = most}};

    return add(m, OL_TABLE_OWN, cells);
}

ol_status ol_metrics_overlap(ol_metrics *m, const ol_overlap *overlap)
{
    if (!m)
        return OL_OK;
    const ol_cell check[] = {{.i = 1},
                             {.i = overlap->train_rows},
                             {.i = overlap->test_rows},
                             {.i = overlap->same_tasks},
                             {.i = overlap->shared_rows}};

    for (int i = 0; i < overlap->n; i++) {
        const ol_overlap_pair *pair = &overlap->pairs[i];
        const ol_cell cells[] = {{.i = i + 1},
                                 {.text = pair->train},
                                 {.text = pair->test},
                                 {.i = pair->same_task},
                                 {.i = pair->rows}};

        OL_TRY(add(m, OL_TABLE_OVERLAP, cells));
    }
    return add(m, OL_TABLE_CHECK, check);
}

ol_status ol_metrics_cut(ol_metrics *m, const char *task, const char *role, const ol_cut *cut)
{
    if (!m)
        return OL_OK;
    const ol_cell cells[] = {{.i = ol_tables_rows(m->tables, OL_TABLE_CUT) + 1},
                             {.text = task},
                             {.text = role},
                             {.i = cut->rows},
                             {.i = cut->rows_cut},
                             {.i = cut->tokens},
                             {.i = cut->tokens_cut},
                             {.i = cut->prompts},
                             {.i = cut->prompts_cut},
                             {.i = cut->prompt_tokens},
                             {.i = cut->prompt_tokens_cut}};

    return add(m, OL_TABLE_CUT, cells);
}

ol_status ol_metrics_sink(void *metrics, const ol_table_spec *table, ol_cell *cells)
{
    ol_metrics *m = metrics;
    const int t = table == &ol_eval_score_table ? OL_TABLE_SCORE : OL_TABLE_PREDICTION;

    cells[0].i = ol_tables_rows(m->tables, t);
    return add(m, t, cells);
}

void ol_metrics_flush(ol_metrics *m, bool now)
{
    if (!m || (!now && ol_clock_seconds() - m->flushed_at < flush_seconds))
        return;
    ol_tables_flush(m->tables);
    m->flushed_at = ol_clock_seconds();
}

int64_t ol_metrics_rows(const ol_metrics *m, int table)
{
    return m ? ol_tables_rows(m->tables, table) : 0;
}

ol_status ol_metrics_keep_scores(ol_metrics *m, int64_t scores, int64_t predictions)
{
    int64_t rows[OL_TABLES];
    ol_status status;

    if (!m)
        return OL_OK;
    OL_TRY(ol_tables_truncate(m->tables, OL_TABLE_SCORE, scores));
    OL_TRY(ol_tables_truncate(m->tables, OL_TABLE_PREDICTION, predictions));
    for (int t = 0; t < OL_TABLES; t++)
        rows[t] = ol_tables_rows(m->tables, t);
    ol_journal_destroy(m->journal);
    m->journal = NULL;
    status = ol_journal_truncate(m->journal_path, m->specs, OL_TABLES, rows);
    if (status != OL_OK)
        ol_log_warn("%s", ol_status_message());
    return ol_journal_open(m->journal_path, m->specs, OL_TABLES, &m->journal);
}

void ol_metrics_close(ol_metrics *m)
{
    if (!m)
        return;
    ol_tables_destroy(m->tables);
    ol_journal_destroy(m->journal);
    ol_metric_tables_destroy(m->shape);
    free(m->cells);
    free(m);
}
