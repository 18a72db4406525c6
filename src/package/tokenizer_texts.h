/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file package/tokenizer_texts.h (private to package)
 * Tokenizers as the tokenizer.json that says the same: those of GGUF files, and those of vocab.json and
 * merges.txt, which not every class of Hugging Face's reads.
 *
 * Of GGUF: tokenizer.ggml.model must be "gpt2" (byte-level BPE); tokenizer.ggml.pre names how text is split.
 * Known names have the splitting, normal form and merge rule of the models' own tokenizers; a file
 * without one is split as llama.cpp does it, its "default". Tokens of the kinds control and
 * user-defined are found in the text before it is split; unused ones are left out.
 */
#ifndef PACKAGE_TOKENIZER_TEXTS_H
#define PACKAGE_TOKENIZER_TEXTS_H

#include "outerloop/base/text.h"  /* ol_text */
#include "outerloop/store/gguf.h" /* ol_gguf */

/* Append the text of tokenizer.json. Errors: OL_EDATA, OL_ENOMEM. */
ol_status ol_gguf_tokenizer_json(const ol_gguf *file, ol_text *out);

/* Append the text of tokenizer_config.json: its special tokens by name, and its chat template. */
ol_status ol_gguf_tokenizer_config(const ol_gguf *file, ol_text *out);

/* Append what config.json says of tokens: their ids. */
ol_status ol_gguf_token_ids(const ol_gguf *file, ol_text *out);

/* Append the tokenizer.json of a vocab.json and a merges.txt that were found good. */
ol_status ol_pair_tokenizer_json(const char *vocab, const char *merges, ol_text *out);

/* Append the tokenizer_config.json that goes with it. */
ol_status ol_pair_tokenizer_config(ol_text *out);

#endif
