/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/collective/state.h
 * The outer state of a run, once a node: where its arms start, and θ, m and v of the one at work. All ranks of
 * a node read it in their episodes, and each steps its share of it (meta/outer.h). So R ranks of a node
 * keep 4 P reals between them rather than 4 P each, and an outer step passes over P reals once a node.
 *
 *     episodes          all read θ, m, v
 *     ---- sums -------------------------------  ol_exact_sum_finish: all have done with them
 *     squares of Δ      each its pieces
 *     ---- ol_shared_state_meet ---------------
 *     outer step        each its share of θ, m, v
 *     ---- ol_shared_state_meet ---------------  all see the new ones
 *
 * Where there is no room for memory that a node's ranks share (comm/node.h), a warning says so and every
 * rank has a copy, which it steps by itself: the same bits.
 */
#ifndef OUTERLOOP_COLLECTIVE_STATE_H
#define OUTERLOOP_COLLECTIVE_STATE_H

#include "outerloop/comm/comm.h"  /* ol_comm */
#include "outerloop/meta/outer.h" /* ol_state */

typedef struct ol_shared_state ol_shared_state;

/**
 * Memory of a state of O reals a vector, and of a start of P reals; all zero. @param comm  borrowed,
 * outlives the state
 * @param out  *owned by the caller* (ol_shared_state_destroy)
 * Collective: fails on all ranks or none. Errors: OL_ENOMEM, OL_EMPI, OL_EUSAGE (node.h).
 */
ol_status ol_shared_state_create(ol_comm *comm, size_t P, size_t O, ol_shared_state **out);

/** Free. Collective. Accepts NULL (on all ranks). */
void ol_shared_state_destroy(ol_shared_state *shared);

/** Where arms start: [P], borrowed. Local. */
ol_real *ol_shared_state_start(const ol_shared_state *shared);

/** The vectors, borrowed, with t = 0. Local. */
ol_state ol_shared_state_vectors(const ol_shared_state *shared);

/** Whether this rank is the one that fills the memory for all that read it: of a node one, rank 0 among
 *  them, or where each has a copy every rank. Local. */
bool ol_shared_state_mine(const ol_shared_state *shared);

/** Ranks that keep this memory together. @param own  set to this rank's number among them. Local. */
int ol_shared_state_ranks(const ol_shared_state *shared, int *own);

/** Room for the squares of a meta-step, which these ranks write by pieces: [OL_OUTER_SQUARES]. Local. */
double *ol_shared_state_squares(const ol_shared_state *shared);

/** These ranks are all here, and what any wrote before is seen by all. Collective over them.
 *  Errors: OL_EMPI. */
ol_status ol_shared_state_meet(const ol_shared_state *shared);

/** Copy n of these reals from where rank 0 has them to all copies. @param reals  within the start or a
 *  vector. Collective. Errors: OL_EMPI. */
ol_status ol_shared_state_spread(const ol_shared_state *shared, ol_real *reals, size_t n);

#endif
