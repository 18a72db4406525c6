/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/rate.h"

#include <math.h>

#include "outerloop/base/arena.h"  /* ol_arena */
#include "outerloop/base/clock.h"  /* ol_clock_seconds */
#include "outerloop/kernel/gemm.h" /* ol_gemm_nn */

enum { SQUARE = 768 };

ol_status ol_gemm_rate(int reps, double *gflops)
{
    const size_t n = SQUARE;
    ol_arena arena;
    double best = INFINITY;

    OL_TRY(ol_arena_init(&arena, "test product", 3 * n * n * sizeof(ol_real)));
    ol_real *a = ol_arena_reals(&arena, 3 * n * n);

    for (size_t i = 0; i < 3 * n * n; i++)
        a[i] = (ol_real)(i % 7) - 3;
    for (int r = 0; r < reps; r++) {
        const double begin = ol_clock_seconds();

        ol_gemm_nn(SQUARE, SQUARE, SQUARE, 1, (ol_mat){a, SQUARE}, (ol_mat){a + n * n, SQUARE}, 0,
                   (ol_mat_out){a + 2 * n * n, SQUARE});
        best = fmin(best, ol_clock_seconds() - begin);
    }
    ol_arena_finish(&arena);
    *gflops = 2e-9 * (double)n * (double)n * (double)n / best;
    return OL_OK;
}
