/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file text/added.h
 * Added tokens: words that are found in the text before it is split, and become one id each.
 *
 * At each place the longest wins, and the search goes on behind it. One with lstrip takes the
 * white space before it along, one with rstrip that after it. Private to the room.
 */
#ifndef TEXT_ADDED_H
#define TEXT_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */

typedef struct added_token {
    char *content; /**< owned [n], not empty                       */
    size_t n;
    int32_t id;
    bool lstrip, rstrip;
} added_token;

/** Start from a zero struct. */
typedef struct added_set {
    added_token *tokens; /**< [n], by their bytes once the set is sorted */
    size_t n;
    bool starts[256]; /**< first bytes                                */
} added_set;

/** What was found: bytes[from..to-1] become `id`, and the search goes on at `next`. */
typedef struct added_match {
    size_t from, to, next;
    int32_t id;
} added_match;

/** Append a token; its content is copied. Errors: OL_ENOMEM. */
ol_status added_append(added_set *set, const char *content, size_t n, added_token token);

/** Call once, after the last token: makes added_find possible.
 *  @return a token whose content stands twice, or NULL; borrowed. */
const added_token *added_sort(added_set *set);

/** The first token at or after bytes[at]. @param done  bytes before it are not taken by lstrip
 *  @return false when there is none. */
bool added_find(const added_set *set, const char *bytes, size_t n, size_t at, size_t done,
                added_match *out);

/** Accepts a zero set. */
void added_finish(added_set *set);

#endif
