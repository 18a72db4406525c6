/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests/comm/test_ranks.py runs on 1, 2, 3 and 4 ranks. Rank 0 prints lines that must not
 * depend on the number of ranks; a check that fails on any rank ends all with exit 1.
 *
 * Built with -DLYING_STATVFS, no folder has room for memory that ranks share: they send messages instead.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "check.h"
#include "outerloop/base/digest.h"
#include "outerloop/base/rng.h"
#include "outerloop/comm/comm.h"
#include "outerloop/comm/exact_sum.h"
#include "outerloop/comm/schedule.h"

enum { N = 11, ODD = 30011, LONG = 2100003 }; /* LONG spans three segments */

static ol_comm *comm;

#ifdef LYING_STATVFS
static const bool room = false;

int statvfs(const char *restrict path, struct statvfs *restrict fs)
{
    (void)path;
    *fs = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096};
    return 0;
}
#else
static const bool room = true;
#endif

static void say(const char *what, const char *value)
{
    if (ol_comm_rank(comm) == 0)
        printf("%s %s\n", what, value);
}

/* Element i of episode n: magnitudes from 1e-12 to 1e12, so that the order of additions shows. */
static double element(int n, size_t i)
{
    static double powers[25];
    const uint32_t mixed = (uint32_t)(i * 2654435761u) ^ ((uint32_t)n * 40503u);

    if (powers[0] == 0)
        for (int k = 0; k < 25; k++)
            powers[k] = pow(10, k - 12);
    return ((double)(mixed >> 8) / (1 << 23) - 1) * powers[(mixed + (uint32_t)n) % 25];
}

static void fill(void *x, ol_sum_type type, size_t count, int n)
{
    for (size_t i = 0; i < count; i++)
        if (type == OL_SUM_F32)
            ((float *)x)[i] = (float)element(n, i);
        else
            ((double *)x)[i] = element(n, i);
}

/* Sums side by side, of vectors of these lengths. */
enum { VECTORS = 3 };

typedef struct vectors {
    ol_sum_type type;
    size_t lengths[VECTORS];
    ol_exact_sum *sum;
} vectors;

static const double scales[VECTORS] = {1, 1.0 / 3, 1e-3};

static vectors make_vectors(ol_sum_type type, size_t longest)
{
    vectors v = {.type = type, .lengths = {longest, 2, longest / 2}};

    CHECK(ol_exact_sum_create(comm, type, VECTORS, v.lengths, &v.sum) == OL_OK);
    CHECK(ol_exact_sum_in_place(v.sum) == (room && ol_comm_sharing(comm) > 1));
    for (int i = 0; i < VECTORS; i++)
        memset(ol_exact_sum_result(v.sum, i), 0x55, v.lengths[i] * (size_t)type);
    CHECK(ol_comm_agree(comm, OL_OK) == OL_OK); /* it may be everybody's */
    return v;
}

/* Sum over all episodes but the dropped one (-1: none), by schedule. */
static void sum_episodes(ol_schedule *schedule, vectors *v, int dropped)
{
    bool go_on = true;

    /* a second turn must not remember the first */
    for (int turn = v->lengths[0] < LONG ? 0 : 1; turn < 2; turn++) {
        ol_exact_sum_begin(v->sum);
        for (int round = 0; round < schedule->rounds; round++) {
            const int n = ol_schedule_episode(schedule, ol_comm_rank(comm), round);

            for (int i = 0; i < VECTORS && n >= 0; i++)
                fill(ol_exact_sum_vector(v->sum, i), v->type, v->lengths[i], n + i);
            CHECK(ol_exact_sum_round(v->sum, OL_OK, n >= 0 && n != dropped, &go_on) == OL_OK);
            CHECK(go_on);
        }
        CHECK(ol_exact_sum_finish(v->sum, scales) == OL_OK);
    }
}

/* What the sums must be: those of one process, in another order. */
static void check_sums(const vectors *v, int dropped)
{
    for (int i = 0; i < VECTORS; i++) {
        const size_t bytes = v->lengths[i] * (size_t)v->type;
        void *x = malloc(bytes + 1); /* of an episode, and then what is expected */
        ol_expansion sum;

        CHECK(x && ol_expansion_init(&sum, v->lengths[i]) == OL_OK);
        for (int n = N - 1; n >= 0; n--) {
            fill(x, v->type, v->lengths[i], n + i);
            CHECK(n == dropped || ol_expansion_add(&sum, 0, v->lengths[i], v->type, x) == OL_OK);
        }
        ol_expansion_round(&sum, 0, v->lengths[i], v->type, scales[i], x);
        CHECK(memcmp(x, ol_exact_sum_result(v->sum, i), bytes) == 0);
        ol_expansion_finish(&sum);
        free(x);
    }
}

/* How the ranks may be spread over nodes; zeros end a list. Long vectors take the first alone. */
static const struct {
    int ranks, sharing, nodes[4];
} spreads[] = {
    {1, 1, {1}},    {2, 1, {1, 1}}, {2, 2, {2}}, {3, 3, {3}},          {3, 1, {2, 1}},
    {4, 2, {2, 2}}, {4, 1, {3, 1}}, {4, 4, {4}}, {4, 1, {1, 1, 1, 1}},
};

static void test_sums(ol_schedule *schedule, ol_sum_type type, size_t longest, int dropped)
{
    char digest[OL_DIGEST_TEXT], name[64];
    bool done = false;

    for (size_t s = 0; s < sizeof spreads / sizeof *spreads; s++) {
        int n = 0;

        if (spreads[s].ranks != ol_comm_size(comm) || (done && longest == LONG))
            continue;
        while (n < 4 && spreads[s].nodes[n] > 0)
            n++;
        CHECK(ol_comm_pretend_nodes(comm, spreads[s].nodes, n) == OL_OK);
        CHECK(ol_comm_sharing(comm) == spreads[s].sharing);
        vectors v = make_vectors(type, longest);

        sum_episodes(schedule, &v, dropped);
        if (longest < LONG)
            check_sums(&v, dropped);
        ol_digest(ol_exact_sum_result(v.sum, 0), longest * (size_t)type, digest);
        ol_exact_sum_destroy(v.sum);
        done = true;
    }
    snprintf(name, sizeof name, "sum-f%d-%zu-%d", 8 * (int)type, longest, dropped);
    say(name, digest);
}

/* Two nodes of two: what a rank moves does not grow with episodes but in its node. */
static void test_traffic(void)
{
    enum { LENGTH = 1 << 12, ROUNDS = 5 };
    const size_t length = LENGTH, bytes = LENGTH * sizeof(float);
    ol_exact_sum *sum;
    const float *out;
    float *x;
    bool go_on;

    if (ol_comm_size(comm) != 4)
        return;
    CHECK(ol_comm_pretend_nodes(comm, (int[]){2, 2}, 2) == OL_OK);
    CHECK(ol_exact_sum_create(comm, OL_SUM_F32, 1, &length, &sum) == OL_OK);
    ol_exact_sum_begin(sum);
    x = ol_exact_sum_vector(sum, 0);
    for (int i = 0; i < LENGTH; i++)
        x[i] = (float)(i + ol_comm_rank(comm));
    for (int round = 0; round < ROUNDS; round++)
        CHECK(ol_exact_sum_round(sum, OL_OK, true, &go_on) == OL_OK && go_on);
    CHECK(ol_exact_sum_moved(sum).node == ROUNDS * bytes / 2);
    CHECK(ol_exact_sum_moved(sum).between == 0);
    CHECK(ol_exact_sum_finish(sum, &(double){1}) == OL_OK);
    CHECK(ol_exact_sum_moved(sum).node == (room ? ROUNDS : ROUNDS + 1) * bytes / 2);
    CHECK(ol_exact_sum_moved(sum).between == (8 + 4) * LENGTH / 2 / 2);
    out = ol_exact_sum_result(sum, 0);
    for (int i = 0; i < LENGTH; i++)
        CHECK(out[i] == (float)(ROUNDS * (4 * i + 6)));
    ol_exact_sum_destroy(sum);
}

/* A rank that fails ends the rounds of its node; the others go on, and hear of it at the end. */
static void test_failure_of_a_node(void)
{
    const size_t length = 8;
    const int size = ol_comm_size(comm), rank = ol_comm_rank(comm);
    const int nodes[] = {size / 2, size - size / 2}; /* an odd size: groups of one rank */
    const bool ends = size % 2 ? rank == 0 : rank < size / 2;
    ol_status status = OL_OK;
    ol_exact_sum *sum;
    bool go_on = true;
    int rounds = 0;

    if (size == 1)
        return;
    CHECK(ol_comm_pretend_nodes(comm, nodes, 2) == OL_OK);
    CHECK(ol_exact_sum_create(comm, OL_SUM_F32, 1, &length, &sum) == OL_OK);
    ol_exact_sum_begin(sum);
    for (; rounds < 5 && go_on; rounds++) {
        if (rounds == 2 && rank == 0)
            status = ol_fail(OL_EIO, "disk is full");
        status = ol_exact_sum_round(sum, status, true, &go_on);
    }
    CHECK(go_on == !ends && rounds == (ends ? 3 : 5));
    CHECK(status == (rank == 0 ? OL_EIO : OL_OK));
    CHECK(ol_comm_agree(comm, status) == OL_EIO);
    CHECK(strstr(ol_status_message(), "disk is full") && strstr(ol_status_message(), "rank 0"));
    ol_exact_sum_destroy(sum);
}

static void test_episode_rows(ol_schedule *schedule)
{
    double rows[N * 3];
    char digest[OL_DIGEST_TEXT];

    for (int n = 0; n < N; n++)
        for (int k = 0; k < 3; k++)
            rows[3 * n + k] =
                ol_schedule_rank(schedule, n) == ol_comm_rank(comm) ? element(n, (size_t)k) : NAN;
    CHECK(ol_schedule_gather(schedule, comm, 3, rows) == OL_OK);
    for (int n = 0; n < N; n++)
        CHECK(rows[3 * n + 2] == element(n, 2));
    ol_digest(rows, sizeof rows, digest);
    say("rows", digest);
}

static void test_broadcast(void)
{
    const size_t n = ((size_t)20 << 20) + 17; /* more than two pieces */
    char *bytes = malloc(n);
    const int root = ol_comm_size(comm) - 1;

    CHECK(bytes);
    memset(bytes, ol_comm_rank(comm) == root ? 'x' : 'y', n);
    if (ol_comm_rank(comm) == root)
        bytes[n - 1] = 'z';
    CHECK(ol_comm_broadcast(comm, bytes, n, root) == OL_OK);
    CHECK(bytes[0] == 'x' && bytes[n / 2] == 'x' && bytes[n - 1] == 'z');
    free(bytes);
}

static void test_gather(void)
{
    char mine[64];
    ol_gathered all;

    memset(mine, 'a' + ol_comm_rank(comm), sizeof mine);
    CHECK(ol_comm_gather(comm, mine, (size_t)ol_comm_rank(comm) * 7, &all) == OL_OK);
    CHECK((all.bytes != NULL) == (ol_comm_rank(comm) == 0));
    for (int r = 0; all.bytes && r < ol_comm_size(comm); r++) {
        CHECK(all.offsets[r + 1] - all.offsets[r] == (size_t)r * 7);
        for (size_t i = all.offsets[r]; i < all.offsets[r + 1]; i++)
            CHECK(all.bytes[i] == 'a' + r);
    }
    ol_gathered_finish(&all);
    ol_gathered_finish(NULL);
}

static void test_reductions(void)
{
    const int rank = ol_comm_rank(comm), size = ol_comm_size(comm);
    ol_comm_stats stats;
    double seconds[2];
    bool any;

    CHECK(ol_comm_reduce(comm, 10.0 - rank, &stats) == OL_OK);
    CHECK(stats.min.rank == size - 1 && stats.min.value == 11.0 - size);
    CHECK(stats.max.rank == 0 && stats.max.value == 10);
    CHECK(stats.sum == 10.0 * size - size * (size - 1) / 2.0);
    if (size > 1) {
        CHECK(ol_comm_reduce(comm, rank == 0 ? (double)NAN : rank, &stats) == OL_OK);
        CHECK(stats.min.value == 1 && stats.max.value == size - 1 && isnan(stats.sum));
    }
    CHECK(ol_comm_any(comm, rank == size - 1, &any) == OL_OK && any);
    CHECK(ol_comm_any(comm, false, &any) == OL_OK && !any);
    CHECK(ol_comm_seconds(comm, &seconds[0]) == OL_OK && seconds[0] >= 0);
    CHECK(ol_comm_reduce(comm, seconds[0], &stats) == OL_OK);
    CHECK(stats.min.value == stats.max.value);
}

static void test_layout(void)
{
    const int size = ol_comm_size(comm);
    ol_comm_layout layout;
    int ranks = 0;

    CHECK(ol_comm_describe(comm, 1, &layout) == OL_OK);
    CHECK(layout.n == 1 && strcmp(layout.nodes[0].name, ol_comm_host(comm)) == 0);
    for (int i = 0; i < layout.n; i++)
        ranks += layout.nodes[i].ranks;
    CHECK(ranks == size && layout.nodes[0].cores >= 1);
    CHECK((layout.crowded == 1) == (size > layout.nodes[0].cores));
    CHECK(strstr(layout.summary, ol_comm_host(comm)));
    ol_comm_layout_finish(&layout);
    CHECK(ol_comm_describe(comm, 4096, &layout) == OL_OK && layout.crowded == 1);
    ol_comm_layout_finish(&layout);
    ol_comm_layout_finish(NULL);
    CHECK(strstr(ol_comm_library(), "MPI"));
}

/* The most severe failure is everyone's, with the lowest rank that has it. */
static void test_agree(void)
{
    const int rank = ol_comm_rank(comm), size = ol_comm_size(comm);
    char expected[64];

    CHECK(ol_comm_agree(comm, OL_OK) == OL_OK);
    for (int bad = 0; bad < size; bad++) {
        const ol_status mine = rank == bad ? ol_fail(OL_EIO, "disk of %d is full", bad) : OL_OK;

        CHECK(ol_comm_agree(comm, mine) == OL_EIO);
        snprintf(expected, sizeof expected, "disk of %d is full", bad);
        CHECK(strstr(ol_status_message(), expected));
        snprintf(expected, sizeof expected, "rank %d on %.40s: ", bad, ol_comm_host(comm));
        CHECK(size == 1 || strstr(ol_status_message(), expected));
    }
    /* all with the same words: nobody is named */
    CHECK(ol_comm_agree(comm, ol_fail(OL_EUSAGE, "job.cfg:3: unknown key")) == OL_EUSAGE);
    CHECK(strcmp(ol_status_message(), "job.cfg:3: unknown key") == 0);
    /* a stop on one rank is less than a failure on another */
    if (size > 1) {
        const ol_status mine = rank == 0   ? ol_fail(OL_ESTOPPED, "stopped")
                               : rank == 1 ? ol_fail(OL_ENOMEM, "no memory")
                                           : ol_fail(OL_EDATA, "torn");

        CHECK(ol_comm_agree(comm, mine) == OL_ENOMEM);
        CHECK(strstr(ol_status_message(), "rank 1"));
        CHECK(ol_comm_agree(comm, rank == 0 ? OL_ESTOPPED : OL_OK) == OL_ESTOPPED);
    }
}

/* Faults drawn at random: all ranks come to the same end every time, and some do happen. */
static void test_injected_faults(void)
{
    int failures = 0;

    ol_comm_inject(comm, 7, 0.3, OL_EIO);
    for (int i = 0; i < 40; i++) {
        const ol_status status = ol_comm_agree(comm, OL_OK);
        ol_comm_stats stats;

        CHECK(status == OL_OK || status == OL_EIO);
        CHECK(status == OL_OK || strstr(ol_status_message(), "injected fault"));
        CHECK(ol_comm_reduce(comm, status, &stats) == OL_OK);
        CHECK(stats.min.value == stats.max.value);
        failures += status != OL_OK;
    }
    CHECK(failures > 0 && failures < 40);
    ol_comm_inject(comm, 7, 0, OL_EIO);
    CHECK(ol_comm_agree(comm, OL_OK) == OL_OK);
}

int main(int argc, char **argv)
{
    static const double costs[N] = {3, 9, 1, 9, 5, 2, 4, 8, 8, 6, 7};
    ol_schedule schedule;
    const ol_status started = ol_comm_init(&comm);

    if (started != OL_OK) {
        fprintf(stderr, "%s\n", ol_status_message());
        return started == OL_EUSAGE ? 2 : 1;
    }
    CHECK(argc == 2 && atoi(argv[1]) == ol_comm_size(comm));
    CHECK(ol_schedule_init(&schedule, N, ol_comm_size(comm)) == OL_OK);
    ol_schedule_plan(&schedule, costs);
    for (int dropped = -1; dropped < 4; dropped += 4) {
        test_sums(&schedule, OL_SUM_F32, ODD, dropped);
        test_sums(&schedule, OL_SUM_F64, ODD, dropped);
    }
    test_sums(&schedule, OL_SUM_F32, 2, -1); /* fewer elements than ranks */
    test_sums(&schedule, OL_SUM_F64, 0, -1);
    test_sums(&schedule, OL_SUM_F32, LONG, -1);
    test_traffic();
    test_failure_of_a_node();
    test_episode_rows(&schedule);
    test_broadcast();
    test_gather();
    test_reductions();
    test_layout();
    test_agree();
    test_injected_faults();
    ol_schedule_finish(&schedule);
    say("done", "whole");
    ol_comm_destroy(comm);
    return 0;
}
