/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file text/normal.h
 * Unicode's normal form C, by utf8proc. Private to the room.
 */
#ifndef TEXT_NORMAL_H
#define TEXT_NORMAL_H

#include <stddef.h>

#include "outerloop/base/text.h" /* ol_text */

/** Append bytes[0..n-1] to `out` in normal form C; bytes that are not UTF-8 stay as they are, and
 *  nothing composes across them. Errors: OL_ENOMEM. */
ol_status normal_append(const char *bytes, size_t n, ol_text *out);

#endif
