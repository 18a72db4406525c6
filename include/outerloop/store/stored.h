/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/store/stored.h
 * Tensors as model files hold them: a name, a shape, and values of some type in mapped memory.
 *
 * | type       | values of a block | bytes | a value is                                             |
 * |------------|-------------------|-------|--------------------------------------------------------|
 * | F32        | 1                 | 4     | itself                                                 |
 * | F16, BF16  | 1                 | 2     | itself                                                 |
 * | Q4_0, Q5_0 | 32                | 18, 22| d (q - 8), d (q - 16)            d, m: float16         |
 * | Q4_1, Q5_1 | 32                | 20, 24| d q + m                          q: 4 or 5 bits        |
 * | Q8_0       | 32                | 34    | d q                              q: 8 bits, signed     |
 * | Q4_K, Q5_K | 256               | 144, 176 | (d s) q - (e t)               s, t: 6 bits each 32  |
 * | Q6_K       | 256               | 210   | (d s) (q - 32)                   s: 8 bits each 16     |
 *
 * The Q types are those of GGUF. Their values are computed in float32 in the order that stands here,
 * so that they are the bits that other readers get. Types behind these have a name and a size, and are
 * never read: masks of old exports are BOOL or U8, and no weights.
 *
 * Local; allocates nothing, cannot fail.
 * Source: the description of GGUF in the ggml project, and its block layouts.
 */
#ifndef OUTERLOOP_STORE_STORED_H
#define OUTERLOOP_STORE_STORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ol_stored_type {
    OL_STORED_F32,
    OL_STORED_F16,
    OL_STORED_BF16,
    OL_STORED_Q4_0,
    OL_STORED_Q4_1,
    OL_STORED_Q5_0,
    OL_STORED_Q5_1,
    OL_STORED_Q8_0,
    OL_STORED_Q4_K,
    OL_STORED_Q5_K,
    OL_STORED_Q6_K,
    OL_STORED_BOOL,
    OL_STORED_U8,
    OL_STORED_I8,
    OL_STORED_F8_E4M3,
    OL_STORED_F8_E5M2,
    OL_STORED_U16,
    OL_STORED_I16,
    OL_STORED_U32,
    OL_STORED_I32,
    OL_STORED_U64,
    OL_STORED_I64,
    OL_STORED_F64,
    OL_STORED_TYPES
} ol_stored_type;

enum { OL_STORED_RANK = 8 };

/** One tensor, row-major. Borrowed from the open file. */
typedef struct ol_stored {
    const char *name;
    ol_stored_type type;
    int rank;
    int64_t dims[OL_STORED_RANK];
    size_t count;     /**< of values                                          */
    const void *data; /**< ol_stored_bytes(type, count) bytes; not aligned    */
} ol_stored;

/** Tensors in name order, no name twice. */
typedef struct ol_stored_list {
    const ol_stored *items;
    size_t n;
} ol_stored_list;

/** The tensor of that name, or NULL. */
const ol_stored *ol_stored_find(const ol_stored_list *list, const char *name);

/** "F32", "Q4_0" ... */
const char *ol_stored_word(ol_stored_type type);

/** The type of that name. @return false when there is none */
bool ol_stored_named(const char *word, ol_stored_type *out);

/** Whether values of that type can be read. */
static inline bool ol_stored_is_read(ol_stored_type type)
{
    return type <= OL_STORED_Q6_K;
}

/** Values that share a block: a row must have whole blocks. */
size_t ol_stored_block(ol_stored_type type);

/** Bytes of `count` values, whole blocks of them. @return false when they are more than a size_t
 *  counts */
bool ol_stored_bytes(ol_stored_type type, size_t count, size_t *bytes);

/** Values of a tensor of a type that is read, from number `at` on, n of them, as float32: exact for F types. */
void ol_stored_read(const ol_stored *tensor, size_t at, size_t n, float *out);

/** Values as an F type, rounded once, to nearest, ties to even.
 *  @param out  ol_stored_bytes(type, n); may be `values` */
void ol_stored_write(ol_stored_type type, size_t n, const double *values, void *out);

#endif
