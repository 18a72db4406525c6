/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows that an evaluation leaves in metrics. */
#include "outerloop/run/evaluate.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

/* What both tables begin with. */
#define KEY_COLUMNS                                                                                \
    [OL_SCORE_NUMBER] = {"number", OL_COLUMN_I64, 0, "1", "number", "number of the row, from 0"},  \
    [OL_SCORE_STAGE] =                                                                             \
        {"stage", OL_COLUMN_TEXT,                                                                  \
         8,       "1",                                                                             \
         "stage", "eval: in context; pmi: in context, by PMI; adapt: after adaptation steps"},     \
    [OL_SCORE_LEARNER] = {"learner", OL_COLUMN_TEXT,                                               \
                          0,         "1",                                                          \
                          "learner", "untrained, or the arm that trained the model"},              \
    [OL_SCORE_TASK] = {"task", OL_COLUMN_TEXT, 0, "1", "task", "target task"},                     \
    [OL_SCORE_SEED] = {"seed", OL_COLUMN_I64, 0, "1", "seed", "seed of the k-shot file"},          \
    [OL_SCORE_STEPS] = {"adapt_steps",                                                             \
                        OL_COLUMN_I64,                                                             \
                        0,                                                                         \
                        "1",                                                                       \
                        "adaptation steps",                                                        \
                        "inner steps taken before scoring; -1 of stage pmi, which takes none"}

static const ol_column score_columns[] = {
    KEY_COLUMNS,
    [OL_SCORE_METRIC] = {"metric", OL_COLUMN_TEXT, 12, "1", "metric",
                         "macro_f1 for classification, else accuracy"},
    [OL_SCORE_SCORE] = {"score", OL_COLUMN_F64, 0, "1", "score", "value of the metric, 0 to 1"},
    [OL_SCORE_ROWS] = {"rows", OL_COLUMN_I64, 0, "1", "test rows", "rows scored"},
    [OL_SCORE_UNSEEN] = {"unseen_domain", OL_COLUMN_I64, 0, "1", "unseen domain",
                         "1: in unseen_domain_test"},
    [OL_SCORE_GROUP] = {"group", OL_COLUMN_TEXT, 0, "1", "group of targets",
                        "as the setting's groups say, or empty"},
    [OL_SCORE_SUPPORT] = {"support_loss", OL_COLUMN_F64, 0, "nat", "support loss",
                          "mean loss of the leave-one-out prompts before the last step"},
    [OL_SCORE_DIVERGED] = {"diverged", OL_COLUMN_I64, 0, "1", "diverged",
                           "1: a loss was not finite"},
    [OL_SCORE_SECONDS] = {"seconds", OL_COLUMN_F64, 0, "s", "seconds",
                          "adapting from the count before, and scoring"},
    [OL_SCORE_CALIBRATION] =
        {"calibration_error", OL_COLUMN_F64, 0, "1", "expected calibration error",
         "over 10 bins of the confidence, the softmax over minus option losses; 0 to 1"},
    [OL_SCORE_CHANCE] = {"chance", OL_COLUMN_F64, 0, "1", "score of guessing",
                         "in the same metric"},
    [OL_SCORE_MAJORITY] = {"majority", OL_COLUMN_F64, 0, "1", "score of the commonest answer",
                           "in the same metric, always giving the commonest right answer; NaN "
                           "where not every row has "
                           "it"},
};

static const ol_column prediction_columns[] = {
    KEY_COLUMNS,
    [OL_PREDICTION_ROW] =
        {"row", OL_COLUMN_I64, 0, "1", "test row",
         "row of the test file, from 0, not counting those that cannot be scored"},
    [OL_PREDICTION_LOSSES] = {"option_losses", OL_COLUMN_LIST, 0, "nat", "option losses",
                              "mean loss of the scored piece under each option, in the row's "
                              "order; of stage pmi less that "
                              "of the same option after the input N/A"},
    [OL_PREDICTION_PREDICTED_INDEX] =
        {"predicted_index", OL_COLUMN_I64, 0, "1", "predicted index",
         "index of the option of the lowest loss, -1 when no loss is a number"},
    [OL_PREDICTION_GOLD_INDEX] = {"gold_index", OL_COLUMN_I64, 0, "1", "gold index",
                                  "index of the right option"},
    [OL_PREDICTION_PREDICTED] = {"predicted", OL_COLUMN_TEXT, 0, "1", "predicted option",
                                 "its text"},
    [OL_PREDICTION_GOLD] = {"gold", OL_COLUMN_TEXT, 0, "1", "gold option", "its text"},
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
    ol_cell cells[COUNT(score_columns)] = {{0}};

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
    ol_cell cells[COUNT(prediction_columns)] = {{0}};

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
