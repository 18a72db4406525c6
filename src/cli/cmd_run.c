/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "command.h"
#include "outerloop/run/run.h"

struct options {
    ol_cli_job job;
    bool resume;
};

static ol_status run(ol_comm *comm, void *payload, bool *work_started)
{
    const struct options *o = payload;

    return ol_run_job(comm, OL_CLI_SOURCE(o->job), o->resume, work_started);
}

int ol_cmd_run(int argc, char **argv)
{
    struct options o = {0};
    const ol_cli_option options[] = {
        OL_CLI_SET(&o.job),
        {"resume", .help = "go on from the newest whole checkpoint in the job's output",
         .flag = &o.resume},
        {0},
    };
    const ol_cli_syntax syntax = {
        OL_CLI_JOB(&o.job),
        .options = options,
        .doc = "Run the stages of a job: alone, or on several ranks under mpirun or srun.\v"
               "outerloop reference prints every key of a job file. SIGUSR1, SIGUSR2, SIGTERM, "
               "Ctrl-C or a file STOP in the output folder end the present step, save, and exit "
               "with 85; --resume goes on from there, on any number of ranks.",
    };
    int code;

    ol_cli_read(&syntax, argc, argv);
    code = ol_cli_on_ranks(run, &o);
    free(o.job.sets.items);
    return code;
}
