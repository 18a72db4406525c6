/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/comm/comm.h"
#include "outerloop/run/plan.h"
#include "outerloop/run/slurm.h"

struct options {
    const char *job;
    const char **sets; /* [argc], more than there can be */
    size_t n_sets;
    int ranks; /* 0: those there are */
    bool resume, script;
};

enum { KEY_SET = 256, KEY_RESUME, KEY_SBATCH };

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case 'n':
        o->ranks = ol_cli_number(state, "ranks", value);
        if (o->ranks < 1)
            argp_error(state, "--ranks is a whole number of at least 1, not \"%s\"", value);
        return 0;
    case KEY_SET:
        o->sets[o->n_sets++] = value;
        return 0;
    case KEY_RESUME:
        o->resume = true;
        return 0;
    case KEY_SBATCH:
        o->script = true;
        return 0;
    default:
        return ol_cli_parse_job(key, value, state, &o->job);
    }
}

/* The plan itself, or a script with the plan in front. */
static ol_status answer(const struct options *o, const ol_plan *plan, ol_text *out)
{
    char *job = realpath(o->job, NULL), *here = realpath(".", NULL);
    char *program = realpath("/proc/self/exe", NULL);
    const char **arguments = calloc(2 * o->n_sets + 1, sizeof *arguments);
    ol_slurm_spec spec = {.name = plan->name,
                          .program = program,
                          .folder = here,
                          .job = job,
                          .arguments = arguments,
                          .n = 2 * o->n_sets};
    ol_text words = {0};
    ol_status status = job && here && program && arguments
                           ? OL_OK
                           : ol_fail(OL_ENOMEM, "no memory for a batch script");

    for (size_t i = 0; i < o->n_sets && status == OL_OK; i++) {
        arguments[2 * i] = "--set";
        arguments[2 * i + 1] = o->sets[i];
    }
    if (status == OL_OK)
        status = ol_plan_text(plan, o->script ? &words : out);
    if (status == OL_OK && o->script) {
        ol_slurm_size(plan, &spec);
        spec.comment = words.data;
        status = ol_slurm_script(&spec, out);
    }
    ol_text_finish(&words);
    free(arguments);
    free(program);
    free(here);
    free(job);
    return status;
}

static ol_status plan(ol_comm *comm, void *payload, bool *work_started)
{
    const struct options *o = payload;
    ol_plan made = {0};
    ol_text text = {0};
    ol_status status = ol_plan_job(comm, o->job, o->sets, o->n_sets, o->resume,
                                   o->ranks > 0 ? o->ranks : ol_comm_size(comm), &made);

    (void)work_started;
    if (status == OL_OK && ol_comm_rank(comm) == 0) {
        status = answer(o, &made, &text);
        if (status == OL_OK)
            fputs(text.data, stdout);
    }
    ol_text_finish(&text);
    ol_plan_finish(&made);
    return status;
}

int ol_cmd_plan(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"ranks", 'n', "RANKS", 0, "plan for that many ranks (1, or those of mpirun)", 0},
        {"set", KEY_SET, "PATH=VALUE", 0,
         "override a key, as in --set learner.inner.lr=0.01; can be repeated", 0},
        {"resume", KEY_RESUME, 0, 0, "plan a job whose output holds a run of it already", 0},
        {"sbatch", KEY_SBATCH, 0, 0, "print a batch script for SLURM, sized for the job", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "JOB.cfg",
        .doc = "Tell what a job would do on so many ranks: episodes, tokens, memory of a rank by "
               "cause, time, disk, and the warning to ask SLURM for. Nothing is started, no folder "
               "of the job is touched, and what `run` would refuse is refused.\v"
               "Time is foretold from this machine: an episode of each arm is run where it takes "
               "seconds at most; a ~ marks what follows from the rate of a large product and the "
               "count of products. Under mpirun all ranks measure at once. The last line is of "
               "pairs, for programs.\n\n"
               "  outerloop plan JOB.cfg -n 32 --sbatch > job.sbatch && sbatch job.sbatch",
    };
    struct options o = {.sets = calloc((size_t)argc, sizeof(char *))};
    int code;

    if (!o.sets)
        return ol_cli_finish(ol_fail(OL_ENOMEM, "no memory for the command line"), false);
    ol_cli_parse(&argp, argc, argv, &o);
    code = ol_cli_on_ranks(plan, &o);
    free(o.sets);
    return code;
}
