/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "command.h"
#include "outerloop/run/job.h"

struct options {
    const char *job;
    const char **sets; /* [argc], more than there can be */
    size_t n_sets;
    bool resume;
};

enum { KEY_SET = 256, KEY_RESUME };

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case KEY_SET:
        o->sets[o->n_sets++] = value;
        return 0;
    case KEY_RESUME:
        o->resume = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->job)
            argp_error(state, "one job file at a time: \"%s\" is the second", value);
        o->job = value;
        return 0;
    case ARGP_KEY_END:
        if (!o->job)
            argp_error(state, "which job file? For example jobs/quickstart.cfg");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int ol_cmd_run(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"set", KEY_SET, "PATH=VALUE", 0,
         "override a key, as in --set learner.inner.lr=0.01; can be repeated", 0},
        {"resume", KEY_RESUME, 0, 0, "go on from the newest whole checkpoint in the job's output",
         0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "JOB.cfg",
        .doc = "Run the stages of a job: alone, or on several ranks under mpirun or srun.\v"
               "outerloop reference prints every key of a job file.",
    };
    struct options o = {.sets = calloc((size_t)argc, sizeof(char *))};
    ol_job *job = NULL;
    ol_status status;

    if (!o.sets)
        return ol_cli_finish(ol_fail(OL_ENOMEM, "no memory for the command line"), false);
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    status = ol_job_read(o.job, o.sets, o.n_sets, &job);
    ol_job_destroy(job);
    free(o.sets);
    return ol_cli_finish(status, false);
}
