/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/record/metric_columns.h
 * Every column of the tables of metrics, said once: its number here, and what files say of it
 * (ol_column). metric_tables.c makes the tables of them; who fills in rows or reads them goes by the
 * numbers.
 */
#ifndef OUTERLOOP_RECORD_METRIC_COLUMNS_H
#define OUTERLOOP_RECORD_METRIC_COLUMNS_H

#include "outerloop/store/table.h" /* ol_table_spec */

/* train/step */
#define OL_STEP_TABLE(X)                                                                           \
    X(OL_STEP_NUMBER, "step", OL_COLUMN_I64, 0, "1", "meta-step",                                  \
      "number of the meta-step, from 1")                                                           \
    X(OL_STEP_LOSS_BEFORE, "loss_before", OL_COLUMN_F64, 0, "nat", "query loss before adaptation", \
      "mean over episodes of the query loss at the parameters before the meta-step; NaN where "    \
      "not measured (train.before_every)")                                                         \
    X(OL_STEP_LOSS_AFTER, "loss_after", OL_COLUMN_F64, 0, "nat", "query loss after adaptation",    \
      "mean over episodes of the query loss after the inner loop")                                 \
    X(OL_STEP_GRAD_NORM, "grad_norm", OL_COLUMN_F64, 0, "1", "norm of the meta-gradient",          \
      "2-norm of the mean gradient over episodes, before clipping")                                \
    X(OL_STEP_LR, "lr", OL_COLUMN_F64, 0, "1", "outer learning rate",                              \
      "rate of this meta-step's outer update")                                                     \
    X(OL_STEP_SECONDS, "seconds", OL_COLUMN_F64, 0, "s", "wall time",                              \
      "wall time of the meta-step on rank 0")                                                      \
    X(OL_STEP_SECONDS_INNER, "seconds_inner", OL_COLUMN_F64, 0, "s", "time in inner loops",        \
      "on rank 0")                                                                                 \
    X(OL_STEP_SECONDS_OUTER, "seconds_outer", OL_COLUMN_F64, 0, "s", "time in meta-gradients",     \
      "query gradients and the adjoint of the inner loops, on rank 0")                             \
    X(OL_STEP_SECONDS_COMM, "seconds_comm", OL_COLUMN_F64, 0, "s", "time in communication",        \
      "sums over ranks and waiting for them, on rank 0")                                           \
    X(OL_STEP_TOKENS, "tokens", OL_COLUMN_I64, 0, "1", "tokens",                                   \
      "support and query tokens of all episodes")                                                  \
    X(OL_STEP_RATE, "tokens_per_second", OL_COLUMN_F64, 0, "token/s", "throughput",                \
      "tokens over wall time")                                                                     \
    X(OL_STEP_EPISODES, "episodes", OL_COLUMN_I64, 0, "1", "episodes",                             \
      "episodes of the meta-step")                                                                 \
    X(OL_STEP_DROPPED, "dropped", OL_COLUMN_I64, 0, "1", "episodes dropped",                       \
      "episodes left out because a loss was not finite")                                           \
    X(OL_STEP_DIGEST, "digest", OL_COLUMN_TEXT, 32, "1", "digest of the parameters",               \
      "XXH3-128 of the parameters after the meta-step: equal digests mean equal bits")

/* train/episode; between the two parts stands a support loss for each inner step */
#define OL_EPISODE_HEAD(X)                                                                         \
    X(OL_EPISODE_STEP, "step", OL_COLUMN_I64, 0, "1", "meta-step",                                 \
      "number of the meta-step, from 1")                                                           \
    X(OL_EPISODE_NUMBER, "episode", OL_COLUMN_I64, 0, "1", "episode",                              \
      "number within the meta-step, from 0")                                                       \
    X(OL_EPISODE_TASK, "task", OL_COLUMN_TEXT, 96, "1", "task", "training task that was drawn")    \
    X(OL_EPISODE_RANK, "rank", OL_COLUMN_I64, 0, "1", "rank", "rank that ran the episode")         \
    X(OL_EPISODE_DROPPED, "dropped", OL_COLUMN_I64, 0, "1", "dropped",                             \
      "1 when a loss was not finite, else 0")

#define OL_EPISODE_TAIL(X)                                                                         \
    X(OL_EPISODE_BEFORE, "query_loss_before", OL_COLUMN_F64, 0, "nat",                             \
      "query loss before adaptation",                                                              \
      "at the parameters before the meta-step; NaN where not "                                     \
      "measured")                                                                                  \
    X(OL_EPISODE_AFTER, "query_loss_after", OL_COLUMN_F64, 0, "nat",                               \
      "query loss after adaptation", "after the inner loop")                                       \
    X(OL_EPISODE_GRAD_NORM, "grad_norm", OL_COLUMN_F64, 0, "1", "norm of the episode's gradient",  \
      "2-norm")                                                                                    \
    X(OL_EPISODE_SECOND_ORDER, "second_order_share", OL_COLUMN_F64, 0, "1", "second-order share",  \
      "norm of the gradient minus the first-order one, over the norm of that; NaN when not asked " \
      "for")                                                                                       \
    X(OL_EPISODE_SECONDS, "seconds", OL_COLUMN_F64, 0, "s", "wall time",                           \
      "of the episode on its rank")                                                                \
    X(OL_EPISODE_TOKENS, "tokens", OL_COLUMN_I64, 0, "1", "tokens", "support and query tokens")

/* train/own */
#define OL_OWN_TABLE(X)                                                                            \
    X(OL_OWN_STEP, "step", OL_COLUMN_I64, 0, "1", "meta-step", "number of the meta-step, from 1")  \
    X(OL_OWN_NAME, "name", OL_COLUMN_TEXT, 16, "1", "name", "what the parameters are: rates")      \
    X(OL_OWN_LEAST, "least", OL_COLUMN_F64, 0, "1", "least", "after the meta-step")                \
    X(OL_OWN_MEAN, "mean", OL_COLUMN_F64, 0, "1", "mean", "after the meta-step")                   \
    X(OL_OWN_MOST, "most", OL_COLUMN_F64, 0, "1", "most", "after the meta-step")

/* train/phase */
#define OL_PHASE_TABLE(X)                                                                          \
    X(OL_PHASE_STEP, "step", OL_COLUMN_I64, 0, "1", "meta-step",                                   \
      "number of the meta-step, from 1")                                                           \
    X(OL_PHASE_NAME, "phase", OL_COLUMN_TEXT, 16, "1", "phase",                                    \
      "what ranks were at; phases do not overlap, and with the phase other their seconds are all " \
      "of the meta-step's, checkpoint and metrics included")                                       \
    X(OL_PHASE_SECONDS, "seconds", OL_COLUMN_F64, 0, "s", "time in the phase", "mean over ranks")  \
    X(OL_PHASE_MOST, "seconds_most", OL_COLUMN_F64, 0, "s", "time in the phase",                   \
      "of the rank that was in it longest")                                                        \
    X(OL_PHASE_RANK, "slowest_rank", OL_COLUMN_I64, 0, "1", "slowest rank",                        \
      "the rank that was in it longest")                                                           \
    X(OL_PHASE_CALLS, "calls", OL_COLUMN_I64, 0, "1", "times it was entered", "sum over ranks")

/* data/overlap */
#define OL_OVERLAP_TABLE(X)                                                                        \
    X(OL_OVERLAP_PAIR, "pair", OL_COLUMN_I64, 0, "1", "pair", "number of the pair, from 1")        \
    X(OL_OVERLAP_TRAIN, "train_task", OL_COLUMN_TEXT, 0, "1", "training task",                     \
      "task of the training list")                                                                 \
    X(OL_OVERLAP_TEST, "test_task", OL_COLUMN_TEXT, 0, "1", "test task", "task of the test list")  \
    X(OL_OVERLAP_SAME_TASK, "same_task", OL_COLUMN_I64, 0, "1", "same task",                       \
      "1 when the two are one task")                                                               \
    X(OL_OVERLAP_ROWS, "shared_rows", OL_COLUMN_I64, 0, "1", "shared rows",                        \
      "distinct rows of the test task's test files that the training file holds")

/* data/check */
#define OL_CHECK_TABLE(X)                                                                          \
    X(OL_CHECK_NUMBER, "check", OL_COLUMN_I64, 0, "1", "check", "number of the check, from 1")     \
    X(OL_CHECK_TRAIN_ROWS, "train_rows", OL_COLUMN_I64, 0, "1", "training rows",                   \
      "rows of training files compared")                                                           \
    X(OL_CHECK_TEST_ROWS, "test_rows", OL_COLUMN_I64, 0, "1", "test rows",                         \
      "distinct test rows compared")                                                               \
    X(OL_CHECK_SAME_TASKS, "same_tasks", OL_COLUMN_I64, 0, "1", "tasks in both lists",             \
      "test tasks that are trained on too")                                                        \
    X(OL_CHECK_SHARED_ROWS, "shared_rows", OL_COLUMN_I64, 0, "1", "shared rows",                   \
      "distinct test rows that stand in any training file")

/* data/cut */
#define OL_CUT_TABLE(X)                                                                            \
    X(OL_CUT_NUMBER, "number", OL_COLUMN_I64, 0, "1", "number", "number of the row, from 1")       \
    X(OL_CUT_TASK, "task", OL_COLUMN_TEXT, 0, "1", "task", "task whose rows these are")            \
    X(OL_CUT_ROLE, "role", OL_COLUMN_TEXT, 8, "1", "role", "train, or target")                     \
    X(OL_CUT_ROWS, "rows", OL_COLUMN_I64, 0, "1", "examples",                                      \
      "distinct training rows; k-shot and test rows of a target, over its seeds")                  \
    X(OL_CUT_ROWS_CUT, "rows_cut", OL_COLUMN_I64, 0, "1", "examples cut",                          \
      "those that lose part of their input to data.max_tokens_per_example")                        \
    X(OL_CUT_TOKENS, "tokens", OL_COLUMN_I64, 0, "1", "tokens of examples",                        \
      "uncut, with the longest option")                                                            \
    X(OL_CUT_TOKENS_CUT, "tokens_cut", OL_COLUMN_I64, 0, "1", "tokens cut of examples",            \
      "by data.max_tokens_per_example")                                                            \
    X(OL_CUT_PROMPTS, "prompts", OL_COLUMN_I64, 0, "1", "prompts",                                 \
      "all that training draws; all that scoring and adapting a target take, over its seeds")      \
    X(OL_CUT_PROMPTS_CUT, "prompts_cut", OL_COLUMN_I64, 0, "1", "prompts cut",                     \
      "those that lose their first tokens to data.max_tokens")                                     \
    X(OL_CUT_PROMPT_TOKENS, "prompt_tokens", OL_COLUMN_I64, 0, "1", "tokens of prompts",           \
      "of the examples as cut")                                                                    \
    X(OL_CUT_PROMPT_TOKENS_CUT, "prompt_tokens_cut", OL_COLUMN_I64, 0, "1",                        \
      "tokens cut of prompts", "by data.max_tokens")

/** What eval/score and eval/prediction begin with. */
#define OL_EVAL_KEY(X, T)                                                                          \
    X(T##_NUMBER, "number", OL_COLUMN_I64, 0, "1", "number", "number of the row, from 0")          \
    X(T##_STAGE, "stage", OL_COLUMN_TEXT, 8, "1", "stage",                                         \
      "eval: in context; pmi: in context, by PMI; adapt: after adaptation steps")                  \
    X(T##_LEARNER, "learner", OL_COLUMN_TEXT, 0, "1", "learner",                                   \
      "untrained, or the arm that trained the model")                                              \
    X(T##_TASK, "task", OL_COLUMN_TEXT, 0, "1", "task", "target task")                             \
    X(T##_SEED, "seed", OL_COLUMN_I64, 0, "1", "seed", "seed of the k-shot file")                  \
    X(T##_STEPS, "adapt_steps", OL_COLUMN_I64, 0, "1", "adaptation steps",                         \
      "inner steps taken before scoring; -1 of stage pmi, which takes none")

/* eval/score */
#define OL_SCORE_TABLE(X)                                                                          \
    OL_EVAL_KEY(X, OL_SCORE)                                                                       \
    X(OL_SCORE_METRIC, "metric", OL_COLUMN_TEXT, 12, "1", "metric",                                \
      "macro_f1 for classification, else accuracy")                                                \
    X(OL_SCORE_SCORE, "score", OL_COLUMN_F64, 0, "1", "score", "value of the metric, 0 to 1")      \
    X(OL_SCORE_ROWS, "rows", OL_COLUMN_I64, 0, "1", "test rows", "rows scored")                    \
    X(OL_SCORE_UNSEEN, "unseen_domain", OL_COLUMN_I64, 0, "1", "unseen domain",                    \
      "1: in unseen_domain_test")                                                                  \
    X(OL_SCORE_GROUP, "group", OL_COLUMN_TEXT, 0, "1", "group of targets",                         \
      "as the setting's groups say, or empty")                                                     \
    X(OL_SCORE_SUPPORT, "support_loss", OL_COLUMN_F64, 0, "nat", "support loss",                   \
      "mean loss of the leave-one-out prompts before the last step")                               \
    X(OL_SCORE_DIVERGED, "diverged", OL_COLUMN_I64, 0, "1", "diverged",                            \
      "1: a loss was not finite")                                                                  \
    X(OL_SCORE_SECONDS, "seconds", OL_COLUMN_F64, 0, "s", "seconds",                               \
      "adapting from the count before, and scoring")                                               \
    X(OL_SCORE_CALIBRATION, "calibration_error", OL_COLUMN_F64, 0, "1",                            \
      "expected calibration error",                                                                \
      "over 10 bins of the confidence, the softmax over minus option losses; 0 to 1")              \
    X(OL_SCORE_CHANCE, "chance", OL_COLUMN_F64, 0, "1", "score of guessing", "in the same metric") \
    X(OL_SCORE_MAJORITY, "majority", OL_COLUMN_F64, 0, "1", "score of the commonest answer",       \
      "in the same metric, always giving the commonest right answer; NaN where not every row has " \
      "it")

/* eval/prediction */
#define OL_PREDICTION_TABLE(X)                                                                     \
    OL_EVAL_KEY(X, OL_PREDICTION)                                                                  \
    X(OL_PREDICTION_ROW, "row", OL_COLUMN_I64, 0, "1", "test row",                                 \
      "row of the test file, from 0, not counting those that cannot be scored")                    \
    X(OL_PREDICTION_LOSSES, "option_losses", OL_COLUMN_LIST, 0, "nat", "option losses",            \
      "mean loss of the scored piece under each option, in the row's order; of stage pmi less "    \
      "that of the same option after the input N/A")                                               \
    X(OL_PREDICTION_PREDICTED_INDEX, "predicted_index", OL_COLUMN_I64, 0, "1", "predicted index",  \
      "index of the option of the lowest loss, -1 when no loss is a number")                       \
    X(OL_PREDICTION_GOLD_INDEX, "gold_index", OL_COLUMN_I64, 0, "1", "gold index",                 \
      "index of the right option")                                                                 \
    X(OL_PREDICTION_PREDICTED, "predicted", OL_COLUMN_TEXT, 0, "1", "predicted option",            \
      "its text")                                                                                  \
    X(OL_PREDICTION_GOLD, "gold", OL_COLUMN_TEXT, 0, "1", "gold option", "its text")

#define OL_COLUMN_NUMBER(number, ...) number,

enum { OL_STEP_TABLE(OL_COLUMN_NUMBER) OL_STEP_COLUMNS };
enum { OL_EPISODE_HEAD(OL_COLUMN_NUMBER) OL_EPISODE_SUPPORT };
enum {
    OL_EPISODE_LAST_OF_HEAD = OL_EPISODE_SUPPORT - 1,
    OL_EPISODE_TAIL(OL_COLUMN_NUMBER) OL_EPISODE_COLUMNS
};
enum { OL_OWN_TABLE(OL_COLUMN_NUMBER) OL_OWN_COLUMNS };
enum { OL_PHASE_TABLE(OL_COLUMN_NUMBER) OL_PHASE_COLUMNS };
enum { OL_OVERLAP_TABLE(OL_COLUMN_NUMBER) OL_OVERLAP_COLUMNS };
enum { OL_CHECK_TABLE(OL_COLUMN_NUMBER) OL_CHECK_COLUMNS };
enum { OL_CUT_TABLE(OL_COLUMN_NUMBER) OL_CUT_COLUMNS };
enum { OL_SCORE_TABLE(OL_COLUMN_NUMBER) OL_SCORE_COLUMNS };
enum { OL_PREDICTION_TABLE(OL_COLUMN_NUMBER) OL_PREDICTION_COLUMNS };

/** Those that are read back, as described; train/episode of a run without an inner loop. */
extern const ol_table_spec ol_step_table, ol_episode_table, ol_own_table;

/** eval/score: a row is one (stage, learner, task, seed, adaptation steps). */
extern const ol_table_spec ol_eval_score_table;

/** eval/prediction: a row is one test row under those. */
extern const ol_table_spec ol_eval_prediction_table;

#endif
