/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/model/model.h
 * A model as data: its family and shape, its tensors, and which of them are trained.
 *
 * A family (src/model/family.c) is a table: the operators of a block in their order, what each reads
 * and writes, and the names of its weights. From it, the shape and the choice of what is trained
 * follow the tensors, what a walk over the model keeps and what it leaves out (src/model/graph.h).
 *
 * | family | blocks                                                                               |
 * |--------|--------------------------------------------------------------------------------------|
 * | gpt2   | LayerNorm, multi-head attention, GELU (tanh form), learned positions [Radford 2019]  |
 * | llama  | RMSNorm, rotary positions, grouped attention, SwiGLU, no biases [Touvron 2023]       |
 * | qwen2  | llama with biases on q, k, v [Yang 2024]                                             |
 * | qwen3  | llama with an RMSNorm of every head of q and k, head_dim free [Yang 2025]            |
 *
 * Trained: θ, one flat vector of P reals. The table `params` says which part of it is which tensor;
 * gradients, moments and tangents have the same layout. What is trained is a choice: all, tensors
 * by pattern, or an adapter (LoRA): then θ is A [r,in] and B [out,r] of every adapted linear map,
 * named as peft names them.
 *
 * Frozen: everything else, one block of bytes that is read and never written, stored as reals or its
 * matrices as bfloat16. The model borrows it; ranks of a node can share one copy.
 *
 * Tensors have Hugging Face's names (GPT-2's without "transformer.") and layouts: linear weights are
 * [out,in], GPT-2's [in,out]. Local. Nothing here depends on a batch.
 */
#ifndef OUTERLOOP_MODEL_MODEL_H
#define OUTERLOOP_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "outerloop/base/digest.h" /* OL_DIGEST_TEXT */
#include "outerloop/base/real.h"   /* ol_real */

/** The families, for ol_model_spec.family: the word of each, NULL-ended. Static. */
extern const char *const ol_model_families[];
enum { OL_GPT2, OL_LLAMA, OL_QWEN2, OL_QWEN3 };

typedef enum ol_rope_scaling { OL_ROPE_DEFAULT, OL_ROPE_LLAMA3 } ol_rope_scaling;
extern const char *const ol_rope_scalings[]; /**< their words, NULL-ended */

/** A shape. ol_model_create fills in what "0 =" says. */
typedef struct ol_model_spec {
    int family;         /**< OL_GPT2 ...                                                        */
    int layers;         /**< L                                                                  */
    int width;          /**< C                                                                  */
    int heads;          /**< H                                                                  */
    int kv_heads;       /**< G, divides H; 0 = H                                                */
    int head_dim;       /**< D; 0 = C/H; free in qwen3                                          */
    int hidden;         /**< F; 0 = 4C, in the llama kind 8C/3 up to a multiple of 8            */
    int vocab;          /**< V                                                                  */
    int context;        /**< most tokens of a prompt                                            */
    bool tied;          /**< the head is the embedding                                          */
    double norm_eps;    /**< of every norm; 0 = 1e-5, in qwen2 and qwen3 1e-6                   */
    double rope_theta;  /**< base of the rotary frequencies θ^(-2j/D)                           */
    int rope_scaling;   /**< ol_rope_scaling; llama3: wavelengths over original/low_freq_factor */
    double rope_factor; /**< are stretched by it, those under original/high_freq_factor stay,   */
    double rope_low_freq_factor; /**< and those between are blended                            */
    double rope_high_freq_factor;
    int rope_original_context;
    double
        init_std; /**< of random weights; 0 = 0.02·√(768/C), which is GPT-2's 0.02 at its width */
} ol_model_spec;

#define OL_MODEL_SPEC_INIT                                                                         \
    {                                                                                              \
        .layers = 2, .heads = 4, .width = 64, .vocab = 512, .context = 128, .tied = true,          \
        .rope_theta = 10000, .rope_factor = 1, .rope_low_freq_factor = 1,                          \
        .rope_high_freq_factor = 4                                                                 \
    }

/** A field of a shape, for files: all are whole numbers (a bool is 0 or 1) or reals. */
typedef struct ol_model_field {
    const char *name;           /**< as jobs and checkpoints call it       */
    const char *gpt2_key, *key; /**< in config.json; NULL = not there      */
    enum { OL_FIELD_INT, OL_FIELD_BOOL, OL_FIELD_REAL } kind;
    size_t offset; /**< in ol_model_spec */
} ol_model_field;

/** All fields that two models must agree in to be of one shape; ends in a NULL name. Static. */
extern const ol_model_field ol_model_fields[];

/** Value of a field; writing a whole number out of int's range is the caller's to prevent. */
double ol_model_field_get(const ol_model_spec *spec, const ol_model_field *field);
void ol_model_field_set(ol_model_spec *spec, const ol_model_field *field, double value);

/** A list of names or patterns. Borrowed. */
typedef struct ol_patterns {
    int n;
    const char *const *items;
} ol_patterns;

/**
 * What is trained, and what of it the inner loop moves. Patterns are of fnmatch(3), as "h.3.*",
 * held against tensor names. Everything borrowed for the call.
 */
typedef struct ol_trained_spec {
    ol_patterns
        trained; /**< patterns; none or the one word "all": everything; the word "lora"      */
    ol_patterns
        adapts; /**< patterns: what the inner loop moves; none: all that is trained         */
    ol_patterns
        targets;  /**< of lora: module names or their ends, as "q_proj", or "all-linear"      */
    int rank;     /**< of lora: r                                                             */
    double alpha; /**< of lora: the scale is alpha/r, or alpha/√r with rslora                 */
    bool rslora;
    bool frozen_bf16; /**< matrices of the frozen part are stored as bfloat16                     */
} ol_trained_spec;

typedef enum ol_init { OL_INIT_NORMAL, OL_INIT_UNIFORM } ol_init;

/** One tensor, row-major. */
typedef struct ol_param {
    char name[96];  /**< Hugging Face's or peft's name                                       */
    size_t offset;  /**< trained: reals into θ; frozen: bytes into the frozen block          */
    size_t size;    /**< in reals: rows·cols, or rows for a vector                           */
    int rows;       /**< first dimension                                                     */
    int cols;       /**< second dimension; 0 for a vector                                    */
    bool adapts;    /**< trained: the inner loop moves it                                    */
    bool bf16;      /**< frozen: stored as bfloat16                                          */
    ol_init init;   /**< how random values are drawn:                                        */
    double init_at; /**< their mean: 1 for weights of norms, else 0                          */
    double spread;  /**< normal: standard deviation in units of the model's init_std; uniform: half
                         the range; 0: all are init_at                                        */
    int stream;     /**< number of its random stream: of the tensor among all of the model   */
} ol_param;

typedef struct ol_graph ol_graph;

typedef struct ol_model {
    ol_model_spec spec; /**< with nothing left at 0 that means something else            */
    size_t P;           /**< trained reals                                               */
    int n_params;       /**< trained tensors                                             */
    ol_param *params;   /**< [n_params], offsets ascending without gaps                  */
    int n_frozen;
    ol_param *frozen;    /**< [n_frozen], offsets ascending                              */
    size_t frozen_bytes; /**< of the block                                               */
    const void *block;   /**< the frozen tensors; *borrowed*, set by the caller before any walk */
    char block_digest[OL_DIGEST_TEXT]; /**< of its bytes, set with it by those who write files  */
    bool lora;
    ol_graph *graph; /**< private to this room */
} ol_model;

/**
 * Check a shape and a choice, and build the tables.
 * @param trained  NULL: everything
 * @param out      *owned by the caller*, ol_model_destroy
 * Errors: OL_EUSAGE (the shape is impossible, a pattern or target names nothing; the message says
 * which key), OL_ENOMEM.
 */
ol_status ol_model_create(const ol_model_spec *spec, const ol_trained_spec *trained,
                          ol_model **out);

/** Accepts NULL. */
void ol_model_destroy(ol_model *model);

/** The trained (frozen) tensor of that name, or NULL. Borrowed from the model. */
const ol_param *ol_model_param(const ol_model *model, const char *name);
const ol_param *ol_model_frozen(const ol_model *model, const char *name);

/**
 * Draw random parameters: N(0, init_std²), GPT-2's output projections of blocks scaled by 1/√(2L),
 * weights of norms 1, biases 0; of adapters as peft does, A uniform in ±1/√in and B 0. A tensor
 * depends on the seed, init_std and its number in the model alone, whether it is trained or frozen.
 * @param theta   [P] overwritten; NULL: not wanted
 * @param block   [frozen_bytes] overwritten; NULL: not wanted
 */
void ol_model_random(const ol_model *model, uint64_t seed, ol_real *theta, void *block);

/** Store n values of a frozen tensor, from its value `at` on, in a block that is being filled. */
void ol_frozen_put_part(const ol_param *param, size_t at, size_t n, const ol_real *values,
                        void *block);

/** Store all of them. @param values [param->size] */
static inline void ol_frozen_put(const ol_param *param, const ol_real *values, void *block)
{
    ol_frozen_put_part(param, 0, param->size, values, block);
}

/** Weight decay falls on tensors of two or more dimensions. */
static inline bool ol_param_decays(const ol_param *param)
{
    return param->cols > 0;
}

#endif
