/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/rng.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define ROUNDS 10

static void philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];

    for (int r = 0; r < ROUNDS; r++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        const uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;

        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

ol_rng ol_rng_stream(uint64_t seed, ol_rng_purpose purpose, uint32_t a, uint32_t b)
{
    /* The purpose goes into the counter's high word, so that the whole seed stays in the key. */
    return (ol_rng){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                    .counter = {0, (uint32_t)purpose, a, b}};
}

uint32_t ol_rng_u32(ol_rng *rng)
{
    if (rng->left == 0) {
        philox(rng->key, rng->counter, rng->block);
        rng->counter[0]++;
        rng->left = 4;
    }
    return rng->block[--rng->left];
}

uint32_t ol_rng_below(ol_rng *rng, uint32_t n)
{
    assert(n > 0);
    const uint32_t reject = (uint32_t)(-n) % n; /* 2^32 mod n numbers would favour the low ones */

    for (;;) {
        const uint64_t product = (uint64_t)ol_rng_u32(rng) * n;

        if ((uint32_t)product >= reject)
            return (uint32_t)(product >> 32);
    }
}

double ol_rng_uniform(ol_rng *rng)
{
    const uint64_t high = ol_rng_u32(rng) >> 5, low = ol_rng_u32(rng) >> 6;

    return (double)(high << 26 | low) * 0x1p-53;
}

double ol_rng_normal(ol_rng *rng)
{
    if (rng->has_normal) {
        rng->has_normal = 0;
        return rng->normal;
    }
    const double radius = sqrt(-2.0 * log(1.0 - ol_rng_uniform(rng)));
    const double angle = 2.0 * 3.14159265358979323846 * ol_rng_uniform(rng);

    rng->normal = radius * sin(angle);
    rng->has_normal = 1;
    return radius * cos(angle);
}

void ol_rng_shuffle(ol_rng *rng, int *items, int n)
{
    for (int i = n - 1; i > 0; i--) {
        const int j = (int)ol_rng_below(rng, (uint32_t)i + 1);
        const int held = items[i];

        items[i] = items[j];
        items[j] = held;
    }
}

void ol_rng_choose(ol_rng *rng, int n, int k, int *scratch, int *out)
{
    assert(0 <= k && k <= n);
    for (int i = 0; i < n; i++)
        scratch[i] = i;
    for (int i = 0; i < k; i++) {
        const int j = i + (int)ol_rng_below(rng, (uint32_t)(n - i));

        out[i] = scratch[j];
        scratch[j] = scratch[i];
    }
}
