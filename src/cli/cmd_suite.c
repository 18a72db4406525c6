/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "outerloop/data/suite.h"

enum { DEFAULT_SEED = 1 }; /* that of jobs without a root of their own */

static void read_seed(struct argp_state *state, const char *value, void *at)
{
    char *end;

    errno = 0;
    *(uint64_t *)at = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0)
        argp_error(state, "--seed is a whole number of 0 or more, below 2^64, not \"%s\"", value);
}

int ol_cmd_suite(int argc, char **argv)
{
    const char *out = NULL;
    uint64_t seed = DEFAULT_SEED;
    const ol_cli_option options[] = {
        {"out", 0, "ROOT", "folder to write", .text = &out, .needed = true},
        {"seed", 0, "N", "another suite for another number (1)", .read = read_seed, .at = &seed},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .doc = "Write the built-in task suite: generated tasks in MetaICL's layout, with its seven "
               "settings, one of private labels, and a tokenizer.\v"
               "The same seed gives the same bytes. Where ROOT is that suite already, nothing is "
               "done; where it is anything else but an empty folder, it is left alone and this is "
               "an error. A job "
               "reads it with\n\n"
               "  data: { root = \"ROOT\"; tokenizer = \"ROOT/tokenizer\"; }\n\n"
               "and a job with root = \"\" has the suite of seed 1 written by itself.",
    };
    ol_status status;

    ol_cli_read(&syntax, argc, argv);
    status = ol_suite_write(out, seed);
    if (status == OL_OK)
        ol_cli_say("%s: the built-in suite, seed %llu, version %d\n", out, (unsigned long long)seed,
                   OL_SUITE_VERSION);
    return ol_cli_finish(status, false);
}
