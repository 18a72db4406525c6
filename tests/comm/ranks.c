/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests/comm/test_ranks.py runs on 1, 2, 3 and 4 ranks. Rank 0 prints lines that must not
 * depend on the number of ranks; a check that fails on any rank ends all with exit 1.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/digest.h"
#include "outerloop/base/rng.h"
#include "outerloop/comm/comm.h"
#include "outerloop/comm/ordered_sum.h"
#include "outerloop/comm/schedule.h"

enum { N = 11, ODD = 100003, LONG = 4300003 }; /* LONG spans three segments of floats */

static ol_comm *comm;

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "rank %d of %d: %s:%d: %s does not hold (%s)\n", ol_comm_rank(comm),   \
                    ol_comm_size(comm), __FILE__, __LINE__, #cond, ol_status_message());           \
            ol_comm_abort(comm, 1);                                                                \
        }                                                                                          \
    } while (0)

static void say(const char *what, const char *value)
{
    if (ol_comm_rank(comm) == 0)
        printf("%s %s\n", what, value);
}

/* Element i of episode n: magnitudes from 1e-12 to 1e12, so that the order of additions shows. Not
   inlined, or its product would be fused with the addition that check_sum does on it. */
__attribute__((noinline)) static double element(int n, size_t i)
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

/* Sum over all episodes but the dropped one (-1: none), by schedule. */
static void sum_episodes(ol_schedule *schedule, ol_sum_type type, size_t count, int dropped,
                         void *x, void *out)
{
    ol_ordered_sum *sum;

    CHECK(ol_ordered_sum_create(comm, count, type, &sum) == OL_OK);
    /* a second turn must not remember the first */
    for (int turn = count < LONG ? 0 : 1; turn < 2; turn++) {
        ol_ordered_sum_begin(sum);
        for (int round = 0; round < schedule->rounds; round++) {
            const int n = ol_schedule_episode(schedule, ol_comm_rank(comm), round);

            if (n >= 0)
                fill(x, type, count, n);
            CHECK(ol_ordered_sum_add(sum, n >= 0 && n != dropped ? x : NULL) == OL_OK);
        }
        CHECK(ol_ordered_sum_finish(sum, 1.0 / 3, out) == OL_OK);
    }
    ol_ordered_sum_destroy(sum);
}

/* What the sum must be, by its definition. */
static void check_sum(const ol_schedule *schedule, ol_sum_type type, size_t count, int dropped,
                      const void *out)
{
    for (size_t i = 0; i < count; i += 1 + count / 1000) {
        double s = 0;

        for (int p = 0; p < N; p++) {
            const double x = element(schedule->order[p], i);

            if (schedule->order[p] != dropped)
                s += type == OL_SUM_F32 ? (double)(float)x : x;
        }
        if (type == OL_SUM_F32)
            CHECK(((const float *)out)[i] == (float)(1.0 / 3 * s));
        else
            CHECK(((const double *)out)[i] == 1.0 / 3 * s);
    }
}

static void test_sums(ol_schedule *schedule, ol_sum_type type, size_t count, int dropped)
{
    void *x = malloc(count * (size_t)type + 1), *out = malloc(count * (size_t)type + 1);
    char digest[OL_DIGEST_TEXT], name[64];
    ol_comm_stats stats;
    ol_gathered all;

    CHECK(x && out);
    sum_episodes(schedule, type, count, dropped, x, out);
    check_sum(schedule, type, count, dropped, out);
    ol_digest(out, count * (size_t)type, digest);
    CHECK(ol_comm_gather(comm, digest, sizeof digest, &all) == OL_OK);
    for (int r = 0; ol_comm_rank(comm) == 0 && r < ol_comm_size(comm); r++)
        CHECK(strcmp(all.bytes + all.offsets[r], digest) == 0);
    ol_gathered_finish(&all);
    CHECK(ol_comm_reduce(comm, (double)ol_ordered_sum_bytes(count, type, ol_comm_size(comm)),
                         &stats) == OL_OK);
    snprintf(name, sizeof name, "sum-f%d-%zu-%d", 8 * (int)type, count, dropped);
    say(name, digest);
    free(x);
    free(out);
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
