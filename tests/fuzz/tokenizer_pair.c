/* SPDX-License-Identifier: BSD-3-Clause */
/* A folder with vocab.json and merges.txt; in an input the second follows the first behind a NUL. */
#include <string.h>

#include "use_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
    const size_t n = nul ? (size_t)(nul - data) : size, merges = nul ? n + 1 : size;
    ol_tokenizer *tokenizer = NULL;

    fuzz_folder("vocab.json", data, n);
    if (ol_tokenizer_load(fuzz_folder("merges.txt", data + merges, size - merges), &tokenizer) ==
        OL_OK) {
        fuzz_accepted = true;
        use_tokenizer(tokenizer, data, size);
    }
    ol_tokenizer_destroy(tokenizer);
    return 0;
}
