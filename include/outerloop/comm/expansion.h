/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/comm/expansion.h
 * Sums of vectors without any rounding, so that the order of additions does not matter.
 *
 *   (1) a + b = s + e exactly,  s = fl(a + b),  e = fl((a - (s - z)) + (b - z)),  z = fl(s - a)
 *
 * Each element is the unevaluated sum of a few float64, its layers. A value is added to layer 0 by
 * (1); what that rounds away, e, is added to layer 1 in the same way, and so on until nothing is
 * left. Whatever the order, the layers together are the exact sum.
 *
 *   (2) out = (T)(scale · fl64(exact sum))
 *
 * which is a function of the values alone: the same bits for any order and any grouping.
 * This holds as long as no partial sum overflows float64, as sums of floats never do. An infinite or NaN
 * value makes (2) infinite or NaN. The sign of a zero is lost: zeros are positive.
 *
 * Elements are kept in blocks, and a block has only as many layers as it has needed. Sums of float32
 * need one as long as the exponents of an element's values differ by less than about 29 - log2 of
 * their number, two up to 78, and seven at most; those of float64 need more, sooner. Memory: 8 bytes an
 * element a layer, where a layer that any block needs is set aside for all, but touched (and so resident)
 * only where it is needed.
 *
 * Source: Knuth, The Art of Computer Programming 2, 4.2.2, theorem B (TwoSum, 1); Shewchuk 1997,
 * Adaptive precision floating-point arithmetic, section 2 (sums of many). Local.
 * Cost: 6 additions an element and layer, vectorised; limited by memory.
 */
#ifndef OUTERLOOP_COMM_EXPANSION_H
#define OUTERLOOP_COMM_EXPANSION_H

#include <stddef.h>

#include "outerloop/base/status.h" /* ol_status */

/** Type of the values; its value is their size in bytes (so sizeof(ol_real) converts). */
typedef enum ol_sum_type {
    OL_SUM_F32 = 4,
    OL_SUM_F64 = 8,
} ol_sum_type;

enum {
    OL_EXPANSION_BLOCK = 256, /**< elements that have equally many layers                        */
    OL_EXPANSION_LAYERS = 64  /**< most: float64 of all exponents, half a million of them         */
};

/** n sums. */
typedef struct ol_expansion {
    size_t n;
    double
        *layers[OL_EXPANSION_LAYERS]; /**< [n] each, NULL when no block has needed it           */
    unsigned char
        *depths; /**< layers of each block that hold anything; 0: the sums are zero      */
} ol_expansion;

/** n sums of zero. @param expansion  ol_expansion_finish frees, on failure too. Errors: OL_ENOMEM. */
ol_status ol_expansion_init(ol_expansion *expansion, size_t n);

/** Free. Accepts NULL and a zero struct. */
void ol_expansion_finish(ol_expansion *expansion);

/** Bytes that n sums take while one layer suffices. */
size_t ol_expansion_bytes(size_t n);

/** Back to zero. Keeps the memory. */
void ol_expansion_clear(ol_expansion *expansion);

/**
 * Add x[0..n-1] to the sums at, at+1, ... @param x  of that type, borrowed
 * Errors: OL_ENOMEM when another layer is needed and there is no memory for it; sums are then
 * undefined.
 */
ol_status ol_expansion_add(ol_expansion *expansion, size_t at, size_t n, ol_sum_type type,
                           const void *x);

/** Give the n sums from `at` on, and the rest of their blocks, equally many layers, with zeros where
 *  one had fewer, so that they can be read as layers[l][at..at+n-1]. @return how many */
int ol_expansion_level(ol_expansion *expansion, size_t at, size_t n);

/** (2) of the n sums from `at` on. @param out  [n] of that type, overwritten */
void ol_expansion_round(const ol_expansion *expansion, size_t at, size_t n, ol_sum_type type,
                        double scale, void *out);

#endif
