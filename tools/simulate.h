/* SPDX-License-Identifier: BSD-3-Clause */
/* Put in front of every file that tools/simulate compiles: SimGrid's MPI, whose calls that do not block are
   made blocking. Nothing is done meanwhile here, so only the waiting for them differs: simulated ranks
   would look some hundred thousand times a second. Small ones take the algorithms of Open MPI's tuned
   component; SimGrid's own that do not block send from each rank to each, which Open MPI's do not. */
#ifndef TOOLS_SIMULATE_H
#define TOOLS_SIMULATE_H

#include <mpi.h>
#include <stdlib.h>

/* Whoever asks waits. */
#define MPI_Test(request, done, status)                                                            \
    (*(done) = 1, *(request) == MPI_REQUEST_NULL ? MPI_SUCCESS : MPI_Wait(request, status))

/* SimGrid has its own malloc, where all ranks have one page, and none that aligns. */
#define aligned_alloc(alignment, bytes) malloc(bytes)

#define SIMULATE_BLOCK(request, call) (*(request) = MPI_REQUEST_NULL, (call))

#define MPI_Iallgather(from, n, type, to, m, to_type, comm, request)                               \
    SIMULATE_BLOCK(request, MPI_Allgather(from, n, type, to, m, to_type, comm))
#define MPI_Iallreduce(from, to, n, type, op, comm, request)                                       \
    SIMULATE_BLOCK(request, MPI_Allreduce(from, to, n, type, op, comm))
#define MPI_Ibcast(at, n, type, root, comm, request)                                               \
    SIMULATE_BLOCK(request, MPI_Bcast(at, n, type, root, comm))
#define MPI_Ibarrier(comm, request) SIMULATE_BLOCK(request, MPI_Barrier(comm))
#define MPI_Ialltoallv(from, n, at, type, to, m, to_at, to_type, comm, request)                    \
    SIMULATE_BLOCK(request, MPI_Alltoallv(from, n, at, type, to, m, to_at, to_type, comm))
#define MPI_Iallgatherv(from, n, type, to, m, to_at, to_type, comm, request)                       \
    SIMULATE_BLOCK(request, MPI_Allgatherv(from, n, type, to, m, to_at, to_type, comm))

#endif
