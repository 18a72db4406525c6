/* SPDX-License-Identifier: BSD-3-Clause */
/* FOLDER/model.safetensors.index.json, beside two good shards "a" and "b". */
#include "outerloop/store/safetensors.h"
#include "use_tensors.h"

static void write_shard(const char *name, const char *header)
{
    char file[200] = {0};
    const size_t n = strlen(header);

    file[0] = (char)n;
    memcpy(file + 8, header, n);
    fuzz_folder(name, (const uint8_t *)file, 8 + n + 4); /* and one float32, which is 0 */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool written;
    ol_safetensors *files = NULL;

    if (!written) {
        write_shard("a", "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}");
        write_shard("b", "{\"y\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}");
        written = true;
    }
    if (ol_safetensors_open(fuzz_folder("model.safetensors.index.json", data, size), "model",
                            &files) == OL_OK) {
        fuzz_accepted = true;
        use_tensors(ol_safetensors_list(files));
    }
    ol_safetensors_close(files);
    return 0;
}
