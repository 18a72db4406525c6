/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts through a tokenizer that was read. */
#ifndef TESTS_FUZZ_USE_TOKENIZER_H
#define TESTS_FUZZ_USE_TOKENIZER_H

#include "fuzz.h"
#include "outerloop/text/tokenizer.h"

/** There and back. The ids of a text are ids of the vocabulary; a pattern may give up. */
static inline void use_tokenizer_on(ol_tokenizer *tokenizer, const char *text, size_t n)
{
    ol_tokens ids = {0};
    ol_text back = {0};

    if (ol_tokenizer_encode(tokenizer, text, n, &ids) == OL_OK) {
        for (size_t i = 0; i < ids.n; i++)
            if (ids.ids[i] < 0 || ids.ids[i] >= ol_tokenizer_size(tokenizer))
                fuzz_found("an id outside of the vocabulary");
        if (ol_tokenizer_decode(tokenizer, ids.ids, ids.n, &back) != OL_OK)
            fuzz_found("ids of a text that do not decode");
    }
    ol_tokens_finish(&ids);
    ol_text_finish(&back);
}

/** A text with something of everything, and the end of the input itself. */
static inline void use_tokenizer(ol_tokenizer *tokenizer, const uint8_t *data, size_t size)
{
    static const char text[] =
        "The quick I'LL don't 12345 3.14 na\xC3\xAFve e\xCC\x81 \xEF\xAC\x81 "
        "\xE4\xBD\xA0\xE5\xA5\xBD <x><|end|>  \t\r\n\n  ab abab\xFF\xC3 "
        "\xF0\x9F\x91\xA9 abababababababababababababababababab";
    const size_t n = size < 300 ? size : 300;

    use_tokenizer_on(tokenizer, text, sizeof text); /* with its NUL */
    use_tokenizer_on(tokenizer, (const char *)data + size - n, n);
}

#endif
