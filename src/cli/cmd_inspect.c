/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "command.h"
#include "outerloop/run/inspect.h"

struct options {
    const char *path;
    bool check;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case 'c':
        o->check = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->path)
            argp_error(state, "one path at a time: \"%s\" is the second", value);
        o->path = value;
        return 0;
    case ARGP_KEY_END:
        if (!o->path)
            argp_error(state, "which path? A run folder, a checkpoint or a metrics file");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int ol_cmd_inspect(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"check", 'c', 0, 0, "read everything and compare every checksum and digest", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "PATH",
        .doc = "Say what a run folder, a checkpoint or a metrics file holds.\v"
               "Exit: 0 all is well, 1 --check found damage and named it, 2 not a file of ours.",
    };
    struct options o = {0};
    ol_text text = {0};
    ol_status status;

    ol_cli_parse(&argp, argc, argv, &o);
    status = ol_inspect(o.path, o.check, &text);
    if (text.size > 0 && (status == OL_OK || status == OL_ECHECK))
        fwrite(text.data, 1, text.size, stdout);
    fflush(stdout);
    ol_text_finish(&text);
    return ol_cli_finish(status, false);
}
