/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/rng.h
 * Counter-based random streams: the numbers depend on a key and a position, on nothing else.
 *
 * A stream is named by (seed, purpose, a, b): usually a is the meta-step and b the episode. The
 * same name gives the same numbers on any rank, in any order, after any restart, so nothing about
 * random state is ever stored.
 *
 * Generator: Philox4x32-10 [Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"].
 * Key = seed; counter = (position, purpose, a, b). Period per stream: 2^34 numbers.
 * Local, allocates nothing, cannot fail.
 */
#ifndef OUTERLOOP_BASE_RNG_H
#define OUTERLOOP_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/** What a stream is for; two purposes never share numbers. Values are part of the file format:
 *  a resumed run relies on them. */
typedef enum ol_rng_purpose {
    OL_RNG_INIT = 1,    /**< random parameters; a = parameter number               */
    OL_RNG_EPISODE = 2, /**< task and prompts of an episode; a = step, b = episode */
    OL_RNG_SUITE = 3,   /**< rows of the built-in suite; a = task, b = split       */
    OL_RNG_BENCH = 5,   /**< tokens of a benchmark episode                         */
    OL_RNG_FAULT = 6,   /**< injected faults                                       */
    OL_RNG_TEST = 7,    /**< tests                                                 */
    OL_RNG_TASKS = 8,   /**< which tasks a meta-step draws; a = step               */
    OL_RNG_TABLE = 9,   /**< resamples for intervals; a = resample               */
    OL_RNG_HELD = 10,   /**< which training tasks are held out                    */
    OL_RNG_ROWS = 11,   /**< rows of a held-out task; the seed is that of eval   */
    OL_RNG_SPLIT = 13,  /**< a task of the user's own, split; a = file          */
} ol_rng_purpose;

typedef struct ol_rng {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4];
    int left;      /**< numbers of `block` not handed out yet */
    double normal; /**< second of a pair of normals           */
    int has_normal;
} ol_rng;

/** Open the stream of that name at its start. */
ol_rng ol_rng_stream(uint64_t seed, ol_rng_purpose purpose, uint32_t a, uint32_t b);

/** Uniform on 0 .. 2^32-1. */
uint32_t ol_rng_u32(ol_rng *rng);

/** Uniform on 0 .. n-1, without bias; n > 0. */
uint32_t ol_rng_below(ol_rng *rng, uint32_t n);

/** Uniform on [0, 1), 53 bits. */
double ol_rng_uniform(ol_rng *rng);

/** Standard normal (Box and Muller). */
double ol_rng_normal(ol_rng *rng);

/** Put items[0..n-1] in random order (Fisher and Yates). */
void ol_rng_shuffle(ol_rng *rng, int *items, int n);

/**
 * Draw k distinct numbers of 0..n-1 in random order; 0 <= k <= n.
 * @param scratch  [n], overwritten
 * @param out      [k]
 */
void ol_rng_choose(ol_rng *rng, int n, int k, int *scratch, int *out);

#endif
