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

enum {
    FOLDER_BYTES = 512,     /* of a folder's name, NUL included                                  */
    SPARE_BYTES = 8 << 20,  /* asked of a folder beyond the block, MPI's own state included      */
    MPI_SHARE = 20,         /* Open MPI wants a 20th of a file's size free beyond the file itself */
    LONGEST_ALARM = 1 << 30 /* s: train.stall_minutes may be any number */
};

struct ol_node_block {
    ol_comm *comm;
    MPI_Win window; /* MPI_WIN_NULL: the pages are this process's own            */
    int rank, size; /* of the node; the filler is its rank 0                     */
    size_t page;    /* bytes                                                     */
    int parts;      /* one a rank, or a single one, the filler's                 */
    size_t part;    /* bytes of one, whole pages                                 */
    size_t bytes;   /* of all                                                    */
    char *at;       /* on a page boundary; NULL before there is any memory       */
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
    alarm(on ? 1 + (unsigned)fmin(comm->stall_seconds, LONGEST_ALARM) : 0);
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

/* Whether so many bytes can be asked for, for each part; and on the filler of ranks that share, whether
   MPI can open even a small window. */
static ol_status check_size(ol_node_block *block, const char *what, size_t bytes)
{
    OL_CHECK(bytes <= PTRDIFF_MAX / 2 / (size_t)block->parts, OL_ENOMEM,
             "no memory for the %s: %zu bytes (%.2f GiB) asked for on a node%s", what, bytes,
             gib(bytes), block->parts > 1 ? " by each of its ranks" : "");
    block->page = (size_t)sysconf(_SC_PAGESIZE);
    block->part = (bytes / block->page + (bytes % block->page || !bytes)) * block->page;
    block->bytes = block->part * (size_t)block->parts;
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

/* Have the kernel give all pages of own part now, where it can: that fails, where a write would kill. */
static ol_status take_pages(const ol_node_block *block, const char *what)
{
#ifdef MADV_POPULATE_WRITE
    char folder[FOLDER_BYTES];

    if (block->rank >= block->parts ||
        madvise(ol_node_part_at(block, block->rank), block->part, MADV_POPULATE_WRITE) == 0)
        return OL_OK;
    if (errno != EFAULT && errno != ENOMEM)
        return OL_OK; /* an older kernel */
    folder_behind(block->at, folder);
    return ol_fail(
        OL_ENOMEM,
        "no memory for the %s: %zu bytes (%.2f GiB) asked for, and %s ran full meanwhile", what,
        block->bytes, gib(block->bytes), folder[0] ? folder : "the kernel");
#else
    (void)block;
    (void)what;
    return OL_OK;
#endif
}

/* The block itself: a process's own pages, or a window. */
static ol_status place(ol_node_block *block, const char *what)
{
    char *base;

    if (block->size == 1) {
        base = mmap(NULL, block->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        OL_CHECK(base != MAP_FAILED, OL_ENOMEM,
                 "no memory for the %s: %zu bytes (%.2f GiB) asked for", what, block->bytes,
                 gib(block->bytes));
        block->at = base;
        return OL_OK;
    }
    OL_TRY(open_window(block, window_bytes(block), &base));
    /* mappings start on page boundaries, so this is the same byte on every rank */
    block->at = base + (block->page - (uintptr_t)base % block->page) % block->page;
    return take_pages(block, what);
}

static ol_status build(ol_node_block *block, const char *what, size_t bytes)
{
    OL_TRY(ol_comm_agree(block->comm, check_size(block, what, bytes)));
    OL_TRY(ol_comm_agree(block->comm, find_room(block, what)));
    return ol_comm_agree(block->comm, place(block, what));
}

static ol_status create(ol_comm *comm, const char *what, size_t bytes, int parts,
                        ol_node_block **out)
{
    ol_node_block *block = malloc(sizeof *block);
    ol_status status = block ? OL_OK : ol_fail(OL_ENOMEM, "no memory for the %s", what);

    *out = NULL;
    if (block)
        *block = (ol_node_block){.comm = comm,
                                 .rank = comm->node.rank,
                                 .size = comm->node.size,
                                 .parts = parts,
                                 .window = MPI_WIN_NULL};
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
    return create(comm, what, bytes, 1, out);
}

ol_status ol_node_parts_create(ol_comm *comm, const char *what, size_t bytes, ol_node_block **out)
{
    return create(comm, what, bytes, comm->node.size, out);
}

void *ol_node_part_at(const ol_node_block *block, int rank)
{
    assert(rank >= 0 && rank < block->parts);
    return block->at + block->part * (size_t)rank;
}

ol_status ol_node_block_sync(const ol_node_block *block)
{
    if (block->window != MPI_WIN_NULL)
        OL_TRY_MPI(MPI_Win_sync(block->window));
    return OL_OK;
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
