/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/comm/exact_sum.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "outerloop/base/phase.h" /* ol_phase_enter */

/* What a rank says before a round. */
enum { NOTHING, GIVES, FAILED };

struct ol_exact_sum {
    ol_comm *comm;
    ol_sum_type type;
    int count;
    size_t *lengths;    /* [count] of the vectors                                       */
    ol_expansion *sums; /* [count] own slices of all segments, one after the other      */
    ol_status status;   /* a failure that the others do not know of yet                 */
    char *received;     /* the same slice from each rank of a group                     */
    char *said;         /* [most] what the ranks of a group have to give                */
    size_t most_segments;
    char *depths; /* [nodes + 1, most_segments] layers; own ones last             */
    int *counts;  /* [4·most] of alltoallv: send, at, receive, at                 */
    ol_exact_sum_traffic sent;
};

/* A vector is cut into segments, a segment into slices of the node's ranks, and a slice once more
   among the ranks of a column. */
typedef struct slice {
    size_t start, length;
} slice;

static slice slice_of(size_t length, int r, int size)
{
    const size_t start = length * (size_t)r / (size_t)size,
                 end = length * ((size_t)r + 1) / (size_t)size;

    return (slice){start, end - start};
}

/* Elements of a segment, but for the last: as many as fit a buffer as float64, in even slices. */
static size_t segment_elements(int size)
{
    const size_t most = COMM_PIECE_BYTES / sizeof(double),
                 even = most / (size_t)size * (size_t)size;

    return even > 0 ? even : most;
}

/* Elements of the slices of rank r in all segments. */
static size_t owned_elements(size_t n, int r, int size)
{
    const size_t segment = segment_elements(size);

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

static size_t received_bytes(ol_sum_type type, int count, const size_t *lengths, int sharing,
                             int nodes)
{
    const size_t whole = segment_elements(sharing), n = longest_of(count, lengths),
                 length = n < whole ? n : whole;
    const size_t in_node = buffer_bytes(length, (size_t)type, sharing),
                 between = buffer_bytes(length / (size_t)sharing + 1, sizeof(double), nodes);

    return in_node > between ? in_node : between;
}

size_t ol_exact_sum_bytes(ol_sum_type type, int count, const size_t *lengths, int sharing,
                          int nodes)
{
    const size_t most = (size_t)(sharing > nodes ? sharing : nodes);
    size_t bytes = sizeof(ol_exact_sum) + most * (1 + 4 * sizeof(int)) +
                   (size_t)count * (sizeof(ol_expansion) + sizeof *lengths) +
                   received_bytes(type, count, lengths, sharing, nodes);

    for (int i = 0; i < count; i++) /* no rank owns more than the last */
        bytes += ol_expansion_bytes(owned_elements(lengths[i], sharing - 1, sharing));
    return bytes;
}

static ol_status allocate(ol_exact_sum *sum, const size_t *lengths)
{
    const ol_group *node = &sum->comm->sharing, *column = &sum->comm->column;
    const size_t most = (size_t)(node->size > column->size ? node->size : column->size);
    const size_t count = (size_t)sum->count;
    const size_t bytes = received_bytes(sum->type, sum->count, lengths, node->size, column->size);

    sum->lengths = malloc((count + 1) * sizeof *sum->lengths);
    sum->sums = calloc(count + 1, sizeof *sum->sums);
    sum->said = calloc(most, 1);
    sum->most_segments = longest_of(sum->count, lengths) / segment_elements(node->size) + 1;
    sum->depths = calloc(((size_t)column->size + 1) * sum->most_segments, 1);
    sum->counts = calloc(4 * most, sizeof *sum->counts);
    sum->received = malloc(bytes + 1);
    OL_CHECK(sum->lengths && sum->sums && sum->said && sum->counts && sum->received && sum->depths,
             OL_ENOMEM, "no memory to exchange vectors (%zu bytes)", bytes);
    memcpy(sum->lengths, lengths, count * sizeof *lengths);
    for (size_t i = 0; i < count; i++)
        OL_TRY(
            ol_expansion_init(&sum->sums[i], owned_elements(lengths[i], node->rank, node->size)));
    return OL_OK;
}

ol_status ol_exact_sum_create(ol_comm *comm, ol_sum_type type, int count, const size_t *lengths,
                              ol_exact_sum **out)
{
    ol_exact_sum *sum = calloc(1, sizeof *sum);
    ol_status status;

    assert(type == OL_SUM_F32 || type == OL_SUM_F64);
    *out = NULL;
    if (sum) {
        *sum = (ol_exact_sum){.comm = comm, .type = type, .count = count};
        status = allocate(sum, lengths);
    } else
        status = ol_fail(OL_ENOMEM, "no memory for a sum");
    status = ol_comm_agree(comm, status);
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
    free(sum->lengths);
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
    sum->sent = (ol_exact_sum_traffic){0};
}

/* Add to own sums. A failure is kept for later: the others go on and must not wait in vain. */
static void add(ol_exact_sum *sum, ol_expansion *to, size_t at, size_t n, ol_sum_type type,
                const void *x)
{
    if (sum->status == OL_OK)
        sum->status = ol_expansion_add(to, at, n, type, x);
}

static void count_sent(ol_exact_sum *sum, const ol_group *group, size_t n, size_t element)
{
    if (group == &sum->comm->sharing)
        sum->sent.node += n * element;
    else
        sum->sent.between += n * element;
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
    count_sent(sum, group, x ? length - own : 0, (size_t)type);
    for (int r = 0; r < size; r++)
        if (get[r] > 0)
            add(sum, to, at, own, type, sum->received + own * (size_t)r * (size_t)type);
    return OL_OK;
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
    const size_t whole = segment_elements(node->size);
    size_t left;

    s->start += s->length;
    s->at += s->own.length;
    left = sum->lengths[i] - s->start;
    s->length = left < whole ? left : whole;
    s->own = slice_of(s->length, node->rank, node->size);
    return left > 0;
}

/* One vector of a round. @param x  NULL: none of this rank */
static ol_status add_vector(ol_exact_sum *sum, int i, const char *x)
{
    const ol_group *node = &sum->comm->sharing;
    const size_t bytes = (size_t)sum->type;

    for (segment s = {0}; next_segment(sum, i, &s);) {
        const char *from = x ? x + s.start * bytes : NULL;

        if (node->size > 1)
            OL_TRY(exchange(sum, node, NOTHING, sum->type, from, s.length, &sum->sums[i], s.at));
        if (from)
            add(sum, &sum->sums[i], s.at, s.own.length, sum->type, from + s.own.start * bytes);
    }
    return OL_OK;
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

ol_status ol_exact_sum_round(ol_exact_sum *sum, ol_status mine, const void *const *x, bool *go_on)
{
    bool any = false;

    mine = mine != OL_OK ? mine : sum->status;
    *go_on = false;
    OL_TRY(hear_round(sum, mine != OL_OK ? FAILED : x ? GIVES : NOTHING, &any, go_on));
    for (int i = 0; i < sum->count && any && *go_on; i++)
        OL_TRY(add_vector(sum, i, x ? x[i] : NULL));
    return mine;
}

/* How many layers the ranks of the column have of each segment of vector i: depths[rank·most + k] of
   the k-th. */
static ol_status hear_depths(ol_exact_sum *sum, int i)
{
    const ol_group *column = &sum->comm->column;
    char *mine = sum->depths + sum->most_segments * (size_t)column->size;
    int k = 0;

    for (segment s = {0}; next_segment(sum, i, &s); k++)
        mine[k] = (char)ol_expansion_level(&sum->sums[i], s.at, s.own.length);
    OL_TRY_SMALL(sum->comm, MPI_Iallgather, mine, (int)sum->most_segments, MPI_CHAR, sum->depths,
                 (int)sum->most_segments, MPI_CHAR, column->handle);
    return OL_OK;
}

/* The reduce-scatter of a column: own sums of the k-th segment, layer by layer, so that those of own
   slice of it become the sums over all nodes. */
static ol_status add_nodes(ol_exact_sum *sum, ol_expansion *sums, const segment *s, size_t k)
{
    const ol_group *column = &sum->comm->column;
    const size_t at = s->at + slice_of(s->own.length, column->rank, column->size).start;
    int most = 0, mine;

    for (int r = 0; r < column->size; r++) {
        sum->said[r] = sum->depths[(size_t)r * sum->most_segments + k];
        most = sum->said[r] > most ? sum->said[r] : most;
    }
    mine = sum->said[column->rank];
    for (int l = 0; l < most; l++)
        OL_TRY(exchange(sum, column, l, OL_SUM_F64, l < mine ? sums->layers[l] + s->at : NULL,
                        s->own.length, sums, at));
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
    count_sent(sum, group, (size_t)lengths[group->rank] * (size_t)(group->size - 1),
               (size_t)sum->type);
    return OL_OK;
}

static ol_status finish_vector(ol_exact_sum *sum, int i, double scale, char *out)
{
    const ol_group *column = &sum->comm->column;
    const size_t bytes = (size_t)sum->type;
    size_t k = 0;

    if (column->size > 1)
        OL_TRY(hear_depths(sum, i));
    for (segment s = {0}; next_segment(sum, i, &s); k++) {
        const slice final = slice_of(s.own.length, column->rank, column->size);
        char *whole = out + s.start * bytes, *own = whole + s.own.start * bytes;

        if (column->size > 1)
            OL_TRY(add_nodes(sum, &sum->sums[i], &s, k));
        ol_expansion_round(&sum->sums[i], s.at + final.start, final.length, sum->type, scale,
                           own + final.start * bytes); /* (1) */
        OL_TRY(share(sum, column, own, s.own.length));
        OL_TRY(share(sum, &sum->comm->sharing, whole, s.length));
    }
    return OL_OK;
}

ol_status ol_exact_sum_finish(ol_exact_sum *sum, const double *scales, void *const *out)
{
    for (int i = 0; i < sum->count; i++)
        OL_TRY(finish_vector(sum, i, scales[i], out[i]));
    return ol_comm_agree(sum->comm, sum->status);
}

ol_exact_sum_traffic ol_exact_sum_sent(const ol_exact_sum *sum)
{
    return sum->sent;
}
