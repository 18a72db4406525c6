/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/pace.h"

#include <math.h>
#include <stdio.h>

#include "outerloop/base/log.h" /* ol_log_warn */

static const double STRETCH = 0.02; /* s of products a look */
static const double SLOW = 0.6;     /* of the best */

ol_status ol_pace_start(ol_comm *comm, ol_pace_measure *measure, ol_pace *pace)
{
    ol_comm_stats rates;

    *pace = (ol_pace){.measure = measure, .due = OL_PACE_SECONDS};
    OL_TRY(ol_comm_agree(comm, measure(STRETCH, &pace->best)));
    OL_TRY(ol_comm_seconds(comm, &pace->due));
    pace->due += OL_PACE_SECONDS;
    OL_TRY(ol_comm_reduce(comm, pace->best, &rates));
    if (ol_comm_size(comm) == 1)
        ol_log_info("products of matrices: %.1f GFLOP/s", pace->best);
    else
        ol_log_info("products of matrices: %.1f (rank %d) to %.1f GFLOP/s a rank, all at once",
                    rates.min.value, rates.min.rank, rates.max.value);
    return OL_OK;
}

/* The slow rank tells where it is, and rank 0 tells everybody. Collective. */
static ol_status say(ol_comm *comm, int rank, const ol_pace *pace)
{
    struct {
        char host[OL_HOST_TEXT];
        double best, latest;
    } slow = {.best = pace->best, .latest = pace->latest};

    snprintf(slow.host, sizeof slow.host, "%s", ol_comm_host(comm));
    OL_TRY(ol_comm_broadcast(comm, &slow, sizeof slow, rank));
    ol_log_warn(
        "rank %d on host %s multiplies matrices at %.1f GFLOP/s, where it had %.1f earlier in "
        "this run, and all ranks wait for it: other work shares its processor, or another "
        "rank does. Look there with top; bind ranks to cores (mpirun --map-by core --bind-to "
        "core, srun --cpu-bind=cores), ask for whole nodes (sbatch --exclusive), and see what "
        "outerloop doctor says",
        rank, slow.host, slow.latest, slow.best);
    return OL_OK;
}

ol_status ol_pace_look(ol_comm *comm, double now, ol_pace *pace)
{
    ol_comm_stats slow;

    if (!pace->measure || pace->said || now < pace->due)
        return OL_OK;
    pace->due = now + OL_PACE_SECONDS;
    if (pace->measure(STRETCH, &pace->latest) != OL_OK)
        pace->latest = pace->best;
    pace->best = fmax(pace->best, pace->latest);
    pace->slow = pace->latest < SLOW * pace->best ? pace->slow + 1 : 0;
    OL_TRY(ol_comm_reduce(comm, pace->slow, &slow));
    if (slow.max.value < OL_PACE_LOOKS)
        return OL_OK;
    pace->said = true;
    return say(comm, slow.max.rank, pace);
}
