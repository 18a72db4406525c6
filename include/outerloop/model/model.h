/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/model/model.h
 * A model as data: its shape and the table of its parameters.
 *
 * All parameters of a model are one flat vector θ of P reals; the table says which part of it is
 * which tensor, by its Hugging Face name. Gradients, moments and tangents have the same layout.
 *
 * GPT-2 [Radford et al. 2019]: pre-norm blocks of LayerNorm, causal multi-head attention and a
 * GELU (tanh form) network of F = 4C, learned positions, and a head tied to wte. Linear weights
 * are [in, out], as GPT-2 stores them.
 *
 * Local. Nothing here depends on a batch.
 */
#ifndef OUTERLOOP_MODEL_MODEL_H
#define OUTERLOOP_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "outerloop/base/real.h" /* ol_real */

typedef struct ol_model_spec {
    int layers;    /**< L                                         */
    int heads;     /**< H, divides width                          */
    int width;     /**< C                                         */
    int vocab;     /**< V                                         */
    int context;   /**< most tokens of a prompt                   */
    double ln_eps; /**< added to the variance of every LayerNorm  */
    double
        init_std; /**< of random weights; 0 = 0.02·√(768/C), which is GPT-2's 0.02 at its width */
} ol_model_spec;

#define OL_MODEL_SPEC_INIT                                                                         \
    {                                                                                              \
        .layers = 2, .heads = 4, .width = 64, .vocab = 512, .context = 128, .ln_eps = 1e-5         \
    }

/** One tensor of θ: θ[offset .. offset+size-1], row-major. */
typedef struct ol_param {
    char name[48];  /**< Hugging Face name, as "h.0.attn.c_attn.weight" */
    size_t offset;  /**< in reals                                       */
    size_t size;    /**< in reals: rows·cols, or rows for a vector      */
    int rows;       /**< first dimension                                */
    int cols;       /**< second dimension; 0 for a vector               */
    double init;    /**< standard deviation of random values            */
    double init_at; /**< their mean: 1 for LayerNorm weights, else 0    */
} ol_param;

/** Tensors of one block, as indices into the table. */
typedef struct ol_block_params {
    int ln_1_weight, ln_1_bias, attn_weight, attn_bias, proj_weight, proj_bias;
    int ln_2_weight, ln_2_bias, fc_weight, fc_bias, mlp_proj_weight, mlp_proj_bias;
} ol_block_params;

typedef struct ol_model {
    ol_model_spec spec;
    size_t P;                /**< trainable parameters                          */
    int n_params;            /**< tensors                                       */
    ol_param *params;        /**< [n_params], offsets ascending without gaps    */
    ol_block_params *blocks; /**< [layers]                                      */
    int wte, wpe, ln_f_weight, ln_f_bias;
} ol_model;

/**
 * Check a shape and build its table.
 * @param out  *owned by the caller*, ol_model_destroy
 * Errors: OL_EUSAGE (the shape is impossible; the message names the key), OL_ENOMEM.
 */
ol_status ol_model_create(const ol_model_spec *spec, ol_model **out);

/** Accepts NULL. */
void ol_model_destroy(ol_model *model);

/** The tensor of that name, or NULL. Borrowed from the model. */
const ol_param *ol_model_param(const ol_model *model, const char *name);

/**
 * Draw random parameters as GPT-2 does: N(0, init_std²), output projections of blocks scaled by
 * 1/√(2L), LayerNorm weights 1 and biases 0. Depends on the seed and the tensor number alone.
 * @param theta  [P], overwritten
 */
void ol_model_random(const ol_model *model, uint64_t seed, ol_real *theta);

#endif
