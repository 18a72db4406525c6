/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/package/package.h
 * The texts that stand beside a model's weights: its tokenizer and the settings that others read.
 *
 * | path            | where they are                                                             |
 * |-----------------|----------------------------------------------------------------------------|
 * | a folder        | files of the names that Hugging Face's libraries give them                 |
 * | a GGUF file     | its tokenizer, as the tokenizer.json that says the same                    |
 * | a checkpoint    | what `import` put under /files; else those of the tokenizer that its run   |
 * |                 | used, or of the model that it began with                                   |
 *
 * A folder of checkpoints stands for its newest. Local. Errors: OL_EDATA with file and reason;
 * OL_ENOMEM.
 */
#ifndef OUTERLOOP_PACKAGE_PACKAGE_H
#define OUTERLOOP_PACKAGE_PACKAGE_H

#include "outerloop/base/file.h"        /* PATH_MAX           */
#include "outerloop/job/job.h"          /* ol_job             */
#include "outerloop/store/checkpoint.h" /* ol_checkpoint_file */
#include "outerloop/text/tokenizer.h"   /* ol_tokenizer       */

enum { OL_PACKAGE_FILES = 10 };

/** Start from a zero struct. */
typedef struct ol_package {
    int n;
    ol_checkpoint_file files[OL_PACKAGE_FILES]; /**< [n]; names static, data owned */
} ol_package;

/** Read the texts of a model. @param out  ol_package_finish frees it, also after an error */
ol_status ol_package_read(const char *path, ol_package *out);

/** The text of that name, or NULL. Borrowed. */
const ol_checkpoint_file *ol_package_find(const ol_package *package, const char *name);

/** Where there are vocab.json and merges.txt and no tokenizer.json, add one that says the same. */
ol_status ol_package_complete(ol_package *package);

/** Accepts NULL and a zero struct. */
void ol_package_finish(ol_package *package);

/** The tokenizer of a folder, a GGUF file or a checkpoint. @param out  ol_tokenizer_destroy */
ol_status ol_package_tokenizer(const char *path, ol_tokenizer **out);

/** Where a job's tokenizer is: data.tokenizer, or the model that it begins with, or ROOT/tokenizer. */
ol_status ol_package_of_job(const ol_job *job, const char *root, char path[PATH_MAX]);

/**
 * Write the model of a Hugging Face folder or GGUF file as a checkpoint at meta-step 0, its tensors by
 * name and the texts beside them. Local.
 * @param out     path of the new file
 * @param params  set to the number of values
 * Errors: OL_EDATA (the source), OL_EIO, OL_ENOMEM.
 */
ol_status ol_package_import(const char *from, const char *out, size_t *params);

#endif
