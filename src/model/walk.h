/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file walk.h (private to model)
 * The walks over a model for one chunk: one loop over its steps forward, one back.
 *
 *   OL_PRIMAL forward, then back     values; then adjoints and θ_bar
 *   OL_TANGENT forward, then back    R{values}; then R{adjoints} and R{θ_bar}, after the primal walks
 *                                    of the same chunk over the same kept buffers
 */
#ifndef OUTERLOOP_MODEL_WALK_H
#define OUTERLOOP_MODEL_WALK_H

#include "buffers.h"

/* All that a walk works on. Roles that are not walked may be zero. */
typedef struct ol_walk {
    const ol_model *model;
    const ol_chunk *chunk;
    ol_dual theta;     /* [P] parameters and the direction u                               */
    ol_dual theta_bar; /* [P] added to; NULL where not wanted                              */
    bool moved_only;   /* θ_bar.v: only of what the inner loop moves                       */
    bool reaches_all;  /* adjoints go back to the first trained tensor, since a tangent walk
                          reads them, even if moved_only                                   */
    ol_kept kept[OL_ROLES];
    ol_shared shared[OL_ROLES];
    ol_slots keeps[OL_ROLES]; /* all ones, or 0 where nothing is kept                      */
    ol_real *scratch;         /* ol_walk_scratch                                           */
} ol_walk;

/* Reals of scratch for chunks within these bounds. */
size_t ol_walk_scratch(const ol_model *model, ol_extent bounds);

/* From tokens to hidden states. `pass` is one of OL_PRIMAL and OL_TANGENT. */
void ol_walk_forward(ol_pass pass, const ol_walk *walk);

/* Losses of the chunk's M rows, into chunk->loss; no derivatives. */
void ol_walk_losses(const ol_walk *walk);

/* From the losses back to θ_bar; the primal pass fills chunk->loss. */
void ol_walk_backward(ol_pass pass, const ol_walk *walk);

#endif
