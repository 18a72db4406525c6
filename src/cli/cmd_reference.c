/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "command.h"
#include "outerloop/base/file.h"
#include "outerloop/run/job.h"

static error_t parse(int key, char *value, struct argp_state *state)
{
    const char **path = state->input;

    switch (key) {
    case 'o':
        *path = value;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected \"%s\"", value);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int ol_cmd_reference(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"out", 'o', "FILE", 0, "write to FILE, not to standard output", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .doc = "Print every key of a job file with its default, type, range and meaning, as a job "
               "file.",
    };
    const char *path = NULL;
    ol_text text = {0};
    ol_status status;

    ol_cli_parse(&argp, argc, argv, &path);
    status = ol_job_reference(&text);
    if (status == OL_OK && path)
        status = ol_write_file(path, text.data, text.size);
    else if (status == OL_OK)
        fwrite(text.data, 1, text.size, stdout);
    ol_text_finish(&text);
    return ol_cli_finish(status, false);
}
