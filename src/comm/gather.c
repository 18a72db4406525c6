/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of all ranks on rank 0, and where the ranks are. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "outerloop/base/text.h" /* ol_text */

enum { TAG_BYTES = 1 };

void ol_gathered_finish(ol_gathered *gathered)
{
    if (gathered) {
        free(gathered->bytes);
        free(gathered->offsets);
        *gathered = (ol_gathered){0};
    }
}

/* Rank 0 makes room: offsets from the sizes of all, and the block. */
static ol_status make_room(ol_comm *comm, const uint64_t *sizes, ol_gathered *out)
{
    const size_t ranks = (size_t)comm->size;
    size_t total = 0;

    out->offsets = calloc(ranks + 1, sizeof *out->offsets);
    OL_CHECK(out->offsets, OL_ENOMEM, "no memory to gather from %zu ranks", ranks);
    for (size_t r = 0; r < ranks; r++) {
        total += (size_t)sizes[r];
        out->offsets[r + 1] = total;
    }
    out->bytes = malloc(total + 1);
    OL_CHECK(out->bytes, OL_ENOMEM, "no memory to gather %zu bytes", total);
    return OL_OK;
}

static ol_status send_pieces(ol_comm *comm, const char *at, size_t n)
{
    while (n > 0) {
        const size_t piece = n < COMM_PIECE_BYTES ? n : COMM_PIECE_BYTES;

        OL_TRY_LARGE(comm, MPI_Isend, at, (int)piece, MPI_BYTE, 0, TAG_BYTES, comm->handle);
        at += piece;
        n -= piece;
    }
    return OL_OK;
}

static ol_status receive_pieces(ol_comm *comm, int from, char *at, size_t n)
{
    while (n > 0) {
        const size_t piece = n < COMM_PIECE_BYTES ? n : COMM_PIECE_BYTES;

        OL_TRY_LARGE(comm, MPI_Irecv, at, (int)piece, MPI_BYTE, from, TAG_BYTES, comm->handle);
        at += piece;
        n -= piece;
    }
    return OL_OK;
}

static ol_status receive_all(ol_comm *comm, const void *bytes, size_t n, const ol_gathered *out)
{
    if (n > 0)
        memcpy(out->bytes, bytes, n);
    for (int r = 1; r < comm->size; r++)
        OL_TRY(receive_pieces(comm, r, out->bytes + out->offsets[r],
                              out->offsets[r + 1] - out->offsets[r]));
    return OL_OK;
}

static ol_status gather_sizes(ol_comm *comm, const uint64_t *mine, uint64_t *sizes)
{
    OL_TRY_SMALL(comm, MPI_Igather, mine, 1, MPI_UINT64_T, sizes, 1, MPI_UINT64_T, 0, comm->handle);
    return OL_OK;
}

ol_status ol_comm_gather(ol_comm *comm, const void *bytes, size_t n, ol_gathered *out)
{
    uint64_t mine = n, *sizes = NULL;
    ol_status status = OL_OK;

    *out = (ol_gathered){0};
    if (comm->rank == 0) {
        sizes = calloc((size_t)comm->size, sizeof *sizes);
        if (!sizes)
            status = ol_fail(OL_ENOMEM, "no memory to gather from %d ranks", comm->size);
    }
    status = ol_comm_agree(comm, status);
    if (status == OL_OK) {
        status = gather_sizes(comm, &mine, sizes);
        if (status == OL_OK && comm->rank == 0)
            status = make_room(comm, sizes, out);
        status = ol_comm_agree(comm, status);
    }
    if (status == OL_OK)
        status = comm->rank == 0 ? receive_all(comm, bytes, n, out) : send_pieces(comm, bytes, n);
    free(sizes);
    if (status != OL_OK)
        ol_gathered_finish(out);
    return status;
}

/* What a rank knows about its place. */
struct place {
    char host[OL_HOST_TEXT];
    int32_t present;   /* processors of the host */
    cpu_set_t allowed; /* those this rank may run on */
};

static void own_place(const ol_comm *comm, struct place *place)
{
    const long present = sysconf(_SC_NPROCESSORS_ONLN);

    memset(place, 0, sizeof *place);
    memcpy(place->host, comm->host, sizeof place->host);
    place->present = present > 0 ? (int32_t)present : 1;
    if (sched_getaffinity(0, sizeof place->allowed, &place->allowed) != 0)
        for (size_t i = 0; i < (size_t)place->present && i < CPU_SETSIZE; i++)
            CPU_SET(i, &place->allowed);
}

/* Fold the places of all ranks into hosts. Processors of one host are counted once, however many
   ranks may use them. @param used  [size] scratch: the union per host */
static void fold_places(const struct place *places, int size, cpu_set_t *used, ol_comm_layout *out)
{
    out->all_unbound = true;
    for (int r = 0; r < size; r++) {
        int node = 0;

        while (node < out->n && strcmp(out->nodes[node].name, places[r].host) != 0)
            node++;
        if (node == out->n) {
            memcpy(out->nodes[node].name, places[r].host, OL_HOST_TEXT);
            CPU_ZERO(&used[node]);
            out->n++;
        }
        out->nodes[node].ranks++;
        CPU_OR(&used[node], &used[node], &places[r].allowed);
        out->nodes[node].cores = CPU_COUNT(&used[node]);
        out->all_unbound = out->all_unbound && CPU_COUNT(&places[r].allowed) >= places[r].present;
    }
}

static ol_status write_summary(const ol_comm *comm, int threads, ol_comm_layout *out)
{
    ol_text text = {0};
    ol_status status = ol_text_format(&text, "%d rank%s × %d thread%s on ", comm->size,
                                      comm->size > 1 ? "s" : "", threads, threads > 1 ? "s" : "");

    if (status == OL_OK && out->n > 1)
        status = ol_text_format(&text, "%d hosts: ", out->n);
    for (int i = 0; i < out->n && status == OL_OK; i++) {
        const ol_comm_node *node = &out->nodes[i];

        status = ol_text_format(&text, "%s%s (%d rank%s, %d core%s)", i ? ", " : "", node->name,
                                node->ranks, node->ranks > 1 ? "s" : "", node->cores,
                                node->cores > 1 ? "s" : "");
    }
    if (status == OL_OK && text.size < sizeof out->summary)
        memcpy(out->summary, text.data, text.size + 1);
    else if (status == OL_OK)
        snprintf(out->summary, sizeof out->summary, "%d ranks × %d threads on %d hosts", comm->size,
                 threads, out->n);
    ol_text_finish(&text);
    return status;
}

static ol_status describe(ol_comm *comm, int threads, struct place *places, cpu_set_t *used,
                          ol_comm_layout *out)
{
    struct place mine;

    own_place(comm, &mine);
    OL_TRY_SMALL(comm, MPI_Iallgather, &mine, (int)sizeof mine, MPI_BYTE, places, (int)sizeof mine,
                 MPI_BYTE, comm->handle);
    fold_places(places, comm->size, used, out);
    for (int i = 0; i < out->n; i++)
        out->crowded += out->nodes[i].ranks * threads > out->nodes[i].cores;
    return write_summary(comm, threads, out);
}

ol_status ol_comm_describe(ol_comm *comm, int threads, ol_comm_layout *out)
{
    const size_t ranks = (size_t)comm->size;
    struct place *places = calloc(ranks, sizeof *places);
    cpu_set_t *used = calloc(ranks, sizeof *used);
    ol_status status = OL_OK;

    *out = (ol_comm_layout){.nodes = calloc(ranks, sizeof *out->nodes)};
    if (!places || !used || !out->nodes)
        status = ol_fail(OL_ENOMEM, "no memory to describe %zu ranks", ranks);
    status = ol_comm_agree(comm, status);
    if (status == OL_OK)
        status = ol_comm_agree(comm, describe(comm, threads, places, used, out));
    free(places);
    free(used);
    if (status != OL_OK)
        ol_comm_layout_finish(out);
    return status;
}

void ol_comm_layout_finish(ol_comm_layout *layout)
{
    if (layout) {
        free(layout->nodes);
        *layout = (ol_comm_layout){0};
    }
}
