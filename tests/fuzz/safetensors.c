/* SPDX-License-Identifier: BSD-3-Clause */
/* FOLDER/model.safetensors, by itself and as the weights of a small GPT-2. */
#include "outerloop/store/safetensors.h"
#include "use_tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ol_model_spec spec = {.family = OL_GPT2,
                                .layers = 1,
                                .heads = 2,
                                .width = 4,
                                .vocab = 8,
                                .context = 8,
                                .tied = true};
    const char *folder = fuzz_folder("model.safetensors", data, size);
    ol_safetensors *files = NULL;

    if (ol_safetensors_open(folder, "model", &files) == OL_OK) {
        fuzz_accepted = true;
        use_tensors(ol_safetensors_list(files));
        use_model(folder, &spec);
    }
    ol_safetensors_close(files);
    return 0;
}
