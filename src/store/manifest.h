/* SPDX-License-Identifier: BSD-3-Clause */
/* What a checkpoint's root digest covers. */
#ifndef STORE_MANIFEST_H
#define STORE_MANIFEST_H

#include "outerloop/base/digest.h"
#include "outerloop/store/archive.h"

#define OL_CHECKPOINT_FORMAT "outerloop-checkpoint"
enum { OL_CHECKPOINT_VERSION = 2, OL_MANIFEST_GROUPS = 3 };

/* Groups of tensors, by ol_checkpoint_part. */
extern const char *const ol_manifest_groups[OL_MANIFEST_GROUPS];

/* The group of files that go along. */
extern const char ol_manifest_files[];

/* Digest of the file's contents as a list: every attribute of root, model and moments but the
   root's own digest, the digest of the job, and of each tensor its name, shape and digest, all in
   name order. Tensor data is not read. */
ol_status ol_manifest_digest(const ol_archive *archive, char digest[OL_DIGEST_TEXT]);

#endif
