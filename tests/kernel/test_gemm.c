/* SPDX-License-Identifier: BSD-3-Clause */
/* Products against plain sums in double, in sizes around those of tiles, vectors and pieces of sums;
 * factors stand in wider matrices of NaN, which nothing may read, and c in one that nothing may write. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "outerloop/base/rng.h"
#include "outerloop/kernel/gemm.h"

enum { PAD = 3 };

typedef struct matrix {
    int rows, cols, ld;
    ol_real *at;
} matrix;

/* With a row of NaN before and after it. */
static matrix make(ol_rng *rng, int rows, int cols)
{
    const size_t ld = (size_t)cols + PAD, n = ((size_t)rows + 2) * ld;
    matrix m = {rows, cols, (int)ld, malloc(n * sizeof *m.at)};

    assert_non_null(m.at);
    for (size_t i = 0; i < n; i++)
        m.at[i] = i / ld >= 1 && i / ld <= (size_t)rows && i % ld < (size_t)cols
                      ? (ol_real)ol_rng_normal(rng)
                      : (ol_real)NAN;
    m.at += ld;
    return m;
}

static void drop(matrix *m)
{
    free(m->at - m->ld);
}

static double at(const matrix *m, bool turned, int i, int j)
{
    return (double)m->at[turned ? (ptrdiff_t)j * m->ld + i : (ptrdiff_t)i * m->ld + j];
}

static void check(int m, int n, int k, bool ta, bool tb, ol_real alpha, ol_real beta)
{
    static const double unit = sizeof(ol_real) == 4 ? 6e-8 : 1.2e-16;
    ol_rng rng = ol_rng_stream(9, OL_RNG_TEST, (uint32_t)(m + n), (uint32_t)k);
    matrix a = ta ? make(&rng, k, m) : make(&rng, m, k);
    matrix b = tb ? make(&rng, n, k) : make(&rng, k, n);
    matrix c = make(&rng, m, n), before = make(&rng, m, n);
    const ol_mat x = {a.at, a.ld}, y = {b.at, b.ld};
    const ol_mat_out z = {c.at, c.ld};

    if (beta == 0)
        for (int i = 0; i < m; i++)
            c.at[(ptrdiff_t)i * c.ld + n - 1] = (ol_real)NAN; /* need not be initialised */
    memcpy(before.at - c.ld, c.at - c.ld, ((size_t)m + 2) * (size_t)c.ld * sizeof *c.at);
    (ta ? ol_gemm_tn : tb ? ol_gemm_nt : ol_gemm_nn)(m, n, k, alpha, x, y, beta, z);
    for (int i = -1; i <= m; i++)
        for (int j = 0; j < c.ld; j++) {
            const double was = at(&before, false, i, j), is = at(&c, false, i, j);
            double sum = beta == 0 ? 0 : (double)beta * was, size = fabs(sum);

            if (i < 0 || i == m || j >= n) {
                assert_true(isnan(is));
                continue;
            }
            for (int p = 0; p < k; p++) {
                const double term = (double)alpha * at(&a, ta, i, p) * at(&b, tb, p, j);

                sum += term;
                size += fabs(term);
            }
            /* A sum of k terms errs by k units of their sizes at most; by their root as a rule. */
            if (!(fabs(is - sum) <= (4 + sqrt(k)) * unit * size))
                fail_msg("%d %d %d, %d%d, β %g: [%d,%d] is %.9g, not %.9g", m, n, k, ta, tb,
                         (double)beta, i, j, is, sum);
        }
    drop(&a);
    drop(&b);
    drop(&c);
    drop(&before);
}

static void sizes_around_tiles(void **state)
{
    static const int sizes[][3] = {
        {1, 1, 1},     {2, 3, 5},     {8, 8, 16},    {12, 16, 4},   {13, 17, 33},
        {64, 65, 16},  {16, 77, 64},  {31, 130, 70}, {33, 15, 31},  {7, 64, 300},
        {70, 48, 257}, {5, 300, 600}, {9, 31, 8},    {32, 32, 513}, {18, 47, 80},
        {3, 700, 640}, {40, 129, 12}, {600, 20, 64}, {0, 64, 64},   {64, 0, 64},
    };
    static const ol_real betas[] = {0, 1, (ol_real)0.5};

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int turned = 0; turned < 3; turned++)
            for (size_t i = 0; i < sizeof betas / sizeof *betas; i++)
                check(sizes[s][0], sizes[s][1], sizes[s][2], turned == 2, turned == 1,
                      (ol_real)(i ? 1 : -0.25), betas[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes_around_tiles)};

    ol_gemm_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
