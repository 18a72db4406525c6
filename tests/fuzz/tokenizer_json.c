/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of a tokenizer.json. */
#include "use_tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ol_tokenizer *tokenizer = NULL;

    if (ol_tokenizer_parse("tokenizer.json", (const char *)data, size, &tokenizer) == OL_OK) {
        fuzz_accepted = true;
        use_tokenizer(tokenizer, data, size);
    }
    ol_tokenizer_destroy(tokenizer);
    return 0;
}
