/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/digest.h
 * XXH3-128 digests (libxxhash) as text: of tensors in checkpoints, of θ after each meta-step.
 * A digest of reals is a digest of their bytes: equal digests mean equal bits. Local.
 */
#ifndef OUTERLOOP_BASE_DIGEST_H
#define OUTERLOOP_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */

enum {
    OL_DIGEST_TEXT = 33, /**< 32 hexadecimal digits and the NUL */
    OL_SHA256_TEXT = 65, /**< 64 hexadecimal digits and the NUL */
};

/** Digest of n bytes. */
void ol_digest(const void *bytes, size_t n, char text[OL_DIGEST_TEXT]);

/** Digest of a file's bytes from `start` to its end, read in pieces. @param size  of the whole file;
 *  NULL = not wanted. Errors: OL_EDATA when it cannot be read, OL_ENOMEM. */
ol_status ol_digest_file(const char *path, uint64_t start, char text[OL_DIGEST_TEXT],
                         uint64_t *size);

/** SHA-256 (libmd) of n bytes, as sha256sum prints it: for what other programs check too. */
void ol_digest_sha256(const void *bytes, size_t n, char text[OL_SHA256_TEXT]);

#endif
