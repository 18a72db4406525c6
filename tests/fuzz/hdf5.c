/* SPDX-License-Identifier: BSD-3-Clause */
/* A checkpoint, metrics, verification or prompts file: what all of them must pass before the HDF5
 * library sees a byte. The library itself is no part of this: a child holds what it does. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "outerloop/base/status.h"
#include "profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1); /* so that a byte too far is one that is not there */

    if (!copy)
        return 0;
    memcpy(copy, data, size);
    fuzz_accepted = ol_profile_check("input.h5", copy, size) == OL_OK;
    free(copy);
    return 0;
}
