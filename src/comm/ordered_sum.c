/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/comm/ordered_sum.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct ol_ordered_sum {
    ol_comm *comm;
    size_t n;
    ol_sum_type type;
    size_t segment; /* elements of a segment; the last may be shorter  */
    double *acc;    /* own slices of all segments, one after the other */
    char *received; /* [segment] the same slice from each rank         */
    char *present;  /* [size] who adds in this round                   */
    int *counts;    /* [4·size] of alltoallv: send, at, receive, at    */
};

/* First element of rank r's slice of a segment of `length`; that of rank `size` is `length`. */
static size_t slice_start(size_t length, int r, int size)
{
    return length * (size_t)r / (size_t)size;
}

static size_t slice_length(size_t length, int r, int size)
{
    return slice_start(length, r + 1, size) - slice_start(length, r, size);
}

/* A received segment is one slice per rank, so it takes as much as the longest slice times size. */
static size_t segment_elements(size_t n, ol_sum_type type, int size)
{
    const size_t most = COMM_PIECE_BYTES / (size_t)type;
    const size_t whole = most / (size_t)size * (size_t)size; /* even slices */

    return n < whole ? n : whole ? whole : 1;
}

/* Elements of the slices of rank r in all segments. */
static size_t owned_elements(size_t n, size_t segment, int r, int size)
{
    const size_t full = segment ? n / segment : 0;
    const size_t rest = segment ? n % segment : 0;

    return full * slice_length(segment, r, size) + slice_length(rest, r, size);
}

static size_t received_bytes(size_t segment, ol_sum_type type, int size)
{
    return (segment / (size_t)size + 1) * (size_t)size * (size_t)type;
}

size_t ol_ordered_sum_bytes(size_t n, ol_sum_type type, int size)
{
    const size_t segment = segment_elements(n, type, size);
    const size_t owned = owned_elements(n, segment, size - 1, size); /* no slice is longer */
    const size_t small = (size_t)size * (1 + 4 * sizeof(int));

    return sizeof(ol_ordered_sum) + owned * sizeof(double) + small +
           (size > 1 ? received_bytes(segment, type, size) : 0);
}

static ol_status allocate(ol_ordered_sum *sum)
{
    const int size = sum->comm->size;
    const size_t ranks = (size_t)size;

    sum->acc = malloc((owned_elements(sum->n, sum->segment, sum->comm->rank, size) + 1) *
                      sizeof *sum->acc);
    sum->present = calloc(ranks, 1);
    sum->counts = calloc(4 * ranks, sizeof *sum->counts);
    if (size > 1)
        sum->received = malloc(received_bytes(sum->segment, sum->type, size));
    OL_CHECK(sum->acc && sum->present && sum->counts && (sum->received || size == 1), OL_ENOMEM,
             "no memory to add up vectors of %zu elements (%zu bytes)", sum->n,
             ol_ordered_sum_bytes(sum->n, sum->type, size));
    return OL_OK;
}

ol_status ol_ordered_sum_create(ol_comm *comm, size_t n, ol_sum_type type, ol_ordered_sum **out)
{
    ol_ordered_sum *sum = calloc(1, sizeof *sum);
    ol_status status;

    assert(type == OL_SUM_F32 || type == OL_SUM_F64);
    *out = NULL;
    if (sum) {
        *sum = (ol_ordered_sum){.comm = comm, .n = n, .type = type};
        sum->segment = segment_elements(n, type, comm->size);
        status = allocate(sum);
    } else
        status = ol_fail(OL_ENOMEM, "no memory for a sum");
    status = ol_comm_agree(comm, status);
    if (status != OL_OK) {
        ol_ordered_sum_destroy(sum);
        return status;
    }
    ol_ordered_sum_begin(sum);
    *out = sum;
    return OL_OK;
}

void ol_ordered_sum_destroy(ol_ordered_sum *sum)
{
    if (sum) {
        free(sum->acc);
        free(sum->received);
        free(sum->present);
        free(sum->counts);
        free(sum);
    }
}

void ol_ordered_sum_begin(ol_ordered_sum *sum)
{
    memset(sum->acc, 0,
           owned_elements(sum->n, sum->segment, sum->comm->rank, sum->comm->size) *
               sizeof *sum->acc);
}

/* acc += x, element by element: the one place where contributions meet. */
static void accumulate(ol_sum_type type, size_t n, const void *x, double *acc)
{
    if (type == OL_SUM_F32) {
        const float *from = x;

        for (size_t i = 0; i < n; i++)
            acc[i] += (double)from[i];
    } else {
        const double *from = x;

        for (size_t i = 0; i < n; i++)
            acc[i] += from[i];
    }
}

/* out = scale · acc in the vector's own type. */
static void scale_into(ol_sum_type type, size_t n, double scale, const double *acc, void *out)
{
    if (type == OL_SUM_F32) {
        float *to = out;

        for (size_t i = 0; i < n; i++)
            to[i] = (float)(scale * acc[i]);
    } else {
        double *to = out;

        for (size_t i = 0; i < n; i++)
            to[i] = scale * acc[i];
    }
}

/* Exchange one segment of `length` elements from x (NULL: nothing to give) and add own slices. */
static ol_status add_segment(ol_ordered_sum *sum, const char *x, size_t length, double *acc)
{
    const int size = sum->comm->size, rank = sum->comm->rank;
    const size_t own = slice_length(length, rank, size);
    const MPI_Datatype type = sum->type == OL_SUM_F32 ? MPI_FLOAT : MPI_DOUBLE;
    int *send = sum->counts, *send_at = send + size, *get = send_at + size, *get_at = get + size;

    for (int r = 0; r < size; r++) {
        send[r] = x ? (int)slice_length(length, r, size) : 0;
        send_at[r] = (int)slice_start(length, r, size);
        get[r] = sum->present[r] ? (int)own : 0;
        get_at[r] = (int)own * r;
    }
    OL_TRY_LARGE(sum->comm, MPI_Ialltoallv, x, send, send_at, type, sum->received, get, get_at,
                 type, sum->comm->handle);
    for (int r = 0; r < size; r++)
        if (sum->present[r])
            accumulate(sum->type, own, sum->received + own * (size_t)r * (size_t)sum->type, acc);
    return OL_OK;
}

static ol_status exchange(ol_ordered_sum *sum, const char *x)
{
    const int size = sum->comm->size;
    double *acc = sum->acc;

    for (size_t at = 0; at < sum->n; at += sum->segment) {
        const size_t left = sum->n - at, length = left < sum->segment ? left : sum->segment;

        OL_TRY(add_segment(sum, x ? x + at * (size_t)sum->type : NULL, length, acc));
        acc += slice_length(length, sum->comm->rank, size);
    }
    return OL_OK;
}

ol_status ol_ordered_sum_add(ol_ordered_sum *sum, const void *x)
{
    const int size = sum->comm->size;
    char mine = x != NULL;

    if (size == 1) {
        if (x)
            accumulate(sum->type, sum->n, x, sum->acc);
    } else {
        OL_TRY_SMALL(sum->comm, MPI_Iallgather, &mine, 1, MPI_CHAR, sum->present, 1, MPI_CHAR,
                     sum->comm->handle);
        int adding = 0;

        for (int r = 0; r < size; r++)
            adding += sum->present[r];
        if (adding > 0)
            OL_TRY(exchange(sum, x));
    }
    return OL_OK;
}

ol_status ol_ordered_sum_finish(ol_ordered_sum *sum, double scale, void *out)
{
    const int size = sum->comm->size, rank = sum->comm->rank;
    const MPI_Datatype type = sum->type == OL_SUM_F32 ? MPI_FLOAT : MPI_DOUBLE;
    const double *acc = sum->acc;
    int *lengths = sum->counts, *starts = lengths + size;

    for (size_t at = 0; at < sum->n; at += sum->segment) {
        const size_t left = sum->n - at, length = left < sum->segment ? left : sum->segment;
        const size_t start = slice_start(length, rank, size),
                     own = slice_length(length, rank, size);
        char *segment = (char *)out + at * (size_t)sum->type;

        scale_into(sum->type, own, scale, acc, segment + start * (size_t)sum->type); /* (2) */
        acc += own;
        if (size == 1)
            continue;
        for (int r = 0; r < size; r++) {
            lengths[r] = (int)slice_length(length, r, size);
            starts[r] = (int)slice_start(length, r, size);
        }
        OL_TRY_LARGE(sum->comm, MPI_Iallgatherv, MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, segment,
                     lengths, starts, type, sum->comm->handle);
    }
    return OL_OK;
}
