/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/text.h
 * Growing text, and the nearest known name for a misspelt one. Local.
 */
#ifndef OUTERLOOP_BASE_TEXT_H
#define OUTERLOOP_BASE_TEXT_H

#include <stddef.h>

#include "outerloop/base/status.h" /* ol_status */

/** Bytes that grow; `data` always ends in a NUL that `size` does not count, or is NULL when
 *  nothing was ever added. Start from a zero struct. */
typedef struct ol_text {
    char *data;
    size_t size;
    size_t capacity;
} ol_text;

/** Append n bytes. Errors: OL_ENOMEM. */
ol_status ol_text_append(ol_text *text, const char *bytes, size_t n);

/** Append as printf writes. Errors: OL_ENOMEM. */
ol_status ol_text_format(ol_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Free the bytes. Accepts NULL and a zero text. */
void ol_text_finish(ol_text *text);

/** Letters to insert, drop, replace or swap with their neighbour to make `b` of `a`. Of words over
 *  64 letters only the beginnings count. */
size_t ol_text_distance(const char *a, const char *b);

/** The name of names[0..n-1] with the least distance to `word`, or NULL when none is near
 *  (more than half of the letters differ). Borrowed from `names`. */
const char *ol_text_nearest(const char *word, const char *const *names, size_t n);

#endif
