/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/digest.h"

#include <stdio.h>
#include <xxhash.h>

void ol_digest(const void *bytes, size_t n, char text[OL_DIGEST_TEXT])
{
    const XXH128_hash_t hash = XXH3_128bits(bytes, n);

    snprintf(text, OL_DIGEST_TEXT, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}
