/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/check/gradcheck.h"
#include "outerloop/comm/comm.h"

struct options {
    ol_cli_job job;
    ol_gradcheck_plan plan;
};

static ol_status check(ol_comm *comm, void *payload, bool *work_started)
{
    const struct options *o = payload;

    (void)work_started;
    return ol_gradcheck_job(comm, o->job.path, o->job.sets.items, o->job.sets.n, &o->plan, stdout);
}

int ol_cmd_gradcheck(int argc, char **argv)
{
    struct options o = {.plan = OL_GRADCHECK_PLAN_INIT};
    const ol_cli_option options[] = {
        {"set", 0, "PATH=VALUE", "override a key of the job; can be repeated",
         .words = &o.job.sets},
        {"episodes", 0, "N", "check the first N episodes (1)", .count = &o.plan.episodes,
         .least = 1},
        {"after", 0, "N", "take N meta-steps first, so that moments are as in training (0)",
         .count = &o.plan.after},
        {"directions", 0, "N", "random directions a tensor (2)", .count = &o.plan.directions,
         .least = 1},
        {"tensors", 0, "N", "check the N largest tensors by themselves (40)",
         .count = &o.plan.tensors},
        {"arm", 0, "NAME", "of a job with arms, that one alone", .text = &o.plan.arm},
        {0},
    };
    const ol_cli_syntax syntax = {
        OL_CLI_JOB(&o.job),
        .options = options,
        .doc = "Hold the gradient that training follows against differences of the whole inner "
               "loop, on the job's own model and episodes, in float64.\v"
               "A line a tensor: its gradient's norm, the gradient along a random direction u of "
               "elements +1 and -1, the difference of the loss along u, and how far the two are "
               "apart, relative to the norm. Exit 0 when all are within 1e-6 and the known error "
               "of the difference, 1 otherwise. Nothing is written to the job's output.",
    };
    int code;

    ol_cli_read(&syntax, argc, argv);
    code = ol_cli_on_ranks(check, &o);
    free(o.job.sets.items);
    return code;
}
