/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "command.h"
#include "outerloop/base/log.h"
#include "outerloop/comm/comm.h"
#include "outerloop/operate/doctor.h"

static int finish(const ol_doctor_tally *tally, bool first)
{
    if (first)
        printf("\n%d well, %d warning%s, %d fault%s\n", tally->ok, tally->warnings,
               tally->warnings == 1 ? "" : "s", tally->faults, tally->faults == 1 ? "" : "s");
    return tally->faults > 0 ? OL_EXIT_FAILED : OL_EXIT_DONE;
}

static int examine(const char *folder)
{
    FILE *const out = ol_cli_is_first() ? stdout : NULL;
    ol_doctor_tally tally = {0};
    ol_comm *comm = NULL;
    ol_status status;
    int code;

    if (!ol_doctor_limits(out, &tally))
        return finish(&tally, out != NULL);
    status = ol_comm_init(&comm);
    if (status != OL_OK) {
        ol_doctor_launch(out, &tally);
        return finish(&tally, out != NULL);
    }
    ol_log_identify(ol_comm_rank(comm));
    status = ol_doctor(comm, folder, stdout, &tally);
    if (status == OL_OK)
        code = finish(&tally, ol_comm_rank(comm) == 0);
    else
        code = ol_comm_rank(comm) == 0 ? ol_cli_finish(status, true) : ol_cli_exit(status, true);
    ol_comm_destroy(comm);
    return code;
}

int ol_cmd_doctor(int argc, char **argv)
{
    const char *folder = "runs";
    const ol_cli_option options[] = {
        {"output", 'o', "DIR", "where results will go (runs)", .text = &folder},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .instead = "; the folder is --output DIR",
        .doc =
            "Look for what would hinder a run: MPI started as it was built, ranks against cores, "
            "binding, products of a rank alone and of all together, memory and its limits, "
            "shared memory, clocks, and locks, syncing, renaming and room where results will "
            "go.\v"
            "Start it as the job will be started, under mpirun or srun. A line a finding: ok, "
            "warning or fault, with what to do. Exit 1 where there is a fault.\n\n"
            "  mpirun -n 4 outerloop doctor --output runs",
    };

    ol_cli_read(&syntax, argc, argv);
    return examine(folder);
}
