/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metric_columns.h"
#include "outerloop/run/metrics.h"

static const ol_column step_columns[] = {
    [STEP_NUMBER] = {"step", OL_COLUMN_I64, 0, "1", "meta-step", "number of the meta-step, from 1"},
    [STEP_LOSS_BEFORE] =
        {"loss_before", OL_COLUMN_F64, 0, "nat", "query loss before adaptation",
         "mean over episodes of the query loss at the parameters before the meta-step"},
    [STEP_LOSS_AFTER] = {"loss_after", OL_COLUMN_F64, 0, "nat", "query loss after adaptation",
                         "mean over episodes of the query loss after the inner loop"},
    [STEP_GRAD_NORM] = {"grad_norm", OL_COLUMN_F64, 0, "1", "norm of the meta-gradient",
                        "2-norm of the mean gradient over episodes, before clipping"},
    [STEP_LR] = {"lr", OL_COLUMN_F64, 0, "1", "outer learning rate",
                 "rate of this meta-step's outer update"},
    [STEP_SECONDS] = {"seconds", OL_COLUMN_F64, 0, "s", "wall time",
                      "wall time of the meta-step on rank 0"},
    [STEP_SECONDS_INNER] = {"seconds_inner", OL_COLUMN_F64, 0, "s", "time in inner loops",
                            "on rank 0"},
    [STEP_SECONDS_OUTER] = {"seconds_outer", OL_COLUMN_F64, 0, "s", "time in meta-gradients",
                            "query gradients and the adjoint of the inner loops, on rank 0"},
    [STEP_SECONDS_COMM] = {"seconds_comm", OL_COLUMN_F64, 0, "s", "time in communication",
                           "sums over ranks and waiting for them, on rank 0"},
    [STEP_TOKENS] = {"tokens", OL_COLUMN_I64, 0, "1", "tokens",
                     "support and query tokens of all episodes"},
    [STEP_RATE] = {"tokens_per_second", OL_COLUMN_F64, 0, "token/s", "throughput",
                   "tokens over wall time"},
    [STEP_EPISODES] = {"episodes", OL_COLUMN_I64, 0, "1", "episodes", "episodes of the meta-step"},
    [STEP_DROPPED] = {"dropped", OL_COLUMN_I64, 0, "1", "episodes dropped",
                      "episodes left out because a loss was not finite"},
    [STEP_DIGEST] =
        {"digest", OL_COLUMN_TEXT, 32, "1", "digest of the parameters",
         "XXH3-128 of the parameters after the meta-step: equal digests mean equal bits"},
};

static const char *const step_auxiliary[] = {"loss_before", NULL};

static const ol_table_spec step_table = {
    .path = "train/step",
    .title = "Meta-steps",
    .description = "one row a meta-step",
    .columns = step_columns,
    .n = sizeof step_columns / sizeof *step_columns,
    .signal = "loss_after",
    .auxiliary = step_auxiliary,
};

static const ol_column own_columns[] = {
    [OWN_STEP] = {"step", OL_COLUMN_I64, 0, "1", "meta-step", "number of the meta-step, from 1"},
    [OWN_NAME] = {"name", OL_COLUMN_TEXT, 16, "1", "name", "what the parameters are: rates"},
    [OWN_LEAST] = {"least", OL_COLUMN_F64, 0, "1", "least", "after the meta-step"},
    [OWN_MEAN] = {"mean", OL_COLUMN_F64, 0, "1", "mean", "after the meta-step"},
    [OWN_MOST] = {"most", OL_COLUMN_F64, 0, "1", "most", "after the meta-step"},
};

static const char *const own_auxiliary[] = {"least", "most", NULL};

static const ol_table_spec own_table = {
    .path = "train/own",
    .title = "Outer parameters of the learner's own",
    .description = "one row a meta-step; none of learners without parameters of their own",
    .columns = own_columns,
    .n = sizeof own_columns / sizeof *own_columns,
    .signal = "mean",
    .auxiliary = own_auxiliary,
};

static const ol_column phase_columns[] = {
    [PHASE_STEP] = {"step", OL_COLUMN_I64, 0, "1", "meta-step", "number of the meta-step, from 1"},
    [PHASE_NAME] = {"phase", OL_COLUMN_TEXT, 16, "1", "phase",
                    "what ranks were at; phases do not overlap, and with the phase other their "
                    "seconds are all of the meta-step's, checkpoint and metrics included"},
    [PHASE_SECONDS] = {"seconds", OL_COLUMN_F64, 0, "s", "time in the phase", "mean over ranks"},
    [PHASE_MOST] = {"seconds_most", OL_COLUMN_F64, 0, "s", "time in the phase",
                    "of the rank that was in it longest"},
    [PHASE_RANK] = {"slowest_rank", OL_COLUMN_I64, 0, "1", "rank that was in it longest", ""},
    [PHASE_CALLS] = {"calls", OL_COLUMN_I64, 0, "1", "times it was entered", "sum over ranks"},
};

static const char *const phase_auxiliary[] = {"seconds_most", NULL};

static const ol_table_spec phase_table = {
    .path = "train/phase",
    .title = "Where the seconds of meta-steps go",
    .description = "one row a phase of a meta-step; none where train.timers is false",
    .columns = phase_columns,
    .n = sizeof phase_columns / sizeof *phase_columns,
    .signal = "seconds",
    .auxiliary = phase_auxiliary,
};

static const ol_column episode_head[EPISODE_COLUMNS] = {
    [EPISODE_STEP] = {"step", OL_COLUMN_I64, 0, "1", "meta-step",
                      "number of the meta-step, from 1"},
    [EPISODE_NUMBER] = {"episode", OL_COLUMN_I64, 0, "1", "episode",
                        "number within the meta-step, from 0"},
    [EPISODE_TASK] = {"task", OL_COLUMN_TEXT, 96, "1", "task", "training task that was drawn"},
    [EPISODE_RANK] = {"rank", OL_COLUMN_I64, 0, "1", "rank", "rank that ran the episode"},
    [EPISODE_DROPPED] = {"dropped", OL_COLUMN_I64, 0, "1", "dropped",
                         "1 when a loss was not finite, else 0"},
};

static const ol_column episode_tail[TAIL_COLUMNS] = {
    [TAIL_BEFORE] = {"query_loss_before", OL_COLUMN_F64, 0, "nat", "query loss before adaptation",
                     "at the parameters before the meta-step"},
    [TAIL_AFTER] = {"query_loss_after", OL_COLUMN_F64, 0, "nat", "query loss after adaptation",
                    "after the inner loop"},
    [TAIL_GRAD_NORM] = {"grad_norm", OL_COLUMN_F64, 0, "1", "norm of the episode's gradient",
                        "2-norm"},
    [TAIL_SECOND_ORDER] = {"second_order_share", OL_COLUMN_F64, 0, "1", "second-order share",
                           "norm of the gradient minus the first-order one, over the norm of that; "
                           "NaN when not asked "
                           "for"},
    [TAIL_SECONDS] = {"seconds", OL_COLUMN_F64, 0, "s", "wall time", "of the episode on its rank"},
    [TAIL_TOKENS] = {"tokens", OL_COLUMN_I64, 0, "1", "tokens", "support and query tokens"},
};

static const char *const episode_auxiliary[] = {"query_loss_before", NULL};

static const ol_column overlap_columns[] = {
    [OVERLAP_PAIR] = {"pair", OL_COLUMN_I64, 0, "1", "pair", "number of the pair, from 1"},
    [OVERLAP_TRAIN] = {"train_task", OL_COLUMN_TEXT, 0, "1", "training task", ""},
    [OVERLAP_TEST] = {"test_task", OL_COLUMN_TEXT, 0, "1", "test task", ""},
    [OVERLAP_SAME_TASK] = {"same_task", OL_COLUMN_I64, 0, "1", "same task",
                           "1 when the two are one task"},
    [OVERLAP_ROWS] = {"shared_rows", OL_COLUMN_I64, 0, "1", "shared rows",
                      "distinct rows of the test task's test files that the training file holds"},
};

static const ol_table_spec overlap_table = {
    .path = "data/overlap",
    .title = "Overlap of training and test tasks",
    .description = "one row a pair of tasks that share a name or rows; none when there is no "
                   "overlap (how much was compared is in data/check)",
    .columns = overlap_columns,
    .n = sizeof overlap_columns / sizeof *overlap_columns,
};

static const ol_column check_columns[] = {
    [CHECK_NUMBER] = {"check", OL_COLUMN_I64, 0, "1", "check", "number of the check, from 1"},
    [CHECK_TRAIN_ROWS] = {"train_rows", OL_COLUMN_I64, 0, "1", "training rows",
                          "rows of training files compared"},
    [CHECK_TEST_ROWS] = {"test_rows", OL_COLUMN_I64, 0, "1", "test rows",
                         "distinct test rows compared"},
    [CHECK_SAME_TASKS] = {"same_tasks", OL_COLUMN_I64, 0, "1", "tasks in both lists", ""},
    [CHECK_SHARED_ROWS] = {"shared_rows", OL_COLUMN_I64, 0, "1", "shared rows",
                           "distinct test rows that stand in any training file"},
};

static const ol_table_spec check_table = {
    .path = "data/check",
    .title = "What the overlap check compared",
    .columns = check_columns,
    .n = sizeof check_columns / sizeof *check_columns,
};

static const ol_column cut_columns[] = {
    [CUT_NUMBER] = {"number", OL_COLUMN_I64, 0, "1", "number", "number of the row, from 1"},
    [CUT_TASK] = {"task", OL_COLUMN_TEXT, 0, "1", "task", ""},
    [CUT_ROLE] = {"role", OL_COLUMN_TEXT, 8, "1", "role", "train, or target"},
    [CUT_ROWS] = {"rows", OL_COLUMN_I64, 0, "1", "examples",
                  "distinct training rows; k-shot and test rows of a target, over its seeds"},
    [CUT_ROWS_CUT] = {"rows_cut", OL_COLUMN_I64, 0, "1", "examples cut",
                      "those that lose part of their input to data.max_tokens_per_example"},
    [CUT_TOKENS] = {"tokens", OL_COLUMN_I64, 0, "1", "tokens of examples",
                    "uncut, with the longest option"},
    [CUT_TOKENS_CUT] = {"tokens_cut", OL_COLUMN_I64, 0, "1", "tokens cut of examples", ""},
    [CUT_PROMPTS] =
        {"prompts", OL_COLUMN_I64, 0, "1", "prompts",
         "all that training draws; all that scoring and adapting a target take, over its seeds"},
    [CUT_PROMPTS_CUT] = {"prompts_cut", OL_COLUMN_I64, 0, "1", "prompts cut",
                         "those that lose their first tokens to data.max_tokens"},
    [CUT_PROMPT_TOKENS] = {"prompt_tokens", OL_COLUMN_I64, 0, "1", "tokens of prompts",
                           "of the examples as cut"},
    [CUT_PROMPT_TOKENS_CUT] = {"prompt_tokens_cut", OL_COLUMN_I64, 0, "1", "tokens cut of prompts",
                               ""},
};

static const ol_table_spec cut_table = {
    .path = "data/cut",
    .title = "What the caps on tokens cut",
    .description = "one row a task and role, counted before anything starts",
    .columns = cut_columns,
    .n = sizeof cut_columns / sizeof *cut_columns,
};

struct ol_metric_tables {
    ol_table_spec episode;
    const ol_table_spec *specs[OL_TABLES];
    char (*names)[48];  /* [K] */
    char (*texts)[80];  /* [K] */
    ol_column *columns; /* [EPISODE_COLUMNS + K + TAIL_COLUMNS] */
};

static void describe_episodes(int K, ol_metric_tables *t)
{
    ol_column *c = t->columns;

    memcpy(c, episode_head, sizeof episode_head);
    c += EPISODE_COLUMNS;
    for (int k = 0; k < K; k++) {
        snprintf(t->names[k], sizeof t->names[k], "support_loss_%d", k);
        snprintf(t->texts[k], sizeof t->texts[k], "support loss before inner step %d", k + 1);
        *c++ = (ol_column){t->names[k], OL_COLUMN_F64, 0,
                           "nat",       t->texts[k],   "mean over the support prompts"};
    }
    memcpy(c, episode_tail, sizeof episode_tail);
    t->episode = (ol_table_spec){.path = "train/episode",
                                 .title = "Episodes",
                                 .description = "one row an episode: a task in a meta-step",
                                 .columns = t->columns,
                                 .n = EPISODE_COLUMNS + K + TAIL_COLUMNS,
                                 .signal = "query_loss_after",
                                 .auxiliary = episode_auxiliary};
}

ol_status ol_metric_tables_create(int K, ol_metric_tables **out)
{
    ol_metric_tables *t = calloc(1, sizeof *t);
    const size_t k = K > 0 ? (size_t)K : 1;

    *out = t;
    OL_CHECK(t, OL_ENOMEM, "metrics: no memory for the tables");
    t->names = calloc(k, sizeof *t->names);
    t->texts = calloc(k, sizeof *t->texts);
    t->columns = calloc(k + EPISODE_COLUMNS + TAIL_COLUMNS, sizeof *t->columns);
    if (!t->names || !t->texts || !t->columns) {
        ol_metric_tables_destroy(t);
        *out = NULL;
        return ol_fail(OL_ENOMEM, "metrics: no memory for the tables");
    }
    describe_episodes(K, t);
    t->specs[OL_TABLE_STEP] = &step_table;
    t->specs[OL_TABLE_EPISODE] = &t->episode;
    t->specs[OL_TABLE_OWN] = &own_table;
    t->specs[OL_TABLE_PHASE] = &phase_table;
    t->specs[OL_TABLE_SCORE] = &ol_eval_score_table;
    t->specs[OL_TABLE_PREDICTION] = &ol_eval_prediction_table;
    t->specs[OL_TABLE_OVERLAP] = &overlap_table;
    t->specs[OL_TABLE_CHECK] = &check_table;
    t->specs[OL_TABLE_CUT] = &cut_table;
    return OL_OK;
}

void ol_metric_tables_destroy(ol_metric_tables *t)
{
    if (!t)
        return;
    free(t->names);
    free(t->texts);
    free(t->columns);
    free(t);
}

const ol_table_spec *const *ol_metric_tables_specs(const ol_metric_tables *t)
{
    return t->specs;
}
