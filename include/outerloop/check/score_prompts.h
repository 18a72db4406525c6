/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/check/score_prompts.h
 * Option losses of a prompts file under a model: what `outerloop prompts` writes, scored as an
 * evaluation scores it.
 *
 *   loss of a prompt = mean of -log p over its scored tokens [nats]; picked = its row's lowest option
 *
 * The model is a Hugging Face folder or GGUF file, perhaps with an adapter, or the weights of a checkpoint that
 * the caller has read. Local, one process.
 */
#ifndef OUTERLOOP_CHECK_SCORE_PROMPTS_H
#define OUTERLOOP_CHECK_SCORE_PROMPTS_H

#include "outerloop/model/model.h"

/** What to score, and where to. Everything is borrowed. */
typedef struct ol_score_spec {
    const char *
        folder; /**< of the model, or its GGUF file; NULL: the weights below                           */
    const char *adapter;   /**< folder of a peft adapter; NULL: none                            */
    const ol_model *model; /**< or a model of the float32 build, its block set and of reals,    */
    const ol_trained_spec *trained; /**< what it was made of,                                  */
    const float *theta;  /**< and its θ                                                       */
    const char *prompts; /**< HDF5: tokens, offsets, loss_mask, options_per_row               */
    const char *out;     /**< HDF5: option_losses [prompts], picked [rows]; written aside     */
} ol_score_spec;

/** What came of it. */
typedef struct ol_score_report {
    int rows, prompts;
    double mean; /**< of the losses, nats a token */
} ol_score_report;

/** Score. Errors: OL_EDATA (a file is not what it must be; a prompt does not fit), OL_EIO, OL_ENOMEM. */
ol_status ol_score_prompts(const ol_score_spec *spec, ol_score_report *report);

#endif
