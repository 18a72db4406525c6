/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/eval/score.h
 * From option losses to a prediction, and from predictions to the score of a task.
 *
 * A test row is scored under each of its options by the mean loss of the scored piece [nats a
 * token]; the lowest wins. The score of a task is accuracy, or macro-F1 for tasks of the type
 * classification:
 *
 *   (1) P_c = correct rows predicted c / rows predicted c      1 where c was never predicted
 *   (2) R_c = correct rows with gold c / rows with gold c
 *   (3) F_c = 2 P_c R_c / (P_c + R_c)                          0 where P_c + R_c is 0
 *   (4) macro-F1 = mean of F_c over the classes c that the gold labels hold
 *
 * A class that is predicted but never gold costs its rows their recall and is itself not averaged.
 * What a score is worth shows against what comes without learning, with q the mean over rows of
 * 1/options and g_c the share of gold c:
 *
 *   (5) chance = q of accuracy; mean over gold c of 2 g_c q / (g_c + q) of macro-F1: what a uniform
 *       guess comes to in the limit of many rows
 *   (6) majority = the score of answering every row by the commonest gold
 *
 * and how far a model knows what it knows, from the probabilities that its option losses amount to:
 *
 *   (7) p_i = exp(-loss_i) / Σ_j exp(-loss_j)    over the options of a row; confidence = p of the pick
 *   (8) calibration error = Σ_b n_b/n |correct share - mean confidence|   over 10 equal bins b of it
 *
 * Texts are compared without the white space around them (that of Unicode, as Python's strip).
 *
 * Source: (1) to (4) the evaluation of MetaICL [Min et al. 2022], quirks included; (8) Guo et al.
 * 2017, On calibration of modern neural networks. Local.
 */
#ifndef OUTERLOOP_EVAL_SCORE_H
#define OUTERLOOP_EVAL_SCORE_H

#include <stdbool.h>
#include <stddef.h>

#include "outerloop/base/status.h" /* ol_status */
#include "outerloop/data/target.h" /* ol_metric */

/** What stands in the place of a count of adaptation steps where none were taken. */
enum {
    OL_STEPS_IN_CONTEXT = 0,
    OL_STEPS_PMI = -1, /**< in context too, by pointwise mutual information (target_score.h) */
    OL_STEPS_TEXT = 24
};

/** "in context", "PMI", "1 step", "4 steps". */
void ol_steps_name(int steps, char text[OL_STEPS_TEXT]);

/** Order of columns: in context, PMI, then counts as they ascend. */
bool ol_steps_before(int a, int b);

/** Index of the lowest of n losses, the first one on ties; a NaN is never lowest. -1 when all are
 *  NaN: no prediction can be made. */
int ol_score_pick(int n, const double *losses);

/** The part of `text` without white space around it. @param size  its bytes. Borrowed. */
const char *ol_score_strip(const char *text, size_t *size);

/** True when the texts are equal without the white space around them. */
bool ol_score_same(const char *a, const char *b);

/**
 * The score of a task, 0..1.
 * @param rows       at least 1
 * @param predicted  [rows] predicted options; NULL where there is none: wrong, and of no class
 * @param gold       [rows] true outputs
 * Errors: OL_ENOMEM. Cost: rows × classes comparisons.
 */
ol_status ol_score_rows(ol_metric metric, int rows, const char *const *predicted,
                        const char *const *gold, double *score);

/**
 * (5) and (6).
 * @param offsets   [rows+1] options of row r are options[offsets[r]] .. options[offsets[r+1]-1]
 * @param gold      [rows] true outputs
 * @param majority  NaN where the commonest gold is not an option of every row: no answer then
 * Errors: OL_ENOMEM.
 */
ol_status ol_score_floors(ol_metric metric, int rows, const int *offsets,
                          const char *const *options, const char *const *gold, double *chance,
                          double *majority);

/**
 * (8). Rows without a prediction are left out; NaN when that leaves none.
 * @param offsets    [rows+1] first option of each row
 * @param losses     [offsets[rows]] a NaN has probability 0
 * @param predicted  [rows] text of the pick, NULL where there is none
 */
double ol_score_calibration(int rows, const int *offsets, const double *losses,
                            const char *const *predicted, const char *const *gold);

#endif
