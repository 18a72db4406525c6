/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/comm/comm.h"
#include "outerloop/operate/plan.h"
#include "outerloop/operate/slurm.h"

struct options {
    ol_cli_job job;
    int ranks; /* 0: those there are */
    bool resume, script;
};

/* The plan itself, or a script with the plan in front. */
static ol_status answer(const struct options *o, const ol_plan *plan, ol_text *out)
{
    OL_AUTO_FREE char *job = realpath(o->job.path, NULL), *here = realpath(".", NULL);
    OL_AUTO_FREE char *program = realpath("/proc/self/exe", NULL);
    OL_AUTO_FREE const char **arguments = calloc(2 * o->job.sets.n + 1, sizeof *arguments);
    ol_slurm_spec spec = {.name = plan->name,
                          .program = program,
                          .folder = here,
                          .job = job,
                          .arguments = arguments,
                          .n = 2 * o->job.sets.n};
    OL_AUTO_TEXT words = {0};

    if (!o->script)
        return ol_plan_text(plan, out);
    OL_CHECK(job && here && program && arguments, OL_ENOMEM, "no memory for a batch script");
    for (size_t i = 0; i < o->job.sets.n; i++) {
        arguments[2 * i] = "--set";
        arguments[2 * i + 1] = o->job.sets.items[i];
    }
    OL_TRY(ol_plan_text(plan, &words));
    ol_slurm_size(plan, &spec);
    spec.comment = words.data;
    return ol_slurm_script(&spec, out);
}

static ol_status plan(ol_comm *comm, void *payload, bool *work_started)
{
    const struct options *o = payload;
    OL_AUTO(ol_plan_finish) ol_plan made = {0};
    OL_AUTO_TEXT text = {0};

    (void)work_started;
    OL_TRY(ol_plan_job(comm, OL_CLI_SOURCE(o->job), o->resume,
                       o->ranks > 0 ? o->ranks : ol_comm_size(comm), &made));
    if (ol_comm_rank(comm) != 0)
        return OL_OK;
    OL_TRY(answer(o, &made, &text));
    fputs(text.data, stdout);
    return OL_OK;
}

int ol_cmd_plan(int argc, char **argv)
{
    struct options o = {0};
    const ol_cli_option options[] = {
        {"ranks", 'n', "RANKS", "plan for that many ranks (1, or those of mpirun)",
         .count = &o.ranks, .least = 1},
        OL_CLI_SET(&o.job),
        {"resume", .help = "plan a job whose output holds a run of it already", .flag = &o.resume},
        {"sbatch", .help = "print a batch script for SLURM, sized for the job", .flag = &o.script},
        {0},
    };
    const ol_cli_syntax syntax = {
        OL_CLI_JOB(&o.job),
        .options = options,
        .doc = "Tell what a job would do on so many ranks: episodes, tokens, memory of a rank by "
               "cause, time, disk, and the warning to ask SLURM for. Nothing is started, no folder "
               "of the job is touched, and what `run` would refuse is refused.\v"
               "Time is foretold from this machine: an episode of each arm is run where it takes "
               "seconds at most; a ~ marks what follows from the rate of a large product and the "
               "count of products. Under mpirun all ranks measure at once. The last line is of "
               "pairs, for programs.\n\n"
               "  outerloop plan JOB.cfg -n 32 --sbatch > job.sbatch && sbatch job.sbatch",
    };
    int code;

    ol_cli_read(&syntax, argc, argv);
    code = ol_cli_on_ranks(plan, &o);
    free(o.job.sets.items);
    return code;
}
