/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file data/row_keys.h
 * Rows by what they say, to find equal ones: the digest of input and output, and a tag of the
 * caller's. Private to the room. Cost: 40 bytes a row.
 */
#ifndef DATA_ROW_KEYS_H
#define DATA_ROW_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "outerloop/base/digest.h" /* OL_DIGEST_TEXT */
#include "outerloop/data/task.h"   /* ol_rows        */

typedef struct row_key {
    char digest[OL_DIGEST_TEXT];
    int tag;
} row_key;

/** Keys that grow. Start from a zero struct. */
typedef struct row_keys {
    row_key *keys; /**< [n] */
    size_t n;
} row_keys;

/** Add all rows of a file under one tag. Errors: OL_ENOMEM. */
ol_status row_keys_add(row_keys *keys, const ol_rows *rows, int tag);

/** Add those of another. Errors: OL_ENOMEM. */
ol_status row_keys_join(row_keys *keys, const row_keys *more);

/** Sort, and keep one of equal digest and tag. */
void row_keys_distinct(row_keys *keys);

/** First of the sorted keys with that digest, or n. */
size_t row_keys_first(const row_keys *keys, const char *digest);

/** Is there one with that digest? They are sorted. */
bool row_keys_have(const row_keys *keys, const char *digest);

/** Accepts a zero struct. */
void row_keys_finish(row_keys *keys);

#endif
