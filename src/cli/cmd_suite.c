/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "outerloop/data/suite.h"

enum { DEFAULT_SEED = 1 }; /* that of jobs without a root of their own */

enum { KEY_OUT = 1, KEY_SEED };

typedef struct suite_options {
    const char *out;
    uint64_t seed;
} suite_options;

static const struct argp_option option_table[] = {
    {"out", KEY_OUT, "ROOT", 0, "folder to write", 0},
    {"seed", KEY_SEED, "N", 0, "another suite for another number (1)", 0},
    {0},
};

static uint64_t seed_of(struct argp_state *state, const char *value)
{
    char *end;

    errno = 0;
    const unsigned long long n = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0)
        argp_error(state, "--seed is a whole number of 0 or more, below 2^64, not \"%s\"", value);
    return n;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    suite_options *o = state->input;

    switch (key) {
    case KEY_OUT:
        o->out = value;
        return 0;
    case KEY_SEED:
        o->seed = seed_of(state, value);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected \"%s\"", value);
        return EINVAL;
    case ARGP_KEY_END:
        if (!o->out || !*o->out)
            argp_error(state, "--out is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int ol_cmd_suite(int argc, char **argv)
{
    static const struct argp argp = {
        .options = option_table,
        .parser = parse,
        .doc = "Write the built-in task suite: generated tasks in MetaICL's layout, with all seven "
               "settings and a tokenizer.\v"
               "The same seed gives the same bytes. Where ROOT is that suite already, nothing is "
               "done; where it is anything else, it is left alone and this is an error. A job "
               "reads it with\n\n"
               "  data: { root = \"ROOT\"; tokenizer = \"ROOT/tokenizer\"; }\n\n"
               "and a job with root = \"\" has the suite of seed 1 written by itself.",
    };
    suite_options o = {.seed = DEFAULT_SEED};
    ol_status status;

    ol_cli_parse(&argp, argc, argv, &o);
    status = ol_suite_write(o.out, o.seed);
    if (status == OL_OK)
        printf("%s: the built-in suite, seed %llu, version %d\n", o.out, (unsigned long long)o.seed,
               OL_SUITE_VERSION);
    return ol_cli_finish(status, false);
}
