/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "command.h"
#include "outerloop/base/file.h"
#include "outerloop/job/job.h"

int ol_cmd_reference(int argc, char **argv)
{
    const char *path = NULL;
    const ol_cli_option options[] = {
        {"out", 'o', "FILE", "write to FILE, not to standard output", .text = &path,
         .writes = true},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .doc = "Print every key of a job file with its default, type, range and meaning, as a job "
               "file.",
    };
    ol_text text = {0};
    ol_status status;

    ol_cli_read(&syntax, argc, argv);
    status = ol_job_reference(&text);
    if (status == OL_OK && path)
        status = ol_write_file(path, text.data, text.size);
    else if (status == OL_OK)
        fwrite(text.data, 1, text.size, stdout);
    ol_text_finish(&text);
    return ol_cli_finish(status, false);
}
