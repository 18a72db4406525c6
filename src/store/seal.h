/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first 512 bytes of a checkpoint: text that seals the HDF5 file behind it.
 *
 *     outerloop checkpoint 1
 *     step 100
 *     run_id 1f0c...
 *     bytes 58804                    of the whole file
 *     content 9a3e...                XXH3-128 of all bytes behind these 512
 *     seal 07d2...                   XXH3-128 of the lines above
 *
 * HDF5 leaves these bytes to the owner of a file (its "user block"); any HDF5 program skips them.
 * They tell whether the content is as it was written, and the step without reading the rest. There is
 * no key in them: against someone who alters a file and seals it again, they are no defence
 * (archive.h tells what is).
 */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "outerloop/base/digest.h"
#include "outerloop/base/status.h"
#include "outerloop/store/checkpoint.h" /* ol_checkpoint_is_one */

enum { OL_SEAL_BYTES = 512, OL_SEAL_RUN_ID = OL_CHECKPOINT_RUN_ID };

typedef struct ol_seal {
    int64_t step;
    char run_id[OL_SEAL_RUN_ID];
    uint64_t bytes;
    char content[OL_DIGEST_TEXT];
} ol_seal;

/* Write the seal of a closed file. Errors: OL_EIO, OL_EUSAGE (run_id too long, or not one line). */
ol_status ol_seal_write(const char *path, int64_t step, const char *run_id);

/* Read the seal and check that it holds and that the file has its length. Errors: OL_EDATA. */
ol_status ol_seal_read(const char *path, ol_seal *seal);

/* Compare the content with its digest, reading the whole file. Errors: OL_EDATA. */
ol_status ol_seal_check(const char *path, const ol_seal *seal);

#endif
