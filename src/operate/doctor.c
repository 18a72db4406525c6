/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/operate/doctor.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "doctor_parts.h"

/* Address space: what MPI, HDF5 and OpenBLAS map before any work, and what runs are of use with. */
static const double START_BYTES = 512.0 * 1048576, WORK_BYTES = 2048.0 * 1048576;
static const double CLOCK_SECONDS = 2.0; /* more apart, and times of files mislead */

void doctor_say(doctor *d, doctor_grade grade, const char *format, ...)
{
    static const char *const names[] = {"ok", "warning", "fault"};
    int *const counts[] = {&d->tally->ok, &d->tally->warnings, &d->tally->faults};
    va_list arguments;

    ++*counts[grade];
    if (!d->out)
        return;
    fprintf(d->out, "%-8s ", names[grade]);
    va_start(arguments, format);
    vfprintf(d->out, format, arguments);
    va_end(arguments);
    fputc('\n', d->out);
    fflush(d->out);
}

ol_status doctor_collect(doctor *d, const void *mine, size_t n, void **all)
{
    ol_gathered gathered = {0};

    *all = NULL;
    OL_TRY(ol_comm_gather(d->comm, mine, n, &gathered));
    if (ol_comm_rank(d->comm) == 0) {
        *all = gathered.bytes;
        gathered.bytes = NULL;
    }
    ol_gathered_finish(&gathered);
    return OL_OK;
}

static void look_at_limit(doctor *d, unsigned which, const char *name, const char *flag)
{
    struct rlimit limit;
    double bytes;

    if (getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return;
    bytes = (double)limit.rlim_cur;
    if (bytes < START_BYTES)
        doctor_say(d, DOCTOR_FAULT,
                   "memory limits: %s is %.0f MiB, with which MPI and OpenBLAS do not start: "
                   "ulimit %s unlimited",
                   name, bytes / 1048576, flag);
    else if (bytes < WORK_BYTES)
        doctor_say(d, DOCTOR_WARNING,
                   "memory limits: %s is %.0f MiB; libraries alone map some hundreds: ulimit %s "
                   "unlimited, and let `outerloop plan` say what the job takes",
                   name, bytes / 1048576, flag);
}

bool ol_doctor_limits(FILE *out, ol_doctor_tally *tally)
{
    const int faults = tally->faults, warnings = tally->warnings;
    doctor d = {.out = out, .tally = tally};
    struct rlimit stack;

    look_at_limit(&d, RLIMIT_AS, "the address space", "-v");
    look_at_limit(&d, RLIMIT_DATA, "the data segment", "-d");
    if (getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur != RLIM_INFINITY &&
        stack.rlim_cur < 1 << 20)
        doctor_say(&d, DOCTOR_FAULT, "memory limits: the stack is %.0f KiB: ulimit -s 8192",
                   (double)stack.rlim_cur / 1024);
    if (tally->faults == faults && tally->warnings == warnings)
        doctor_say(&d, DOCTOR_OK, "memory limits: none on address space and data of a process");
    return tally->faults == faults;
}

void ol_doctor_launch(FILE *out, ol_doctor_tally *tally)
{
    doctor d = {.out = out, .tally = tally};

    doctor_say(&d, DOCTOR_FAULT, "MPI: %s", ol_status_message());
}

static void look_at_launch(doctor *d)
{
    const char *tasks = getenv("SLURM_NTASKS");
    const int size = ol_comm_size(d->comm);

    if (tasks && atoi(tasks) > 1 && size == 1)
        doctor_say(
            d, DOCTOR_WARNING,
            "MPI: %s, one rank, though SLURM gave %s tasks: srun --mpi=pmix or mpirun before "
            "the program starts them all",
            ol_comm_library(), tasks);
    else
        doctor_say(d, DOCTOR_OK, "MPI: %s, %d rank%s on %d host%s", ol_comm_library(), size,
                   size > 1 ? "s" : "", d->layout.n, d->layout.n > 1 ? "s" : "");
}

static ol_status look_at_clocks(doctor *d)
{
    struct timespec now;
    double mine, *all, least = INFINITY, most = -INFINITY;
    void *bytes;

    OL_TRY(ol_comm_agree(d->comm, OL_OK)); /* all are here */
    clock_gettime(CLOCK_REALTIME, &now);
    mine = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    OL_TRY(doctor_collect(d, &mine, sizeof mine, &bytes));
    all = bytes;
    for (int r = 0; all && r < ol_comm_size(d->comm); r++) {
        least = fmin(least, all[r]);
        most = fmax(most, all[r]);
    }
    free(bytes);
    if (!d->out || d->layout.n < 2)
        return OL_OK;
    if (most - least > CLOCK_SECONDS)
        doctor_say(d, DOCTOR_WARNING,
                   "clocks: those of the hosts are %.1f s apart: start chrony or ntpd on them",
                   most - least);
    else
        doctor_say(d, DOCTOR_OK, "clocks: within %.3f s of each other", most - least);
    return OL_OK;
}

static ol_status look(doctor *d)
{
    look_at_launch(d);
    OL_TRY(doctor_binding(d));
    OL_TRY(doctor_products(d));
    OL_TRY(doctor_memory(d));
    OL_TRY(look_at_clocks(d));
    return doctor_folder(d);
}

ol_status ol_doctor(ol_comm *comm, const char *folder, FILE *out, ol_doctor_tally *tally)
{
    doctor d = {.comm = comm,
                .folder = folder,
                .out = ol_comm_rank(comm) == 0 ? out : NULL,
                .tally = tally};
    ol_status status;

    OL_TRY(ol_comm_describe(comm, 1, &d.layout));
    status = look(&d);
    ol_comm_layout_finish(&d.layout);
    if (status == OL_OK) /* rank 0 has counted */
        status = ol_comm_broadcast(comm, tally, sizeof *tally, 0);
    return status;
}
