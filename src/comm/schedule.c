/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/comm/schedule.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

ol_status ol_schedule_init(ol_schedule *schedule, int N, int size)
{
    assert(N >= 1 && size >= 1);
    *schedule = (ol_schedule){.N = N, .size = size, .rounds = (N + size - 1) / size};
    schedule->order = calloc((size_t)N, sizeof *schedule->order);
    schedule->position = calloc((size_t)N, sizeof *schedule->position);
    schedule->sorted_costs = calloc((size_t)N, sizeof *schedule->sorted_costs);
    if (!schedule->order || !schedule->position || !schedule->sorted_costs) {
        ol_schedule_finish(schedule);
        return ol_fail(OL_ENOMEM, "no memory to schedule %d episodes", N);
    }
    ol_schedule_plan(schedule, schedule->sorted_costs);
    return OL_OK;
}

void ol_schedule_finish(ol_schedule *schedule)
{
    if (schedule) {
        free(schedule->order);
        free(schedule->position);
        free(schedule->sorted_costs);
        free(schedule->pack);
        *schedule = (ol_schedule){0};
    }
}

/* Put episode n, of that cost, into order[0..n-1], behind those that cost as much or more. N is tens
   to hundreds, and insertion needs no memory. */
static void insert(ol_schedule *schedule, int n, double cost)
{
    int at = n;

    while (at > 0 && schedule->sorted_costs[at - 1] < cost) {
        schedule->order[at] = schedule->order[at - 1];
        schedule->sorted_costs[at] = schedule->sorted_costs[at - 1];
        at--;
    }
    schedule->order[at] = n;
    schedule->sorted_costs[at] = cost;
}

void ol_schedule_plan(ol_schedule *schedule, const double *costs)
{
    double total = 0, waited = 0;

    for (int n = 0; n < schedule->N; n++)
        insert(schedule, n, costs[n]);
    for (int p = 0; p < schedule->N; p++) {
        schedule->position[schedule->order[p]] = p;
        total += schedule->sorted_costs[p];
        if (p % schedule->size == 0)
            waited += schedule->sorted_costs[p]; /* the dearest of its round */
    }
    if (total > 0)
        schedule->imbalance = waited * schedule->size / total; /* (3) */
    else
        schedule->imbalance = (double)schedule->rounds * schedule->size / schedule->N;
}

int ol_schedule_episode(const ol_schedule *schedule, int rank, int round)
{
    const int p = round * schedule->size + rank;

    return p < schedule->N ? schedule->order[p] : -1;
}

int ol_schedule_rank(const ol_schedule *schedule, int episode)
{
    return schedule->position[episode] % schedule->size;
}

/* Room to pack `bytes`; fails on all ranks or none. */
static ol_status grow_pack(ol_schedule *schedule, ol_comm *comm, size_t bytes)
{
    double *pack;

    if (bytes <= schedule->pack_bytes)
        return OL_OK;
    pack = realloc(schedule->pack, bytes);
    if (pack) {
        schedule->pack = pack;
        schedule->pack_bytes = bytes;
    }
    return ol_comm_agree(
        comm, pack ? OL_OK : ol_fail(OL_ENOMEM, "no memory to gather episodes (%zu bytes)", bytes));
}

/* Lay out this rank's number and its rows in order of rounds. */
static void pack_rows(const ol_schedule *schedule, int rank, size_t row, const double *rows)
{
    double *to = schedule->pack;

    *to++ = rank;
    memset(to, 0, (size_t)schedule->rounds * row * sizeof *rows);
    for (int round = 0; round < schedule->rounds; round++, to += row) {
        const int n = ol_schedule_episode(schedule, rank, round);

        if (n >= 0)
            memcpy(to, rows + (size_t)n * row, row * sizeof *rows);
    }
}

/* Put what a rank packed where it belongs. */
static void unpack_rows(const ol_schedule *schedule, const double *from, size_t row, double *rows)
{
    const int rank = (int)*from++;

    for (int round = 0; round < schedule->rounds; round++, from += row) {
        const int n = ol_schedule_episode(schedule, rank, round);

        if (n >= 0)
            memcpy(rows + (size_t)n * row, from, row * sizeof *rows);
    }
}

ol_status ol_schedule_gather(ol_schedule *schedule, ol_comm *comm, int width, double *rows)
{
    const size_t row = (size_t)width, mine = 1 + row * (size_t)schedule->rounds;
    const size_t shared = (size_t)comm->sharing.size, ranks = (size_t)schedule->size;
    double *group, *all;

    assert(comm->size == schedule->size && width >= 1);
    if (schedule->size == 1)
        return OL_OK;
    OL_TRY(grow_pack(schedule, comm, (1 + shared + ranks) * mine * sizeof *rows));
    group = schedule->pack + mine;
    all = group + shared * mine;
    pack_rows(schedule, comm->rank, row, rows);
    OL_TRY_SMALL(comm, MPI_Iallgather, schedule->pack, (int)mine, MPI_DOUBLE, group, (int)mine,
                 MPI_DOUBLE, comm->sharing.handle);
    OL_TRY_SMALL(comm, MPI_Iallgather, group, (int)(shared * mine), MPI_DOUBLE, all,
                 (int)(shared * mine), MPI_DOUBLE, comm->column.handle);
    for (size_t r = 0; r < ranks; r++)
        unpack_rows(schedule, all + r * mine, row, rows);
    return OL_OK;
}
