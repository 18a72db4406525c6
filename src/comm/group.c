/* SPDX-License-Identifier: BSD-3-Clause */
/* Who shares a node's memory with whom, and who sums with whom.
 *
 * Ranks of a node, in groups of `shared` = the greatest common divisor of all nodes' numbers of ranks,
 * share out a sum; the ranks of one number in all groups are a column. On nodes of 4 and 2 ranks:
 *
 *     node 0  {0 1} {2 3}     node 1  {4 5}       columns  {0 2 4} {1 3 5}
 */
#include <assert.h>
#include <stdlib.h>

#include "internal.h"

static void leave(ol_group *group)
{
    if (group->size > 0)
        MPI_Comm_free(&group->handle);
    *group = (ol_group){0};
}

/* The ranks of `from` with the same colour, in the order of `from`. */
static ol_status split(MPI_Comm from, int colour, ol_group *out)
{
    leave(out);
    OL_TRY_MPI(MPI_Comm_split(from, colour, 0, &out->handle));
    MPI_Comm_set_errhandler(out->handle, MPI_ERRORS_RETURN);
    OL_TRY_MPI(MPI_Comm_rank(out->handle, &out->rank));
    OL_TRY_MPI(MPI_Comm_size(out->handle, &out->size));
    return OL_OK;
}

static int common_divisor(int a, int b)
{
    while (b != 0) {
        const int rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* Groups and columns of nodes; `mine` is this rank's. */
static ol_status divide(ol_comm *comm, const ol_group *mine)
{
    int *sizes = calloc((size_t)comm->size, sizeof *sizes), shared = 0;
    ol_status status = sizes ? OL_OK : ol_fail(OL_ENOMEM, "no memory for %d ranks", comm->size);

    status = ol_comm_agree(comm, status);
    if (status == OL_OK &&
        MPI_Allgather(&mine->size, 1, MPI_INT, sizes, 1, MPI_INT, comm->handle) != MPI_SUCCESS)
        status = ol_fail(OL_EMPI, "the ranks of nodes could not be counted");
    for (int r = 0; r < comm->size && status == OL_OK; r++)
        shared = common_divisor(sizes[r], shared);
    free(sizes);
    OL_TRY(status);
    OL_TRY(split(mine->handle, mine->rank / shared, &comm->sharing));
    return split(comm->handle, mine->rank % shared, &comm->column);
}

ol_status ol_comm_find_groups(ol_comm *comm)
{
    ol_group *node = &comm->node;

    OL_TRY_MPI(MPI_Comm_split_type(comm->handle, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL,
                                   &node->handle));
    MPI_Comm_set_errhandler(node->handle, MPI_ERRORS_RETURN);
    OL_TRY_MPI(MPI_Comm_rank(node->handle, &node->rank));
    OL_TRY_MPI(MPI_Comm_size(node->handle, &node->size));
    OL_TRY(split(comm->handle, node->rank > 0, &comm->first));
    return divide(comm, node);
}

void ol_comm_leave_groups(ol_comm *comm)
{
    leave(&comm->node);
    leave(&comm->first);
    leave(&comm->sharing);
    leave(&comm->column);
}

ol_status ol_comm_pretend_nodes(ol_comm *comm, const int *sizes, int n)
{
    int first = 0, node = 0;
    ol_group mine = {0};
    ol_status status;

    while (node < n - 1 && first + sizes[node] <= comm->rank)
        first += sizes[node++];
    status = split(comm->handle, node, &mine);
    if (status == OL_OK)
        status = divide(comm, &mine);
    leave(&mine);
    return status;
}
