/* SPDX-License-Identifier: BSD-3-Clause */
/* Products in bfloat16 against sums in double over factors rounded as ol_bf16_from_reals rounds them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "outerloop/base/rng.h"
#include "outerloop/kernel/products.h"
#include "outerloop/kernel/weight.h"

enum { PAD = 5 }; /* between rows, so that a wrong distance shows */

typedef struct matrix {
    int rows, cols, ld;
    float *at;
} matrix;

static matrix make(ol_rng *rng, int rows, int cols)
{
    matrix m = {rows, cols, cols + PAD, NULL};
    const size_t n = (size_t)rows * (size_t)m.ld;

    m.at = malloc(n * sizeof *m.at);
    assert_non_null(m.at);
    for (size_t i = 0; i < n; i++)
        m.at[i] = (float)ol_rng_normal(rng);
    return m;
}

/* A factor as its product takes it: times `scale`, then rounded. */
static matrix rounded(const matrix *m, float scale)
{
    const size_t n = (size_t)m->rows * (size_t)m->ld;
    matrix r = {m->rows, m->cols, m->ld, malloc(n * sizeof *r.at)};
    uint16_t *halves = malloc(n * sizeof *halves);

    assert_true(r.at && halves);
    for (size_t i = 0; i < n; i++)
        r.at[i] = scale * m->at[i];
    ol_bf16_from_reals(n, r.at, halves);
    ol_bf16_to_reals(n, halves, r.at);
    free(halves);
    return r;
}

static double at(const matrix *m, bool turned, int i, int j)
{
    return (double)m->at[turned ? (size_t)j * (size_t)m->ld + (size_t)i
                                : (size_t)i * (size_t)m->ld + (size_t)j];
}

/* Largest difference to (2) of products.h, over the root of k; c is overwritten. */
static double error_of(int m, int n, int k, bool ta, bool tb, float alpha, float beta)
{
    ol_rng rng = ol_rng_stream(7, OL_RNG_TEST, (uint32_t)(m + n), (uint32_t)k);
    matrix a = ta ? make(&rng, k, m) : make(&rng, m, k);
    matrix b = tb ? make(&rng, n, k) : make(&rng, k, n);
    matrix c = make(&rng, m, n), before = make(&rng, m, n);
    matrix ra = rounded(&a, alpha), rb = rounded(&b, 1);
    double worst = 0;

    memcpy(before.at, c.at, (size_t)m * (size_t)c.ld * sizeof *c.at);
    assert_true(ol_products_multiply(
        m, n, k, alpha, (ol_factor){.reals = a.at, .ld = a.ld, .turned = ta},
        (ol_factor){.reals = b.at, .ld = b.ld, .turned = tb}, beta, c.at, c.ld));
    for (int i = 0; i < m; i++)
        for (int j = 0; j < c.ld; j++) {
            const size_t place = (size_t)i * (size_t)c.ld + (size_t)j;
            double sum = (double)beta * (double)before.at[place];

            if (j >= n) {
                assert_true(c.at[place] == before.at[place]); /* what is between rows stays */
                continue;
            }
            for (int l = 0; l < k; l++)
                sum += at(&ra, ta, i, l) * at(&rb, tb, l, j);
            worst = fmax(worst, fabs(sum - (double)c.at[place]));
        }
    free(a.at);
    free(b.at);
    free(ra.at);
    free(rb.at);
    free(c.at);
    free(before.at);
    return worst / sqrt((double)k);
}

static void test_products(void **state)
{
    static const int shapes[][3] = {
        {128, 128, 128}, {129, 131, 130}, {200, 96, 577}, {64, 640, 64}};

    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int turned = 0; turned < 4; turned++) {
            const int m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];

            assert_true(error_of(m, n, k, turned & 1, turned & 2, 1, 0) < 1e-5);
            assert_true(error_of(m, n, k, turned & 1, turned & 2, 0.3f, 1) < 1e-5);
            assert_true(error_of(m, n, k, turned & 1, turned & 2, 1, -0.5f) < 1e-5);
        }
}

/* With β = 0 nothing of c is read. */
static void test_nan_before(void **state)
{
    enum { N = 128 };
    static float a[N * N], c[N * N];

    (void)state;
    for (int i = 0; i < N * N; i++) {
        a[i] = (float)(i % 5) - 2;
        c[i] = NAN;
    }
    assert_true(ol_products_multiply(N, N, N, 1, (ol_factor){.reals = a, .ld = N},
                                     (ol_factor){.reals = a, .ld = N}, 0, c, N));
    for (int i = 0; i < N * N; i++)
        assert_true(isfinite(c[i]));
    a[3] = NAN; /* it stays one */
    assert_true(ol_products_multiply(N, N, N, 1, (ol_factor){.reals = a, .ld = N},
                                     (ol_factor){.reals = a, .ld = N}, 0, c, N));
    assert_true(isnan(c[0]));
}

/* Stored weights are a factor as they are: the same bits as their reals rounded. */
static void test_stored(void **state)
{
    enum { M = 96, N = 160, K = 192 };
    ol_rng rng = ol_rng_stream(8, OL_RNG_TEST, 0, 0);
    matrix x = make(&rng, M, K), w = make(&rng, N, K), one = make(&rng, M, N),
           two = make(&rng, M, N);
    uint16_t *stored = malloc((size_t)N * (size_t)w.ld * sizeof *stored);

    (void)state;
    assert_non_null(stored);
    ol_bf16_from_reals((size_t)N * (size_t)w.ld, w.at, stored);
    assert_true(ol_products_multiply(M, N, K, 1, (ol_factor){.reals = x.at, .ld = x.ld},
                                     (ol_factor){.reals = w.at, .ld = w.ld, .turned = true}, 0,
                                     one.at, one.ld));
    assert_true(ol_products_multiply(M, N, K, 1, (ol_factor){.reals = x.at, .ld = x.ld},
                                     (ol_factor){.bf16 = stored, .ld = w.ld, .turned = true}, 0,
                                     two.at, two.ld));
    for (int i = 0; i < M; i++)
        assert_memory_equal(one.at + (size_t)i * (size_t)one.ld,
                            two.at + (size_t)i * (size_t)two.ld, N * sizeof *one.at);
    free(stored);
    free(x.at);
    free(w.at);
    free(one.at);
    free(two.at);
}

/* Small products stay as they are, and all do where nothing else is asked for. */
static void test_left_alone(void **state)
{
    float x[64] = {0};

    (void)state;
    assert_false(ol_products_multiply(8, 8, 8, 1, (ol_factor){.reals = x, .ld = 8},
                                      (ol_factor){.reals = x, .ld = 8}, 0, x, 8));
    assert_int_equal(ol_products_use(OL_PRODUCTS_F32), OL_OK);
    assert_int_equal(ol_products_used(), OL_PRODUCTS_F32);
    assert_string_equal(ol_products_describe(), "f32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_nan_before),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_left_alone),
    };

    if (ol_products_use(OL_PRODUCTS_BF16) != OL_OK) {
        print_message("1..0 # SKIP %s\n", ol_status_message());
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
