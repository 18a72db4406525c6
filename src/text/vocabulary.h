/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file text/vocabulary.h
 * What a tokenizer folder says: the bytes of each token, and which two tokens merge into which.
 * Read once, then only looked up. Private to the room.
 */
#ifndef TEXT_VOCABULARY_H
#define TEXT_VOCABULARY_H

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"               /* BYTES   */
#include "outerloop/base/text.h" /* ol_text */

enum { NO_RANK = INT32_MAX };

/** One merge, a slot of a hash table. */
typedef struct merge {
    int32_t left, right; /**< ids; left is -1 in a free slot  */
    int32_t rank;        /**< smaller = stronger              */
    int32_t result;      /**< id                              */
} merge;

typedef struct vocabulary {
    int V;                 /**< largest id + 1                                           */
    ol_text pool;          /**< bytes of all tokens                                      */
    uint32_t *start, *end; /**< [V] token i is pool[start[i]..end[i]-1]; UINT32_MAX: no such id */
    int32_t byte_id[BYTES];
    merge *merges; /**< [slots], a power of two, at most half full               */
    size_t slots;
} vocabulary;

/** Read and check folder/vocab.json and folder/merges.txt. `v` is zero at first; finish it also
 *  after an error. Errors: as ol_tokenizer_load. */
ol_status vocabulary_read(vocabulary *v, const char *folder);

/** Accepts a zero vocabulary. */
void vocabulary_finish(vocabulary *v);

static inline size_t merge_slot(const vocabulary *v, int32_t left, int32_t right)
{
    const uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;

    return (size_t)((key * 0x9E3779B97F4A7C15u) >> 20) & (v->slots - 1);
}

/** The merge of two neighbours, or the free slot where it would stand. */
static inline merge *merge_find(const vocabulary *v, int32_t left, int32_t right)
{
    size_t slot = merge_slot(v, left, right);

    while (v->merges[slot].left >= 0 &&
           (v->merges[slot].left != left || v->merges[slot].right != right))
        slot = (slot + 1) & (v->slots - 1);
    return &v->merges[slot];
}

#endif
