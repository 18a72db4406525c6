/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file family.h (private to model)
 * A family of models as data: three sequences of steps, each an operator with what it reads, what it
 * writes and how its weights are called.
 *
 * A step reads and writes slots: the rows that a block computes. A block takes IN, which is the OUT of
 * the one before, and leaves OUT. Slots of queries have a row for every token in all blocks but the
 * last; there, only for tokens that predict a scored one, since nothing else of it is ever used.
 * PICK steps, which choose those rows, stand in the last block alone; elsewhere a slot picked is the
 * slot it is picked from.
 *
 * Adding a family adds a table here, and the operators that it brings.
 */
#ifndef OUTERLOOP_MODEL_FAMILY_H
#define OUTERLOOP_MODEL_FAMILY_H

#include "outerloop/kernel/operator.h"
#include "outerloop/model/model.h"

typedef enum ol_slot {
    IN,     /* [n,C] the block's input                              */
    NORM1,  /* [n,C]                                                */
    PICKED, /* [m,C] the rows of NORM1 that ask                     */
    Q_FLAT, /* [m,H·D] q before its norm (qwen3)                    */
    K_FLAT, /* [n,G·D] k before its norm                            */
    Q,      /* [m,H·D]                                              */
    K,      /* [n,G·D]                                              */
    V,      /* [n,G·D]                                              */
    ATT,    /* [m,H·D]                                              */
    MID,    /* [m,C] after attention and the residual               */
    NORM2,  /* [m,C]                                                */
    GATE,   /* [m,F]                                                */
    UP,     /* [m,F]                                                */
    ACT,    /* [m,F]                                                */
    OUT,    /* [m,C] the block's output                             */
    SLOTS
} ol_slot;

enum { OL_MOST_STEPS = 32 }; /* of a block, adapters included */

/* How a row of a slot is sized, and whether it is of queries. */
typedef struct ol_slot_kind {
    enum { OF_WIDTH, OF_HEADS, OF_KV_HEADS, OF_HIDDEN } reals;
    bool queries;
} ol_slot_kind;

extern const ol_slot_kind ol_slot_kinds[SLOTS];

enum { BIAS = 1, RESIDUAL_INIT = 2, PER_HEAD = 4 };

/* One step. A table ends in a step without an operator. */
typedef struct ol_step {
    const ol_operator *op;
    ol_slot out;
    ol_slot in[OL_OP_INPUTS];
    const char *module; /* its weights are MODULE.weight and MODULE.bias; NULL: it has none       */
    unsigned options;   /* BIAS: has one; RESIDUAL_INIT: starts smaller; PER_HEAD: norm of each   */
    int part, parts;    /* of a module whose outputs stand side by side (GPT-2's q, k, v); 0 = 1  */
} ol_step;

typedef struct ol_family {
    const ol_step *embed, *block, *final;
    const char *blocks;       /* names of block l: "h.%d." */
    const char *hf_prefix;    /* that Hugging Face's files and peft put before names, or "" */
    const char *architecture; /* in config.json                                             */
    bool rotary, free_head_dim, wide_gelu;
    double norm_eps;
} ol_family;

extern const ol_family ol_families[];

#endif
