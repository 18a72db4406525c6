/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/bf16.h
 * bfloat16, the upper half of a float32: rounding to it and widening, one number at a time.
 */
#ifndef OUTERLOOP_KERNEL_BF16_H
#define OUTERLOOP_KERNEL_BF16_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/** The bits of a float32 as bfloat16: to nearest, ties to even; a NaN stays one. */
static inline uint16_t ol_bf16_round(uint32_t bits, bool is_nan)
{
    bits = is_nan ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1u);
    return (uint16_t)(bits >> 16);
}

/** The float32 of the same value: exact. */
static inline float ol_bf16_widen(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
