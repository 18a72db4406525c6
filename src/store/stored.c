/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/store/stored.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor_file.h"

enum {
    LARGEST_BLOCK = 256,
    HALF_FRACTION = 10,
    HALF_BIAS = 15,
    BF16_FRACTION = 7,
    BF16_BIAS = 127
};

/* A type of tensor data. */
typedef struct layout {
    const char *word;
    size_t block, bytes;
    void (*read)(const uint8_t *block, float *out); /* one block */
} layout;

/* IEEE half precision: sign, 5 bits of exponent, 10 of fraction. */
static float from_half(const uint8_t *at)
{
    uint16_t half;
    uint32_t sign, fraction, exponent, bits;
    float value;

    memcpy(&half, at, sizeof half);
    sign = (uint32_t)(half & 0x8000u) << 16;
    fraction = half & 0x3ffu;
    exponent = half >> 10 & 0x1fu;
    if (exponent == 0) { /* zero or subnormal: fraction · 2^-24, exact */
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    bits = sign | (exponent == 0x1fu ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void read_f32(const uint8_t *block, float *out)
{
    memcpy(out, block, sizeof *out);
}

static void read_f16(const uint8_t *block, float *out)
{
    *out = from_half(block);
}

static void read_bf16(const uint8_t *block, float *out)
{
    uint16_t half;
    uint32_t bits;

    memcpy(&half, block, sizeof half);
    bits = (uint32_t)half << 16;
    memcpy(out, &bits, sizeof bits);
}

/* 16 bytes: value j in the low half of byte j, value 16 + j in the high one. */
static int low_bits(const uint8_t *q, int j)
{
    return j < 16 ? q[j] & 0xf : q[j - 16] >> 4;
}

/* Bit j of four bytes, as the fifth bit of a value. */
static int high_bit(const uint8_t *h, int j)
{
    return (h[j / 8] >> (j % 8) & 1) << 4;
}

static void read_q4_0(const uint8_t *block, float *out)
{
    const float d = from_half(block);

    for (int j = 0; j < 32; j++)
        out[j] = d * (float)(low_bits(block + 2, j) - 8);
}

static void read_q4_1(const uint8_t *block, float *out)
{
    const float d = from_half(block), m = from_half(block + 2);

    for (int j = 0; j < 32; j++) {
        const float product = d * (float)low_bits(block + 4, j);

        out[j] = product + m;
    }
}

static void read_q5_0(const uint8_t *block, float *out)
{
    const float d = from_half(block);

    for (int j = 0; j < 32; j++)
        out[j] = d * (float)((low_bits(block + 6, j) | high_bit(block + 2, j)) - 16);
}

static void read_q5_1(const uint8_t *block, float *out)
{
    const float d = from_half(block), m = from_half(block + 2);

    for (int j = 0; j < 32; j++) {
        const float product = d * (float)(low_bits(block + 8, j) | high_bit(block + 4, j));

        out[j] = product + m;
    }
}

static void read_q8_0(const uint8_t *block, float *out)
{
    const float d = from_half(block);

    for (int j = 0; j < 32; j++)
        out[j] = (float)(int8_t)block[2 + j] * d;
}

/* The 6-bit scale and minimum of part i of 8, from their 12 bytes. */
static void unpack_scales(const uint8_t *s, int i, int *scale, int *least)
{
    if (i < 4) {
        *scale = s[i] & 0x3f;
        *least = s[i + 4] & 0x3f;
    } else {
        *scale = (s[i + 4] & 0xf) | (s[i - 4] >> 6 << 4);
        *least = s[i + 4] >> 4 | (s[i] >> 6 << 4);
    }
}

/* d, e, 12 bytes of scales; `high` [32] holds bit i of every value of part i, NULL in Q4_K; of each
 * 32 bytes of `low` the low halves are one part of 32 values and the high ones the next. */
static void read_parts(const uint8_t *block, const uint8_t *high, const uint8_t *low, float *out)
{
    const float d = from_half(block), e = from_half(block + 2);

    for (int i = 0; i < 8; i++) {
        const uint8_t *q = low + 32 * (i / 2);
        int scale, least;

        unpack_scales(block + 4, i, &scale, &least);
        const float ds = d * (float)scale, et = e * (float)least;

        for (int j = 0; j < 32; j++) {
            const int fifth = high ? (high[j] >> i & 1) << 4 : 0;
            const float product = ds * (float)((i % 2 ? q[j] >> 4 : q[j] & 0xf) | fifth);

            out[32 * i + j] = product - et;
        }
    }
}

static void read_q4_k(const uint8_t *block, float *out)
{
    read_parts(block, NULL, block + 16, out);
}

static void read_q5_k(const uint8_t *block, float *out)
{
    read_parts(block, block + 16, block + 48, out);
}

/* Halves of 128 values: 64 bytes of low bits, 32 of high ones, 8 scales. */
static void read_q6_k(const uint8_t *block, float *out)
{
    const float d = from_half(block + 208);

    for (int i = 0; i < 256; i++) {
        const int half = i / 128, k = i % 128;
        const uint8_t *low = block + 64 * half, *high = block + 128 + 32 * half;
        const int bits = k < 64 ? low[k] & 0xf : low[k - 64] >> 4;
        const int q = (bits | (high[k % 32] >> (2 * (k / 32)) & 3) << 4) - 32;
        const float ds = d * (float)(int8_t)block[192 + i / 16];

        out[i] = ds * (float)q;
    }
}

static const layout layouts[OL_STORED_TYPES] = {
    [OL_STORED_F32] = {"F32", 1, 4, read_f32},
    [OL_STORED_F16] = {"F16", 1, 2, read_f16},
    [OL_STORED_BF16] = {"BF16", 1, 2, read_bf16},
    [OL_STORED_Q4_0] = {"Q4_0", 32, 18, read_q4_0},
    [OL_STORED_Q4_1] = {"Q4_1", 32, 20, read_q4_1},
    [OL_STORED_Q5_0] = {"Q5_0", 32, 22, read_q5_0},
    [OL_STORED_Q5_1] = {"Q5_1", 32, 24, read_q5_1},
    [OL_STORED_Q8_0] = {"Q8_0", 32, 34, read_q8_0},
    [OL_STORED_Q4_K] = {"Q4_K", 256, 144, read_q4_k},
    [OL_STORED_Q5_K] = {"Q5_K", 256, 176, read_q5_k},
    [OL_STORED_Q6_K] = {"Q6_K", 256, 210, read_q6_k},
    [OL_STORED_BOOL] = {"BOOL", 1, 1, NULL},
    [OL_STORED_U8] = {"U8", 1, 1, NULL},
    [OL_STORED_I8] = {"I8", 1, 1, NULL},
    [OL_STORED_F8_E4M3] = {"F8_E4M3", 1, 1, NULL},
    [OL_STORED_F8_E5M2] = {"F8_E5M2", 1, 1, NULL},
    [OL_STORED_U16] = {"U16", 1, 2, NULL},
    [OL_STORED_I16] = {"I16", 1, 2, NULL},
    [OL_STORED_U32] = {"U32", 1, 4, NULL},
    [OL_STORED_I32] = {"I32", 1, 4, NULL},
    [OL_STORED_U64] = {"U64", 1, 8, NULL},
    [OL_STORED_I64] = {"I64", 1, 8, NULL},
    [OL_STORED_F64] = {"F64", 1, 8, NULL},
};

int ol_stored_order(const void *a, const void *b)
{
    return strcmp(((const ol_stored *)a)->name, ((const ol_stored *)b)->name);
}

const ol_stored *ol_stored_find(const ol_stored_list *list, const char *name)
{
    const ol_stored key = {.name = name};

    return list->n > 0 ? bsearch(&key, list->items, list->n, sizeof key, ol_stored_order) : NULL;
}

const char *ol_stored_word(ol_stored_type type)
{
    return layouts[type].word;
}

bool ol_stored_named(const char *word, ol_stored_type *out)
{
    for (int type = 0; type < OL_STORED_TYPES; type++)
        if (strcmp(word, layouts[type].word) == 0) {
            *out = (ol_stored_type)type;
            return true;
        }
    return false;
}

size_t ol_stored_block(ol_stored_type type)
{
    return layouts[type].block;
}

bool ol_stored_bytes(ol_stored_type type, size_t count, size_t *bytes)
{
    assert(count % layouts[type].block == 0);
    return !__builtin_mul_overflow(count / layouts[type].block, layouts[type].bytes, bytes);
}

void ol_stored_read(const ol_stored *t, size_t at, size_t n, float *out)
{
    const layout *l = &layouts[t->type];
    const uint8_t *data = t->data;
    float values[LARGEST_BLOCK];

    assert(ol_stored_is_read(t->type));
    if (t->type == OL_STORED_F32) {
        memcpy(out, data + at * sizeof *out, n * sizeof *out);
        return;
    }
    while (n > 0) {
        const size_t skip = at % l->block, left = l->block - skip, taken = n < left ? n : left;

        l->read(data + at / l->block * l->bytes, values);
        memcpy(out, values + skip, taken * sizeof *out);
        at += taken;
        out += taken;
        n -= taken;
    }
}

/* A value of sign, exponent and fraction in 16 bits. The leading bit of what `nearbyint` gives adds
 * one to the exponent, and so does a carry, up to infinity. */
static uint16_t narrow(double value, int fraction, int bias)
{
    const uint32_t sign = signbit(value) ? 0x8000u : 0;
    const uint32_t infinite = 0x7fffu >> fraction << fraction;
    const double size = fabs(value);
    int exponent = 0;
    uint32_t bits;

    if (isnan(value))
        return (uint16_t)(sign | infinite | 1u << (fraction - 1));
    if (isinf(value))
        return (uint16_t)(sign | infinite);
    frexp(size, &exponent);
    exponent += bias - 1;
    exponent = size > 0 && exponent > 1 ? exponent : 1; /* 1 is the scale of subnormals too */
    bits = ((uint32_t)exponent - 1) << fraction;
    bits += (uint32_t)nearbyint(scalbn(size, fraction + bias - exponent));
    return (uint16_t)(sign | (bits < infinite ? bits : infinite));
}

void ol_stored_write(ol_stored_type type, size_t n, const double *values, void *out)
{
    char *to = out;

    assert(layouts[type].block == 1);
    for (size_t i = 0; i < n; i++) { /* writes behind what is still to be read */
        const float single = (float)values[i];
        const uint16_t half = type == OL_STORED_F32   ? 0
                              : type == OL_STORED_F16 ? narrow(values[i], HALF_FRACTION, HALF_BIAS)
                                                      : narrow(values[i], BF16_FRACTION, BF16_BIAS);

        if (type == OL_STORED_F32)
            memcpy(to + i * sizeof single, &single, sizeof single);
        else
            memcpy(to + i * sizeof half, &half, sizeof half);
    }
}
