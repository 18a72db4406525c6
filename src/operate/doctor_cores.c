/* SPDX-License-Identifier: BSD-3-Clause */
/* Cores and products. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor_parts.h"
#include "outerloop/kernel/core.h"     /* ol_core_slowed */
#include "outerloop/kernel/gemm.h"     /* ol_gemm_library */
#include "outerloop/kernel/products.h" /* ol_products_use */
#include "outerloop/kernel/rate.h"     /* ol_gemm_rate */

enum { REPS = 3 };

static const double FALL = 0.7; /* of the rate alone: less of it together is worth a word */

/* Where a rank may run. */
typedef struct seat {
    char host[OL_HOST_TEXT];
    cpu_set_t cores;
} seat;

/* Ranks that must share the cores of rank r with it, for they may run nowhere else. */
static int crowd_of(const seat *seats, int size, int r)
{
    int n = 0;

    for (int i = 0; i < size; i++) {
        cpu_set_t both;

        CPU_AND(&both, &seats[i].cores, &seats[r].cores);
        n += strcmp(seats[i].host, seats[r].host) == 0 && CPU_EQUAL(&both, &seats[i].cores);
    }
    return n;
}

static void judge_binding(doctor *d, const seat *seats, int size)
{
    for (int r = 0; r < size; r++) {
        const int cores = CPU_COUNT(&seats[r].cores), ranks = crowd_of(seats, size, r);

        if (ranks <= cores)
            continue;
        doctor_say(d, DOCTOR_FAULT,
                   "binding: %d ranks on %s share %d core%s: start fewer ranks there, or spread "
                   "them by mpirun --map-by core --bind-to core, srun --cpu-bind=cores",
                   ranks, seats[r].host, cores, cores > 1 ? "s" : "");
        return;
    }
    if (size > 1 && d->layout.all_unbound)
        doctor_say(d, DOCTOR_WARNING,
                   "binding: no rank is bound to cores, so they may wander: mpirun --bind-to core, "
                   "srun --cpu-bind=cores");
    else
        doctor_say(d, DOCTOR_OK, "binding: a core or more for every rank; %s", d->layout.summary);
}

ol_status doctor_binding(doctor *d)
{
    seat mine = {0};
    void *all;

    strcpy(mine.host, ol_comm_host(d->comm));
    if (sched_getaffinity(0, sizeof mine.cores, &mine.cores) != 0)
        for (long c = 0; c < sysconf(_SC_NPROCESSORS_ONLN) && c < CPU_SETSIZE; c++)
            CPU_SET((size_t)c, &mine.cores);
    OL_TRY(doctor_collect(d, &mine, sizeof mine, &all));
    if (all)
        judge_binding(d, all, ol_comm_size(d->comm));
    free(all);
    return OL_OK;
}

/* Is this the first rank of its host, as its launcher counts them? */
static bool first_of_host(const doctor *d)
{
    const char *local = getenv("OMPI_COMM_WORLD_LOCAL_RANK");

    if (!local)
        local = getenv("SLURM_LOCALID");
    return ol_comm_rank(d->comm) == 0 || (local && atoi(local) == 0);
}

enum { SEVERAL = 4 }; /* times slower: that is no choice of anybody's */

static void judge_kernel(doctor *d)
{
    const char *asked = getenv("OPENBLAS_CORETYPE");
    char words[OL_CORE_TEXT];
    const int times = ol_core_slowed(ol_gemm_library(), words);

    if (times > 1)
        doctor_say(d, asked && times >= SEVERAL ? DOCTOR_FAULT : DOCTOR_WARNING, "BLAS: %s", words);
    else if (asked)
        doctor_say(d, DOCTOR_WARNING,
                   "BLAS: OPENBLAS_CORETYPE=%s overrides what the library would choose, and other "
                   "processors give other bits: unset it unless hosts differ",
                   asked);
    else
        doctor_say(d, DOCTOR_OK, "BLAS: %s", ol_gemm_library());
}

static void judge_threads(doctor *d)
{
    const char *threads = getenv("OPENBLAS_NUM_THREADS");

    if (!threads)
        threads = getenv("OMP_NUM_THREADS");
    if (threads && atoi(threads) > 1 &&
        atoi(threads) * d->layout.nodes[0].ranks > d->layout.nodes[0].cores)
        doctor_say(d, DOCTOR_WARNING,
                   "BLAS threads: OPENBLAS_NUM_THREADS=%s of each of %d ranks exceed %d cores: a "
                   "run uses the job's `threads`; export OPENBLAS_NUM_THREADS=1",
                   threads, d->layout.nodes[0].ranks, d->layout.nodes[0].cores);
    else if (!threads && ol_comm_size(d->comm) > 1)
        doctor_say(d, DOCTOR_WARNING,
                   "BLAS threads: OPENBLAS_NUM_THREADS is not set, so every rank starts a thread a "
                   "core and takes buffers for them: export OPENBLAS_NUM_THREADS=1");
    else
        doctor_say(d, DOCTOR_OK, "BLAS threads: %s", threads ? threads : "one rank, as it likes");
}

static void judge_rates(doctor *d, double alone, const ol_comm_stats *together)
{
    const double share = together->min.value / alone;

    if (share < FALL)
        doctor_say(d, DOCTOR_WARNING,
                   "BLAS rate: rank %d makes %.1f GFLOP/s while all work, where a rank alone made "
                   "%.1f: ranks share cores, other work runs here, or memory is too slow; bind "
                   "them, or start fewer",
                   together->min.rank, together->min.value, alone);
    else
        doctor_say(d, DOCTOR_OK,
                   "BLAS rate: %.1f GFLOP/s of a rank alone, %.1f to %.1f with all at work", alone,
                   together->min.value, together->max.value);
}

/* What precision = "auto" of a job means: on every rank the same, or bits depend on who makes them. */
static ol_status look_at_precision(doctor *d)
{
    char mine[OL_PRODUCTS_TEXT] = "";
    const char *all;
    void *bytes;
    int other = 0;

    ol_products_use(OL_PRODUCTS_AUTO);
    strcpy(mine, ol_products_describe());
    OL_TRY(doctor_collect(d, mine, sizeof mine, &bytes));
    all = bytes;
    for (int r = 1; all && r < ol_comm_size(d->comm) && other == 0; r++)
        if (strcmp(all + (size_t)r * sizeof mine, mine) != 0)
            other = r;
    if (other > 0)
        doctor_say(
            d, DOCTOR_WARNING,
            "precision: \"auto\" of a job means %s on rank 0 and %s on rank %d: choose hosts "
            "with one kind of processor, or precision = \"f32\"",
            mine, all + (size_t)other * sizeof mine, other);
    else if (ol_products_used() != OL_PRODUCTS_F32)
        doctor_say(d, DOCTOR_OK, "precision: \"auto\" of a job means %s", mine);
    else if (ol_products_use(OL_PRODUCTS_BF16) != OL_OK) /* refused, with the reason */
        doctor_say(d, DOCTOR_OK, "precision: \"auto\" of a job means %s; %s", mine,
                   ol_status_message());
    free(bytes);
    return ol_products_use(OL_PRODUCTS_F32);
}

ol_status doctor_products(doctor *d)
{
    const bool first = first_of_host(d);
    double alone = 1e30, together = 0;
    ol_comm_stats least, all;
    ol_status status;

    ol_gemm_threads(1);
    status = first ? ol_gemm_rate(REPS, &alone) : OL_OK;
    OL_TRY(ol_comm_agree(d->comm, status)); /* the others wait here */
    status = ol_gemm_rate(REPS, &together);
    OL_TRY(ol_comm_agree(d->comm, status));
    OL_TRY(ol_comm_reduce(d->comm, alone, &least));
    OL_TRY(ol_comm_reduce(d->comm, together, &all));
    if (d->out) {
        judge_kernel(d);
        judge_threads(d);
        judge_rates(d, least.min.value, &all);
    }
    return look_at_precision(d);
}
