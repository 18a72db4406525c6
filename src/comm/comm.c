/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/comm/comm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "outerloop/base/rng.h" /* ol_rng_stream: injected faults */

enum { MESSAGE_BYTES = 1024 };

ol_status ol_comm_fail(const char *call, int code)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;

    MPI_Error_string(code, text, &length);
    return ol_fail(OL_EMPI, "%.*s failed: %s", (int)strcspn(call, "("), call, text);
}

/* Tasks that the nearest launcher says it started, 0 when there is none. What SLURM says of a whole
   allocation (SLURM_NTASKS) does not count: a program in a batch script sees it too. */
static long launched_tasks(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = getenv(names[i]);

        if (text)
            return strtol(text, NULL, 10);
    }
    return 0;
}

static ol_status check_launch(int size)
{
    const long tasks = launched_tasks();

    OL_CHECK(size > 1 || tasks <= 1, OL_EUSAGE,
             "the launcher started %ld tasks, but each is alone in its own MPI world: this program "
             "uses %s, which does not know that launcher. Use the mpirun of that MPI, or "
             "`srun --mpi=pmix` (`srun --mpi=list` shows what this site has)",
             tasks, ol_comm_library());
    return OL_OK;
}

/* A process that nobody launched stays alone: it needs no daemon of MPI's beside it, no look for
   fabrics (which binds it to a core to time its clock), none for devices (screens among them, over
   the network), none at every core in turn, and no session folder, which all such processes of a
   user on a host would share: one that ends takes it away under another that begins. What is set
   already stays. */
static void start_alone(void)
{
    static const char *const settings[][2] = {
        {"OMPI_MCA_ess_singleton_isolated", "1"},
        {"OMPI_MCA_orte_create_session_dirs", "0"},
        {"OMPI_MCA_pml", "ob1"},
        {"OMPI_MCA_btl", "self"},
        {"HWLOC_COMPONENTS", "-x86,-pci,-linuxio,-gl,-opencl,-cuda,-nvml"}};

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        setenv(settings[i][0], settings[i][1], 0);
}

/* Where everyone is, and room for what they answer. */
static ol_status know_hosts(ol_comm *comm)
{
    comm->hosts = calloc((size_t)comm->size, OL_HOST_TEXT);
    comm->answers = calloc((size_t)comm->size, 1);
    OL_TRY(ol_comm_agree(comm, comm->hosts && comm->answers
                                   ? OL_OK
                                   : ol_fail(OL_ENOMEM, "no memory for %d ranks", comm->size)));
    OL_TRY_SMALL(comm, MPI_Iallgather, comm->host, OL_HOST_TEXT, MPI_CHAR, comm->hosts,
                 OL_HOST_TEXT, MPI_CHAR, comm->handle);
    return OL_OK;
}

static ol_status start(ol_comm *comm)
{
    int level;

    if (launched_tasks() == 0 && !getenv("PMIX_RANK") && !getenv("PMI_RANK"))
        start_alone();
    OL_TRY_MPI(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level));
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    OL_TRY_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &comm->handle));
    MPI_Comm_set_errhandler(comm->handle, MPI_ERRORS_RETURN);
    OL_TRY_MPI(MPI_Comm_rank(comm->handle, &comm->rank));
    OL_TRY_MPI(MPI_Comm_size(comm->handle, &comm->size));
    OL_TRY_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &comm->watch));
    MPI_Comm_set_errhandler(comm->watch, MPI_ERRORS_RETURN);
    comm->start = MPI_Wtime();
    if (gethostname(comm->host, sizeof comm->host - 1) != 0)
        snprintf(comm->host, sizeof comm->host, "unknown host");
    OL_TRY(check_launch(comm->size));
    OL_TRY(know_hosts(comm));
    return ol_comm_find_groups(comm);
}

ol_status ol_comm_init(ol_comm **out)
{
    ol_comm *comm = calloc(1, sizeof *comm);
    ol_status status;

    *out = NULL;
    OL_CHECK(comm, OL_ENOMEM, "no memory to start MPI");
    comm->handle = comm->watch = MPI_COMM_NULL;
    comm->size = 1;
    status = start(comm);
    if (status != OL_OK)
        ol_comm_destroy(comm);
    else
        *out = comm;
    return status;
}

static ol_status say_goodbye(ol_comm *comm)
{
    if (comm->size > 1 && comm->hosts)
        OL_TRY_SMALL(comm, MPI_Ibarrier, comm->handle);
    return OL_OK;
}

void ol_comm_destroy(ol_comm *comm)
{
    int started = 0, ended = 0;

    if (!comm)
        return;
    if (comm->handle != MPI_COMM_NULL)
        (void)say_goodbye(comm); /* MPI_Finalize waits for all, without a watch */
    ol_comm_leave_groups(comm);
    if (comm->handle != MPI_COMM_NULL)
        MPI_Comm_free(&comm->handle);
    if (comm->watch != MPI_COMM_NULL)
        MPI_Comm_free(&comm->watch);
    MPI_Initialized(&started);
    MPI_Finalized(&ended);
    if (started && !ended)
        MPI_Finalize();
    free(comm->hosts);
    free(comm->answers);
    free(comm);
}

int ol_comm_rank(const ol_comm *comm)
{
    return comm->rank;
}

int ol_comm_size(const ol_comm *comm)
{
    return comm->size;
}

int ol_comm_sharing(const ol_comm *comm)
{
    return comm->sharing.size;
}

const char *ol_comm_host(const ol_comm *comm)
{
    return comm->host;
}

const char *ol_comm_library(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;

    if (!text[0] && MPI_Get_library_version(text, &length) == MPI_SUCCESS)
        text[strcspn(text, ",\n")] = '\0'; /* Open MPI adds package, host and repository */
    return text;
}

void ol_comm_inject(ol_comm *comm, uint64_t seed, double rate, ol_status code)
{
    comm->fault.seed = seed;
    comm->fault.rate = rate;
    comm->fault.code = code;
    comm->fault.agreement = 0;
}

static ol_status injected(ol_comm *comm, ol_status mine)
{
    const uint32_t agreement = comm->fault.agreement++;
    ol_rng rng;

    if (comm->fault.rate <= 0 || mine != OL_OK)
        return mine;
    rng = ol_rng_stream(comm->fault.seed, OL_RNG_FAULT, agreement, (uint32_t)comm->rank);
    if (ol_rng_uniform(&rng) >= comm->fault.rate)
        return mine;
    return ol_fail(comm->fault.code, "injected fault at agreement %u", (unsigned)agreement);
}

/* From harmless to severe: what must be known first when ranks fail in different ways. */
static const ol_status by_severity[] = {OL_OK,    OL_ESTOPPED, OL_ECHECK, OL_ENONFINITE, OL_EUSAGE,
                                        OL_EDATA, OL_EIO,      OL_ENOMEM, OL_EMPI};

static int severity_of(ol_status code)
{
    const int n = (int)(sizeof by_severity / sizeof *by_severity);

    for (int i = 0; i < n; i++)
        if (by_severity[i] == code)
            return i;
    return n - 1;
}

/* Everyone gets the message of the failing rank; it says whose it is unless all say the same. */
static ol_status share_message(ol_comm *comm, ol_status mine, ol_status worst, int rank)
{
    struct {
        char text[MESSAGE_BYTES];
        char host[OL_HOST_TEXT];
    } theirs = {{0}, {0}};
    int same, all_same;

    if (rank == comm->rank) {
        snprintf(theirs.text, sizeof theirs.text, "%s", ol_status_message());
        memcpy(theirs.host, comm->host, sizeof theirs.host);
    }
    OL_TRY_SMALL(comm, MPI_Ibcast, &theirs, (int)sizeof theirs, MPI_BYTE, rank, comm->handle);
    same = mine == worst && strcmp(theirs.text, ol_status_message()) == 0;
    OL_TRY_SMALL(comm, MPI_Iallreduce, &same, &all_same, 1, MPI_INT, MPI_LAND, comm->handle);
    return all_same ? ol_fail(worst, "%s", theirs.text)
                    : ol_fail(worst, "rank %d on %s: %s", rank, theirs.host, theirs.text);
}

ol_status ol_comm_agree(ol_comm *comm, ol_status mine)
{
    struct {
        int severity, rank;
    } in, worst;

    mine = injected(comm, mine);
    if (comm->size == 1)
        return mine;
    in.severity = -severity_of(mine); /* MINLOC breaks ties by the lowest rank */
    in.rank = comm->rank;
    OL_TRY_SMALL(comm, MPI_Iallreduce, &in, &worst, 1, MPI_2INT, MPI_MINLOC, comm->handle);
    if (worst.severity == 0)
        return OL_OK;
    return share_message(comm, mine, by_severity[-worst.severity], worst.rank);
}

static ol_status broadcast(ol_comm *comm, void *bytes, size_t n, int root, MPI_Comm to)
{
    for (char *at = bytes; n > 0;) {
        const size_t piece = n < COMM_PIECE_BYTES ? n : COMM_PIECE_BYTES;

        OL_TRY_LARGE(comm, MPI_Ibcast, at, (int)piece, MPI_BYTE, root, to);
        at += piece;
        n -= piece;
    }
    return OL_OK;
}

ol_status ol_comm_broadcast(ol_comm *comm, void *bytes, size_t n, int root)
{
    return comm->size > 1 ? broadcast(comm, bytes, n, root, comm->handle) : OL_OK;
}

ol_status ol_comm_broadcast_nodes(ol_comm *comm, void *bytes, size_t n)
{
    return comm->node.rank == 0 && comm->first.size > 1
               ? broadcast(comm, bytes, n, 0, comm->first.handle)
               : OL_OK;
}

ol_status ol_comm_reduce(ol_comm *comm, double mine, ol_comm_stats *out)
{
    struct {
        double value;
        int rank;
    } in[2] = {{isnan(mine) ? INFINITY : mine, comm->rank},
               {isnan(mine) ? INFINITY : -mine, comm->rank}},
      best[2];

    OL_TRY_SMALL(comm, MPI_Iallreduce, in, best, 2, MPI_DOUBLE_INT, MPI_MINLOC, comm->handle);
    OL_TRY_SMALL(comm, MPI_Iallreduce, &mine, &out->sum, 1, MPI_DOUBLE, MPI_SUM, comm->handle);
    out->min = (ol_comm_extreme){best[0].value, best[0].rank};
    out->max = (ol_comm_extreme){-best[1].value, best[1].rank};
    return OL_OK;
}

ol_status ol_comm_any(ol_comm *comm, bool mine, bool *out)
{
    int in = mine, any = mine;

    if (comm->size > 1)
        OL_TRY_SMALL(comm, MPI_Iallreduce, &in, &any, 1, MPI_INT, MPI_LOR, comm->handle);
    *out = any != 0;
    return OL_OK;
}

ol_status ol_comm_seconds(ol_comm *comm, double *seconds)
{
    *seconds = MPI_Wtime() - comm->start;
    return ol_comm_broadcast(comm, seconds, sizeof *seconds, 0);
}

void ol_comm_abort(ol_comm *comm, int exit_code)
{
    MPI_Abort(comm->handle, exit_code);
    _exit(exit_code);
}
