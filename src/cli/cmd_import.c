/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "outerloop/run/snapshot.h" /* ol_snapshot_import */

struct import_options {
    const char *from, *out;
};

enum { OUT = 256 };

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct import_options *o = state->input;

    switch (key) {
    case OUT:
        o->out = value;
        return 0;
    case ARGP_KEY_ARG:
        if (o->from)
            argp_error(state, "one model at a time; \"%s\" is one too many", value);
        o->from = value;
        return 0;
    case ARGP_KEY_END:
        if (!o->from || !o->out)
            argp_error(state, "a folder or GGUF file and --out are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int ol_cmd_import(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"out", OUT, "FILE.h5", 0, "the checkpoint; one that is there is replaced", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "DIR|FILE.gguf",
        .doc =
            "Write a model as a checkpoint of ours: weights as float32 by name, its tokenizer and "
            "settings beside them.\v"
            "The file is what model.init = \"checkpoint\" starts from, what score scores, and what "
            "export gives back as a folder, the same bits where it is of the same type.",
    };
    struct import_options o = {0};
    size_t params = 0;
    ol_status status;

    ol_cli_parse(&argp, argc, argv, &o);
    status = ol_snapshot_import(o.from, o.out, &params);
    if (status == OL_OK)
        printf("%s: %zu parameters -> %s\n", o.from, params, o.out);
    return ol_cli_finish(status, status == OL_EIO);
}
