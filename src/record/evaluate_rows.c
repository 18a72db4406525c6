/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows that an evaluation leaves in metrics. */
#include "outerloop/record/metric_columns.h"
#include "outerloop/record/metrics.h"

/* One scoring of one item, and what its rows share. */
typedef struct place {
    const char *learner;
    const char *task;
    bool unseen;
    const char *group;
    int seed;
    const ol_eval_result *result;
    const ol_eval_scoring *scoring;
} place;

/* What both tables begin with, in the same columns. */
static void fill_key(const place *p, ol_cell *cells)
{
    cells[OL_SCORE_STAGE].text = p->scoring->steps == OL_STEPS_PMI ? "pmi"
                                 : p->scoring->steps > 0           ? "adapt"
                                                                   : "eval";
    cells[OL_SCORE_LEARNER].text = p->learner;
    cells[OL_SCORE_TASK].text = p->task;
    cells[OL_SCORE_SEED].i = p->seed;
    cells[OL_SCORE_STEPS].i = p->scoring->steps;
}

static ol_status store_score(const place *p, ol_row_sink *sink, void *payload)
{
    ol_cell cells[OL_SCORE_COLUMNS] = {{0}};

    fill_key(p, cells);
    cells[OL_SCORE_METRIC].text = ol_metric_name(p->result->metric);
    cells[OL_SCORE_SCORE].f = p->scoring->score;
    cells[OL_SCORE_ROWS].i = p->result->rows;
    cells[OL_SCORE_UNSEEN].i = p->unseen;
    cells[OL_SCORE_GROUP].text = p->group;
    cells[OL_SCORE_SUPPORT].f = p->scoring->support;
    cells[OL_SCORE_DIVERGED].i = p->scoring->diverged;
    cells[OL_SCORE_SECONDS].f = p->scoring->seconds;
    cells[OL_SCORE_CALIBRATION].f = p->scoring->calibration;
    cells[OL_SCORE_CHANCE].f = p->result->chance;
    cells[OL_SCORE_MAJORITY].f = p->result->majority;
    return sink(payload, &ol_eval_score_table, cells);
}

static ol_status store_prediction(const place *p, int row, ol_row_sink *sink, void *payload)
{
    const int first = p->result->offsets[row];
    const int predicted = p->scoring->predicted[row], gold = p->result->gold[row];
    ol_cell cells[OL_PREDICTION_COLUMNS] = {{0}};

    fill_key(p, cells);
    cells[OL_PREDICTION_ROW].i = row;
    cells[OL_PREDICTION_LOSSES].list.values = p->scoring->losses + first;
    cells[OL_PREDICTION_LOSSES].list.n = (size_t)(p->result->offsets[row + 1] - first);
    cells[OL_PREDICTION_PREDICTED_INDEX].i = predicted;
    cells[OL_PREDICTION_GOLD_INDEX].i = gold;
    cells[OL_PREDICTION_PREDICTED].text =
        predicted < 0 ? "" : p->result->options[first + predicted];
    cells[OL_PREDICTION_GOLD].text = gold < 0 ? "" : p->result->options[first + gold];
    return sink(payload, &ol_eval_prediction_table, cells);
}

ol_status ol_evaluation_store(const ol_evaluation *evaluation, const ol_evaluation_spec *spec,
                              const char *learner, ol_row_sink *sink, void *payload)
{
    for (int i = 0; i < evaluation->n; i++) {
        const int task = spec->first + i / spec->n_seeds;
        place p = {.learner = learner,
                   .task = spec->tasks[task],
                   .unseen = spec->unseen && spec->unseen[task],
                   .group = spec->groups ? spec->groups[task] : "",
                   .seed = spec->seeds[i % spec->n_seeds],
                   .result = &evaluation->results[i]};

        for (int k = 0; k < p.result->n; k++) {
            p.scoring = &p.result->scorings[k];
            OL_TRY(store_score(&p, sink, payload));
            for (int row = 0; row < p.result->rows; row++)
                OL_TRY(store_prediction(&p, row, sink, payload));
        }
    }
    return OL_OK;
}
