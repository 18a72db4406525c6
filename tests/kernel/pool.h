/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file pool.h
 * Blocks of reals with guards at both ends, which see a write beyond a block. A test that runs out
 * of memory or of blocks aborts.
 */
#ifndef TESTS_KERNEL_POOL_H
#define TESTS_KERNEL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "outerloop/kernel/dual.h"

enum { MOST_BLOCKS = 64 };

/* Zero one to start. */
typedef struct pool {
    ol_real *block[MOST_BLOCKS];
    size_t size[MOST_BLOCKS];
    int n;
} pool;

/* n reals that read as NaN. */
ol_real *pool_take(pool *p, size_t n);

/* n standard normal reals, the same for the same stream. */
ol_real *pool_random(pool *p, size_t n, uint32_t stream);

/* Two of these, of streams `stream` and `stream` + 1. */
ol_dual pool_random_dual(pool *p, size_t n, uint32_t stream);

ol_real *pool_copy(pool *p, size_t n, const ol_real *from);

/* Free all blocks; false when something was written beyond one of them. */
bool pool_finish(pool *p);

/* n reals become NaN. */
void poison(size_t n, ol_real *x);

#endif
