/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this room share. */
#ifndef COMM_INTERNAL_H
#define COMM_INTERNAL_H

#include <mpi.h>

#include "outerloop/comm/comm.h"

struct ol_comm {
    MPI_Comm handle; /* duplicate of MPI_COMM_WORLD, errors returned */
    int rank, size;
    double start; /* MPI_Wtime at ol_comm_init */
    char host[OL_HOST_TEXT];
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

/* Most bytes of one message or buffer, so that counts fit an int and memory stays bounded. */
enum { COMM_PIECE_BYTES = 8 << 20 };

#endif
