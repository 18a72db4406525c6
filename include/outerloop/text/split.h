/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/text/split.h
 * Text into the pieces that byte-pair merges never cross, by one pattern or several in turn.
 *
 * A pattern cuts its text at both ends of each match: what it matches is a piece, and so is what
 * lies between two matches. The next pattern cuts each of these pieces as if it were all there is:
 * its lookaheads see the piece's end as the end of the text. The pieces laid end to end are the
 * text.
 *
 * Valid UTF-8 is split by the patterns; each longest run of bytes that are not valid UTF-8 is one
 * piece, and ends the text before it as the end of the text would.
 *
 * Patterns are written as Hugging Face's tokenizer.json has them, in Oniguruma's words. \s is
 * Unicode's White_Space; letters and numbers are those of the Unicode version that PCRE2 was built
 * with (14 in Debian 12), so that characters added later count as neither.
 *
 * Local; a splitter belongs to one thread. Cost: linear for the patterns of published tokenizers.
 */
#ifndef OUTERLOOP_TEXT_SPLIT_H
#define OUTERLOOP_TEXT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "outerloop/base/status.h" /* ol_status */

/** GPT-2's, which cuts any text into matches without gaps. */
#define OL_GPT2_PATTERN                                                                            \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

enum { OL_MOST_PATTERNS = 16 };

typedef struct ol_splitter ol_splitter;

/** A splitter without patterns, which leaves valid text whole. @param out owned by the caller.
 *  Errors: OL_ENOMEM. */
ol_status ol_splitter_create(ol_splitter **out);

/**
 * Compile one more pattern, to cut what those before it left.
 * @param where  begins every message about it, as "FILE: pre_tokenizer"; copied
 * Errors: OL_EDATA for a pattern that is not supported, does not compile, or matches the empty
 * text, and for more than OL_MOST_PATTERNS of them; OL_ENOMEM.
 */
ol_status ol_splitter_add(ol_splitter *splitter, const char *where, const char *pattern);

/** Whether GPT-2's pattern is all there is. */
bool ol_splitter_is_gpt2(const ol_splitter *splitter);

/** Free it. Accepts NULL. */
void ol_splitter_destroy(ol_splitter *splitter);
OL_DROPS(ol_splitter, ol_splitter_destroy)

/** Begin at bytes[0]; the bytes are borrowed until the last ol_splitter_next. */
void ol_splitter_start(ol_splitter *splitter, const char *bytes, size_t n);

/**
 * Length of the next piece, which begins where the one before it ended; 0 at the end.
 * Errors: OL_EDATA when a pattern takes more steps or memory than its limit; GPT-2's cannot.
 */
ol_status ol_splitter_next(ol_splitter *splitter, size_t *length);

#endif
