/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file text/pattern.h
 * Patterns of tokenizer.json, which are in Oniguruma's words, in those of PCRE2.
 *
 * The two read most of a pattern alike and some of it differently; what would be read differently
 * is spelt out (white space, digits, words, scripts, ".", "$"), and what cannot be is refused by
 * name: "^", word boundaries, back references, named groups, inline options but (?i:...), letters
 * there that also match together ("ss" and "ß"), classes within classes and their intersections. Private to the room.
 */
#ifndef TEXT_PATTERN_H
#define TEXT_PATTERN_H

#include "outerloop/base/status.h" /* ol_status */
#include "outerloop/base/text.h"   /* ol_text   */

/** Append the translation of `pattern` to `out`.
 *  @param where  begins every message, as "FILE: pre_tokenizer"
 *  Errors: OL_EDATA, OL_ENOMEM. */
ol_status pattern_translate(const char *where, const char *pattern, ol_text *out);

#endif
