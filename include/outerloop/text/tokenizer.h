/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/text/tokenizer.h
 * Byte-level BPE: text to token ids and back, as GPT-2, Llama 3, Qwen 2 and 3, and SmolLM do it.
 *
 * A tokenizer is a folder with Hugging Face's `tokenizer.json`, or else with `vocab.json`
 * (token -> id) and `merges.txt` (one pair a line, the earlier the stronger), as GPT-2 publishes
 * them and ol_tokenizer_train writes them. Encoding:
 *
 *   (1) added tokens ("<|im_end|>") are found, the longest at each place, and become one id each;
 *       those marked `normalized` are looked for after (2);
 *   (2) the text between them is brought into Unicode's normal form C, where the file asks for it;
 *   (3) it is split into pieces by the patterns of the file, GPT-2's without a file
 *       (text/split.h);
 *   (4) a piece that is a token is that token, where the file says `ignore_merges`;
 *   (5) any other piece starts as its bytes, one token each; then, again and again, the neighbours
 *       whose merge is the strongest become one token (of equal ones the leftmost), until no two
 *       neighbours have a merge.
 *
 * Steps (1), (2) and (4) happen with a tokenizer.json only. What stands in it and would change the
 * tokens otherwise is refused by name: other models, normalizers, pre-tokenizers and decoders,
 * dropout, prefixes, single_word. What is for whole model inputs is left to them: prompts are
 * pieces, so no token for begin or end is added (post_processor), and nothing is cut or filled up
 * (truncation, padding). Ids equal those of Hugging Face's `tokenizers` without special tokens
 * added.
 *
 * Bytes that are not UTF-8 are kept: a run of them is a piece of its own and takes step (5) like
 * any other. So decode(encode(x)) = x for every x, with exceptions that are all of the file's
 * making: text that (2) changes; white space beside an added token with lstrip or rstrip; an added
 * token such as "é", which decodes to the byte that this letter spells; and bytes for which the
 * vocabulary has no token (SmolLM has none for 21 seldom ones), which are dropped, or become
 * unk_token. (Python tokenizers put U+FFFD where bytes are not UTF-8.)
 *
 * Unicode's versions: the patterns know the characters of PCRE2's (14 in Debian 12), normal forms
 * those of utf8proc's (15). Hugging Face's normal forms are of version 9 and order the combining
 * marks added since (98 of seldom scripts) otherwise.
 *
 * Cost: encoding n bytes is O(n log n) whatever they are; English text runs at tens of megabytes a
 * second, since pieces seen before come from a cache. Memory: about 8 MB for GPT-2's vocabulary.
 * Local. A tokenizer has a cache that encoding changes: one thread at a time.
 * Source: Radford et al. 2019, "Language models are unsupervised multitask learners", sec. 2.2.
 */
#ifndef OUTERLOOP_TEXT_TOKENIZER_H
#define OUTERLOOP_TEXT_TOKENIZER_H

#include <stdbool.h>
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
#define OL_AUTO_TOKENS OL_AUTO(ol_tokens_finish) ol_tokens

/**
 * Read `folder`/tokenizer.json where it stands, else `folder`/vocab.json and merges.txt, and check
 * them: ids are distinct and from 0 to two million, both parts of a merge and its result are in the
 * vocabulary, no merge stands twice, patterns compile. Every byte has its token; in a
 * tokenizer.json only those of printing ASCII must.
 * @param out  owned by the caller, ol_tokenizer_destroy; NULL on error
 * Errors: OL_EDATA naming the file, its line in merges.txt or the place in tokenizer.json, and the
 * token or the setting; OL_ENOMEM.
 */
ol_status ol_tokenizer_load(const char *folder, ol_tokenizer **out);

/** The same of a tokenizer.json in memory, called `name` in messages. */
ol_status ol_tokenizer_parse(const char *name, const char *text, size_t size, ol_tokenizer **out);

/** The same of the texts of vocab.json and merges.txt. @param merges  cut into lines in place; ends
 *  in a NUL that its size does not count */
ol_status ol_tokenizer_parse_pair(const char *name, const char *vocab, size_t vocab_size,
                                  char *merges, size_t merges_size, ol_tokenizer **out);

/** Free it. Accepts NULL. */
void ol_tokenizer_destroy(ol_tokenizer *tokenizer);
OL_DROPS(ol_tokenizer, ol_tokenizer_destroy)

/** V: the largest id plus one, the rows a model needs in its embedding. */
int ol_tokenizer_size(const ol_tokenizer *tokenizer);

/** Append the ids of bytes[0..n-1] to `out`; any bytes, NUL included. Errors: OL_ENOMEM; OL_EDATA
 *  when a pattern of the file gives up on the text (text/split.h). */
ol_status ol_tokenizer_encode(ol_tokenizer *tokenizer, const char *bytes, size_t n, ol_tokens *out);

/** Whether "\n\n\n" + text has the ids of "\n\n", "\n" and the text, each encoded by itself, so far as the first
 *  byte of the text tells: so it is with GPT-2's pattern before what is no white space, and not with
 *  patterns that take newlines together, before a digit that is split off first, or beside some added
 *  tokens. */
bool ol_tokenizer_splits_newlines(const ol_tokenizer *tokenizer, const char *text);

/** Append the bytes of ids[0..n-1] to `out`. Errors: OL_EDATA for an id that the vocabulary does
 *  not have, OL_ENOMEM. */
ol_status ol_tokenizer_decode(const ol_tokenizer *tokenizer, const int32_t *ids, size_t n,
                              ol_text *out);

#endif
