/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file text/vocabulary.h
 * What a tokenizer folder says: the bytes of each token, and which two tokens merge into which.
 * Read once, then only looked up. Private to the room.
 */
#ifndef TEXT_VOCABULARY_H
#define TEXT_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h> /* json_t */

#include "bytes.h"               /* BYTES   */
#include "outerloop/base/text.h" /* ol_text */

enum {
    NO_RANK = INT32_MAX,
    VOCABULARY_BYTES = 256 << 20 /* of a tokenizer's file */
};

/** One merge, a slot of a hash table. */
typedef struct merge {
    int32_t left, right; /**< ids; left is -1 in a free slot  */
    int32_t rank;        /**< smaller = stronger              */
    int32_t result;      /**< id                              */
} merge;

typedef struct vocabulary {
    int V;                  /**< largest id + 1                                           */
    ol_text pool;           /**< bytes of all tokens                                      */
    uint32_t *start, *end;  /**< [V] token i is pool[start[i]..end[i]-1]; UINT32_MAX: no such id */
    int32_t byte_id[BYTES]; /**< -1: text loses this byte, as Hugging Face's drop it     */
    bool unknown[BYTES];    /**< bytes without a token that unk_token stands for               */
    bool fuse_unknown;      /**< one unk_token for a row of them                              */
    merge *merges;          /**< [slots], a power of two, at most half full               */
    size_t slots;
    int32_t *whole; /**< NULL, or [whole_slots] ids by the hash of their bytes, -1 free   */
    size_t whole_slots, longest;
} vocabulary;

/** Where a merge stands, for messages. */
typedef struct merge_place {
    const char *path;
    int number;   /**< line of merges.txt, or index in model.merges; the rank   */
    bool in_json; /**< of tokenizer.json                                        */
} merge_place;

/** Parse the text of a JSON file, called `path` in messages. @param out owned by the caller.
 *  Errors: OL_EDATA. */
ol_status vocabulary_parse_json(const char *path, const char *text, size_t size, json_t **out);

/** Read and check the texts of vocab.json and merges.txt, called by those paths in messages. `v` is
 *  zero at first; finish it also after an error. Errors: as ol_tokenizer_load.
 *  @param merges_text  cut into lines in place; ends in a NUL that its size does not count */
ol_status vocabulary_parse(vocabulary *v, const char *vocab_path, const char *vocab_text,
                           size_t vocab_size, const char *merges_path, char *merges_text,
                           size_t merges_size);

/** Place all tokens of an object token -> id. Errors: OL_EDATA, OL_ENOMEM. */
ol_status vocabulary_place(vocabulary *v, const char *path, json_t *vocab);

/** The first of the 256 bytes without a token, or BYTES when all have theirs. */
int vocabulary_lacks(const vocabulary *v);

/** Room for so many merges, at most half full. Errors: OL_ENOMEM. */
ol_status vocabulary_start_merges(vocabulary *v, const char *path, size_t n);

/** One merge; both tokens and their sum are in `vocab`. @param joined scratch
 *  Errors: OL_EDATA, OL_ENOMEM. */
ol_status vocabulary_merge(vocabulary *v, merge_place place, const char *left, const char *right,
                           json_t *vocab, ol_text *joined);

/** One token beside those of the model, which text never becomes by merging; one of the model's
 *  own is left as it is. @param decoded  what it decodes to, spelt as tokens are
 *  Errors: OL_EDATA for an id that another token has, OL_ENOMEM. */
ol_status vocabulary_add(vocabulary *v, const char *path, json_t *vocab, const char *token,
                         const char *decoded, int64_t id);

/** Make `whole`, by which vocabulary_whole finds the model's tokens. Errors: OL_ENOMEM. */
ol_status vocabulary_index(vocabulary *v, const char *path, json_t *vocab);

/** The token with these bytes, -1 without one. */
int32_t vocabulary_whole(const vocabulary *v, const char *bytes, size_t n);

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
