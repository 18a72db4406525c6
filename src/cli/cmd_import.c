/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "command.h"
#include "outerloop/package/package.h" /* ol_package_import */

int ol_cmd_import(int argc, char **argv)
{
    const char *from = NULL, *out = NULL;
    const ol_cli_option options[] = {
        {"out", 0, "FILE.h5", "the checkpoint; one that is there is replaced", .text = &out,
         .needed = true, .writes = true},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .args = "DIR|FILE.gguf",
        .word = &from,
        .thing = "model",
        .which = "A folder or GGUF file",
        .doc =
            "Write a model as a checkpoint of ours: weights as float32 by name, its tokenizer and "
            "settings beside them.\v"
            "The file is what model.init = \"checkpoint\" starts from, what score scores, and what "
            "export gives back as a folder: the same bits where --dtype is the source's type.",
    };
    size_t params = 0;
    ol_status status;

    ol_cli_read(&syntax, argc, argv);
    status = ol_package_import(from, out, &params);
    if (status == OL_OK)
        ol_cli_say("%s: %zu parameters -> %s\n", from, params, out);
    return ol_cli_finish(status, status == OL_EIO);
}
