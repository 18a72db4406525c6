/* SPDX-License-Identifier: BSD-3-Clause */
/* Columns of the tables of training and data, by name: metric_tables.c describes them, metrics.c
   fills them in. */
#ifndef RUN_METRIC_COLUMNS_H
#define RUN_METRIC_COLUMNS_H

/* train/step */
enum {
    STEP_NUMBER,
    STEP_LOSS_BEFORE,
    STEP_LOSS_AFTER,
    STEP_GRAD_NORM,
    STEP_LR,
    STEP_SECONDS,
    STEP_SECONDS_INNER,
    STEP_SECONDS_OUTER,
    STEP_SECONDS_COMM,
    STEP_TOKENS,
    STEP_RATE,
    STEP_EPISODES,
    STEP_DROPPED,
    STEP_DIGEST,
    STEP_COLUMNS
};

/* train/episode: then a support loss for each inner step, */
enum { EPISODE_STEP, EPISODE_NUMBER, EPISODE_TASK, EPISODE_RANK, EPISODE_DROPPED, EPISODE_COLUMNS };

/* and then these */
enum {
    TAIL_BEFORE,
    TAIL_AFTER,
    TAIL_GRAD_NORM,
    TAIL_SECOND_ORDER,
    TAIL_SECONDS,
    TAIL_TOKENS,
    TAIL_COLUMNS
};

/* train/own */
enum { OWN_STEP, OWN_NAME, OWN_LEAST, OWN_MEAN, OWN_MOST, OWN_COLUMNS };

/* train/phase */
enum { PHASE_STEP, PHASE_NAME, PHASE_SECONDS, PHASE_MOST, PHASE_RANK, PHASE_CALLS, PHASE_COLUMNS };

/* data/overlap */
enum {
    OVERLAP_PAIR,
    OVERLAP_TRAIN,
    OVERLAP_TEST,
    OVERLAP_SAME_TASK,
    OVERLAP_ROWS,
    OVERLAP_COLUMNS
};

/* data/check */
enum {
    CHECK_NUMBER,
    CHECK_TRAIN_ROWS,
    CHECK_TEST_ROWS,
    CHECK_SAME_TASKS,
    CHECK_SHARED_ROWS,
    CHECK_COLUMNS
};

/* data/cut */
enum {
    CUT_NUMBER,
    CUT_TASK,
    CUT_ROLE,
    CUT_ROWS,
    CUT_ROWS_CUT,
    CUT_TOKENS,
    CUT_TOKENS_CUT,
    CUT_PROMPTS,
    CUT_PROMPTS_CUT,
    CUT_PROMPT_TOKENS,
    CUT_PROMPT_TOKENS_CUT,
    CUT_COLUMNS
};

#endif
