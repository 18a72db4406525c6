/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of the hosts. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "doctor_parts.h"
#include "outerloop/base/limits.h" /* ol_limits_group */

static const double RANK_BYTES = 256.0 * 1048576, WINDOW_BYTES = 1024.0 * 1048576;

static double least_of(double a, double b)
{
    if (a < 0)
        return b;
    return b >= 0 && b < a ? b : a;
}

/* Bytes that the control group of this process may have; below 0: no limit. */
static double group_limit(void)
{
    const size_t bytes = ol_limits_group();

    return bytes > 0 ? (double)bytes : -1;
}

static double available(void)
{
    FILE *file = fopen("/proc/meminfo", "r");
    char line[256];
    double kib = -1;

    while (file && kib < 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %lf", &kib) != 1)
            kib = -1;
    if (file)
        fclose(file);
    return kib < 0 ? -1 : 1024 * kib;
}

static double free_in(const char *folder)
{
    struct statvfs about;

    return statvfs(folder, &about) == 0 ? (double)about.f_bavail * (double)about.f_frsize : -1;
}

static int ranks_here(const doctor *d)
{
    for (int i = 0; i < d->layout.n; i++)
        if (strcmp(d->layout.nodes[i].name, ol_comm_host(d->comm)) == 0)
            return d->layout.nodes[i].ranks;
    return 1;
}

static void judge_room(doctor *d, const ol_comm_stats *room)
{
    const double mib = room->min.value / 1048576;

    if (room->min.value < RANK_BYTES)
        doctor_say(d, DOCTOR_FAULT,
                   "memory: %.0f MiB for rank %d, by what is free or its control group allows: ask "
                   "for more (sbatch --mem-per-cpu), or start fewer ranks a host",
                   mib, room->min.rank);
    else
        doctor_say(d, DOCTOR_OK,
                   "memory: %.0f MiB or more for a rank; `outerloop plan` says what "
                   "a job takes",
                   mib);
}

static void judge_window(doctor *d, const ol_comm_stats *window, int most)
{
    if (most < 2)
        return; /* a rank alone on its host shares nothing */
    if (window->min.value < WINDOW_BYTES)
        doctor_say(d, DOCTOR_WARNING,
                   "/dev/shm: %.0f MiB free on the host of rank %d; frozen weights and gradients "
                   "of a host's ranks go there: mount it larger (docker --shm-size), or "
                   "OMPI_MCA_osc_sm_backing_directory=FOLDER",
                   window->min.value / 1048576, window->min.rank);
    else
        doctor_say(d, DOCTOR_OK, "/dev/shm: %.0f MiB free for what a host's ranks share",
                   window->min.value / 1048576);
}

ol_status doctor_memory(doctor *d)
{
    const int here = ranks_here(d);
    const double room = least_of(available(), group_limit());
    const double window = free_in("/dev/shm");
    ol_comm_stats rooms, windows, ranks;

    OL_TRY(ol_comm_reduce(d->comm, room < 0 ? 1e18 : room / here, &rooms));
    OL_TRY(ol_comm_reduce(d->comm, window < 0 ? 0 : window, &windows));
    OL_TRY(ol_comm_reduce(d->comm, here, &ranks));
    if (!d->out)
        return OL_OK;
    judge_room(d, &rooms);
    judge_window(d, &windows, (int)ranks.max.value);
    return OL_OK;
}
