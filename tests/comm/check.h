/* SPDX-License-Identifier: BSD-3-Clause */
/* A check of programs that run as ranks: who failed, where, and all end. They have a static `comm`. */
#ifndef TEST_COMM_CHECK_H
#define TEST_COMM_CHECK_H

#include <stdio.h>

#include "outerloop/comm/comm.h"

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "rank %d of %d: %s:%d: %s does not hold (%s)\n", ol_comm_rank(comm),   \
                    ol_comm_size(comm), __FILE__, __LINE__, #cond, ol_status_message());           \
            ol_comm_abort(comm, 1);                                                                \
        }                                                                                          \
    } while (0)

#endif
