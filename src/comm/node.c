/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/comm/node.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "internal.h"
#include "outerloop/base/log.h" /* ol_log_warn */

enum {
    FOLDER_BYTES = 512,    /* of a folder's name, NUL included                                  */
    SPARE_BYTES = 8 << 20, /* asked of a folder beyond the block, MPI's own state included      */
    MPI_SHARE = 20,        /* Open MPI wants a 20th of a file's size free beyond the file itself */
    MOST_ALARM = 1 << 30,  /* seconds                                                           */
};

/* Who writes what, and so takes its pages from the kernel: then they are near its processor. */
enum writers {
    FILLER, /* one rank all of it                 */
    OWNERS, /* each rank the part of its number   */
    SLICERS /* each rank its slice of every part  */
};

struct ol_node_block {
    ol_comm *comm;
    MPI_Win window; /* MPI_WIN_NULL: the pages are this process's own            */
    int rank, size; /* of the node; the filler is its rank 0                     */
    enum writers writers;
    size_t page;     /* bytes                                                    */
    char *at;        /* on a page boundary; NULL before there is any memory      */
    size_t bytes;    /* of all parts                                             */
    int n;           /* parts                                                    */
    size_t starts[]; /* [n + 1] bytes before each, whole pages                   */
};

/* Bytes to ask of MPI, whose windows start anywhere in a page. */
static size_t window_bytes(const ol_node_block *block)
{
    return block->bytes + block->page;
}

static double gib(size_t bytes)
{
    return (double)bytes / (1u << 30);
}

/* Whether a folder has so many bytes free; "" is memory that is in no folder. */
static ol_status check_folder(const char *folder, const char *what, size_t needed)
{
    struct statvfs fs;
    size_t left;

    if (!folder[0] || statvfs(folder, &fs) != 0)
        return OL_OK;
    left = (size_t)fs.f_bavail * (size_t)fs.f_frsize;
    OL_CHECK(left >= needed, OL_ENOMEM,
             "no room for the %s: MPI puts memory that ranks of a node share in %s, which has %zu "
             "bytes (%.2f GiB) free of %zu (%.2f GiB) needed; enlarge it (docker: --shm-size), or "
             "set OMPI_MCA_shmem=sysv, which needs no folder, or "
             "OMPI_MCA_osc_sm_backing_directory=FOLDER, or start one rank per node",
             what, folder, left, gib(left), needed, gib(needed));
    return OL_OK;
}

/* Whether the folder where MPI will most likely put a window has room for a small one: where even
   that cannot be opened, ranks would wait for ever. */
static ol_status check_likely_folder(const char *what)
{
    const char *folder = getenv("OMPI_MCA_osc_sm_backing_directory");
    const char *kind = getenv("OMPI_MCA_shmem");

    if (kind && strcmp(kind, "sysv") == 0)
        return OL_OK;
    OL_CHECK(!folder || access(folder, W_OK | X_OK) == 0, OL_EUSAGE,
             "OMPI_MCA_osc_sm_backing_directory=%s: cannot write there: %s", folder,
             strerror(errno));
    return check_folder(folder ? folder : "/dev/shm", what, SPARE_BYTES);
}

/* Whether the kernel would promise so much memory, in a folder or not. */
static ol_status check_kernel(const char *what, size_t needed)
{
    void *trial = mmap(NULL, needed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    OL_CHECK(trial != MAP_FAILED, OL_ENOMEM,
             "no memory for the %s: %zu bytes (%.2f GiB) asked for on a node", what, needed,
             gib(needed));
    munmap(trial, needed);
    return OL_OK;
}

/* The folder that holds the file behind an address, "" when the kernel's own memory is there. */
static void folder_behind(const void *address, char folder[static FOLDER_BYTES])
{
    FILE *maps = fopen("/proc/self/maps", "re");
    const uintptr_t at = (uintptr_t)address;
    uintptr_t start, end;
    char line[1024], *name, *slash;

    folder[0] = '\0';
    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &start, &end) != 2 || at < start || at >= end)
            continue;
        name = strchr(line, '/');
        slash = name ? strrchr(name, '/') : NULL;
        if (slash && slash - name < FOLDER_BYTES)
            snprintf(folder, FOLDER_BYTES, "%.*s", (int)(slash - name), name);
        break;
    }
    if (strcmp(folder, "/dev") == 0) /* /dev/zero */
        folder[0] = '\0';
    if (maps)
        fclose(maps);
}

static void overdue(int number)
{
    static const char text[] =
        "outerloop: no progress: a rank of this node stands still while MPI opens or closes memory "
        "that they share; --resume goes on from the last checkpoint (train.stall_minutes is how "
        "long to wait)\n";

    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(EXIT_FAILURE);
}

/* MPI opens and closes a window by waiting for the node's ranks without end, and nobody can be asked
   there. So an alarm ends a process that waits longer than ol_comm_watch says. */
static void set_alarm(const ol_comm *comm, bool on)
{
    if (comm->stall_seconds <= 0)
        return;
    if (on)
        signal(SIGALRM, overdue);
    alarm(on ? 1 + (unsigned)fmin(comm->stall_seconds, MOST_ALARM) : 0);
}

/* A window of `bytes` that all belong to the filler. Collective over the node. */
static ol_status open_window(ol_node_block *block, size_t bytes, char **base)
{
    MPI_Aint size = block->rank == 0 ? (MPI_Aint)bytes : 0;
    int unit, code;

    set_alarm(block->comm, true);
    code = MPI_Win_allocate_shared(size, 1, MPI_INFO_NULL, block->comm->node.handle, base,
                                   &block->window);
    set_alarm(block->comm, false);
    if (code != MPI_SUCCESS)
        return ol_comm_fail("MPI_Win_allocate_shared", code);
    OL_TRY_MPI(MPI_Win_set_errhandler(block->window, MPI_ERRORS_RETURN));
    OL_TRY_MPI(MPI_Win_lock_all(MPI_MODE_NOCHECK, block->window)); /* MPI_Win_sync wants it */
    OL_TRY_MPI(MPI_Win_shared_query(block->window, 0, &size, &unit, base));
    return OL_OK;
}

/* All ranks of the node are here: MPI itself waits for them without end, this as ol_comm_watch says. */
static ol_status meet(const ol_node_block *block)
{
    OL_TRY_SMALL(block->comm, MPI_Ibarrier, block->comm->node.handle);
    return OL_OK;
}

/* Collective over the node. A window that not all came to close is left to the end of the process. */
static void close_window(ol_node_block *block)
{
    if (block->window != MPI_WIN_NULL && meet(block) == OL_OK) {
        set_alarm(block->comm, true);
        MPI_Win_unlock_all(block->window);
        MPI_Win_free(&block->window);
        set_alarm(block->comm, false);
    }
}

/* Where parts of so many bytes lie, one after the other, if so many can be asked for; and on the filler of
   ranks that share, whether MPI can open even a small window. */
static ol_status lay_out(ol_node_block *block, const char *what, const size_t *bytes)
{
    block->page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < block->n; i++) {
        const size_t pages = bytes[i] / block->page + (bytes[i] % block->page || !bytes[i]);

        OL_CHECK(pages <= (PTRDIFF_MAX / 2 - block->bytes) / block->page, OL_ENOMEM,
                 "no memory for the %s: %zu bytes (%.2f GiB) asked for on a node%s", what, bytes[i],
                 gib(bytes[i]), block->n > 1 ? ", and more beside them" : "");
        block->bytes += pages * block->page;
        block->starts[i + 1] = block->bytes;
    }
    return block->size > 1 && block->rank == 0 ? check_likely_folder(what) : OL_OK;
}

/* Whether there is room where MPI puts its windows, which a small one shows. */
static ol_status find_room(ol_node_block *block, const char *what)
{
    const size_t bytes = window_bytes(block);
    char folder[FOLDER_BYTES], *base;

    if (block->size == 1)
        return OL_OK;
    OL_TRY(open_window(block, block->page, &base));
    folder_behind(base, folder);
    close_window(block);
    if (block->rank != 0)
        return OL_OK;
    OL_TRY(check_folder(folder, what, bytes + bytes / MPI_SHARE + SPARE_BYTES));
    return check_kernel(what, bytes);
}

/* The bytes of part i that this rank takes, in whole pages. */
static size_t taken(const ol_node_block *block, int i, size_t *start)
{
    const size_t pages = (block->starts[i + 1] - block->starts[i]) / block->page;
    const size_t rank = (size_t)block->rank, size = (size_t)block->size;
    size_t from = 0, to = pages;

    if (block->writers == SLICERS) {
        from = pages * rank / size;
        to = pages * (rank + 1) / size;
    } else if (block->rank != (block->writers == OWNERS ? i : 0)) {
        to = 0;
    }
    *start = block->starts[i] + from * block->page;
    return (to - from) * block->page;
}

/* Have the kernel give own pages now, where it can: that fails, where a write would kill. */
static ol_status take_pages(const ol_node_block *block, const char *what)
{
#ifdef MADV_POPULATE_WRITE
    char folder[FOLDER_BYTES];

    for (int i = 0; i < block->n; i++) {
        size_t start;
        const size_t bytes = taken(block, i, &start);

        if (bytes == 0 || madvise(block->at + start, bytes, MADV_POPULATE_WRITE) == 0)
            continue;
        if (errno != EFAULT && errno != ENOMEM)
            return OL_OK; /* an older kernel */
        folder_behind(block->at, folder);
        return ol_fail(
            OL_ENOMEM,
            "no memory for the %s: %zu bytes (%.2f GiB) asked for, and %s ran full meanwhile", what,
            block->bytes, gib(block->bytes), folder[0] ? folder : "the kernel");
    }
#else
    (void)taken;
    (void)block;
    (void)what;
#endif
    return OL_OK;
}

/* A process's own pages. */
static ol_status place_own(ol_node_block *block, const char *what)
{
    void *base =
        mmap(NULL, block->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    OL_CHECK(base != MAP_FAILED, OL_ENOMEM, "no memory for the %s: %zu bytes (%.2f GiB) asked for",
             what, block->bytes, gib(block->bytes));
    block->at = base;
    return OL_OK;
}

static ol_status place_window(ol_node_block *block)
{
    char *base;

    OL_TRY(open_window(block, window_bytes(block), &base));
    /* mappings start on page boundaries, so this is the same byte on every rank */
    block->at = base + (block->page - (uintptr_t)base % block->page) % block->page;
    return OL_OK;
}

static ol_status place(ol_node_block *block, const char *what)
{
    OL_TRY(block->size == 1 ? place_own(block, what) : place_window(block));
#ifdef MADV_HUGEPAGE
    (void)madvise(block->at, block->bytes,
                  MADV_HUGEPAGE); /* as in arena.c, where the system has them */
#endif
    return block->size == 1 ? OL_OK : take_pages(block, what);
}

static ol_status build(ol_node_block *block, const char *what, const size_t *bytes)
{
    OL_TRY(ol_comm_agree(block->comm, lay_out(block, what, bytes)));
    OL_TRY(ol_comm_agree(block->comm, find_room(block, what)));
    return ol_comm_agree(block->comm, place(block, what));
}

static ol_status create(ol_comm *comm, const char *what, enum writers writers, int n,
                        const size_t *bytes, ol_node_block **out)
{
    ol_node_block *block = malloc(sizeof *block + ((size_t)n + 1) * sizeof *block->starts);
    ol_status status = block ? OL_OK : ol_fail(OL_ENOMEM, "no memory for the %s", what);

    *out = NULL;
    if (block) {
        *block = (ol_node_block){.comm = comm,
                                 .rank = comm->node.rank,
                                 .size = comm->node.size,
                                 .writers = writers,
                                 .n = n,
                                 .window = MPI_WIN_NULL};
        block->starts[0] = 0;
    }
    status = ol_comm_agree(comm, status);
    if (status == OL_OK)
        status = build(block, what, bytes);
    if (status == OL_OK)
        *out = block;
    else
        ol_node_block_destroy(block);
    return status;
}

ol_status ol_node_block_create(ol_comm *comm, const char *what, size_t bytes, ol_node_block **out)
{
    return create(comm, what, FILLER, 1, &bytes, out);
}

ol_status ol_node_parts_create(ol_comm *comm, const char *what, size_t bytes, ol_node_block **out)
{
    size_t *all = calloc((size_t)comm->node.size, sizeof *all);
    ol_status status = ol_comm_agree(
        comm, all ? OL_OK : ol_fail(OL_ENOMEM, "no memory for %d parts", comm->node.size));

    *out = NULL;
    for (int r = 0; all && r < comm->node.size; r++)
        all[r] = bytes;
    if (status == OL_OK)
        status = create(comm, what, OWNERS, comm->node.size, all, out);
    free(all);
    return status;
}

ol_status ol_node_vectors_create(ol_comm *comm, const char *what, int n, const size_t *bytes,
                                 ol_node_block **out)
{
    return create(comm, what, SLICERS, n, bytes, out);
}

void *ol_node_part_at(const ol_node_block *block, int i)
{
    assert(i >= 0 && i < block->n);
    return block->at + block->starts[i];
}

ol_status ol_node_block_sync(const ol_node_block *block)
{
    if (block->window != MPI_WIN_NULL)
        OL_TRY_MPI(MPI_Win_sync(block->window));
    return OL_OK;
}

void ol_node_warn(ol_comm *comm, const char *instead)
{
    if (comm->told_of_room)
        ol_log_warn("%s, for want of room too", instead);
    else
        ol_log_warn("%s: %s", instead, ol_status_message());
    comm->told_of_room = true;
}

ol_status ol_node_block_meet(const ol_node_block *block)
{
    if (block->window == MPI_WIN_NULL)
        return OL_OK;
    OL_TRY(ol_node_block_sync(block));
    OL_TRY(meet(block));
    return ol_node_block_sync(block);
}

int ol_node_block_ranks(const ol_node_block *block, int *own)
{
    *own = block->rank;
    return block->size;
}

void *ol_node_block_at(const ol_node_block *block)
{
    return block->at;
}

bool ol_node_block_mine(const ol_node_block *block)
{
    return block->rank == 0;
}

ol_status ol_node_block_ready(ol_node_block *block, ol_status mine)
{
    const ol_status synced = ol_node_block_sync(block);

    mine = mine != OL_OK ? mine : synced;
    OL_TRY(ol_comm_agree(block->comm, mine)); /* nobody passes before all fillers are here */
    (void)ol_node_block_sync(block);          /* as above: it works or not on a window */
    (void)mprotect(block->at, block->bytes, PROT_READ); /* a guard: all is well without it */
    return OL_OK;
}

void ol_node_block_destroy(ol_node_block *block)
{
    if (!block)
        return;
    if (block->window != MPI_WIN_NULL) {
        if (block->at) /* as MPI gave it */
            (void)mprotect(block->at, block->bytes, PROT_READ | PROT_WRITE);
        close_window(block);
    } else if (block->at)
        munmap(block->at, block->bytes);
    free(block);
}
