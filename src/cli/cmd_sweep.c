/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/comm/comm.h"
#include "outerloop/operate/sweep.h"
#include "outerloop/run/run.h"
#include "outerloop/run/stop.h" /* ol_stop_install */

struct options {
    const char *file, *folder;
    int only, ranks; /* 0: all; those there are */
    bool plan, resume;
};

static void check(struct argp_state *state, void *at)
{
    const struct options *o = at;

    if (o->resume && o->only == 0)
        argp_error(state, "--resume goes on with one element: --only N");
}

static ol_status plan_one(ol_comm *comm, const ol_sweep *s, int i, int ranks)
{
    OL_AUTO(ol_plan_finish) ol_plan plan = {0};
    OL_AUTO_TEXT text = {0};

    OL_TRY(ol_plan_job(comm, ol_sweep_source(s, i), true, ranks, &plan));
    if (ol_comm_rank(comm) != 0)
        return OL_OK;
    OL_TRY(ol_plan_text(&plan, &text));
    ol_cli_say("%selement %d of %d: %s", i > 0 ? "\n" : "", i + 1, s->conf.n, text.data);
    return OL_OK;
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
    char first[PATH_MAX] = "";
    OL_AUTO_TEXT all = {0};
    const char *at = s->conf.output;

    (void)!ol_sweep_job_name(s, 0, first);
    for (const char *number; (number = strstr(at, "%a")); at = number + 2)
        (void)!ol_text_format(&all, "%.*s[0-9]*", (int)(number - at), at);
    (void)!ol_text_format(&all, "%s", at);
    ol_cli_say("%d element%s checked; job files and submit.sbatch are in %s\n\n"
               "  sbatch %s/submit.sbatch          all of them, as an array\n"
               "  mpirun -n %d outerloop run %s          one by hand; --resume goes on with it\n"
               "  outerloop report %s          their results in one table\n",
               s->conf.n, s->conf.n > 1 ? "s" : "", s->folder, s->folder, ranks, first, all.data);
}

static ol_status write_all(ol_comm *comm, const ol_sweep *s, int ranks)
{
    OL_AUTO_FREE char *program = realpath("/proc/self/exe", NULL);
    OL_AUTO(ol_plan_finish) ol_plan plan = {0};
    ol_status status = OL_OK;

    OL_TRY(ol_plan_job(comm, ol_sweep_source(s, s->dearest), true, ranks, &plan));
    if (ol_comm_rank(comm) == 0) {
        status = ol_sweep_write(s, &plan, program ? program : "outerloop");
        if (status == OL_OK)
            tell(s, ranks);
    }
    return ol_comm_agree(comm, status);
}

static ol_status run_one(ol_comm *comm, const struct options *o, const ol_sweep *s,
                         bool *work_started)
{

    return ol_run_job(comm, ol_sweep_source(s, o->only - 1), o->resume, work_started);
}

static ol_status sweep(ol_comm *comm, void *payload, bool *work_started)
{
    const struct options *o = payload;
    const int ranks = o->ranks > 0 ? o->ranks : ol_comm_size(comm);
    const bool alone = o->plan || o->only > 0; /* its own start checks the rest */
    OL_AUTO(ol_sweep_finish) ol_sweep s = {0};

    OL_TRY(ol_sweep_read(comm, o->file, o->folder, alone ? 0 : ranks, &s));
    OL_CHECK(o->only <= s.conf.n, OL_EUSAGE, "%s: there is no element %d: it has %d", o->file,
             o->only, s.conf.n);
    return o->plan       ? plan_elements(comm, o, &s, ranks)
           : o->only > 0 ? run_one(comm, o, &s, work_started)
                         : write_all(comm, &s, ranks);
}

int ol_cmd_sweep(int argc, char **argv)
{
    struct options o = {0};
    const ol_cli_option options[] = {
        {"only", 0, "N", "run element N here, from 1; with --plan, plan it", .count = &o.only,
         .least = 1},
        {"resume", .help = "go on with element N where it broke off", .flag = &o.resume},
        {"plan", .help = "plan the elements; nothing is written", .flag = &o.plan},
        {"ranks", 'n', "RANKS", "ranks of an element (1, or those of mpirun)", .count = &o.ranks,
         .least = 1},
        {"out", 0, "DIR", "where job files go (`sweep` beside the elements' outputs)",
         .text = &o.folder},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .args = "FILE.cfg",
        .word = &o.file,
        .thing = "sweep",
        .which = "A file with job, output and grid; see --help",
        .check = check,
        .at = &o,
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

    ol_cli_read(&syntax, argc, argv);
    if (o.only > 0 && !o.plan)
        ol_stop_install(); /* as for run */
    return ol_cli_on_ranks(sweep, &o);
}
