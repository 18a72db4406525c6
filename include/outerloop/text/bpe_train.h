/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/text/bpe_train.h
 * Learn a byte-level BPE vocabulary from text and write it in GPT-2's format.
 *
 * The text is cut into pieces as encoding cuts it (text/split.h) and each distinct piece is
 * counted. Tokens 0..255 are the bytes, in GPT-2's order ("!" is 0). Then the most frequent pair
 * of neighbours becomes the next token, until there are `vocab` of them. Of equally frequent
 * pairs the one with the smaller ids wins, left one first: the same text gives the same files.
 *
 * Cost: O(vocab * bytes of distinct pieces); 1024 tokens from some megabytes take about a second.
 * Source: Sennrich et al. 2016, "Neural machine translation of rare words with subword units".
 */
#ifndef OUTERLOOP_TEXT_BPE_TRAIN_H
#define OUTERLOOP_TEXT_BPE_TRAIN_H

#include <stddef.h>

#include "outerloop/base/status.h" /* ol_status */

/**
 * Train on bytes[0..n-1] and write `folder`/vocab.json and `folder`/merges.txt; the folder is made
 * when missing. Local.
 * Errors: OL_EUSAGE when vocab is below 256; OL_EDATA when the text has too few pairs that occur
 * twice to reach it; OL_EIO; OL_ENOMEM.
 */
ol_status ol_tokenizer_train(const char *bytes, size_t n, int vocab, const char *folder);

#endif
