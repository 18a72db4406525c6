/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_ALLOCATE */
#include "outerloop/record/metric_columns.h"
#include "outerloop/record/metrics.h"

#define COLUMN(number, ...) {__VA_ARGS__},
#define OF(table) .columns = table, .n = sizeof table / sizeof *table
#define NAMES(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static const ol_column step_columns[] = {OL_STEP_TABLE(COLUMN)};
static const ol_column episode_columns[] = {OL_EPISODE_HEAD(COLUMN) OL_EPISODE_TAIL(COLUMN)};
static const ol_column own_columns[] = {OL_OWN_TABLE(COLUMN)};
static const ol_column phase_columns[] = {OL_PHASE_TABLE(COLUMN)};
static const ol_column overlap_columns[] = {OL_OVERLAP_TABLE(COLUMN)};
static const ol_column check_columns[] = {OL_CHECK_TABLE(COLUMN)};
static const ol_column cut_columns[] = {OL_CUT_TABLE(COLUMN)};
static const ol_column score_columns[] = {OL_SCORE_TABLE(COLUMN)};
static const ol_column prediction_columns[] = {OL_PREDICTION_TABLE(COLUMN)};

const ol_table_spec ol_step_table = {.path = "train/step",
                                     .title = "Meta-steps",
                                     .description = "one row a meta-step",
                                     OF(step_columns),
                                     .signal = "loss_after",
                                     .auxiliary = NAMES("loss_before")};

const ol_table_spec ol_episode_table = {.path = "train/episode",
                                        .title = "Episodes",
                                        .description = "one row an episode: a task in a meta-step",
                                        OF(episode_columns),
                                        .signal = "query_loss_after",
                                        .auxiliary = NAMES("query_loss_before")};

const ol_table_spec ol_own_table = {
    .path = "train/own",
    .title = "Outer parameters of the learner's own",
    .description = "one row a meta-step; none of learners without parameters of their own",
    OF(own_columns),
    .signal = "mean",
    .auxiliary = NAMES("least", "most")};

static const ol_table_spec phase_table = {
    .path = "train/phase",
    .title = "Where the seconds of meta-steps go",
    .description = "one row a phase of a meta-step; none where train.timers is false",
    OF(phase_columns),
    .signal = "seconds",
    .auxiliary = NAMES("seconds_most")};

static const ol_table_spec overlap_table = {
    .path = "data/overlap",
    .title = "Overlap of training and test tasks",
    .description = "one row a pair of tasks that share a name or rows; none when there is no "
                   "overlap (how much was compared is in data/check)",
    OF(overlap_columns)};

static const ol_table_spec check_table = {
    .path = "data/check", .title = "What the overlap check compared", OF(check_columns)};

static const ol_table_spec cut_table = {
    .path = "data/cut",
    .title = "What the caps on tokens cut",
    .description = "one row a task and role, counted before anything starts",
    OF(cut_columns)};

const ol_table_spec ol_eval_score_table = {
    .path = "eval/score",
    .title = "Scores of target tasks",
    .description = "one row per stage, learner, task, seed and adaptation steps",
    OF(score_columns),
    .signal = "score"};

const ol_table_spec ol_eval_prediction_table = {
    .path = "eval/prediction",
    .title = "Predictions for test rows of target tasks",
    .description = "one row per stage, learner, task, seed, adaptation steps and test row",
    OF(prediction_columns)};

struct ol_metric_tables {
    ol_table_spec episode;
    const ol_table_spec *specs[OL_TABLES];
    char (*names)[48];  /* [K] */
    char (*texts)[80];  /* [K] */
    ol_column *columns; /* [OL_EPISODE_COLUMNS + K] */
};

static void describe_episodes(int K, ol_metric_tables *t)
{
    ol_column *c = t->columns;

    memcpy(c, episode_columns, OL_EPISODE_SUPPORT * sizeof *c);
    c += OL_EPISODE_SUPPORT;
    for (int k = 0; k < K; k++) {
        snprintf(t->names[k], sizeof t->names[k], "support_loss_%d", k);
        snprintf(t->texts[k], sizeof t->texts[k], "support loss before inner step %d", k + 1);
        *c++ = (ol_column){t->names[k], OL_COLUMN_F64, 0,
                           "nat",       t->texts[k],   "mean over the support prompts"};
    }
    memcpy(c, episode_columns + OL_EPISODE_SUPPORT,
           (OL_EPISODE_COLUMNS - OL_EPISODE_SUPPORT) * sizeof *c);
    t->episode = ol_episode_table;
    t->episode.columns = t->columns;
    t->episode.n += K;
}

ol_status ol_metric_tables_create(int K, ol_metric_tables **out)
{
    OL_AUTO(ol_metric_tables_drop) ol_metric_tables *t = NULL;

    *out = NULL;
    OL_TRY(OL_ALLOCATE(t, 1, "tables of metrics"));
    OL_TRY(OL_ALLOCATE(t->names, K, "columns of metrics"));
    OL_TRY(OL_ALLOCATE(t->texts, K, "columns of metrics"));
    OL_TRY(OL_ALLOCATE(t->columns, K + OL_EPISODE_COLUMNS, "columns of metrics"));
    describe_episodes(K, t);
    t->specs[OL_TABLE_STEP] = &ol_step_table;
    t->specs[OL_TABLE_EPISODE] = &t->episode;
    t->specs[OL_TABLE_OWN] = &ol_own_table;
    t->specs[OL_TABLE_PHASE] = &phase_table;
    t->specs[OL_TABLE_SCORE] = &ol_eval_score_table;
    t->specs[OL_TABLE_PREDICTION] = &ol_eval_prediction_table;
    t->specs[OL_TABLE_OVERLAP] = &overlap_table;
    t->specs[OL_TABLE_CHECK] = &check_table;
    t->specs[OL_TABLE_CUT] = &cut_table;
    *out = t;
    t = NULL;
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
