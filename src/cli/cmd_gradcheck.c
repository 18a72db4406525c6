/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/comm/comm.h"
#include "outerloop/run/gradcheck.h"

struct options {
    const char *job;
    const char **sets; /* [argc], more than there can be */
    size_t n_sets;
    ol_gradcheck_plan plan;
};

enum { KEY_SET = 256, KEY_EPISODES, KEY_AFTER, KEY_DIRECTIONS, KEY_TENSORS, KEY_ARM };

static int count(struct argp_state *state, const char *name, const char *value, int least)
{
    char *end;
    const long n = strtol(value, &end, 10);

    if (end == value || *end || n < least || n > 1 << 20)
        argp_error(state, "--%s takes a whole number of at least %d, not \"%s\"", name, least,
                   value);
    return (int)n;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case KEY_SET:
        o->sets[o->n_sets++] = value;
        return 0;
    case KEY_EPISODES:
        o->plan.episodes = count(state, "episodes", value, 1);
        return 0;
    case KEY_AFTER:
        o->plan.after = count(state, "after", value, 0);
        return 0;
    case KEY_DIRECTIONS:
        o->plan.directions = count(state, "directions", value, 1);
        return 0;
    case KEY_TENSORS:
        o->plan.tensors = count(state, "tensors", value, 0);
        return 0;
    case KEY_ARM:
        o->plan.arm = value;
        return 0;
    default:
        return ol_cli_parse_job(key, value, state, &o->job);
    }
}

static ol_status check(ol_comm *comm, void *payload, bool *work_started)
{
    const struct options *o = payload;

    (void)work_started;
    return ol_gradcheck_job(comm, o->job, o->sets, o->n_sets, &o->plan, stdout);
}

int ol_cmd_gradcheck(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"set", KEY_SET, "PATH=VALUE", 0, "override a key of the job; can be repeated", 0},
        {"episodes", KEY_EPISODES, "N", 0, "check the first N episodes (1)", 0},
        {"after", KEY_AFTER, "N", 0,
         "take N meta-steps first, so that moments are as in training (0)", 0},
        {"directions", KEY_DIRECTIONS, "N", 0, "random directions a tensor (2)", 0},
        {"tensors", KEY_TENSORS, "N", 0, "check the N largest tensors by themselves (40)", 0},
        {"arm", KEY_ARM, "NAME", 0, "of a job with arms, that one alone", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "JOB.cfg",
        .doc = "Hold the gradient that training follows against differences of the whole inner "
               "loop, on the job's own model and episodes, in float64.\v"
               "A line a tensor: its gradient's norm, the gradient along a random direction u of "
               "elements +1 and -1, the difference of the loss along u, and how far the two are "
               "apart, relative to the norm. Exit 0 when all are within 1e-6 and the known error "
               "of the difference, 1 otherwise. Nothing is written to the job's output.",
    };
    struct options o = {.sets = calloc((size_t)argc, sizeof(char *)),
                        .plan = OL_GRADCHECK_PLAN_INIT};
    int code;

    if (!o.sets)
        return ol_cli_finish(ol_fail(OL_ENOMEM, "no memory for the command line"), false);
    ol_cli_parse(&argp, argc, argv, &o);
    code = ol_cli_on_ranks(check, &o);
    free(o.sets);
    return code;
}
