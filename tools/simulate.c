/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The communication of meta-steps, as train.c and meta_step.c do it, by ranks that sleep where they would
 * compute. tools/simulate compiles it with all of the comm room but expansion.c, whose additions are
 * slept through too, and node.c, whose memory all ranks have here anyway.
 *
 * usage: simulate STEPS EPISODES SECONDS SPREAD VECTORS ELEMENTS LAYERS ADD_NS READ_NS SHARED
 *   EPISODES of a rank a meta-step, of SECONDS each, give or take SPREAD of it (standard deviation);
 *   VECTORS of ELEMENTS floats each, whose sums have LAYERS; an addition takes ADD_NS, and READ_NS to read a
 *   float from memory; SHARED 0: ranks cannot read each other's, messages pass vectors on, and each has a
 *   state of its own.
 * The last line, of rank 0:
 *   ranks= node= step_s= comm_s= node_bytes= between_bytes=
 *     seconds of a meta-step and of its communication and additions, of the slowest rank, mean over steps;
 *     bytes sent by the rank that sends most, in its node and to others.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "internal.h" /* ol_comm, mpi.h */
#include "outerloop/base/clock.h"
#include "outerloop/base/rng.h"
#include "outerloop/comm/exact_sum.h"
#include "outerloop/comm/node.h"
#include "outerloop/comm/schedule.h"

enum {
    MOST_VECTORS = 8,
    WIDTH = 12,      /* numbers that travel with an episode */
    OUTER_PASSES = 7 /* over a vector, of an outer step     */
};

/* The same on all ranks, which share one process's variables. */
static int layers;  /* of all sums                          */
static bool shared; /* memory, by a node's ranks            */

/* All that has no value lies here, of all ranks: maps of it for each would be more than a kernel grants. */
static void *nowhere;
static size_t nowhere_bytes;

static ol_status lie_nowhere(size_t bytes, void **out)
{
    OL_CHECK(nowhere && bytes <= nowhere_bytes, OL_ENOMEM, "no memory for %zu bytes", bytes);
    *out = nowhere;
    return OL_OK;
}

/* --- in the place of expansion.c: sums that take their messages, and no time ----------------------- */

ol_status ol_expansion_init(ol_expansion *e, size_t n)
{
    *e = (ol_expansion){.n = n};
    for (int l = 0; l < layers; l++)
        OL_TRY(lie_nowhere(n * sizeof(double), (void **)&e->layers[l]));
    return OL_OK;
}

void ol_expansion_finish(ol_expansion *e)
{
    (void)e;
}

size_t ol_expansion_bytes(size_t n)
{
    return n * sizeof(double);
}

void ol_expansion_clear(ol_expansion *e)
{
    (void)e;
}

ol_status ol_expansion_add(ol_expansion *e, size_t at, size_t n, ol_sum_type type, const void *x)
{
    (void)e, (void)at, (void)n, (void)type, (void)x;
    return OL_OK;
}

int ol_expansion_level(ol_expansion *e, size_t at, size_t n)
{
    (void)e, (void)at, (void)n;
    return layers;
}

void ol_expansion_round(const ol_expansion *e, size_t at, size_t n, ol_sum_type type, double scale,
                        void *out)
{
    (void)e, (void)at, (void)n, (void)type, (void)scale, (void)out;
}

/* --- in the place of node.c: memory without values, the same for all parts ---------------------------- */

struct ol_node_block {
    const ol_comm *comm;
    void *at;
};

ol_status ol_node_parts_create(ol_comm *comm, const char *what, size_t bytes, ol_node_block **out)
{
    ol_node_block *block = malloc(sizeof *block);

    *out = NULL;
    if (!block || !shared || lie_nowhere(bytes, &block->at) != OL_OK) {
        free(block);
        return ol_fail(OL_ENOMEM, "no memory for the %s", what);
    }
    block->comm = comm;
    *out = block;
    return OL_OK;
}

ol_status ol_node_vectors_create(ol_comm *comm, const char *what, int n, const size_t *bytes,
                                 ol_node_block **out)
{
    size_t most = 0;

    for (int i = 0; i < n; i++)
        most = bytes[i] > most ? bytes[i] : most;
    return ol_node_parts_create(comm, what, most, out);
}

void *ol_node_part_at(const ol_node_block *block, int i)
{
    (void)i;
    return block->at;
}

ol_status ol_node_block_sync(const ol_node_block *block)
{
    (void)block;
    return OL_OK;
}

ol_status ol_node_block_meet(const ol_node_block *block)
{
    MPI_Barrier(block->comm->node.handle);
    return OL_OK;
}

void ol_node_warn(ol_comm *comm, const char *instead)
{
    (void)comm, (void)instead;
}

void ol_node_block_destroy(ol_node_block *block)
{
    free(block);
}

/* --- meta-steps --------------------------------------------------------------------------------- */

typedef struct job {
    int steps, episodes, vectors;
    double seconds, spread, add_seconds, read_seconds;
    size_t elements;
    ol_comm *comm;
    ol_schedule schedule;
    ol_exact_sum *sum;
    ol_node_block *state; /* NULL: each rank has its own */
    double *costs, *rows;
} job;

/* What a meta-step took; of a rank. */
typedef struct cost {
    double step, comm;
    ol_exact_sum_traffic moved;
} cost;

static void compute(double seconds)
{
    const struct timespec time = {(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)};

    nanosleep(&time, NULL);
}

/* Seconds of an episode: the same on any number of ranks. */
static double episode_seconds(const job *j, int step, int n)
{
    ol_rng rng = ol_rng_stream(1, OL_RNG_FAULT, (uint32_t)step, (uint32_t)n);
    double twelve = 0;

    for (int i = 0; i < 12; i++)
        twelve += ol_rng_uniform(&rng);
    return fmax(0, j->seconds * (1 + j->spread * (twelve - 6)));
}

/* Additions to own slices; from the memory of others they wait for one or the other. */
static void add_up(const job *j)
{
    const double each =
        ol_exact_sum_in_place(j->sum) ? fmax(j->read_seconds, j->add_seconds) : j->add_seconds;

    compute((double)j->vectors * (double)j->elements * each);
}

static ol_status rounds(job *j, int step, double *comm_seconds)
{
    ol_status status = OL_OK;
    bool go_on = true;

    for (int round = 0; round < j->schedule.rounds && go_on; round++) {
        const int n = ol_schedule_episode(&j->schedule, ol_comm_rank(j->comm), round);
        double begin;

        if (n >= 0)
            compute(episode_seconds(j, step, n));
        begin = ol_clock_seconds();
        status = ol_exact_sum_round(j->sum, status, n >= 0, &go_on);
        add_up(j);
        *comm_seconds += ol_clock_seconds() - begin;
    }
    return status;
}

/* The outer step: of a share, where the state is once a node. */
static ol_status step_state(const job *j)
{
    const double reals = OUTER_PASSES * (double)j->elements;

    if (!j->state) {
        compute(reals * j->read_seconds);
        return OL_OK;
    }
    OL_TRY(ol_node_block_meet(j->state));
    compute(reals * j->read_seconds / ol_comm_sharing(j->comm));
    return ol_node_block_meet(j->state);
}

/* As ol_meta_step. */
static ol_status meta_step(job *j, int step, cost *c)
{
    static const double scales[MOST_VECTORS] = {1, 1, 1, 1, 1, 1, 1, 1};
    const int sharing = ol_comm_sharing(j->comm), nodes = ol_comm_size(j->comm) / sharing;
    double begin;
    ol_status status;

    ol_schedule_plan(&j->schedule, j->costs);
    ol_exact_sum_begin(j->sum);
    status = rounds(j, step, &c->comm);
    begin = ol_clock_seconds();
    OL_TRY(ol_comm_agree(j->comm, status));
    OL_TRY(ol_schedule_gather(&j->schedule, j->comm, WIDTH, j->rows));
    OL_TRY(ol_exact_sum_finish(j->sum, scales));
    compute((double)j->vectors * (double)j->elements / sharing * (nodes - 1) / nodes * layers *
            j->add_seconds);
    c->comm += ol_clock_seconds() - begin;
    c->moved = ol_exact_sum_moved(j->sum);
    return step_state(j);
}

/* A turn of the training loop: the meta-step, and what ranks agree on around it. */
static ol_status turn(job *j, int step, cost *c)
{
    const double began = ol_clock_seconds();
    double now;
    bool stop;

    OL_TRY(ol_comm_any(j->comm, false, &stop));
    OL_TRY(ol_comm_agree(j->comm, OL_OK));
    OL_TRY(meta_step(j, step, c));
    OL_TRY(ol_comm_agree(j->comm, OL_OK));
    OL_TRY(ol_comm_seconds(j->comm, &now));
    c->step += ol_clock_seconds() - began;
    return OL_OK;
}

static ol_status prepare(job *j)
{
    const int size = ol_comm_size(j->comm), N = size * j->episodes;
    size_t lengths[MOST_VECTORS];
    ol_status status = OL_OK;

    j->costs = calloc((size_t)N, sizeof *j->costs);
    j->rows = calloc((size_t)N * WIDTH, sizeof *j->rows);
    if (!j->costs || !j->rows)
        status = ol_fail(OL_ENOMEM, "no memory for %d episodes", N);
    for (int i = 0; i < j->vectors; i++)
        lengths[i] = j->elements;
    if (status == OL_OK)
        status = ol_schedule_init(&j->schedule, N, size);
    OL_TRY(ol_comm_agree(j->comm, status));
    if (shared)
        OL_TRY(ol_node_parts_create(j->comm, "state", 0, &j->state));
    return ol_exact_sum_create(j->comm, OL_SUM_F32, j->vectors, lengths, &j->sum);
}

static ol_status run(job *j)
{
    ol_comm_stats step, comm, node, between;
    cost c = {0};

    OL_TRY(prepare(j));
    for (int s = 0; s < j->steps; s++)
        OL_TRY(turn(j, s, &c));
    OL_TRY(ol_comm_reduce(j->comm, c.step / j->steps, &step));
    OL_TRY(ol_comm_reduce(j->comm, c.comm / j->steps, &comm));
    OL_TRY(ol_comm_reduce(j->comm, (double)c.moved.node, &node));
    OL_TRY(ol_comm_reduce(j->comm, (double)c.moved.between, &between));
    if (ol_comm_rank(j->comm) == 0)
        printf("ranks=%d node=%d step_s=%.6f comm_s=%.6f node_bytes=%.0f between_bytes=%.0f\n",
               ol_comm_size(j->comm), ol_comm_sharing(j->comm), step.max.value, comm.max.value,
               node.max.value, between.max.value);
    return OL_OK;
}

int main(int argc, char **argv)
{
    job j = {0};
    ol_status status;

    if (argc != 11) {
        fprintf(stderr,
                "usage: simulate STEPS EPISODES SECONDS SPREAD VECTORS ELEMENTS LAYERS ADD_NS "
                "READ_NS SHARED\n");
        return 2;
    }
    j.steps = atoi(argv[1]);
    j.episodes = atoi(argv[2]);
    j.seconds = atof(argv[3]);
    j.spread = atof(argv[4]);
    j.vectors = atoi(argv[5]);
    j.elements = (size_t)atof(argv[6]);
    layers = atoi(argv[7]);
    j.add_seconds = 1e-9 * atof(argv[8]);
    j.read_seconds = 1e-9 * atof(argv[9]);
    shared = atoi(argv[10]) != 0;
    if (j.steps < 1 || j.episodes < 1 || j.vectors < 1 || j.vectors > MOST_VECTORS || layers < 1 ||
        layers > OL_EXPANSION_LAYERS)
        return 2;
    status = ol_comm_init(&j.comm);
    nowhere_bytes = (size_t)j.vectors * (j.elements * sizeof(double) + 4096);
    nowhere = nowhere ? nowhere : malloc(nowhere_bytes); /* the first rank does, for all */
    if (status == OL_OK)
        status = run(&j);
    if (status != OL_OK)
        fprintf(stderr, "simulate: %s\n", ol_status_message());
    ol_exact_sum_destroy(j.sum);
    ol_node_block_destroy(j.state);
    ol_schedule_finish(&j.schedule);
    free(j.costs);
    free(j.rows);
    ol_comm_destroy(j.comm);
    return status == OL_OK ? 0 : 1;
}
