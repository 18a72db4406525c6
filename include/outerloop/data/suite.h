/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/data/suite.h
 * The built-in task suite: generated tasks in MetaICL's layout, so that nothing need be fetched.
 *
 * Fifty-six small tasks, and a family of 612 more, are written over one lexicon of some three
 * hundred English words in thirty-four categories: classification (which class is this a list of?),
 * questions with options (category, odd one out, properties, sizes, opposites, synonyms), inference
 * (kind, mention, denial), paraphrase, and free-form names. Rows are short and readable, for
 * instance
 *
 *     "trout/oak/plum: find the fruit"  ->  "plum"
 *     "owl sleeps so it sleeps (never)"  ->  "false"
 *
 * A word follows a bracket or a slash or begins the input, never a space, so that GPT-2's splitter
 * makes it the same token in inputs and outputs; and the vocabulary has them whole.
 *
 *     ROOT/suite.json                                   version and seed; written last
 *     ROOT/config/<setting>.json                        train, test, unseen_domain_test
 *     ROOT/config/tasks/<task>.json                     task_type, options
 *     ROOT/data/<task>/<task>_16384_100_train.jsonl     training tasks
 *     ROOT/data/<task>/<task>_16_<seed>_<split>.jsonl   target tasks; train, dev, test
 *     ROOT/tokenizer/{vocab.json,merges.txt}            byte-level BPE of the training text
 *
 * Settings are MetaICL's seven: hr_to_lr, class_to_class, non_class_to_class, qa_to_qa,
 * non_qa_to_qa, non_nli_to_nli, non_paraphrase_to_paraphrase. No task is in both train and test of
 * one setting. hr_to_lr leaves out eight training tasks that are slow to learn. Target seeds are
 * 100, 13, 21, 42 and 87; the test file is the same for all five. A target task needs what training
 * tasks teach (which words belong together, which thing is bigger) but asks for it in other words
 * or with labels that this step was not taught with; or it does so in an unseen domain (music,
 * treasure, boats, planets), of which no training task has a word.
 *
 * And one where adaptation is all there is: private_labels. Each of its tasks takes three to five
 * concepts of a kind (categories, bands of size, first letters, relations of two words) and gives
 * each a label word of its own; a row is a sentence about two words of a concept:
 *
 *     "linen/lace on a list"          ->  "veil"          one task: cloth is veil,
 *     "we saw (glove/sock)"           ->  "zone"                    garment is zone, ...
 *     "uncle asks for (quiet/loud)"   ->  "card"          another:  opposites are card, ...
 *
 * In its 588 training tasks, rows of Latin squares, every concept of a kind wears each of 28 labels
 * equally often. So no label can be learned, only that the rows of one concept share one; who knows
 * no more is right in one case of three to five. Targets are of three groups: `new pairings` of
 * known concepts and labels (no two of which go together in any training task), `new labels`, `new
 * categories`. Training and targets share no row.
 *
 * Within a task no input occurs twice, in whatever files; labels and the places of right options
 * are balanced. Every byte follows from the seed and OL_SUITE_VERSION.
 *
 * Local: one process writes. Cost: about two seconds, 14 MB in 2200 files.
 */
#ifndef OUTERLOOP_DATA_SUITE_H
#define OUTERLOOP_DATA_SUITE_H

#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */

enum {
    OL_SUITE_VERSION = 3, /**< raised when the rows of a seed change */
    OL_SUITE_VOCAB = 1216 /**< entries of the suite's tokenizer      */
};

/**
 * Write the suite of a seed as the folder `root`, whole or not at all: it is made aside, as
 * root.tmp-<pid>, and renamed. Where `root` already is the suite of this seed and version nothing
 * is done; so several runs may share one. An empty folder is taken as none.
 * Errors: OL_EUSAGE when `root` is something else (it is not touched), OL_EIO, OL_ENOMEM.
 */
ol_status ol_suite_write(const char *root, uint64_t seed);

/** The name of setting i; NULL past the last. Static text. */
const char *ol_suite_setting(int i);

#endif
