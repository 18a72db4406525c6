/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/comm/comm.h"
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

/* Ranks that will never answer can only be ended; checkpoints are whole at any instant. */
static void leave_at_once(ol_comm *comm, const char *message)
{
    const unsigned grace = 5; /* seconds, for the one who speaks */

    if (message[0])
        ol_log_error("%s", message);
    else
        sleep(grace);
    ol_comm_abort(comm, OL_EXIT_FAILED);
}

/* On all ranks: every failure is everyone's by now, so that rank 0 speaks for all. */
static int run(const struct options *o)
{
    bool work_started = false;
    ol_comm *comm = NULL;
    ol_status status = ol_comm_init(&comm);
    int code;

    if (status != OL_OK)
        return ol_cli_finish(status, false);
    ol_log_identify(ol_comm_rank(comm));
    ol_comm_on_stall(comm, leave_at_once);
    status = ol_run_job(comm, o->job, o->sets, o->n_sets, o->resume, &work_started);
    code = ol_comm_rank(comm) == 0 ? ol_cli_finish(status, work_started)
                                   : ol_cli_exit(status, work_started);
    ol_comm_destroy(comm);
    return code;
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
    code = run(&o);
    free(o.sets);
    return code;
}
