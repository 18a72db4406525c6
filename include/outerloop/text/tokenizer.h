/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/text/tokenizer.h
 * GPT-2's byte-level BPE: text to token ids and back, without loss for any bytes.
 *
 * A tokenizer is a folder with `vocab.json` (token -> id) and `merges.txt` (one pair a line, the
 * earlier the stronger), as GPT-2 publishes them and ol_tokenizer_train writes them. Encoding:
 *
 *   (1) the text is split into pieces by GPT-2's pattern (text/split.h);
 *   (2) a piece starts as its bytes, one token each; then, again and again, the neighbours whose
 *       merge stands earliest in merges.txt become one token (of equal ones the leftmost), until
 *       no two neighbours have a merge.
 *
 * Bytes that are not UTF-8 are kept: a run of them is a piece of its own and takes step (2) like
 * any other. So decode(encode(x)) = x for every x. (Python tokenizers put U+FFFD there instead.)
 *
 * Cost: encoding n bytes is O(n log n) whatever they are; English text runs at tens of megabytes a
 * second, since pieces seen before come from a cache. Memory: about 8 MB for GPT-2's vocabulary.
 * Local. A tokenizer has a cache that encoding changes: one thread at a time.
 * Source: Radford et al. 2019, "Language models are unsupervised multitask learners", sec. 2.2.
 */
#ifndef OUTERLOOP_TEXT_TOKENIZER_H
#define OUTERLOOP_TEXT_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */
#include "outerloop/base/text.h"   /* ol_text   */

typedef struct ol_tokenizer ol_tokenizer;

/** Token ids that grow. Start from a zero struct. */
typedef struct ol_tokens {
    int32_t *ids;
    size_t n;
    size_t capacity;
} ol_tokens;

/** Append n ids (copied). Errors: OL_ENOMEM. */
ol_status ol_tokens_append(ol_tokens *tokens, const int32_t *ids, size_t n);

/** Free the ids. Accepts NULL and a zero struct. */
void ol_tokens_finish(ol_tokens *tokens);

/**
 * Read `folder`/vocab.json and `folder`/merges.txt and check them against each other: every byte
 * has its token, ids are distinct and not negative, both parts of a merge and its result are in
 * the vocabulary, no merge stands twice.
 * @param out  owned by the caller, ol_tokenizer_destroy; NULL on error
 * Errors: OL_EDATA naming the file, its line in merges.txt, and the token; OL_ENOMEM.
 */
ol_status ol_tokenizer_load(const char *folder, ol_tokenizer **out);

/** Free it. Accepts NULL. */
void ol_tokenizer_destroy(ol_tokenizer *tokenizer);

/** V: the largest id plus one, the rows a model needs in its embedding. */
int ol_tokenizer_size(const ol_tokenizer *tokenizer);

/** Append the ids of bytes[0..n-1] to `out`; any bytes, NUL included. No special tokens are
 *  recognised or added. Errors: OL_ENOMEM. */
ol_status ol_tokenizer_encode(ol_tokenizer *tokenizer, const char *bytes, size_t n, ol_tokens *out);

/** Append the bytes of ids[0..n-1] to `out`. Errors: OL_EDATA for an id that the vocabulary does
 *  not have, OL_ENOMEM. */
ol_status ol_tokenizer_decode(const ol_tokenizer *tokenizer, const int32_t *ids, size_t n,
                              ol_text *out);

#endif
