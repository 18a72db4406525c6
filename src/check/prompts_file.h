/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file prompts_file.h (private to check)
 * A file that `outerloop prompts` wrote: rows of options, a prompt each.
 */
#ifndef OUTERLOOP_CHECK_PROMPTS_FILE_H
#define OUTERLOOP_CHECK_PROMPTS_FILE_H

#include "outerloop/base/batch.h"
#include "outerloop/base/real.h" /* these functions exist in both precisions */

typedef struct ol_prompts_file {
    ol_batch batch; /* the prompts of a row stand together */
    int rows;
    int32_t *options; /* [rows] prompts of each row        */
} ol_prompts_file;

/* Read a file and check it against the sizes of a model. On error it is safe to finish.
 * Errors: OL_EDATA, OL_EIO, OL_ENOMEM. */
ol_status ol_prompts_file_read(const char *path, int vocab, int context, ol_prompts_file *out);

/* Accepts a zero file. */
void ol_prompts_file_finish(ol_prompts_file *file);

#endif
