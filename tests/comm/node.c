/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests/comm/test_node.py runs: blocks of memory that the ranks of a node share. A check that
 * fails on any rank ends all with exit 1.
 *
 * usage: node RANKS NODES          all that must hold anywhere
 *        node full FOLDER          blocks of 64 MiB are refused, naming the folder or "-"
 *        node killed               all ranks die while they have a block
 *        node late SECONDS         a rank comes a second late to MPI's opening of a block, where ranks
 *                                  are waited for so long
 *
 * Built with -DLYING_STATVFS, every folder seems to have room, so that only the kernel can refuse.
 */
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <mpi.h>

#include "check.h"
#include "outerloop/comm/comm.h"
#include "outerloop/comm/node.h"

enum { MIB = 1 << 20, BIG = 64 * MIB };

static ol_comm *comm;
static int nodes;

#ifdef LYING_STATVFS
int statvfs(const char *restrict path, struct statvfs *restrict fs)
{
    (void)path;
    *fs = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_blocks = 1ul << 30};
    fs->f_bfree = fs->f_bavail = fs->f_blocks;
    return 0;
}
#endif

static unsigned late; /* s that the last rank takes to open a window */

int MPI_Win_allocate_shared(MPI_Aint size, int unit, MPI_Info info, MPI_Comm node, void *base,
                            MPI_Win *window)
{
    if (late > 0 && ol_comm_rank(comm) == ol_comm_size(comm) - 1)
        sleep(late);
    return PMPI_Win_allocate_shared(size, unit, info, node, base, window);
}

static double sum_over_ranks(double mine)
{
    ol_comm_stats stats;

    CHECK(ol_comm_reduce(comm, mine, &stats) == OL_OK);
    return stats.sum;
}

/* Memory of this process in bytes, where a page that n processes have counts 1/n each. */
static double own_share(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    double kb = -1;

    CHECK(file);
    while (kb < 0 && fgets(line, sizeof line, file))
        (void)sscanf(line, "Pss: %lf kB", &kb);
    fclose(file);
    CHECK(kb > 0);
    return 1024 * kb;
}

static uint32_t element(size_t i, uint32_t seed)
{
    return ((uint32_t)i ^ seed) * 2654435761u;
}

static void fill(const ol_node_block *block, size_t bytes, uint32_t seed)
{
    uint32_t *x = ol_node_block_at(block);

    for (size_t i = 0; ol_node_block_mine(block) && i < bytes / sizeof *x; i++)
        x[i] = element(i, seed);
}

static void check_filled(const ol_node_block *block, size_t bytes, uint32_t seed)
{
    const uint32_t *x = ol_node_block_at(block);
    size_t wrong = 0;

    for (size_t i = 0; i < bytes / sizeof *x; i++)
        wrong += x[i] != element(i, seed);
    CHECK(wrong == 0);
}

/* Everyone sees what one rank of each node wrote, and it is in memory once a node. */
static void test_shared(void)
{
    ol_node_block *block;
    double before, growth;

    CHECK(ol_node_block_create(comm, "warm-up", MIB, &block) == OL_OK);
    ol_node_block_destroy(block);
    before = own_share();
    CHECK(ol_node_block_create(comm, "test block", BIG, &block) == OL_OK);
    CHECK((uintptr_t)ol_node_block_at(block) % 64 == 0);
    CHECK(sum_over_ranks(ol_node_block_mine(block)) == nodes);
    CHECK(ol_comm_rank(comm) > 0 || ol_node_block_mine(block));
    fill(block, BIG, 1);
    CHECK(ol_node_block_ready(block, OL_OK) == OL_OK);
    check_filled(block, BIG, 1);
    CHECK(ol_comm_agree(comm, OL_OK) == OL_OK); /* all have read, none has gone on */
    growth = own_share() - before;
    growth = sum_over_ranks(growth);
    CHECK(growth > 0.9 * nodes * BIG && growth < 1.5 * nodes * BIG);
    ol_node_block_destroy(block);
}

/* Blocks of odd sizes beside each other, none at all included. */
static void test_sizes(void)
{
    static const size_t sizes[] = {0, 4, 4096, 4100, 3 * MIB + 12};
    enum { N = sizeof sizes / sizeof *sizes };
    ol_node_block *blocks[N];

    for (uint32_t i = 0; i < N; i++) {
        CHECK(ol_node_block_create(comm, "test block", sizes[i], &blocks[i]) == OL_OK);
        CHECK(ol_node_block_at(blocks[i]));
        fill(blocks[i], sizes[i], i);
    }
    for (int i = 0; i < N; i++)
        CHECK(ol_node_block_ready(blocks[i], OL_OK) == OL_OK);
    for (uint32_t i = 0; i < N; i++)
        check_filled(blocks[i], sizes[i], i);
    for (int i = 0; i < N; i++)
        ol_node_block_destroy(blocks[i]);
    ol_node_block_destroy(NULL);
}

/* Parts: each rank writes its own, twice, and all read all of them; each is in memory once. */
static void test_parts(void)
{
    enum { PART = 16 * MIB + 12 };
    const int rank = ol_comm_rank(comm), size = ol_comm_size(comm);
    const double before = own_share();
    ol_node_block *block;
    double growth;

    if (nodes > 1)
        return; /* ranks of the run are not those of the node */
    CHECK(ol_node_parts_create(comm, "test parts", PART, &block) == OL_OK);
    for (int turn = 0; turn < 2; turn++) {
        memset(ol_node_part_at(block, rank), 10 * turn + rank + 1, PART);
        CHECK(ol_node_block_sync(block) == OL_OK);
        CHECK(ol_comm_agree(comm, OL_OK) == OL_OK);
        CHECK(ol_node_block_sync(block) == OL_OK);
        for (int r = 0; r < size; r++) {
            const char *part = ol_node_part_at(block, r);

            CHECK((uintptr_t)part % 64 == 0);
            CHECK(part[0] == 10 * turn + r + 1 && part[PART - 1] == 10 * turn + r + 1);
            CHECK(memcmp(part, part + 1, PART - 1) == 0);
        }
        CHECK(ol_comm_agree(comm, OL_OK) == OL_OK);
    }
    growth = sum_over_ranks(own_share() - before);
    CHECK(growth > 0.9 * size * PART && growth < 1.5 * size * PART);
    ol_node_block_destroy(block);
}

/* Vectors: each rank writes its slice of each, turn by turn, and all read all; each is in memory once. */
static void test_vectors(void)
{
    enum { N = 3 };
    static const size_t bytes[N] = {BIG + 12, 0, 5000};
    const double before = own_share();
    ol_node_block *block;
    size_t wrong = 0;
    int own, ranks;
    double growth;

    CHECK(ol_node_vectors_create(comm, "test vectors", N, bytes, &block) == OL_OK);
    ranks = ol_node_block_ranks(block, &own);
    CHECK(own < ranks && fabs(sum_over_ranks(1.0 / ranks) - nodes) < 1e-9);
    for (unsigned turn = 1; turn <= 2; turn++)
        for (int i = 0; i < N; i++) {
            unsigned char *x = ol_node_part_at(block, i);
            const size_t from = bytes[i] * (size_t)own / (size_t)ranks,
                         to = bytes[i] * ((size_t)own + 1) / (size_t)ranks;

            CHECK((uintptr_t)x % 64 == 0);
            for (size_t j = from; j < to; j++)
                x[j] = (unsigned char)(7 * j + turn);
            CHECK(ol_node_block_meet(block) == OL_OK);
            for (size_t j = 0; j < bytes[i]; j++)
                wrong += x[j] != (unsigned char)(7 * j + turn);
            CHECK(ol_node_block_meet(block) == OL_OK);
        }
    CHECK(wrong == 0);
    growth = sum_over_ranks(own_share() - before);
    CHECK(growth > 0.9 * nodes * BIG && growth < 1.5 * nodes * BIG);
    ol_node_block_destroy(block);
}

/* A process that writes after the block is ready ends, and the others keep what they had. */
static void test_read_only(void)
{
    ol_node_block *block;
    pid_t child;
    int how;

    CHECK(ol_node_block_create(comm, "test block", MIB, &block) == OL_OK);
    fill(block, MIB, 2);
    CHECK(ol_node_block_ready(block, OL_OK) == OL_OK);
    child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile char *)ol_node_block_at(block) = 1;
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &how, 0) == child);
    CHECK(WIFSIGNALED(how) && WTERMSIG(how) == SIGSEGV);
    check_filled(block, MIB, 2);
    ol_node_block_destroy(block);
}

/* What one rank could not do, a filler or not, all hear of; then the block can be filled. */
static void test_failed_filling(void)
{
    ol_node_block *block;

    CHECK(ol_node_block_create(comm, "test block", MIB, &block) == OL_OK);
    for (int bad = 0; bad < ol_comm_size(comm); bad++) {
        const ol_status mine =
            ol_comm_rank(comm) == bad ? ol_fail(OL_EDATA, "weights.h5: torn") : OL_OK;

        CHECK(ol_node_block_ready(block, mine) == OL_EDATA);
        CHECK(strstr(ol_status_message(), "weights.h5: torn"));
        fill(block, MIB, 3); /* still writable */
    }
    CHECK(ol_node_block_ready(block, OL_OK) == OL_OK);
    check_filled(block, MIB, 3);
    ol_node_block_destroy(block);
    CHECK(ol_node_block_create(comm, "test block", MIB, &block) == OL_OK);
    CHECK(ol_node_block_ready(block, ol_fail(OL_EIO, "all fail")) == OL_EIO);
    ol_node_block_destroy(block);
}

/* Faults at every agreement: all ranks come to the same end, and nothing is left to free. */
static void test_injected_faults(void)
{
    int created = 0, readied = 0;

    enum { TIMES = 40 };
    for (uint64_t seed = 0; seed < TIMES; seed++) {
        ol_node_block *block;
        ol_status status;

        ol_comm_inject(comm, seed, 0.5 / ol_comm_size(comm), OL_EIO);
        status = ol_node_block_create(comm, "test block", MIB, &block);
        CHECK(status == OL_EIO || status == OL_OK);
        CHECK((block != NULL) == (status == OL_OK));
        if (status == OL_OK) {
            fill(block, MIB, 4);
            created++;
            status = ol_node_block_ready(block, OL_OK);
            readied += status == OL_OK;
        }
        ol_comm_inject(comm, 0, 0, OL_OK);
        CHECK(sum_over_ranks(status) == ol_comm_size(comm) * (double)status);
        if (status == OL_OK)
            check_filled(block, MIB, 4);
        ol_node_block_destroy(block);
    }
    CHECK(readied > 0 && readied < created && created < TIMES);
}

static void test_too_large(void)
{
    const size_t huge[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 4, (size_t)1 << 50};
    ol_node_block *block;
    struct statvfs fs;
    ol_status status;
    char bytes[32];

    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        CHECK(ol_node_block_create(comm, "frozen weights", huge[i], &block) == OL_ENOMEM);
        CHECK(!block && strstr(ol_status_message(), "frozen weights"));
        snprintf(bytes, sizeof bytes, "%zu bytes", huge[i]);
        CHECK(i > 1 || strstr(ol_status_message(), bytes));
    }
    /* a GiB more than /dev/shm could hold; a rank alone may have it, as it does not touch it */
    if (statvfs("/dev/shm", &fs) != 0 || getenv("OMPI_MCA_shmem"))
        return;
    status = ol_node_block_create(comm, "frozen weights",
                                  (size_t)fs.f_blocks * fs.f_frsize + 1024ul * MIB, &block);
    CHECK(status == OL_ENOMEM || (status == OL_OK && ol_comm_size(comm) == nodes));
    CHECK(ol_comm_size(comm) == nodes || strstr(ol_status_message(), "in /dev/shm, which has"));
    ol_node_block_destroy(block);
}

static void refused(const char *folder)
{
    ol_node_block *block;

    CHECK(ol_node_block_create(comm, "frozen weights", BIG, &block) == OL_ENOMEM);
    CHECK(!block && strstr(ol_status_message(), "frozen weights"));
    CHECK(strstr(ol_status_message(), folder) && strstr(ol_status_message(), " bytes ("));
    CHECK(ol_node_block_create(comm, "frozen weights", MIB, &block) == OL_OK);
    fill(block, MIB, 5);
    CHECK(ol_node_block_ready(block, OL_OK) == OL_OK);
    check_filled(block, MIB, 5);
    ol_node_block_destroy(block);
}

static void killed(void)
{
    ol_node_block *block;

    CHECK(ol_node_block_create(comm, "frozen weights", MIB, &block) == OL_OK);
    fill(block, MIB, 6);
    CHECK(ol_comm_agree(comm, OL_OK) == OL_OK);
    puts("has a block");
    fflush(stdout);
    raise(SIGKILL);
}

static void wait_for_the_late(double seconds)
{
    ol_node_block *block;

    ol_comm_watch(comm, seconds);
    late = 1;
    CHECK(ol_node_block_create(comm, "frozen weights", MIB, &block) == OL_OK);
    ol_node_block_destroy(block);
}

int main(int argc, char **argv)
{
    if (ol_comm_init(&comm) != OL_OK) {
        fprintf(stderr, "%s\n", ol_status_message());
        return 1;
    }
    if (argc == 2 && strcmp(argv[1], "killed") == 0)
        killed();
    else if (argc == 3 && strcmp(argv[1], "full") == 0)
        refused(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "late") == 0)
        wait_for_the_late(atof(argv[2]));
    else {
        CHECK(argc == 3 && atoi(argv[1]) == ol_comm_size(comm));
        nodes = atoi(argv[2]);
        test_shared();
        test_sizes();
        test_parts();
        test_vectors();
        test_read_only();
        test_failed_filling();
        test_injected_faults();
        test_too_large();
    }
    if (ol_comm_rank(comm) == 0)
        puts("done");
    ol_comm_destroy(comm);
    return 0;
}
