/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/text/split.h
 * Text into the pieces that byte-pair merges never cross, by GPT-2's pattern:
 *
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * \s is Unicode's White_Space; letters and numbers are those of the Unicode version that PCRE2 was
 * built with (14 in Debian 12), so that characters added later count as neither. The pieces laid end to end are the text. Valid UTF-8 is split by
 * the pattern; each longest run of bytes that are not valid UTF-8 is one piece, and ends the text
 * before it as the end of the text would.
 * Local; a splitter belongs to one thread. Cost: linear.
 */
#ifndef OUTERLOOP_TEXT_SPLIT_H
#define OUTERLOOP_TEXT_SPLIT_H

#include <stddef.h>

#include "outerloop/base/status.h" /* ol_status */

typedef struct ol_splitter ol_splitter;

/** Compile the pattern. @param out owned by the caller. Errors: OL_ENOMEM. */
ol_status ol_splitter_create(ol_splitter **out);

/** Free it. Accepts NULL. */
void ol_splitter_destroy(ol_splitter *splitter);

/** Begin at bytes[0]; the bytes are borrowed until the last ol_splitter_next. */
void ol_splitter_start(ol_splitter *splitter, const char *bytes, size_t n);

/** Length of the next piece, which begins where the one before it ended; 0 at the end. */
size_t ol_splitter_next(ol_splitter *splitter);

#endif
