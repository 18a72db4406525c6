/* SPDX-License-Identifier: BSD-3-Clause */
/* FOLDER/config.json, and the tables of the model that it asks for. */
#include "fuzz.h"
#include "outerloop/model/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ol_model_spec spec;
    ol_model *model = NULL;

    if (ol_import_spec(fuzz_folder("config.json", data, size), &spec) == OL_OK)
        fuzz_accepted = ol_model_create(&spec, NULL, &model) == OL_OK;
    ol_model_destroy(model);
    return 0;
}
