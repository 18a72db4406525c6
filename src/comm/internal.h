/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this room share. */
#ifndef COMM_INTERNAL_H
#define COMM_INTERNAL_H

#include <mpi.h>

#include "outerloop/comm/comm.h"

/* Ranks that communicate among themselves. */
typedef struct ol_group {
    MPI_Comm handle; /* errors returned */
    int rank, size;  /* in it           */
} ol_group;

struct ol_comm {
    MPI_Comm handle; /* duplicate of MPI_COMM_WORLD, errors returned */
    int rank, size;
    ol_group node;    /* the ranks that share this host's memory                           */
    ol_group first;   /* the lowest ranks of all nodes; of the others, the others               */
    ol_group sharing; /* those of them that share out a sum: equally many on every node     */
    ol_group column;  /* the ranks of the same number in all groups of `sharing`           */
    double start;     /* MPI_Wtime at ol_comm_init */
    char host[OL_HOST_TEXT];
    char *hosts;                    /* [size][OL_HOST_TEXT] of all ranks           */
    MPI_Comm watch;                 /* news beside the work (wait.c)               */
    char *answers;                  /* [size] to the latest question; 0: none yet  */
    double stall_seconds, attended; /* ol_comm_watch; when news were looked for    */
    bool told_to_stop;
    bool told_of_room;     /* that a node has too little (node.c)                   */
    bool told_of_messages; /* that ranks of a node share no memory (exact_sum.c)    */
    ol_comm_stall_action *on_stall;
    struct { /* ol_comm_inject */
        uint64_t seed;
        double rate;
        ol_status code;
        uint32_t agreement;
    } fault;
};

/* Sets the message "call: MPI's text" and returns OL_EMPI. */
ol_status ol_comm_fail(const char *call, int code);

/* Return to the caller when an MPI call failed. */
#define OL_TRY_MPI(call)                                                                           \
    do {                                                                                           \
        const int ol_try_mpi_ = (call);                                                            \
        if (ol_try_mpi_ != MPI_SUCCESS)                                                            \
            return ol_comm_fail(#call, ol_try_mpi_);                                               \
    } while (0)

/* Fill comm->node, sharing and column. Collective. Errors: OL_EMPI, OL_ENOMEM (on all ranks). */
ol_status ol_comm_find_groups(ol_comm *comm);

/* Give them back. Collective. */
void ol_comm_leave_groups(ol_comm *comm);

/* Wait for what `call` began. Nobody is waited for longer than ol_comm_watch says.
 * may_sleep: what others do first takes long, not the message itself. Errors: OL_EMPI. */
ol_status ol_comm_wait(ol_comm *comm, const char *call, MPI_Request *request, bool may_sleep);

/* Do a collective call, or send or receive, in the place of its blocking namesake. Of _LARGE ones the
   bytes take longer than the ranks. */
#define OL_TRY_WAIT(comm, may_sleep, call, ...)                                                    \
    do {                                                                                           \
        MPI_Request ol_request_;                                                                   \
        OL_TRY_MPI(call(__VA_ARGS__, &ol_request_));                                               \
        OL_TRY(ol_comm_wait(comm, #call, &ol_request_, may_sleep));                                \
    } while (0)
#define OL_TRY_SMALL(comm, call, ...) OL_TRY_WAIT(comm, true, call, __VA_ARGS__)
#define OL_TRY_LARGE(comm, call, ...) OL_TRY_WAIT(comm, false, call, __VA_ARGS__)

/* Most bytes of one message or buffer, so that counts fit an int and memory stays bounded. */
enum { COMM_PIECE_BYTES = 8 << 20 };

#endif
