/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/comm/expansion.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "sums without rounding want doubles that are doubles");
#ifdef __FAST_MATH__
#error "-ffast-math computes (1) as zero"
#endif

enum { BLOCK = OL_EXPANSION_BLOCK, LAYERS = OL_EXPANSION_LAYERS };

static size_t blocks_of(size_t n)
{
    return (n + BLOCK - 1) / BLOCK;
}

ol_status ol_expansion_init(ol_expansion *e, size_t n)
{
    *e = (ol_expansion){.n = n};
    e->layers[0] = malloc(n * sizeof(double) + 1);
    e->depths = calloc(blocks_of(n) + 1, 1);
    OL_CHECK(e->layers[0] && e->depths, OL_ENOMEM, "no memory for %zu sums (%zu bytes)", n,
             ol_expansion_bytes(n));
    return OL_OK;
}

void ol_expansion_finish(ol_expansion *e)
{
    if (!e)
        return;
    for (int l = 0; l < LAYERS; l++)
        free(e->layers[l]);
    free(e->depths);
    *e = (ol_expansion){0};
}

size_t ol_expansion_bytes(size_t n)
{
    return n * sizeof(double) + blocks_of(n);
}

void ol_expansion_clear(ol_expansion *e)
{
    memset(e->depths, 0, blocks_of(e->n));
}

/* Give a block zeros in the layers that it lacks, up to `depth`. Those layers are there. */
static void deepen(ol_expansion *e, size_t block, int depth)
{
    const size_t start = block * BLOCK, left = e->n - start;

    for (int l = e->depths[block]; l < depth; l++)
        memset(e->layers[l] + start, 0, (left < BLOCK ? left : BLOCK) * sizeof(double));
    if (e->depths[block] < depth)
        e->depths[block] = (unsigned char)depth;
}

/* (1) for n elements: sums += x, and `rest` is what it rounds away. True when that is anything (or
   not finite). It is in place of x where rest is x. */
static bool add_f64(size_t n, const double *x, double *restrict sums, double *rest)
{
    double any = 0;

#pragma omp simd reduction(+ : any)
    for (size_t i = 0; i < n; i++) {
        const double a = sums[i], b = x[i], s = a + b, z = s - a, e = (a - (s - z)) + (b - z);

        sums[i] = s;
        rest[i] = e;
        any += fabs(e);
    }
    return any != 0;
}

static bool add_f32(size_t n, const float *restrict x, double *restrict sums, double *restrict rest)
{
    double any = 0;

#pragma omp simd reduction(+ : any)
    for (size_t i = 0; i < n; i++) {
        const double a = sums[i], b = (double)x[i], s = a + b, z = s - a,
                     e = (a - (s - z)) + (b - z);

        sums[i] = s;
        rest[i] = e;
        any += fabs(e);
    }
    return any != 0;
}

/* What a sum that is not finite leaves is not a number, and no rest of it. */
static bool drop_nan(size_t n, double *rest)
{
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        if (!isfinite(rest[i]))
            rest[i] = 0;
        any = any || rest[i] != 0;
    }
    return any;
}

/* Add what layer 0 rounded away to the layers below, until nothing is left. */
static ol_status add_rest(ol_expansion *e, size_t at, size_t n, double *rest)
{
    bool any = drop_nan(n, rest);

    for (int l = 1; any && l < LAYERS; l++) {
        if (!e->layers[l])
            e->layers[l] = malloc(e->n * sizeof(double));
        OL_CHECK(e->layers[l], OL_ENOMEM, "no memory for layer %d of %zu sums (%zu bytes)", l, e->n,
                 e->n * sizeof(double));
        deepen(e, at / BLOCK, l + 1);
        any = add_f64(n, rest, e->layers[l] + at, rest);
    }
    return OL_OK;
}

ol_status ol_expansion_add(ol_expansion *e, size_t at, size_t n, ol_sum_type type, const void *x)
{
    const char *from = x;
    double rest[BLOCK];

    assert(at + n <= e->n);
    while (n > 0) {
        const size_t room = BLOCK - at % BLOCK, piece = n < room ? n : room;
        double *sums = e->layers[0] + at;
        bool any;

        deepen(e, at / BLOCK, 1);
        any = type == OL_SUM_F32 ? add_f32(piece, (const float *)(const void *)from, sums, rest)
                                 : add_f64(piece, (const double *)(const void *)from, sums, rest);
        if (any)
            OL_TRY(add_rest(e, at, piece, rest));
        from += piece * (size_t)type;
        at += piece;
        n -= piece;
    }
    return OL_OK;
}

int ol_expansion_level(ol_expansion *e, size_t at, size_t n)
{
    const size_t first = at / BLOCK, end = n > 0 ? (at + n - 1) / BLOCK + 1 : first;
    int depth = 0;

    for (size_t b = first; b < end; b++)
        depth = e->depths[b] > depth ? e->depths[b] : depth;
    for (size_t b = first; b < end; b++)
        deepen(e, b, depth);
    return depth;
}

/* Make of n numbers a list of the same sum whose bits do not overlap, least first.
   @return their number. Shewchuk's Grow-Expansion with zeros left out. */
static int sort_out(double *parts, int n)
{
    int kept = 0;

    for (int i = 0; i < n; i++) {
        double x = parts[i];
        int to = 0;

        for (int j = 0; j < kept; j++) {
            double rest;

            if (add_f64(1, &parts[j], &x, &rest))
                parts[to++] = rest;
        }
        if (x != 0)
            parts[to++] = x;
        kept = to;
    }
    return kept;
}

/* fl64 of the sum of n numbers, ties to even. */
static double round_many(double *parts, int n)
{
    double s, rest = 0;
    int i = sort_out(parts, n);

    if (i == 0)
        return 0;
    s = parts[--i];
    while (i > 0 && rest == 0) /* as s is the larger, what is left of the next is all that s lost */
        (void)add_f64(1, &parts[--i], &s, &rest);
    /* half a step was rounded to even, but there is more to that side: then it is no tie */
    if (i > 0 && (rest < 0) == (parts[i - 1] < 0)) {
        const double further = s + 2 * rest;

        if (further - s == 2 * rest)
            s = further;
    }
    return s;
}

/* fl64 of n sums of a block. */
static void round_block(const ol_expansion *e, size_t at, size_t n, double *out)
{
    const int depth = e->depths[at / BLOCK];
    double parts[LAYERS];

    if (depth == 0)
        memset(out, 0, n * sizeof *out);
    if (depth == 1)
        memcpy(out, e->layers[0] + at, n * sizeof *out);
    for (size_t i = 0; depth == 2 && i < n; i++)
        out[i] = e->layers[0][at + i] + e->layers[1][at + i];
    for (size_t i = 0; depth > 2 && i < n; i++) {
        for (int l = 0; l < depth; l++)
            parts[l] = e->layers[l][at + i];
        out[i] = isfinite(parts[0]) ? round_many(parts, depth) : parts[0];
    }
}

void ol_expansion_round(const ol_expansion *e, size_t at, size_t n, ol_sum_type type, double scale,
                        void *out)
{
    double rounded[BLOCK];

    assert(at + n <= e->n);
    for (size_t done = 0, piece; done < n; done += piece) {
        const size_t room = BLOCK - (at + done) % BLOCK;

        piece = n - done < room ? n - done : room;
        round_block(e, at + done, piece, rounded);
        for (size_t i = 0; i < piece; i++) /* (2) */
            if (type == OL_SUM_F32)
                ((float *)out)[done + i] = (float)(scale * rounded[i]);
            else
                ((double *)out)[done + i] = scale * rounded[i];
    }
}
