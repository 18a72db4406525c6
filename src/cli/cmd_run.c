/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "command.h"
#include "outerloop/run/run.h"

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
    default:
        return ol_cli_parse_job(key, value, state, &o->job);
    }
}

static ol_status run(ol_comm *comm, void *payload, bool *work_started)
{
    const struct options *o = payload;

    return ol_run_job(comm, o->job, o->sets, o->n_sets, o->resume, work_started);
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
               "outerloop reference prints every key of a job file. SIGUSR1, SIGUSR2, SIGTERM, "
               "Ctrl-C or a file STOP in the output folder end the present step, save, and exit "
               "with 85; --resume goes on from there, on any number of ranks.",
    };
    struct options o = {.sets = calloc((size_t)argc, sizeof(char *))};
    int code;

    if (!o.sets)
        return ol_cli_finish(ol_fail(OL_ENOMEM, "no memory for the command line"), false);
    ol_cli_parse(&argp, argc, argv, &o);
    code = ol_cli_on_ranks(run, &o);
    free(o.sets);
    return code;
}
