/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests/run/test_faults.py runs: a job again and again, each time gone on with, while agreements
 * of the ranks fail at random, until it comes through. A rank that fails alone must take all others
 * with it, by the same way out: one that waits for ever is the test's time limit.
 *
 * usage: faults RATE ATTEMPTS JOB.cfg KEY=VALUE...
 */
#include <stdio.h>
#include <stdlib.h>

#include "outerloop/base/log.h"
#include "outerloop/run/run.h"

/* The same code on all ranks, or the end. */
static void compare(ol_comm *comm, int status)
{
    ol_comm_stats stats;

    if (ol_comm_reduce(comm, status, &stats) != OL_OK || stats.min.value != stats.max.value) {
        fprintf(stderr, "ranks left with different codes\n");
        ol_comm_abort(comm, 3);
    }
}

int main(int argc, char **argv)
{
    static const ol_status codes[] = {OL_EIO, OL_ENOMEM, OL_EDATA, OL_EMPI};
    ol_job_source source;
    ol_comm *comm;
    int seed = 0, status = OL_EIO;

    if (argc < 4 || ol_comm_init(&comm) != OL_OK)
        return 2;
    source = (ol_job_source){argv[3], (const char *const *)argv + 4, (size_t)argc - 4};
    ol_log_identify(ol_comm_rank(comm));
    while (status != OL_OK && seed < atoi(argv[2])) {
        bool started = false;

        seed++;
        ol_comm_inject(comm, (uint64_t)seed, atof(argv[1]), codes[seed % 4]);
        status = ol_run_job(comm, source, true, &started);
        ol_comm_inject(comm, 0, 0, OL_OK);
        compare(comm, status);
        if (ol_comm_rank(comm) == 0)
            printf("attempt %d: %d %s: %s\n", seed, status, started ? "late" : "early",
                   status == OL_OK ? "whole" : ol_status_message());
    }
    ol_comm_destroy(comm);
    return status == OL_OK ? 0 : 1;
}
