/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file gpt2.h (private to model)
 * The walks over GPT-2 for one chunk, and the buffers they need.
 *
 * Block l turns its input x [n,C] into out [m,C]. All blocks but the last have m = n; the last one
 * has m = M, the rows that predict a scored token, since nothing else of it is ever used.
 *
 *   norm1 = LN(x);  q, k, v = norm1 W + b;  att = attention(q, k, v);  mid = x + att W + b
 *   norm2 = LN(mid);  fc = norm2 W + b;  act = GELU(fc);  out = mid + act W + b
 *
 * The same structs hold values, tangents, adjoints and tangents of adjoints.
 */
#ifndef OUTERLOOP_MODEL_GPT2_H
#define OUTERLOOP_MODEL_GPT2_H

#include "chunk.h"
#include "outerloop/kernel/dual.h"

/* One block; x is the out of the block before, or the embedding. */
typedef struct ol_block_buffers {
    ol_real *norm1;  /* [n,C]                                                       */
    ol_real *picked; /* [M,C] last block only: norm1 of the query rows              */
    ol_real *q;      /* [m,C], rows C apart in the last block, else 3C              */
    ol_real *kv;     /* [n,2C], rows 2C apart in the last block, else q + C, 3C      */
    ol_real *att;    /* [m,C]                                                       */
    ol_real *mid;    /* [m,C]                                                       */
    ol_real *norm2;  /* [m,C]                                                       */
    ol_real *fc;     /* [m,4C]                                                      */
    ol_real *act;    /* [m,4C]                                                      */
    ol_real *out;    /* [m,C]                                                       */
} ol_block_buffers;

/* A whole model. */
typedef struct ol_buffers {
    ol_real *embed;           /* [n,C]                                */
    ol_block_buffers *blocks; /* [L]                                  */
    ol_real *hidden;          /* [M,C] after the last LayerNorm       */
} ol_buffers;

/* Row statistics of the primal walk. */
typedef struct ol_statistics {
    ol_real **mean1, **rstd1; /* [L][n]                               */
    ol_real **mean2, **rstd2; /* [L][m]                               */
    ol_real **lse;            /* [L][m,H]                             */
    ol_real *mean_f, *rstd_f; /* [M]                                  */
} ol_statistics;

/* How blocks share memory. */
typedef enum ol_sharing {
    OL_OWN,       /* every block has its own                           */
    OL_ALTERNATE, /* two sets, used in turn: only neighbours are alive */
} ol_sharing;

/* What the buffers hold. GELU's output is the widest activation and cheap to compute again, from fc
 * forwards and from act_bar backwards; so all blocks share one `act` of activations and one `fc` of
 * adjoints, which are filled where they are read. */
typedef enum ol_role { OL_ACTIVATIONS, OL_ADJOINTS } ol_role;

ol_buffers ol_buffers_layout(ol_arena *arena, const ol_model *model, ol_extent bounds, ol_role role,
                             ol_sharing sharing);
ol_statistics ol_statistics_layout(ol_arena *arena, const ol_model *model, ol_extent bounds);

/* All that a walk works on. Buffers of passes that are not walked may be zero. */
typedef struct ol_walk {
    const ol_model *model;
    const ol_chunk *chunk;
    const ol_statistics *statistics;
    ol_dual theta;           /* [P] parameters and the direction u         */
    ol_dual theta_bar;       /* [P] added to; .v NULL when not wanted      */
    ol_buffers value, dot;   /* activations and their tangents             */
    ol_buffers bar, bar_dot; /* adjoints and their tangents                */
    ol_real *path_kv;        /* [longest,2C] where prompts share rows: keys and values of one */
    ol_real *scratch;        /* ol_walk_scratch                            */
} ol_walk;

/* Reals of scratch for chunks within these bounds. */
size_t ol_walk_scratch(const ol_model *model, ol_extent bounds);

/* From tokens to hidden states. */
void ol_walk_forward(ol_pass pass, const ol_walk *walk);

/* Losses of the chunk's M rows, into chunk->loss; no derivatives. */
void ol_walk_losses(const ol_walk *walk);

/* From the losses back to θ_bar; the primal pass fills chunk->loss. */
void ol_walk_backward(ol_pass pass, const ol_walk *walk);

#endif
