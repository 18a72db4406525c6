/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/comm/comm.h"
#include "outerloop/run/run.h"
#include "outerloop/run/stop.h" /* ol_stop_install */
#include "outerloop/run/sweep.h"

struct options {
    const char *file, *folder;
    int only, ranks; /* 0: all; those there are */
    bool plan, resume;
};

enum { KEY_ONLY = 256, KEY_OUT, KEY_PLAN, KEY_RESUME };

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct options *o = state->input;

    switch (key) {
    case KEY_ONLY:
        o->only = ol_cli_number(state, "only", value);
        if (o->only < 1)
            argp_error(state, "--only is the number of an element, from 1, not \"%s\"", value);
        return 0;
    case 'n':
        o->ranks = ol_cli_number(state, "ranks", value);
        if (o->ranks < 1)
            argp_error(state, "--ranks is a whole number of at least 1, not \"%s\"", value);
        return 0;
    case KEY_OUT:
        o->folder = value;
        return 0;
    case KEY_PLAN:
        o->plan = true;
        return 0;
    case KEY_RESUME:
        o->resume = true;
        return 0;
    case ARGP_KEY_ARG:
        if (o->file)
            argp_error(state, "one sweep at a time: \"%s\" is the second", value);
        o->file = value;
        return 0;
    case ARGP_KEY_END:
        if (!o->file)
            argp_error(state, "which sweep? A file with job, output and grid; see --help");
        if (o->resume && o->only == 0)
            argp_error(state, "--resume goes on with one element: --only N");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static ol_status plan_one(ol_comm *comm, const ol_sweep *s, int i, int ranks)
{
    size_t n;
    const char *const *sets = ol_sweep_sets(s, i, &n);
    ol_plan plan;
    ol_text text = {0};
    ol_status status = ol_plan_job(comm, s->job, sets, n, true, ranks, &plan);

    if (status == OL_OK && ol_comm_rank(comm) == 0) {
        status = ol_plan_text(&plan, &text);
        if (status == OL_OK)
            printf("%selement %d of %d: %s", i > 0 ? "\n" : "", i + 1, s->conf.n, text.data);
    }
    ol_text_finish(&text);
    ol_plan_finish(&plan);
    return status;
}

static ol_status plan_elements(ol_comm *comm, const struct options *o, const ol_sweep *s, int ranks)
{
    for (int i = 0; i < s->conf.n; i++)
        if (o->only == 0 || o->only == i + 1)
            OL_TRY(plan_one(comm, s, i, ranks));
    return OL_OK;
}

/* What can be done with what was written. */
static void tell(const ol_sweep *s, int ranks)
{
    char first[PATH_MAX] = "", all[PATH_MAX];
    const char *number = strstr(s->conf.output, "%a");

    (void)!ol_sweep_job_name(s, 0, first);
    (void)!ol_path_format(all, "%.*s[0-9]*%s", (int)(number - s->conf.output), s->conf.output,
                          number + 2);
    printf("%d element%s checked; job files and submit.sbatch are in %s\n\n"
           "  sbatch %s/submit.sbatch          all of them, as an array\n"
           "  mpirun -n %d outerloop run %s          one by hand; --resume goes on with it\n"
           "  outerloop report %s          their results in one table\n",
           s->conf.n, s->conf.n > 1 ? "s" : "", s->folder, s->folder, ranks, first, all);
}

static ol_status write_all(ol_comm *comm, const ol_sweep *s, int ranks)
{
    size_t n;
    const char *const *sets = ol_sweep_sets(s, s->dearest, &n);
    char *program = realpath("/proc/self/exe", NULL);
    ol_plan plan;
    ol_status status = ol_plan_job(comm, s->job, sets, n, true, ranks, &plan);

    if (status == OL_OK && ol_comm_rank(comm) == 0) {
        status = ol_sweep_write(s, &plan, program ? program : "outerloop");
        if (status == OL_OK)
            tell(s, ranks);
    }
    free(program);
    ol_plan_finish(&plan);
    return ol_comm_agree(comm, status);
}

static ol_status run_one(ol_comm *comm, const struct options *o, const ol_sweep *s,
                         bool *work_started)
{
    size_t n;
    const char *const *sets = ol_sweep_sets(s, o->only - 1, &n);

    return ol_run_job(comm, s->job, sets, n, o->resume, work_started);
}

static ol_status sweep(ol_comm *comm, void *payload, bool *work_started)
{
    const struct options *o = payload;
    const int ranks = o->ranks > 0 ? o->ranks : ol_comm_size(comm);
    ol_sweep s;
    const bool alone = o->plan || o->only > 0; /* its own start checks the rest */
    ol_status status = ol_sweep_read(comm, o->file, o->folder, alone ? 0 : ranks, &s);

    OL_TRY(status);
    if (o->only > s.conf.n)
        status =
            ol_fail(OL_EUSAGE, "%s: there is no element %d: it has %d", o->file, o->only, s.conf.n);
    else if (o->plan)
        status = plan_elements(comm, o, &s, ranks);
    else if (o->only > 0)
        status = run_one(comm, o, &s, work_started);
    else
        status = write_all(comm, &s, ranks);
    ol_sweep_finish(&s);
    return status;
}

int ol_cmd_sweep(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"only", KEY_ONLY, "N", 0, "run element N here, from 1; with --plan, plan it", 0},
        {"resume", KEY_RESUME, 0, 0, "go on with element N where it broke off", 0},
        {"plan", KEY_PLAN, 0, 0, "plan the elements; nothing is written", 0},
        {"ranks", 'n', "RANKS", 0, "ranks of an element (1, or those of mpirun)", 0},
        {"out", KEY_OUT, "DIR", 0, "where job files go (`sweep` beside the elements' outputs)", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "FILE.cfg",
        .doc = "One job many times, each with other keys: check every element, and write a job "
               "file for each and a script that SLURM runs as an array.\v"
               "A sweep is a file with the job, where results go (%a is the number of an element), "
               "and a grid, or a list of groups; seeds multiply them:\n\n"
               "  job = \"jobs/methods.cfg\";\n"
               "  output = \"runs/rates/%a\";\n"
               "  set = { train = { steps = 200; }; };\n"
               "  grid = ( ( { learner = { inner = { lr = 0.1; }; }; },\n"
               "             { learner = { inner = { lr = 0.3; }; }; } ) );\n"
               "  seeds = [1, 2, 3];",
    };
    struct options o = {0};

    ol_cli_parse(&argp, argc, argv, &o);
    if (o.only > 0 && !o.plan)
        ol_stop_install(); /* as for run */
    return ol_cli_on_ranks(sweep, &o);
}
