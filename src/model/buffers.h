/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file buffers.h (private to model)
 * Memory of the slots of all instances, in one of four roles.
 *
 * A slot that is kept has memory of its own in every instance; all others share one piece among the
 * instances (OUT two, used in turn, since a block reads the one before it). Which is which is the
 * graph's: it depends on the role and on what the walk is for.
 */
#ifndef OUTERLOOP_MODEL_BUFFERS_H
#define OUTERLOOP_MODEL_BUFFERS_H

#include "chunk.h"
#include "graph.h"

typedef enum ol_role { OL_VALUE, OL_DOT, OL_BAR, OL_BAR_DOT, OL_ROLES } ol_role;

/* Slots of every instance that are kept, in the order instance, slot; and states of steps. */
typedef struct ol_kept {
    ol_real **slots;  /* [instances·SLOTS], NULL where not kept         */
    ol_real **states; /* [instances·OL_MOST_STEPS], NULL where not kept */
} ol_kept;

/* The slots that are not. */
typedef struct ol_shared {
    ol_real *slots[SLOTS][2];
    ol_real *state;
} ol_shared;

/* Slots of instance i that a walk keeps in that role. */
ol_slots ol_kept_slots(const ol_graph *graph, ol_role role, int i);

/* Slots of instance i that have that role at all. */
ol_slots ol_wanted_slots(const ol_graph *graph, ol_role role, int i);

/* Lay out what is kept for rows within `bounds`. */
ol_kept ol_kept_layout(ol_arena *arena, const ol_model *model, ol_role role, ol_extent bounds);

/* Lay out what is not, for the rows of one chunk; `nothing_kept`: all of it. */
ol_shared ol_shared_layout(ol_arena *arena, const ol_model *model, ol_role role, ol_extent bounds,
                           bool nothing_kept);

/* Reals of a row of a step's state. */
static inline int ol_state_width(const ol_graph_step *step)
{
    return step->op->state ? step->op->state(&step->spec) : 0;
}

#endif
