/* SPDX-License-Identifier: BSD-3-Clause */
#include "direct.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#ifndef __has_builtin
#define __has_builtin(x) 0
#endif

/* With the 16 vectors of AVX2 tiles are smaller, and no faster than BLAS. */
#if defined(__AVX512F__) && __has_builtin(__builtin_shufflevector)

#define INLINE static inline __attribute__((always_inline))

enum {
    VECTOR_BYTES = 64,
    LANES = VECTOR_BYTES / sizeof(ol_real),
    TILE = 4,  /* most vectors of a row of a tile                              */
    ROWS = 12, /* most rows: of one or two vectors; of more the registers hold 6 */
    WIDE = TILE * LANES,
    DEEP = 256, /* terms of a sum in one go, so that a panel of b stays in the cache */
    PANEL = DEEP * WIDE,
    FLAT = 2 * LANES /* rows of a flat a */
};

typedef ol_real vec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(ol_real)), may_alias));

INLINE vec load(const ol_real *at)
{
    return *(const vec *)(const void *)at;
}

INLINE void store(ol_real *at, vec x)
{
    *(vec *)(void *)at = x;
}

/* Alternate elements of the lower (upper) halves of two vectors. */
#ifdef OL_F64
enum { TURNS = 3 };
#define ZIP(x, y, i)                                                                               \
    __builtin_shufflevector(x, y, i, 8 + i, i + 1, 9 + i, i + 2, 10 + i, i + 3, 11 + i)
#else
enum { TURNS = 4 };
#define ZIP(x, y, i)                                                                               \
    __builtin_shufflevector(x, y, i, 16 + i, i + 1, 17 + i, i + 2, 18 + i, i + 3, 19 + i, i + 4,   \
                            20 + i, i + 5, 21 + i, i + 6, 22 + i, i + 7, 23 + i)
#endif

/* Rows become columns. Read as one sequence, the square is shuffled as cards are, half between half,
 * which rotates the bits of an element's place: log2(LANES) times swaps row and column. */
INLINE void turn(vec x[LANES])
{
    vec y[LANES];

#pragma GCC unroll 4
    for (int s = 0; s < TURNS; s++) {
#pragma GCC unroll 8
        for (int i = 0; i < LANES / 2; i++) {
            y[2 * i] = ZIP(x[i], x[i + LANES / 2], 0);
            y[2 * i + 1] = ZIP(x[i], x[i + LANES / 2], LANES / 2);
        }
        memcpy(x, y, sizeof y);
    }
}

/* What one tile of c is made of: acc [R,V] = Σ_p a[r down + p across] panel[p ld ..]. */
typedef struct sums {
    int k;
    const ol_real *a;
    ptrdiff_t down, across;
    const ol_real *panel; /* rows of whole vectors */
    ptrdiff_t ld;
} sums;

/* Where a tile goes: c = α acc + β c, `cols` columns. */
typedef struct place {
    ol_real alpha, beta;
    ol_real *c;
    ptrdiff_t ld;
    int cols;
} place;

INLINE void sum_up(int R, int V, const sums *t, vec acc[ROWS][TILE])
{
    const ol_real *a = t->a, *panel = t->panel;

#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            acc[r][v] = (vec){0};
    for (int p = 0; p < t->k; p++, a += t->across, panel += t->ld) {
        vec b[TILE];

#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            b[v] = load(panel + v * LANES);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++)
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                acc[r][v] += a[r * t->down] * b[v];
    }
}

INLINE vec put_vector(const place *at, vec sum, const ol_real *to)
{
    return at->beta == 0 ? at->alpha * sum : at->alpha * sum + at->beta * load(to);
}

/* Whole vectors of a tile may stay in registers: what fills none goes through `row`. */
static __attribute__((noinline)) void put_some(const place *at, const ol_real *row, ol_real *to)
{
    for (int j = 0; j < at->cols; j++)
        to[j] = at->alpha * row[j] + (at->beta == 0 ? 0 : at->beta * to[j]);
}

INLINE void put(int R, int V, const place *at, vec acc[ROWS][TILE])
{
    ol_real row[WIDE] __attribute__((aligned(VECTOR_BYTES)));

#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
        ol_real *to = at->c + r * at->ld;

#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            if (at->cols == V * LANES)
                store(to + v * LANES, put_vector(at, acc[r][v], to + v * LANES));
            else
                store(row + v * LANES, acc[r][v]);
        if (at->cols < V * LANES)
            put_some(at, row, to);
    }
}

typedef void tile(const sums *t, const place *at);

#define TILE_OF(R, V)                                                                              \
    static void tile_##R##_##V(const sums *t, const place *at)                                     \
    {                                                                                              \
        vec acc[ROWS][TILE];                                                                       \
        sum_up(R, V, t, acc);                                                                      \
        put(R, V, at, acc);                                                                        \
    }
#define TILES_OF(R) TILE_OF(R, 1) TILE_OF(R, 2) TILE_OF(R, 3) TILE_OF(R, 4)
TILES_OF(1)
TILES_OF(2)
TILES_OF(4)
TILES_OF(6)
TILE_OF(12, 1)
TILE_OF(12, 2)

/* Tiles by their rows, the tallest first, then by their vectors. */
static const struct {
    int rows;
    tile *of[TILE];
} tiles[] = {
    {12, {tile_12_1, tile_12_2, NULL, NULL}},      {6, {tile_6_1, tile_6_2, tile_6_3, tile_6_4}},
    {4, {tile_4_1, tile_4_2, tile_4_3, tile_4_4}}, {2, {tile_2_1, tile_2_2, tile_2_3, tile_2_4}},
    {1, {tile_1_1, tile_1_2, tile_1_3, tile_1_4}},
};

/* All m rows of a strip of c as wide as the panel of b. */
static void strip(int m, int vectors, sums t, place at)
{
    const ol_real *a = t.a;
    ol_real *c = at.c;
    int i = 0;

    for (size_t s = 0; s < sizeof tiles / sizeof *tiles; s++)
        for (; tiles[s].of[vectors - 1] && m - i >= tiles[s].rows; i += tiles[s].rows) {
            t.a = a + i * t.down;
            at.c = c + i * at.ld;
            tiles[s].of[vectors - 1](&t, &at);
        }
}

/* panel [k,LANES], rows ld apart: row p has element p of `cols` rows of x, then zeros. */
static void turn_rows(int k, int cols, ol_mat x, ol_real *panel, int ld)
{
    int p = 0;

    for (; p + LANES <= k; p += LANES) {
        vec square[LANES];

        for (int j = 0; j < LANES; j++)
            square[j] = j < cols ? load(x.at + (ptrdiff_t)j * x.ld + p) : (vec){0};
        turn(square);
        for (int i = 0; i < LANES; i++)
            store(panel + (ptrdiff_t)(p + i) * ld, square[i]);
    }
    for (; p < k; p++)
        for (int j = 0; j < LANES; j++)
            panel[(ptrdiff_t)p * ld + j] = j < cols ? x.at[(ptrdiff_t)j * x.ld + p] : 0;
}

/* The panel of b from term p and column j on: where it stands, or a copy. */
static ol_mat panel_of(const ol_direct_factors *f, int p, int k, int j, int cols, ol_real *copy)
{
    const int ld = (cols + LANES - 1) / LANES * LANES;
    const ol_real *b =
        f->b.at + (f->b_turned ? (ptrdiff_t)j * f->b.ld + p : (ptrdiff_t)p * f->b.ld + j);

    if (!f->b_turned && ld == cols)
        return (ol_mat){b, f->b.ld};
    for (int i = 0; f->b_turned && i < cols; i += LANES)
        turn_rows(k, cols - i < LANES ? cols - i : LANES,
                  (ol_mat){b + (ptrdiff_t)i * f->b.ld, f->b.ld}, copy + i, ld);
    for (int i = 0; !f->b_turned && i < k; i++) {
        memcpy(copy + (ptrdiff_t)i * ld, b + (ptrdiff_t)i * f->b.ld, (size_t)cols * sizeof *copy);
        memset(copy + (ptrdiff_t)i * ld + cols, 0, (size_t)(ld - cols) * sizeof *copy);
    }
    return (ol_mat){copy, ld};
}

static void multiply(const ol_direct_factors *f, int m, int n, int k, ol_real alpha, ol_real beta,
                     ol_mat_out c)
{
    const ptrdiff_t down = f->a_turned ? 1 : f->a.ld, across = f->a_turned ? f->a.ld : 1;
    ol_real copy[PANEL] __attribute__((aligned(VECTOR_BYTES)));

    for (int j = 0; j < n; j += WIDE)
        for (int p = 0; p < k; p += DEEP) {
            const int cols = n - j < WIDE ? n - j : WIDE, deep = k - p < DEEP ? k - p : DEEP;
            const ol_mat panel = panel_of(f, p, deep, j, cols, copy);

            strip(m, (cols + LANES - 1) / LANES,
                  (sums){deep, f->a.at + p * across, down, across, panel.at, panel.ld},
                  (place){alpha, p == 0 ? beta : 1, c.at + j, c.ld, cols});
        }
}

/* LANES rows of a turned b against at most as many of a: products as columns, turned into rows of c. */
static void flat_square(const sums *t, int m, const place *at)
{
    const ol_real *b = t->a, *panel = t->panel;
    vec acc[LANES];

#pragma GCC unroll 16
    for (int r = 0; r < LANES; r++)
        acc[r] = (vec){0};
    for (int p = 0; p < t->k; p++, b++, panel += t->ld) {
        const vec x = load(panel);

#pragma GCC unroll 16
        for (int r = 0; r < LANES; r++)
            acc[r] += b[r * t->down] * x;
    }
    turn(acc);
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) {
        ol_real *to = at->c + i * at->ld;

        if (i < m)
            store(to, put_vector(at, acc[i], to));
    }
}

/* A few rows of a against a turned b of many: b is read once, where it stands. Whole squares of it. */
static void multiply_flat(const ol_direct_factors *f, int m, int n, int k, ol_real alpha,
                          ol_real beta, ol_mat_out c)
{
    const int ld = (m + LANES - 1) / LANES * LANES, most = PANEL / ld;
    ol_real panel[PANEL] __attribute__((aligned(VECTOR_BYTES)));

    for (int p = 0; p < k; p += most) {
        const int deep = k - p < most ? k - p : most;

        for (int i = 0; i < m; i += LANES)
            turn_rows(deep, m - i < LANES ? m - i : LANES,
                      (ol_mat){f->a.at + (ptrdiff_t)i * f->a.ld + p, f->a.ld}, panel + i, ld);
        for (int j = 0; j < n; j += LANES)
            for (int i = 0; i < m; i += LANES)
                flat_square(&(sums){.k = deep,
                                    .a = f->b.at + (ptrdiff_t)j * f->b.ld + p,
                                    .down = f->b.ld,
                                    .panel = panel + i,
                                    .ld = ld},
                            m - i < LANES ? m - i : LANES,
                            &(place){.alpha = alpha,
                                     .beta = p == 0 ? beta : 1,
                                     .c = c.at + (ptrdiff_t)i * c.ld + j,
                                     .ld = c.ld});
    }
}

void ol_direct_multiply(const ol_direct_factors *f, int m, int n, int k, ol_real alpha,
                        ol_real beta, ol_mat_out c)
{
    const int squares = !f->a_turned && f->b_turned && m <= FLAT ? n - n % LANES : 0;
    ol_direct_factors rest = *f;

    if (squares > 0)
        multiply_flat(f, m, squares, k, alpha, beta, c);
    rest.b.at += (ptrdiff_t)squares * f->b.ld;
    if (n > squares)
        multiply(&rest, m, n - squares, k, alpha, beta, (ol_mat_out){c.at + squares, c.ld});
}

/* Measured beside OpenBLAS 0.3.21, in memory of huge pages: its copies pay where a is read once more for
 * every panel of b and stands too far away for that, or crosswise; and up to a million multiplications
 * and additions it has kernels without copies, as fast for factors that stand as vectors. Only small
 * products are not worth several threads. */
static const double FEW_TERMS = 1e6, SMALL = 4e6, NEAR = 2e6;
enum { TALL = 512 /* columns further apart fall on each other in the cache */ };

bool ol_direct_gains(const ol_direct_factors *f, int threads, int m, int n, int k)
{
    const double terms = (double)m * n * k;
    const bool vectors = f->b_turned || (n >= WIDE && terms > FEW_TERMS);

    if (m < 1 || n < 1 || k < LANES || !vectors || (threads > 1 && terms > SMALL))
        return false;
    return f->a_turned ? m <= TALL : m <= FLAT || (double)m * k <= NEAR;
}

#else

bool ol_direct_gains(const ol_direct_factors *f, int threads, int m, int n, int k)
{
    (void)f, (void)threads, (void)m, (void)n, (void)k;
    return false;
}

void ol_direct_multiply(const ol_direct_factors *f, int m, int n, int k, ol_real alpha,
                        ol_real beta, ol_mat_out c)
{
    (void)f, (void)m, (void)n, (void)k, (void)alpha, (void)beta, (void)c;
    abort();
}

#endif
