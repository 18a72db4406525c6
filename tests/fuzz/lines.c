/* SPDX-License-Identifier: BSD-3-Clause */
/* A line of what `tokens` reads, with a vocabulary of the bytes and a few words. */
#include "fuzz.h"
#include "outerloop/text/bpe_train.h"
#include "outerloop/text/jsonl.h"

static ol_tokenizer *tokenizer;

static void make_tokenizer(void)
{
    static const char text[] = "the the the then then than that that";
    const char *folder = fuzz_folder("text", (const uint8_t *)text, sizeof text - 1);

    if (ol_tokenizer_train(text, sizeof text - 1, 260, folder) != OL_OK ||
        ol_tokenizer_load(folder, &tokenizer) != OL_OK)
        fuzz_found("no tokenizer");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ol_text out = {0};

    if (!tokenizer)
        make_tokenizer();
    fuzz_accepted = ol_jsonl_tokens(tokenizer, (const char *)data, size, &out) == OL_OK;
    ol_text_finish(&out);
    return 0;
}
