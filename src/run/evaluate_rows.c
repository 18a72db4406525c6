/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows that an evaluation leaves in metrics. */
#include "outerloop/run/evaluate.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static const ol_column score_columns[] = {
    {"number", OL_COLUMN_I64, 0, "1", "number", "number of the row, from 0"},
    {"stage", OL_COLUMN_TEXT, 8, "1", "stage",
     "eval: in context; pmi: in context, by PMI; adapt: after adaptation steps"},
    {"learner", OL_COLUMN_TEXT, 0, "1", "learner", "untrained, or the arm that trained the model"},
    {"task", OL_COLUMN_TEXT, 0, "1", "task", "target task"},
    {"seed", OL_COLUMN_I64, 0, "1", "seed", "seed of the k-shot file"},
    {"adapt_steps", OL_COLUMN_I64, 0, "1", "adaptation steps",
     "inner steps taken before scoring; -1 of stage pmi, which takes none"},
    {"metric", OL_COLUMN_TEXT, 12, "1", "metric", "macro_f1 for classification, else accuracy"},
    {"score", OL_COLUMN_F64, 0, "1", "score", "value of the metric, 0 to 1"},
    {"rows", OL_COLUMN_I64, 0, "1", "test rows", "rows scored"},
    {"unseen_domain", OL_COLUMN_I64, 0, "1", "unseen domain", "1: in unseen_domain_test"},
    {"group", OL_COLUMN_TEXT, 0, "1", "group of targets", "as the setting's groups say, or empty"},
    {"support_loss", OL_COLUMN_F64, 0, "nat", "support loss",
     "mean loss of the leave-one-out prompts before the last step"},
    {"diverged", OL_COLUMN_I64, 0, "1", "diverged", "1: a loss was not finite"},
    {"seconds", OL_COLUMN_F64, 0, "s", "seconds", "adapting from the count before, and scoring"},
    {"calibration_error", OL_COLUMN_F64, 0, "1", "expected calibration error",
     "over 10 bins of the confidence, the softmax over minus option losses; 0 to 1"},
    {"chance", OL_COLUMN_F64, 0, "1", "score of guessing", "in the same metric"},
    {"majority", OL_COLUMN_F64, 0, "1", "score of the commonest answer",
     "in the same metric, always giving the commonest right answer; NaN where not every row has "
     "it"},
};

static const ol_column prediction_columns[] = {
    {"number", OL_COLUMN_I64, 0, "1", "number", "number of the row, from 0"},
    {"stage", OL_COLUMN_TEXT, 8, "1", "stage",
     "eval: in context; pmi: in context, by PMI; adapt: after adaptation steps"},
    {"learner", OL_COLUMN_TEXT, 0, "1", "learner", "untrained, or the arm that trained the model"},
    {"task", OL_COLUMN_TEXT, 0, "1", "task", "target task"},
    {"seed", OL_COLUMN_I64, 0, "1", "seed", "seed of the k-shot file"},
    {"adapt_steps", OL_COLUMN_I64, 0, "1", "adaptation steps",
     "inner steps taken before scoring; -1 of stage pmi, which takes none"},
    {"row", OL_COLUMN_I64, 0, "1", "test row",
     "row of the test file, from 0, not counting those that cannot be scored"},
    {"option_losses", OL_COLUMN_LIST, 0, "nat", "option losses",
     "mean loss of the scored piece under each option, in the row's order; of stage pmi less that "
     "of the same option after the input N/A"},
    {"predicted_index", OL_COLUMN_I64, 0, "1", "predicted index",
     "index of the option of the lowest loss, -1 when no loss is a number"},
    {"gold_index", OL_COLUMN_I64, 0, "1", "gold index", "index of the right option"},
    {"predicted", OL_COLUMN_TEXT, 0, "1", "predicted option", "its text"},
    {"gold", OL_COLUMN_TEXT, 0, "1", "gold option", "its text"},
};

const ol_table_spec ol_eval_score_table = {
    .path = "eval/score",
    .title = "Scores of target tasks",
    .description = "one row per stage, learner, task, seed and adaptation steps",
    .columns = score_columns,
    .n = COUNT(score_columns),
    .signal = "score"};

const ol_table_spec ol_eval_prediction_table = {
    .path = "eval/prediction",
    .title = "Predictions for test rows of target tasks",
    .description = "one row per stage, learner, task, seed, adaptation steps and test row",
    .columns = prediction_columns,
    .n = COUNT(prediction_columns)};

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

/* Cells 1 to 5, which both tables begin with. */
static void fill_key(const place *p, ol_cell *cells)
{
    cells[1].text = p->scoring->steps == OL_STEPS_PMI ? "pmi"
                    : p->scoring->steps > 0           ? "adapt"
                                                      : "eval";
    cells[2].text = p->learner;
    cells[3].text = p->task;
    cells[4].i = p->seed;
    cells[5].i = p->scoring->steps;
}

static ol_status store_score(const place *p, ol_row_sink *sink, void *payload)
{
    ol_cell cells[COUNT(score_columns)] = {{0}};

    fill_key(p, cells);
    cells[6].text = ol_metric_name(p->result->metric);
    cells[7].f = p->scoring->score;
    cells[8].i = p->result->rows;
    cells[9].i = p->unseen;
    cells[10].text = p->group;
    cells[11].f = p->scoring->support;
    cells[12].i = p->scoring->diverged;
    cells[13].f = p->scoring->seconds;
    cells[14].f = p->scoring->calibration;
    cells[15].f = p->result->chance;
    cells[16].f = p->result->majority;
    return sink(payload, &ol_eval_score_table, cells);
}

static ol_status store_prediction(const place *p, int row, ol_row_sink *sink, void *payload)
{
    const int first = p->result->offsets[row];
    const int predicted = p->scoring->predicted[row], gold = p->result->gold[row];
    ol_cell cells[COUNT(prediction_columns)] = {{0}};

    fill_key(p, cells);
    cells[6].i = row;
    cells[7].list.values = p->scoring->losses + first;
    cells[7].list.n = (size_t)(p->result->offsets[row + 1] - first);
    cells[8].i = predicted;
    cells[9].i = gold;
    cells[10].text = predicted < 0 ? "" : p->result->options[first + predicted];
    cells[11].text = gold < 0 ? "" : p->result->options[first + gold];
    return sink(payload, &ol_eval_prediction_table, cells);
}

static place place_of(const ol_evaluation *evaluation, const ol_evaluation_spec *spec, int item)
{
    const int task = item / spec->n_seeds;

    return (place){.task = spec->tasks[task],
                   .unseen = spec->unseen && spec->unseen[task],
                   .group = spec->groups ? spec->groups[task] : "",
                   .seed = spec->seeds[item % spec->n_seeds],
                   .result = &evaluation->results[item]};
}

ol_status ol_evaluation_store(const ol_evaluation *evaluation, const ol_evaluation_spec *spec,
                              const char *learner, ol_row_sink *sink, void *payload)
{
    for (int i = 0; i < evaluation->n; i++) {
        place p = place_of(evaluation, spec, i);
        p.learner = learner;
        for (int k = 0; k < p.result->n; k++) {
            p.scoring = &p.result->scorings[k];
            OL_TRY(store_score(&p, sink, payload));
            for (int row = 0; row < p.result->rows; row++)
                OL_TRY(store_prediction(&p, row, sink, payload));
        }
    }
    return OL_OK;
}
