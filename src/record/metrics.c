/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/record/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/log.h" /* ol_log_warn */
#include "outerloop/record/metric_columns.h"

struct ol_metrics {
    ol_metric_tables *shape;
    const ol_table_spec *const *specs; /* [OL_TABLES], of `shape` */
    int K;
    ol_tables *tables;
    ol_run_folder folder;
    char *job;      /* text of job.cfg         */
    ol_cell *cells; /* scratch: the widest row */
};

/* What a resumed run keeps: training up to the checkpoint's meta-step, and scores where they count.
   The overlap and the cuts are recorded at every start. */
static void choose_rows(int64_t step, bool scores, int64_t last[OL_TABLES])
{
    for (int t = 0; t < OL_TABLES; t++)
        last[t] = -1;
    last[OL_TABLE_STEP] = last[OL_TABLE_EPISODE] = last[OL_TABLE_OWN] = last[OL_TABLE_PHASE] = step;
    last[OL_TABLE_SCORE] = last[OL_TABLE_PREDICTION] = scores ? INT64_MAX : -1;
}

static ol_status reopen(ol_metrics *m, const ol_run_record *record, int64_t step, bool scores)
{
    int64_t last[OL_TABLES], lost[OL_TABLES], rows;

    choose_rows(step, scores, last);
    OL_TRY(ol_tables_open(m->folder.metrics, m->specs, OL_TABLES, record,
                          step > 0 ? record->run_id : NULL, last, lost, &m->tables));
    rows = ol_tables_rows(m->tables, OL_TABLE_STEP);
    if (rows < step)
        ol_log_warn("%s: train/step has rows of %lld of the %lld meta-steps that were made",
                    m->folder.metrics, (long long)rows, (long long)step);
    if (lost[OL_TABLE_SCORE] + lost[OL_TABLE_PREDICTION] == 0)
        return OL_OK;
    ol_log_warn("%s: with rows lost, all target tasks are scored again", m->folder.path);
    choose_rows(step, false, last);
    return ol_tables_cut(m->tables, last);
}

static ol_status open_files(ol_metrics *m, const ol_run_record *record, bool resume, int64_t step,
                            bool scores)
{
    int widest = 0;

    for (int t = 0; t < OL_TABLES; t++)
        widest = m->specs[t]->n > widest ? m->specs[t]->n : widest;
    m->cells = calloc((size_t)widest, sizeof *m->cells);
    m->job = strdup(record->job);
    OL_CHECK(m->cells && m->job, OL_ENOMEM, "metrics: no memory for a row");
    return resume ? reopen(m, record, step, scores)
                  : ol_tables_create(m->folder.metrics, m->specs, OL_TABLES, record, &m->tables);
}

OL_DROPS(ol_metrics, ol_metrics_close)

ol_status ol_metrics_open(const ol_run_folder *folder, int K, const ol_run_record *record,
                          bool resume, int64_t step, bool scores, ol_metrics **out)
{
    OL_AUTO(ol_metrics_drop) ol_metrics *m = calloc(1, sizeof *m);

    *out = NULL;
    OL_CHECK(m, OL_ENOMEM, "metrics: no memory");
    m->K = K;
    m->folder = *folder;
    OL_TRY(ol_metric_tables_create(K, &m->shape));
    m->specs = ol_metric_tables_specs(m->shape);
    OL_TRY(open_files(m, record, resume, step, scores));
    *out = m;
    m = NULL;
    return OL_OK;
}

static ol_status add(ol_metrics *m, int table, const ol_cell *cells)
{
    return ol_tables_append(m->tables, table, cells);
}

ol_status ol_metrics_step(ol_metrics *m, const ol_step_row *row)
{
    const ol_step_report *r = row->report;
    const double rate = row->seconds > 0.0 ? (double)r->tokens / row->seconds : 0.0;

    if (!m)
        return OL_OK;
    const ol_cell cells[] = {
        [OL_STEP_NUMBER] = {.i = row->step},
        [OL_STEP_LOSS_BEFORE] = {.f = r->query_before},
        [OL_STEP_LOSS_AFTER] = {.f = r->query_after},
        [OL_STEP_GRAD_NORM] = {.f = r->grad_norm},
        [OL_STEP_LR] = {.f = row->lr},
        [OL_STEP_SECONDS] = {.f = row->seconds},
        [OL_STEP_SECONDS_INNER] = {.f = r->inner_seconds},
        [OL_STEP_SECONDS_OUTER] = {.f = r->outer_seconds},
        [OL_STEP_SECONDS_COMM] = {.f = r->comm_seconds},
        [OL_STEP_TOKENS] = {.i = r->tokens},
        [OL_STEP_RATE] = {.f = rate},
        [OL_STEP_EPISODES] = {.i = r->episodes},
        [OL_STEP_DROPPED] = {.i = r->dropped},
        [OL_STEP_DIGEST] = {.text = row->digest},
    };

    return add(m, OL_TABLE_STEP, cells);
}

ol_status ol_metrics_episode(ol_metrics *m, int64_t step, const ol_episode_record *record,
                             const double *support_losses, const char *task)
{
    const ol_episode_report *r = &record->report;
    ol_cell *c, *tail;

    if (!m)
        return OL_OK;
    c = m->cells;
    tail = c + m->K;
    c[OL_EPISODE_STEP].i = step;
    c[OL_EPISODE_NUMBER].i = record->episode;
    c[OL_EPISODE_TASK].text = task;
    c[OL_EPISODE_RANK].i = record->rank;
    c[OL_EPISODE_DROPPED].i = record->dropped;
    for (int k = 0; k < m->K; k++)
        c[OL_EPISODE_SUPPORT + k].f = support_losses[k];
    tail[OL_EPISODE_BEFORE].f = r->query_before;
    tail[OL_EPISODE_AFTER].f = r->query_after;
    tail[OL_EPISODE_GRAD_NORM].f = r->grad_norm;
    tail[OL_EPISODE_SECOND_ORDER].f = r->second_order;
    tail[OL_EPISODE_SECONDS].f = record->seconds;
    tail[OL_EPISODE_TOKENS].i = record->tokens;
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
        [OL_OWN_STEP] = {.i = step},   [OL_OWN_NAME] = {.text = name},
        [OL_OWN_LEAST] = {.f = least}, [OL_OWN_MEAN] = {.f = sum / (double)n},
        [OL_OWN_MOST] = {.f = most},
    };

    return add(m, OL_TABLE_OWN, cells);
}

ol_status ol_metrics_phases(ol_metrics *m, int64_t step, const ol_phase_row *rows)
{
    for (int p = 0; p < OL_PHASES && m; p++) {
        const ol_cell cells[] = {
            [OL_PHASE_STEP] = {.i = step},
            [OL_PHASE_NAME] = {.text = ol_phase_names[p]},
            [OL_PHASE_SECONDS] = {.f = rows[p].seconds},
            [OL_PHASE_MOST] = {.f = rows[p].most},
            [OL_PHASE_RANK] = {.i = rows[p].slowest},
            [OL_PHASE_CALLS] = {.i = rows[p].calls},
        };

        OL_TRY(add(m, OL_TABLE_PHASE, cells));
    }
    return OL_OK;
}

ol_status ol_metrics_overlap(ol_metrics *m, const ol_overlap *overlap)
{
    if (!m)
        return OL_OK;
    const ol_cell check[] = {
        [OL_CHECK_NUMBER] = {.i = 1},
        [OL_CHECK_TRAIN_ROWS] = {.i = overlap->train_rows},
        [OL_CHECK_TEST_ROWS] = {.i = overlap->test_rows},
        [OL_CHECK_SAME_TASKS] = {.i = overlap->same_tasks},
        [OL_CHECK_SHARED_ROWS] = {.i = overlap->shared_rows},
    };

    for (int i = 0; i < overlap->n; i++) {
        const ol_overlap_pair *pair = &overlap->pairs[i];
        const ol_cell cells[] = {
            [OL_OVERLAP_PAIR] = {.i = i + 1},
            [OL_OVERLAP_TRAIN] = {.text = pair->train},
            [OL_OVERLAP_TEST] = {.text = pair->test},
            [OL_OVERLAP_SAME_TASK] = {.i = pair->same_task},
            [OL_OVERLAP_ROWS] = {.i = pair->rows},
        };

        OL_TRY(add(m, OL_TABLE_OVERLAP, cells));
    }
    return add(m, OL_TABLE_CHECK, check);
}

ol_status ol_metrics_cuts(ol_metrics *m, const char *role, int n, const ol_task_cut *cuts)
{
    for (int i = 0; m && i < n; i++) {
        const ol_cut *cut = &cuts[i].cut;
        const ol_cell cells[] = {
            [OL_CUT_NUMBER] = {.i = ol_tables_rows(m->tables, OL_TABLE_CUT) + 1},
            [OL_CUT_TASK] = {.text = cuts[i].task},
            [OL_CUT_ROLE] = {.text = role},
            [OL_CUT_ROWS] = {.i = cut->rows},
            [OL_CUT_ROWS_CUT] = {.i = cut->rows_cut},
            [OL_CUT_TOKENS] = {.i = cut->tokens},
            [OL_CUT_TOKENS_CUT] = {.i = cut->tokens_cut},
            [OL_CUT_PROMPTS] = {.i = cut->prompts},
            [OL_CUT_PROMPTS_CUT] = {.i = cut->prompts_cut},
            [OL_CUT_PROMPT_TOKENS] = {.i = cut->prompt_tokens},
            [OL_CUT_PROMPT_TOKENS_CUT] = {.i = cut->prompt_tokens_cut},
        };

        OL_TRY(add(m, OL_TABLE_CUT, cells));
    }
    return OL_OK;
}

ol_status ol_metrics_sink(void *metrics, const ol_table_spec *table, ol_cell *cells)
{
    ol_metrics *m = metrics;
    const int t = table == &ol_eval_score_table ? OL_TABLE_SCORE : OL_TABLE_PREDICTION;

    cells[OL_SCORE_NUMBER].i = ol_tables_rows(m->tables, t);
    return add(m, t, cells);
}

/* A folder that was removed is written anew: metrics by their own, this is the rest. */
static void keep_folder(const ol_metrics *m)
{
    if (!ol_path_exists(m->folder.job)) {
        if (ol_make_folders(m->folder.path) != OL_OK ||
            ol_write_file(m->folder.job, m->job, strlen(m->job)) != OL_OK)
            ol_log_warn("%s", ol_status_message());
        else
            ol_log_warn("%s: was removed; it is written again", m->folder.job);
    }
    if (!ol_path_exists(m->folder.log) && ol_log_open(m->folder.log) != OL_OK)
        ol_log_warn("%s", ol_status_message());
}

void ol_metrics_flush(ol_metrics *m)
{
    if (m && ol_tables_flush_if_due(m->tables))
        keep_folder(m);
}

void ol_metrics_sync(ol_metrics *m)
{
    if (m)
        ol_tables_sync(m->tables);
}

int64_t ol_metrics_rows(const ol_metrics *m, int table)
{
    return m ? ol_tables_rows(m->tables, table) : 0;
}

ol_status ol_metrics_read(const ol_metrics *m, int table, ol_tables_visit *visit, void *payload)
{
    return ol_tables_read(m->tables, table, visit, payload);
}

ol_status ol_metrics_keep_scores(ol_metrics *m, int64_t scores, int64_t predictions)
{
    int64_t last[OL_TABLES];

    if (!m)
        return OL_OK;
    for (int t = 0; t < OL_TABLES; t++)
        last[t] = INT64_MAX;
    last[OL_TABLE_SCORE] = scores - 1; /* their index counts from 0 */
    last[OL_TABLE_PREDICTION] = predictions - 1;
    return ol_tables_cut(m->tables, last);
}

ol_status ol_metrics_close(ol_metrics *m)
{
    ol_status status;

    if (!m)
        return OL_OK;
    if (m->tables)
        keep_folder(m);
    status = ol_tables_destroy(m->tables);
    ol_metric_tables_destroy(m->shape);
    free(m->job);
    free(m->cells);
    free(m);
    return status;
}
