/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/data/suite.h
 * The built-in task suite: generated tasks in MetaICL's layout, so that nothing need be fetched.
 *
 * A few dozen small tasks are written over one lexicon of some three hundred English words in
 * thirty-two categories: classification (which class is this a list of?), questions with options
 * (category, odd one out, properties, sizes, opposites, synonyms), inference (kind, mention,
 * quality, size), paraphrase, and free-form lists. Rows are short and readable.
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
 * one setting. Target seeds are 100, 13, 21, 42 and 87; the test file is the same for all five. A
 * target task needs what training tasks teach (which words belong together, which thing is bigger)
 * but asks for it in other words and with other labels; the unseen domains (music, treasure, boats,
 * planets) are words that no training task uses.
 *
 * Within a task no input occurs twice, in whatever files; labels and the places of right options
 * are balanced. Every byte follows from the seed and OL_SUITE_VERSION.
 *
 * Local: one process writes. Cost: well under three seconds, about 6 MB of files.
 */
#ifndef OUTERLOOP_DATA_SUITE_H
#define OUTERLOOP_DATA_SUITE_H

#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */

enum {
    OL_SUITE_VERSION = 1, /**< raised when the rows of a seed change */
    OL_SUITE_VOCAB = 1024 /**< entries of the suite's tokenizer      */
};

/**
 * Write the suite of a seed as the folder `root`, whole or not at all: it is made aside, as
 * root.tmp-<pid>, and renamed. Where `root` already is the suite of this seed and version nothing
 * is done; so several runs may share one.
 * Errors: OL_EUSAGE when `root` is something else (it is not touched), OL_EIO, OL_ENOMEM.
 */
ol_status ol_suite_write(const char *root, uint64_t seed);

#endif
