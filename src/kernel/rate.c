/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/rate.h"

#include <math.h>

#include "outerloop/base/arena.h"  /* ol_arena */
#include "outerloop/base/clock.h"  /* ol_clock_seconds */
#include "outerloop/kernel/gemm.h" /* ol_gemm_nn */

enum { SQUARE = 768, SMALL = 384 };

/* c = a b, squares of n one after the other. */
static void multiply(int n, ol_real *a)
{
    const size_t size = (size_t)n * (size_t)n;

    ol_gemm_nn(n, n, n, 1, (ol_mat){a, n}, (ol_mat){a + size, n}, 0, (ol_mat_out){a + 2 * size, n});
}

/* Room for three squares of n, with the numbers that are multiplied. */
static ol_status squares(int n, ol_arena *arena, ol_real **a)
{
    const size_t reals = 3 * (size_t)n * (size_t)n;

    OL_TRY(ol_arena_init(arena, "test product", reals * sizeof(ol_real)));
    *a = ol_arena_reals(arena, reals);
    for (size_t i = 0; i < reals; i++)
        (*a)[i] = (ol_real)(i % 7) - 3;
    return OL_OK;
}

static double giga_flop(int n)
{
    return 2e-9 * (double)n * (double)n * (double)n;
}

ol_status ol_gemm_rate(int reps, double *gflops)
{
    ol_arena arena;
    ol_real *a;
    double best = INFINITY;

    OL_TRY(squares(SQUARE, &arena, &a));
    for (int r = 0; r < reps; r++) {
        const double begin = ol_clock_seconds();

        multiply(SQUARE, a);
        best = fmin(best, ol_clock_seconds() - begin);
    }
    ol_arena_finish(&arena);
    *gflops = giga_flop(SQUARE) / best;
    return OL_OK;
}

ol_status ol_gemm_pace(double seconds, double *gflops)
{
    ol_arena arena;
    ol_real *a;
    double begin, passed;
    int products = 0;

    OL_TRY(squares(SMALL, &arena, &a));
    multiply(SMALL, a); /* the first one touches memory */
    begin = ol_clock_seconds();
    do {
        multiply(SMALL, a);
        products++;
        passed = ol_clock_seconds() - begin;
    } while (passed < seconds);
    ol_arena_finish(&arena);
    *gflops = products * giga_flop(SMALL) / passed;
    return OL_OK;
}
