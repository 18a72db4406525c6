/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file text/tokenizer_json.h
 * Hugging Face's tokenizer.json: what each of its parts may say, and what it then means here.
 * A setting that would change the tokens and is not supported is refused by its name. Private to
 * the room.
 */
#ifndef TEXT_TOKENIZER_JSON_H
#define TEXT_TOKENIZER_JSON_H

#include <stdbool.h>
#include <jansson.h> /* json_t */

#include "added.h"
#include "outerloop/text/split.h" /* ol_splitter */
#include "vocabulary.h"

/** All that a tokenizer is made of. Start from a zero struct. */
typedef struct tokenizer_parts {
    vocabulary vocabulary;
    ol_splitter *splitter;
    added_set raw;    /**< found in the text as it is                 */
    added_set normal; /**< found after its normal form was taken      */
    bool nfc;
} tokenizer_parts;

/** Fill `parts` from a file's content, called `path` in messages. Finish them also after an error.
 *  Errors: OL_EDATA, OL_ENOMEM. */
ol_status tokenizer_json_read(tokenizer_parts *parts, const char *path, const json_t *root);

/** Accepts zero parts. */
void tokenizer_parts_finish(tokenizer_parts *parts);
#define AUTO_PARTS OL_AUTO(tokenizer_parts_finish) tokenizer_parts

#endif
