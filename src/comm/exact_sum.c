/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/comm/exact_sum.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "outerloop/base/arena.h" /* ol_arena_* */
#include "outerloop/base/phase.h" /* ol_phase_enter */
#include "outerloop/comm/node.h"  /* ol_node_* */

/* What a rank says before a round. */
enum { NOTHING, GIVES, FAILED };

/* Elements of a slice whose sums stay in the nearest cache while those of all ranks are added. */
enum { STRIP = 4096 };

struct ol_exact_sum {
    ol_comm *comm;
    ol_sum_type type;
    int count;
    size_t *lengths; /* [count] of the vectors                                      */
    size_t *offsets; /* [count] bytes before each of them in a rank's memory        */
    size_t bytes;    /* of all of them                                              */
    ol_arena own;    /* own vectors, and later results, where no memory is shared   */
    ol_node_block *vectors, *results; /* those of a node's ranks; NULL: not shared              */
    ol_expansion *sums; /* [count] own slices of all segments, one after the other     */
    ol_status status;   /* a failure that the others do not know of yet                */
    char *received;     /* the same slice from each rank of a group                    */
    char *said;         /* [most] what the ranks of a group have to give               */
    size_t pieces;      /* of all own sums                                             */
    char *depths;       /* [nodes + 1, pieces] layers; own ones last                   */
    int *counts;        /* [4·most] of alltoallv: send, at, receive, at                */
    ol_exact_sum_traffic moved;
};

/* A vector is cut into segments (one, unless they travel in messages), a segment into slices of the node's
   ranks, and a slice into pieces, each once more among the ranks of a column. */
typedef struct slice {
    size_t start, length;
} slice;

static slice slice_of(size_t length, int r, int size)
{
    const size_t start = length * (size_t)r / (size_t)size,
                 end = length * ((size_t)r + 1) / (size_t)size;

    return (slice){start, end - start};
}

enum { PIECE = COMM_PIECE_BYTES / sizeof(double) };

/* Elements of a segment, but for the last: where a node's ranks send them, as many as fit a buffer as
   float64, in even slices. */
static size_t segment_elements(bool sent, int size)
{
    const size_t even = (size_t)PIECE / (size_t)size * (size_t)size;

    if (!sent)
        return SIZE_MAX;
    return even > 0 ? even : (size_t)PIECE;
}

/* Elements of the slices of rank r in all segments. */
static size_t owned_elements(size_t n, size_t segment, int r, int size)
{
    return n / segment * slice_of(segment, r, size).length + slice_of(n % segment, r, size).length;
}

/* Bytes to receive a slice of `length` elements in all from each of the other ranks. */
static size_t buffer_bytes(size_t length, size_t element, int size)
{
    return size > 1 ? (length / (size_t)size + 1) * (size_t)size * element : 0;
}

static size_t longest_of(int count, const size_t *lengths)
{
    size_t longest = 0;

    for (int i = 0; i < count; i++)
        longest = lengths[i] > longest ? lengths[i] : longest;
    return longest;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t received_bytes(ol_sum_type type, size_t longest, bool sent, int sharing, int nodes)
{
    const size_t segment = smaller(longest, segment_elements(sent, sharing)),
                 piece = smaller(segment / (size_t)sharing + 1, PIECE);
    const size_t in_node = sent ? buffer_bytes(segment, (size_t)type, sharing) : 0,
                 between = buffer_bytes(piece, sizeof(double), nodes);

    return in_node > between ? in_node : between;
}

size_t ol_exact_sum_bytes(ol_sum_type type, int count, const size_t *lengths, int sharing,
                          int nodes)
{
    const size_t most = (size_t)(sharing > nodes ? sharing : nodes);
    size_t bytes = sizeof(ol_exact_sum) + most * (1 + 4 * sizeof(int)) +
                   (size_t)count * (sizeof(ol_expansion) + 2 * sizeof *lengths) +
                   received_bytes(type, longest_of(count, lengths), false, sharing, nodes);

    for (int i = 0; i < count; i++) { /* no rank owns more than the last */
        const size_t own = slice_of(lengths[i], sharing - 1, sharing).length;

        bytes += ol_expansion_bytes(own) + (sharing > 1 ? own * (size_t)type : 0);
    }
    return bytes;
}

size_t ol_exact_sum_mapped(ol_sum_type type, int count, const size_t *lengths, int sharing)
{
    size_t bytes = 0;

    for (int i = 0; i < count; i++)
        bytes += (lengths[i] - lengths[i] / (size_t)sharing) * (size_t)type;
    return bytes;
}

/* One vector after the other. @param offsets  [count] NULL: only what they take */
static size_t lay_out(ol_arena *arena, ol_sum_type type, int count, const size_t *lengths,
                      size_t *offsets)
{
    for (int i = 0; i < count; i++) {
        if (offsets)
            offsets[i] = ol_arena_mark(arena);
        ol_arena_take(arena, lengths[i] * (size_t)type);
    }
    return arena->peak;
}

/* Those of each group of a node. Collective. */
static ol_status make_results(ol_exact_sum *sum)
{
    const int groups = sum->comm->node.size / sum->comm->sharing.size;
    size_t *bytes = calloc((size_t)groups * (size_t)sum->count + 1, sizeof *bytes);
    ol_status status = ol_comm_agree(
        sum->comm, bytes ? OL_OK : ol_fail(OL_ENOMEM, "no memory for %d sums", sum->count));

    for (int i = 0; bytes && i < groups * sum->count; i++)
        bytes[i] = sum->lengths[i % sum->count] * (size_t)sum->type;
    if (status == OL_OK)
        status = ol_node_vectors_create(sum->comm, "sums of a node's ranks", groups * sum->count,
                                        bytes, &sum->results);
    free(bytes);
    return status;
}

/* Vectors and results where all ranks of a node can read them. Without room for that, messages do.
   Collective. */
static ol_status share_memory(ol_exact_sum *sum)
{
    ol_status status;

    if (sum->comm->sharing.size == 1)
        return OL_OK;
    status =
        ol_node_parts_create(sum->comm, "gradients of a node's ranks", sum->bytes, &sum->vectors);
    if (status == OL_OK)
        status = make_results(sum);
    if (status == OL_OK)
        return OL_OK;
    ol_node_block_destroy(sum->vectors);
    sum->vectors = NULL;
    if (status != OL_ENOMEM)
        return status;
    if (!sum->comm->told_of_messages)
        ol_node_warn(sum->comm,
                     "ranks of a node send each other their gradients, which takes twice as "
                     "long as reading them in shared memory");
    sum->comm->told_of_messages = true;
    return OL_OK;
}

/* Number of this rank's group among those of its node, which are of consecutive ranks. */
static int group_of(const ol_comm *comm)
{
    return comm->node.rank / comm->sharing.size;
}

/* Vector i of rank r of this rank's group. */
static char *vector_of(const ol_exact_sum *sum, int r, int i)
{
    const ol_comm *comm = sum->comm;
    char *memory = sum->own.base;

    if (sum->vectors)
        memory = ol_node_part_at(sum->vectors, group_of(comm) * comm->sharing.size + r);
    return memory + sum->offsets[i];
}

void *ol_exact_sum_vector(const ol_exact_sum *sum, int i)
{
    return vector_of(sum, sum->comm->sharing.rank, i);
}

bool ol_exact_sum_in_place(const ol_exact_sum *sum)
{
    return sum->vectors != NULL;
}

void *ol_exact_sum_result(const ol_exact_sum *sum, int i)
{
    return sum->results ? ol_node_part_at(sum->results, group_of(sum->comm) * sum->count + i)
                        : ol_exact_sum_vector(sum, i);
}

/* Whether a node's ranks send each other slices. */
static bool sends(const ol_exact_sum *sum)
{
    return sum->comm->sharing.size > 1 && !sum->vectors;
}

/* The segments of a vector, in turn, and where own sums of each are. */
typedef struct segment {
    size_t start, length; /* of the vector               */
    slice own;            /* of the segment              */
    size_t at;            /* own.length sums from here   */
} segment;

static bool next_segment(const ol_exact_sum *sum, int i, segment *s)
{
    const ol_group *node = &sum->comm->sharing;
    size_t left;

    s->start += s->length;
    s->at += s->own.length;
    left = sum->lengths[i] - s->start;
    s->length = smaller(left, segment_elements(sends(sum), node->size));
    s->own = slice_of(s->length, node->rank, node->size);
    return left > 0;
}

/* The pieces of an own slice of n elements, in turn. */
static bool next_piece(size_t n, slice *piece)
{
    piece->start += piece->length;
    piece->length = smaller(n - piece->start, PIECE);
    return piece->length > 0;
}

/* Sums of own slices, and a place for the depths of each piece. */
static ol_status make_sums(ol_exact_sum *sum)
{
    const ol_group *node = &sum->comm->sharing;
    const size_t whole = segment_elements(sends(sum), node->size);

    for (int i = 0; i < sum->count; i++) {
        const size_t own = owned_elements(sum->lengths[i], whole, node->rank, node->size);

        OL_TRY(ol_expansion_init(&sum->sums[i], own));
        sum->pieces += own / PIECE + sum->lengths[i] / whole + 1; /* at most */
    }
    sum->depths = calloc(((size_t)sum->comm->column.size + 1) * sum->pieces, 1);
    OL_CHECK(sum->depths, OL_ENOMEM, "no memory for the layers of %zu pieces", sum->pieces);
    return OL_OK;
}

static ol_status allocate(ol_exact_sum *sum)
{
    const ol_group *node = &sum->comm->sharing, *column = &sum->comm->column;
    const size_t most = (size_t)(node->size > column->size ? node->size : column->size);
    const size_t bytes = received_bytes(sum->type, longest_of(sum->count, sum->lengths), sends(sum),
                                        node->size, column->size);

    if (!sum->vectors) {
        OL_TRY(ol_arena_init(&sum->own, "gradients of an episode", sum->bytes));
        lay_out(&sum->own, sum->type, sum->count, sum->lengths, NULL);
    }
    sum->sums = calloc((size_t)sum->count + 1, sizeof *sum->sums);
    sum->said = calloc(most, 1);
    sum->counts = calloc(4 * most, sizeof *sum->counts);
    sum->received = malloc(bytes + 1);
    OL_CHECK(sum->sums && sum->said && sum->counts && sum->received, OL_ENOMEM,
             "no memory to exchange vectors (%zu bytes)", bytes);
    return make_sums(sum);
}

/* What they are, and how they lie in memory. */
static ol_status describe(ol_exact_sum *sum, const size_t *lengths)
{
    ol_arena dry = ol_arena_dry("vectors");

    sum->lengths = calloc((size_t)sum->count + 1, sizeof *sum->lengths);
    sum->offsets = calloc((size_t)sum->count + 1, sizeof *sum->offsets);
    OL_CHECK(sum->lengths && sum->offsets, OL_ENOMEM, "no memory for %d sums", sum->count);
    memcpy(sum->lengths, lengths, (size_t)sum->count * sizeof *lengths);
    sum->bytes = lay_out(&dry, sum->type, sum->count, lengths, sum->offsets);
    return OL_OK;
}

ol_status ol_exact_sum_create(ol_comm *comm, ol_sum_type type, int count, const size_t *lengths,
                              ol_exact_sum **out)
{
    ol_exact_sum *sum = calloc(1, sizeof *sum);
    ol_status status = sum ? OL_OK : ol_fail(OL_ENOMEM, "no memory for a sum");

    assert(type == OL_SUM_F32 || type == OL_SUM_F64);
    *out = NULL;
    if (sum) {
        *sum = (ol_exact_sum){.comm = comm, .type = type, .count = count};
        status = describe(sum, lengths);
    }
    status = ol_comm_agree(comm, status);
    if (status == OL_OK)
        status = share_memory(sum);
    if (status == OL_OK)
        status = ol_comm_agree(comm, allocate(sum));
    if (status != OL_OK)
        ol_exact_sum_destroy(sum);
    else
        *out = sum;
    return status;
}

void ol_exact_sum_destroy(ol_exact_sum *sum)
{
    if (!sum)
        return;
    for (int i = 0; sum->sums && i < sum->count; i++)
        ol_expansion_finish(&sum->sums[i]);
    ol_node_block_destroy(sum->results);
    ol_node_block_destroy(sum->vectors);
    ol_arena_finish(&sum->own);
    free(sum->lengths);
    free(sum->offsets);
    free(sum->sums);
    free(sum->received);
    free(sum->said);
    free(sum->depths);
    free(sum->counts);
    free(sum);
}

void ol_exact_sum_begin(ol_exact_sum *sum)
{
    for (int i = 0; i < sum->count; i++)
        ol_expansion_clear(&sum->sums[i]);
    sum->status = OL_OK;
    sum->moved = (ol_exact_sum_traffic){0};
}

/* Add to own sums. A failure is kept for later: the others go on and must not wait in vain. */
static void add(ol_exact_sum *sum, ol_expansion *to, size_t at, size_t n, ol_sum_type type,
                const void *x)
{
    if (sum->status == OL_OK)
        sum->status = ol_expansion_add(to, at, n, type, x);
}

static void count_moved(ol_exact_sum *sum, const ol_group *group, size_t n, size_t element)
{
    if (group == &sum->comm->sharing)
        sum->moved.node += n * element;
    else
        sum->moved.between += n * element;
}

/* One reduce-scatter: each rank r of a group with said[r] > silent has `length` elements x, of which
   every rank gets its slice from the others and adds it to the sums from `at` on. */
static ol_status exchange(ol_exact_sum *sum, const ol_group *group, int silent, ol_sum_type type,
                          const void *x, size_t length, ol_expansion *to, size_t at)
{
    const int size = group->size;
    const size_t own = slice_of(length, group->rank, size).length;
    const MPI_Datatype mpi_type = type == OL_SUM_F32 ? MPI_FLOAT : MPI_DOUBLE;
    int *send = sum->counts, *send_at = send + size, *get = send_at + size, *get_at = get + size;

    for (int r = 0; r < size; r++) {
        const slice theirs = slice_of(length, r, size);
        const bool other = r != group->rank;

        send[r] = other && x ? (int)theirs.length : 0;
        send_at[r] = (int)theirs.start;
        get[r] = other && sum->said[r] > silent ? (int)own : 0;
        get_at[r] = (int)own * r;
    }
    OL_TRY_LARGE(sum->comm, MPI_Ialltoallv, x, send, send_at, mpi_type, sum->received, get, get_at,
                 mpi_type, group->handle);
    count_moved(sum, group, x ? length - own : 0, (size_t)type);
    for (int r = 0; r < size; r++)
        if (get[r] > 0)
            add(sum, to, at, own, type, sum->received + own * (size_t)r * (size_t)type);
    return OL_OK;
}

/* Vector i of a round, by messages. */
static ol_status add_sent(ol_exact_sum *sum, int i, bool gives)
{
    const ol_group *node = &sum->comm->sharing;
    const size_t bytes = (size_t)sum->type;
    const char *x = gives ? vector_of(sum, node->rank, i) : NULL;

    for (segment s = {0}; next_segment(sum, i, &s);) {
        const char *from = x ? x + s.start * bytes : NULL;

        if (node->size > 1)
            OL_TRY(exchange(sum, node, NOTHING, sum->type, from, s.length, &sum->sums[i], s.at));
        if (from)
            add(sum, &sum->sums[i], s.at, s.own.length, sum->type, from + s.own.start * bytes);
    }
    return OL_OK;
}

/* Vector i of a round: own slice of those of all ranks, which begin with different ones. */
static void add_in_place(ol_exact_sum *sum, int i)
{
    const ol_group *node = &sum->comm->sharing;
    const slice own = slice_of(sum->lengths[i], node->rank, node->size);
    const size_t bytes = (size_t)sum->type;

    for (size_t at = 0; at < own.length; at += STRIP)
        for (int k = 0; k < node->size; k++) {
            const int r = (node->rank + k) % node->size;
            const size_t n = smaller(own.length - at, STRIP);

            if (sum->said[r] != GIVES)
                continue;
            add(sum, &sum->sums[i], at, n, sum->type,
                vector_of(sum, r, i) + (own.start + at) * bytes);
            count_moved(sum, node, k > 0 ? n : 0, bytes);
        }
}

/* Whether any rank of the node gives vectors in this round, and whether none has failed. */
static ol_status hear_round(ol_exact_sum *sum, char mine, bool *any, bool *go_on)
{
    const ol_group *node = &sum->comm->sharing;
    const ol_phase was = ol_phase_enter(OL_PHASE_WAIT);

    sum->said[node->rank] = mine;
    if (node->size > 1)
        OL_TRY_SMALL(sum->comm, MPI_Iallgather, &mine, 1, MPI_CHAR, sum->said, 1, MPI_CHAR,
                     node->handle);
    ol_phase_leave(was);
    *any = memchr(sum->said, GIVES, (size_t)node->size) != NULL;
    *go_on = memchr(sum->said, FAILED, (size_t)node->size) == NULL;
    return OL_OK;
}

/* Nobody writes its vectors anew before all have read them. */
static ol_status end_round(ol_exact_sum *sum)
{
    const ol_phase was = ol_phase_enter(OL_PHASE_WAIT);

    OL_TRY_SMALL(sum->comm, MPI_Ibarrier, sum->comm->sharing.handle);
    ol_phase_leave(was);
    return OL_OK;
}

ol_status ol_exact_sum_round(ol_exact_sum *sum, ol_status mine, bool gives, bool *go_on)
{
    bool any = false;

    mine = mine != OL_OK ? mine : sum->status;
    *go_on = false;
    if (sum->vectors)
        OL_TRY(ol_node_block_sync(sum->vectors));
    OL_TRY(hear_round(sum, mine != OL_OK ? FAILED : gives ? GIVES : NOTHING, &any, go_on));
    if (!any || !*go_on)
        return mine;
    if (!sum->vectors) {
        for (int i = 0; i < sum->count; i++)
            OL_TRY(add_sent(sum, i, gives));
        return mine;
    }
    OL_TRY(ol_node_block_sync(sum->vectors));
    for (int i = 0; i < sum->count; i++)
        add_in_place(sum, i);
    OL_TRY(end_round(sum));
    return mine;
}

/* How many layers the ranks of the column have of each piece: depths[rank·pieces + k] of the k-th. */
static ol_status hear_depths(ol_exact_sum *sum)
{
    const ol_group *column = &sum->comm->column;
    char *mine = sum->depths + sum->pieces * (size_t)column->size;

    if (column->size == 1)
        return OL_OK;
    for (int i = 0; i < sum->count; i++)
        for (segment s = {0}; next_segment(sum, i, &s);)
            for (slice p = {0}; next_piece(s.own.length, &p);)
                *mine++ = (char)ol_expansion_level(&sum->sums[i], s.at + p.start, p.length);
    OL_TRY_SMALL(sum->comm, MPI_Iallgather, sum->depths + sum->pieces * (size_t)column->size,
                 (int)sum->pieces, MPI_CHAR, sum->depths, (int)sum->pieces, MPI_CHAR,
                 column->handle);
    return OL_OK;
}

/* The reduce-scatter of a column: `length` own sums from `at` on, the k-th piece, layer by layer, so that
   those of own slice of it become the sums over all nodes. */
static ol_status add_nodes(ol_exact_sum *sum, ol_expansion *sums, size_t at, size_t length,
                           size_t k)
{
    const ol_group *column = &sum->comm->column;
    const slice final = slice_of(length, column->rank, column->size);
    int most = 0, mine;

    for (int r = 0; r < column->size; r++) {
        sum->said[r] = sum->depths[(size_t)r * sum->pieces + k];
        most = sum->said[r] > most ? sum->said[r] : most;
    }
    mine = sum->said[column->rank];
    for (int l = 0; l < most; l++)
        OL_TRY(exchange(sum, column, l, OL_SUM_F64, l < mine ? sums->layers[l] + at : NULL, length,
                        sums, at + final.start));
    return OL_OK;
}

/* The all-gather of a group: everyone's slice of `length` elements. */
static ol_status share(ol_exact_sum *sum, const ol_group *group, void *x, size_t length)
{
    const MPI_Datatype type = sum->type == OL_SUM_F32 ? MPI_FLOAT : MPI_DOUBLE;
    int *lengths = sum->counts, *starts = lengths + group->size;

    if (group->size == 1)
        return OL_OK;
    for (int r = 0; r < group->size; r++) {
        const slice theirs = slice_of(length, r, group->size);

        lengths[r] = (int)theirs.length;
        starts[r] = (int)theirs.start;
    }
    OL_TRY_LARGE(sum->comm, MPI_Iallgatherv, MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, x, lengths, starts,
                 type, group->handle);
    count_moved(sum, group, (size_t)lengths[group->rank] * (size_t)(group->size - 1),
                (size_t)sum->type);
    return OL_OK;
}

/* (1) of a piece of own sums. @param out  its place in the result */
static ol_status finish_piece(ol_exact_sum *sum, int i, size_t at, size_t length, size_t k,
                              double scale, char *out)
{
    const ol_group *column = &sum->comm->column;
    const slice final = slice_of(length, column->rank, column->size);

    if (column->size > 1)
        OL_TRY(add_nodes(sum, &sum->sums[i], at, length, k));
    ol_expansion_round(&sum->sums[i], at + final.start, final.length, sum->type, scale,
                       out + final.start * (size_t)sum->type); /* (1) */
    return share(sum, column, out, length);
}

/* @param k  the first of its pieces; the next one's on return */
static ol_status finish_vector(ol_exact_sum *sum, int i, double scale, size_t *k)
{
    const size_t bytes = (size_t)sum->type;
    char *out = ol_exact_sum_result(sum, i);

    for (segment s = {0}; next_segment(sum, i, &s);) {
        char *own = out + (s.start + s.own.start) * bytes;

        for (slice p = {0}; next_piece(s.own.length, &p); ++*k)
            OL_TRY(
                finish_piece(sum, i, s.at + p.start, p.length, *k, scale, own + p.start * bytes));
        if (sends(sum))
            OL_TRY(share(sum, &sum->comm->sharing, out + s.start * bytes, s.length));
    }
    return OL_OK;
}

ol_status ol_exact_sum_finish(ol_exact_sum *sum, const double *scales)
{
    size_t k = 0;

    OL_TRY(hear_depths(sum));
    for (int i = 0; i < sum->count; i++)
        OL_TRY(finish_vector(sum, i, scales[i], &k));
    if (sum->results)
        OL_TRY(ol_node_block_sync(sum->results));
    OL_TRY(ol_comm_agree(sum->comm, sum->status)); /* all slices are there */
    return sum->results ? ol_node_block_sync(sum->results) : OL_OK;
}

ol_exact_sum_traffic ol_exact_sum_moved(const ol_exact_sum *sum)
{
    return sum->moved;
}
