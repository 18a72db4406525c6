/* SPDX-License-Identifier: BSD-3-Clause */
/* FOLDER/adapter_config.json, and the adapter that it asks for in a small llama. */
#include "fuzz.h"
#include "outerloop/model/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *folder = fuzz_folder("adapter_config.json", data, size);
    ol_model_spec spec = OL_MODEL_SPEC_INIT;
    ol_adapter_config config;
    ol_trained_spec trained;
    ol_model *model = NULL;

    spec.family = OL_LLAMA;
    if (ol_import_adapter_config(folder, &config) == OL_OK) {
        trained = ol_adapter_trained(&config);
        fuzz_accepted = ol_model_create(&spec, &trained, &model) == OL_OK;
    }
    ol_model_destroy(model);
    ol_adapter_config_finish(&config);
    return 0;
}
