/* SPDX-License-Identifier: BSD-3-Clause */
#include "pool.h"

#include <stdlib.h>
#include <string.h>

#include "outerloop/base/rng.h"

enum { GUARD = 32 };

static const ol_real BEYOND = (ol_real)-7.25e17; /* what stands before and after every block */

void poison(size_t n, ol_real *x)
{
    memset(x, 0xff, n * sizeof *x); /* all bits set: a quiet NaN */
}

ol_real *pool_take(pool *p, size_t n)
{
    ol_real *block = malloc((n + 2 * GUARD) * sizeof *block);

    if (!block || p->n == MOST_BLOCKS)
        abort();
    for (size_t i = 0; i < GUARD; i++)
        block[i] = block[GUARD + n + i] = BEYOND;
    poison(n, block + GUARD);
    p->block[p->n] = block;
    p->size[p->n++] = n;
    return block + GUARD;
}

ol_real *pool_random(pool *p, size_t n, uint32_t stream)
{
    ol_rng rng = ol_rng_stream(11, OL_RNG_TEST, stream, 0);
    ol_real *x = pool_take(p, n);

    for (size_t i = 0; i < n; i++)
        x[i] = (ol_real)ol_rng_normal(&rng);
    return x;
}

ol_dual pool_random_dual(pool *p, size_t n, uint32_t stream)
{
    return (ol_dual){pool_random(p, n, stream), pool_random(p, n, stream + 1)};
}

ol_real *pool_copy(pool *p, size_t n, const ol_real *from)
{
    ol_real *x = pool_take(p, n);

    memcpy(x, from, n * sizeof *x);
    return x;
}

bool pool_finish(pool *p)
{
    bool whole = true;

    for (int b = 0; b < p->n; b++) {
        const ol_real *block = p->block[b], *after = block + GUARD + p->size[b];

        for (size_t i = 0; i < GUARD; i++)
            whole = whole && block[i] == BEYOND && after[i] == BEYOND;
        free(p->block[b]);
    }
    p->n = 0;
    return whole;
}
