/* SPDX-License-Identifier: BSD-3-Clause */
/* A task's config/tasks/NAME.json and a setting's config/NAME.json: the same bytes as each. */
#include "fuzz.h"
#include "outerloop/base/file.h"
#include "outerloop/data/task.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *root = fuzz_folder("s.json", data, size);
    char folder[PATH_MAX], file[PATH_MAX];
    ol_task_config config = {0};
    ol_setting setting = {0};

    if (ol_path_format(folder, "%s/config/tasks", root) != OL_OK ||
        ol_make_folders(folder) != OL_OK || ol_path_format(file, "%s/t.json", folder) != OL_OK ||
        ol_write_file(file, (const char *)data, size) != OL_OK)
        return 0;
    fuzz_accepted = ol_task_config_read(root, "t", &config) == OL_OK;
    ol_task_config_finish(&config);
    if (ol_path_format(file, "%s/config/s.json", root) != OL_OK ||
        ol_write_file(file, (const char *)data, size) != OL_OK)
        return 0;
    fuzz_accepted = ol_setting_read(root, "s", &setting) == OL_OK || fuzz_accepted;
    ol_setting_finish(&setting);
    return 0;
}
