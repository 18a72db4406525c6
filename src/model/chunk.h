/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file chunk.h (private to model)
 * Some whole prompts of a batch, laid out for one walk over the model.
 *
 * Row i is a token whose hidden state some scored token depends on: of a prompt, those before its
 * last scored token. M of the n rows predict a scored token; they are the queries of the last
 * block and the rows of the head.
 *
 * Where only losses are wanted, a prompt may share rows: those of the tokens that it begins with
 * like the prompt before it stand once, and its own follow. Prompts that score the options of a
 * row, after the same demonstrations, are mostly shared.
 */
#ifndef OUTERLOOP_MODEL_CHUNK_H
#define OUTERLOOP_MODEL_CHUNK_H

#include "outerloop/kernel/operator.h" /* ol_rows */
#include "outerloop/model/objective.h"

typedef struct ol_chunk {
    int B;             /* prompts                                                   */
    int n;             /* rows                                                      */
    bool shared;       /* prompts share rows: start counts their own only           */
    int M;             /* rows that predict a scored token                          */
    int *start;        /* [B+1] first own row of each prompt                        */
    int *scored_start; /* [B+1] first of the M rows of each prompt                  */
    int32_t *token;    /* [n]                                                       */
    int *position;     /* [n] in the prompt                                         */
    int *row;          /* [M] which of the n rows it is                             */
    int *row_position; /* [M] its position in the prompt                            */
    int32_t *target;   /* [M] the token it predicts                                 */
    ol_real *weight;   /* [M] of its loss in the loss of the batch: (1) and (2)     */
    double *loss;      /* [M]                                                       */
    int *path;         /* [longest] row at each position of the latest prompt       */
    ol_real *angle;    /* [n,D] of rotary positions, or NULL                        */
    int longest;       /* bound on a prompt's tokens                                */
    int64_t row0;      /* rows and scored rows of the batch that stand before the   */
    int64_t scored0;   /* chunk's, in what is kept for a whole batch                */
} ol_chunk;

/* Lay out a chunk within these bounds; D is the head size where positions are rotary, else 0. */
ol_chunk ol_chunk_layout(ol_arena *arena, ol_extent bounds, int D);

/* The rows as operators see them: where every row asks, or where only scored ones do. */
ol_rows ol_chunk_rows(const ol_chunk *chunk, bool scored_only);

/* Fill a chunk with as many prompts of the batch from b0 on as `limit` rows hold, at least one.
 * Returns the prompt after the last one taken. */
int ol_chunk_fill(ol_chunk *chunk, const ol_batch *batch, int b0, int64_t limit);

/* The same for losses alone: prompts share rows, as many as fit within `bounds`. */
int ol_chunk_fill_shared(ol_chunk *chunk, const ol_batch *batch, int b0, ol_extent bounds);

/* Bounds of any chunk of a batch within `extent` when no more than `limit` rows are taken. */
ol_extent ol_chunk_bounds(ol_extent extent, int64_t limit);

/* The same of the chunks that ol_chunk_fill makes of this batch: as tight as can be. */
ol_extent ol_chunk_extent(const ol_batch *batch, int64_t limit);

#endif
