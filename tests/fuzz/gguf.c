/* SPDX-License-Identifier: BSD-3-Clause */
/* A GGUF file: its tensors, the model they make, and the tokenizer it brings along. */
#include "outerloop/base/file.h"
#include "outerloop/base/log.h"
#include "outerloop/base/text.h"
#include "outerloop/store/gguf.h"
#include "tokenizer_texts.h"
#include "use_tensors.h"
#include "use_tokenizer.h"

/* @return true when there is a tokenizer that works, or none */
static bool read_tokenizer(const ol_gguf *file, const uint8_t *data, size_t size)
{
    ol_tokenizer *tokenizer = NULL;
    ol_text json = {0}, other = {0};

    if (ol_gguf_tokenizer_json(file, &json) == OL_OK &&
        ol_tokenizer_parse("model.gguf", json.data, json.size, &tokenizer) == OL_OK)
        use_tokenizer(tokenizer, data, size);
    ol_gguf_tokenizer_config(file, &other);
    ol_gguf_token_ids(file, &other);
    ol_tokenizer_destroy(tokenizer);
    ol_text_finish(&json);
    ol_text_finish(&other);
    return tokenizer || !ol_gguf_has(file, "tokenizer.ggml.model");
}

/* @return true when there is a whole model, or none */
static bool read_model(const ol_gguf *file)
{
    ol_model_spec spec;

    return ol_import_spec(ol_gguf_path(file), &spec) == OL_OK
               ? use_model(ol_gguf_path(file), &spec)
               : !ol_gguf_has(file, "general.architecture");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[PATH_MAX];
    ol_gguf *file = NULL;

    ol_log_identify(1); /* of ranks, only 0 warns */
    if (ol_path_format(path, "%s/model.gguf", fuzz_folder("model.gguf", data, size)) != OL_OK ||
        !ol_import_is_model(path))
        return 0;
    if (ol_gguf_open(path, &file) == OL_OK) {
        use_tensors(ol_gguf_tensors(file));
        fuzz_accepted = read_tokenizer(file, data, size);
        fuzz_accepted &= read_model(file);
    }
    ol_gguf_close(file);
    return 0;
}
