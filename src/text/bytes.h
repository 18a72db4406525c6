/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file text/bytes.h
 * GPT-2's printable spelling of bytes, as vocab.json and merges.txt use it.
 *
 * Bytes that print (33..126, 161..172, 174..255) stand for themselves as code points; the other 68
 * are U+0100, U+0101, ... in the order of their values. So the space is "Ġ" and the newline "Ċ".
 * Private to the room.
 */
#ifndef TEXT_BYTES_H
#define TEXT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/text.h" /* ol_text */

enum { BYTES = 256 };

/** The 256 bytes in the order of GPT-2's first ids: those that print, then the others. */
void bytes_in_id_order(uint8_t order[BYTES]);

/** Append the spelling of bytes[0..n-1], which is UTF-8. Errors: OL_ENOMEM. */
ol_status bytes_spell(const char *bytes, size_t n, ol_text *out);

/** Append the bytes that a spelling of n bytes of UTF-8 stands for.
 *  @param spelt  false when a character is not in the alphabet; nothing is appended then
 *  Errors: OL_ENOMEM. */
ol_status bytes_read(const char *spelling, size_t n, ol_text *out, bool *spelt);

#endif
