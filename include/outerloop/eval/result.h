/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/eval/result.h
 * What scoring a target yields: every option loss, the predictions and the scores; and its form as
 * bytes, in which it travels from the rank that worked it out to the one that stores it.
 *
 * Options of all rows stand one after the other: those of row r are offsets[r] .. offsets[r+1]-1,
 * in `options` as in the losses of a scoring. Local.
 */
#ifndef OUTERLOOP_EVAL_RESULT_H
#define OUTERLOOP_EVAL_RESULT_H

#include "outerloop/base/arena.h" /* ol_arena */
#include "outerloop/base/text.h"  /* ol_text */
#include "outerloop/eval/score.h" /* ol_metric */

/** The scoring at one step count. */
typedef struct ol_eval_scoring {
    int steps;          /**< or OL_STEPS_IN_CONTEXT, OL_STEPS_PMI (score.h)                       */
    int diverged;       /**< 1: a loss was not finite, in adaptation or of an option              */
    double score;       /**< 0..1                                                                 */
    double calibration; /**< expected calibration error (score.h), 0..1; NaN without predictions */
    double support;     /**< L_A in nats before the last step; NaN in context                     */
    double seconds;     /**< of adapting from the previous count and of scoring                   */
    int *predicted;     /**< [rows] index of the option, -1 for none                              */
    double *losses;     /**< [prompts] of each option, nats a token; of PMI differences of two    */
} ol_eval_scoring;

/** What a work item yields. Start from a zero struct; ol_eval_result_finish. */
typedef struct ol_eval_result {
    int item; /**< number of the work item, the caller's to set                             */
    ol_metric metric;
    double chance, majority; /**< scores without learning (score.h); majority may be NaN    */
    int rows;
    int prompts;               /**< options of all rows                                     */
    int n;                     /**< scorings, in the order of ol_eval_steps                 */
    int *offsets;              /**< [rows+1] first option of each row                       */
    int *gold;                 /**< [rows] index of the gold option, -1 when it is none     */
    char **options;            /**< [prompts] text of each option                           */
    ol_eval_scoring *scorings; /**< [n]                                                     */
    ol_arena memory;           /**< behind all of these                                     */
} ol_eval_result;

/**
 * Lay out a result with room for n scorings. Offsets and texts are set, all else is zero.
 * @param options_per_row  [rows] borrowed for the call
 * @param options          [sum of them] borrowed for the call
 * @param result           overwritten; *owned by the caller* (ol_eval_result_finish)
 * Errors: OL_ENOMEM.
 */
ol_status ol_eval_result_init(int rows, const int *options_per_row, const char *const *options,
                              int n, ol_eval_result *result);

/** Free. Accepts NULL and a zero struct. */
void ol_eval_result_finish(ol_eval_result *result);

/** Append a result as bytes that ol_eval_result_unpack reads on a machine of the same kind. Errors:
 *  OL_ENOMEM. */
ol_status ol_eval_result_pack(const ol_eval_result *result, ol_text *bytes);

/**
 * Read one packed result from the front of `bytes`.
 * @param used    how many bytes it took
 * @param result  overwritten; *owned by the caller*
 * Errors: OL_EDATA when the bytes are cut short or are no result, OL_ENOMEM.
 */
ol_status ol_eval_result_unpack(const char *bytes, size_t size, size_t *used,
                                ol_eval_result *result);

#endif
