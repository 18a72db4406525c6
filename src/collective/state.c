/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/collective/state.h"

#include <stdlib.h>
#include <string.h>

#include "outerloop/comm/node.h" /* ol_node_vectors_create */

/* The vectors, by number. */
enum { START, THETA, M, V, SQUARES, N_VECTORS };

struct ol_shared_state {
    ol_comm *comm;
    ol_node_block *block; /* NULL: a copy of this rank's own */
    ol_arena own;
    void *vectors[N_VECTORS];
};

static ol_status copy_of_own(ol_shared_state *s, const size_t *bytes)
{
    ol_arena dry = ol_arena_dry("parameters and moments");

    for (int i = 0; i < N_VECTORS; i++)
        ol_arena_take(&dry, bytes[i]);
    OL_TRY(ol_arena_init(&s->own, "parameters and moments", dry.peak));
    for (int i = 0; i < N_VECTORS; i++)
        s->vectors[i] = memset(ol_arena_take(&s->own, bytes[i]), 0, bytes[i]);
    return OL_OK;
}

static ol_status allocate(ol_shared_state *s, const size_t *bytes)
{
    const ol_status status =
        ol_node_vectors_create(s->comm, "parameters and moments", N_VECTORS, bytes, &s->block);

    for (int i = 0; status == OL_OK && i < N_VECTORS; i++)
        s->vectors[i] = ol_node_part_at(s->block, i);
    if (status != OL_ENOMEM || ol_comm_size(s->comm) == 1)
        return status;
    ol_node_warn(s->comm, "each rank of a node keeps parameters and moments of its own");
    return ol_comm_agree(s->comm, copy_of_own(s, bytes));
}

ol_status ol_shared_state_create(ol_comm *comm, size_t P, size_t O, ol_shared_state **out)
{
    const size_t start = P * sizeof(ol_real), vector = O * sizeof(ol_real);
    const size_t bytes[N_VECTORS] = {start, vector, vector, vector,
                                     OL_OUTER_SQUARES * sizeof(double)};
    ol_shared_state *s = calloc(1, sizeof *s);
    ol_status status = ol_comm_agree(comm, s ? OL_OK : ol_fail(OL_ENOMEM, "no memory for a state"));

    *out = NULL;
    if (s)
        s->comm = comm;
    if (status == OL_OK)
        status = allocate(s, bytes);
    if (status == OL_OK)
        *out = s;
    else
        ol_shared_state_destroy(s);
    return status;
}

void ol_shared_state_destroy(ol_shared_state *s)
{
    if (!s)
        return;
    ol_node_block_destroy(s->block);
    ol_arena_finish(&s->own);
    free(s);
}

ol_real *ol_shared_state_start(const ol_shared_state *s)
{
    return s->vectors[START];
}

ol_state ol_shared_state_vectors(const ol_shared_state *s)
{
    return (ol_state){.theta = s->vectors[THETA], .m = s->vectors[M], .v = s->vectors[V]};
}

double *ol_shared_state_squares(const ol_shared_state *s)
{
    return s->vectors[SQUARES];
}

int ol_shared_state_ranks(const ol_shared_state *s, int *own)
{
    *own = 0;
    return s->block ? ol_node_block_ranks(s->block, own) : 1;
}

bool ol_shared_state_mine(const ol_shared_state *s)
{
    return !s->block || ol_node_block_mine(s->block);
}

ol_status ol_shared_state_meet(const ol_shared_state *s)
{
    return s->block ? ol_node_block_meet(s->block) : OL_OK;
}

ol_status ol_shared_state_spread(const ol_shared_state *s, ol_real *reals, size_t n)
{
    if (!s->block)
        return ol_comm_broadcast(s->comm, reals, n * sizeof *reals, 0);
    OL_TRY(ol_comm_broadcast_nodes(s->comm, reals, n * sizeof *reals));
    return ol_node_block_meet(s->block);
}
