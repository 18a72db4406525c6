/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/text/jsonl.h
 * Texts as JSON lines to their tokens as JSON lines, for people and programs that compare
 * tokenizers.
 */
#ifndef OUTERLOOP_TEXT_JSONL_H
#define OUTERLOOP_TEXT_JSONL_H

#include <stddef.h>

#include "outerloop/base/status.h"    /* ol_status    */
#include "outerloop/base/text.h"      /* ol_text      */
#include "outerloop/text/tokenizer.h" /* ol_tokenizer */

/**
 * Append `{"ids": [...], "decoded": "..."}` and a newline to `out` for line[0..n-1], an object with
 * a member "text" (others are not looked at). Decoded are the ids; what is not UTF-8 in them, since
 * the vocabulary lacks bytes, becomes U+FFFD, one for each run that begins a character.
 * Local. Errors: OL_EDATA with a reason and no place, which the caller knows; OL_ENOMEM.
 */
ol_status ol_jsonl_tokens(ol_tokenizer *tokenizer, const char *line, size_t n, ol_text *out);

#endif
