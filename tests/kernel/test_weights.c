/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of matrices, weights as bfloat16, and every operator that takes them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "near.h"
#include "operators.h"
#include "outerloop/base/rng.h"
#include "outerloop/kernel/embedding.h"
#include "outerloop/kernel/gemm.h"
#include "outerloop/kernel/linear.h"
#include "outerloop/kernel/weight.h"

/* c = α op(a) op(b) + β c, element by element. */
static void product_ref(int ta, int tb, int m, int n, int k, double alpha, ol_mat a, ol_mat b,
                        double beta, const ol_real *c, int ldc, double *out)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;

            for (int l = 0; l < k; l++)
                sum += (double)a.at[ta ? l * a.ld + i : i * a.ld + l] *
                       (double)b.at[tb ? j * b.ld + l : l * b.ld + j];
            out[i * ldc + j] = alpha * sum + (beta != 0 ? beta * (double)c[i * ldc + j] : 0);
        }
}

static void test_gemm(void **state)
{
    enum { m = 7, n = 9, k = 11, ld = 13 };
    void (*const products[])(int, int, int, ol_real, ol_mat, ol_mat, ol_real,
                             ol_mat_out) = {ol_gemm_nn, ol_gemm_nt, ol_gemm_tn};

    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        const int f = kind % 3, beta = kind / 3 * 2;
        const double before = ol_gemm_flops();
        pool p = {0};
        const ol_mat a = {pool_random(&p, ld * ld, 1), ld}, b = {pool_random(&p, ld * ld, 2), ld};
        ol_real *c = pool_random(&p, ld * ld, 3);
        double expected[ld * ld];

        for (int i = 0; i < ld * ld; i++)
            expected[i] = (double)c[i];
        product_ref(f == 2, f == 1, m, n, k, 0.5, a, b, beta, c, ld, expected);
        if (beta == 0) /* what stands in c must not matter then */
            c[0] = (ol_real)NAN;
        products[f](m, n, k, (ol_real)0.5, a, b, (ol_real)beta, (ol_mat_out){c, ld});
        near("product", ld * ld, expected, c);
        assert_true(ol_gemm_flops() - before == 2.0 * m * n * k);
        assert_true(pool_finish(&p));
    }
}

/* bfloat16: a sign, 8 bits of exponent, 7 of fraction */

enum { SIGN = 0x8000, INFINITE = 0x7f80, BFLOATS = 0x10000 };

static double bf16_ref(uint16_t bits)
{
    const int exponent = bits >> 7 & 0xff, fraction = bits & 0x7f;
    const double sign = bits & SIGN ? -1 : 1;

    if (exponent == 0xff)
        return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(128 + fraction, exponent - 134) : ldexp(fraction, -133));
}

static uint16_t narrow(ol_real x)
{
    uint16_t bits;

    ol_bf16_from_reals(1, &x, &bits);
    return bits;
}

/* Every one of them is widened exactly, and is itself when rounded. */
static void test_bf16_exact(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < BFLOATS; i++) {
        const uint16_t bits = (uint16_t)i;
        const double expected = bf16_ref(bits);
        ol_real wide;

        ol_bf16_to_reals(1, &bits, &wide);
        if (isnan(expected)) {
            assert_true(isnan(wide));
            assert_true(isnan(bf16_ref(narrow(wide))));
        } else {
            assert_true((double)wide == expected && !signbit(wide) == !(bits & SIGN));
            assert_int_equal(narrow(wide), bits);
        }
    }
}

/* Between one bfloat16 and the next: up to the middle the lower one, from it on the upper one; in
 * the middle the one whose last bit is 0. The last finite one is followed by what would come next
 * with a larger exponent, and is infinite from the middle on. */
static void test_bf16_nearest(void **state)
{
    (void)state;
    for (uint16_t low = 0; low < INFINITE; low++) {
        const uint16_t high = (uint16_t)(low + 1), even = low & 1 ? high : low;
        const double from = bf16_ref(low);
        const double middle =
            from + (low < INFINITE - 1 ? bf16_ref(high) - from : ldexp(1, 120)) / 2;
        const ol_real tie = (ol_real)middle, above = (ol_real)INFINITY;
        const ol_real less = sizeof tie == 4 ? (ol_real)nextafterf((float)tie, 0)
                                             : (ol_real)nextafter((double)tie, 0);
        const ol_real more = sizeof tie == 4 ? (ol_real)nextafterf((float)tie, (float)above)
                                             : (ol_real)nextafter((double)tie, (double)above);

        assert_int_equal(narrow(tie), even);
        assert_int_equal(narrow(-tie), even | SIGN);
        assert_int_equal(narrow(less), low);
        assert_int_equal(narrow(-less), low | SIGN);
        assert_int_equal(narrow(more), high);
        assert_int_equal(narrow(-more), high | SIGN);
    }
}

static void test_bf16_special(void **state)
{
    const ol_real largest = sizeof(ol_real) == 4 ? (ol_real)FLT_MAX : (ol_real)DBL_MAX;
    uint32_t bits = 0x7f800001; /* a NaN that is all in the half that is cut off */
    float hidden;
    ol_real all; /* a NaN of nothing but ones, to which nothing can be added */

    (void)state;
    memcpy(&hidden, &bits, sizeof hidden);
    poison(1, &all);
    assert_true(isnan(bf16_ref(narrow(all))));
    assert_true(isnan(bf16_ref(narrow((ol_real)NAN))));
    assert_true(isnan(bf16_ref(narrow((ol_real)hidden))));
    assert_int_equal(narrow((ol_real)INFINITY), INFINITE);
    assert_int_equal(narrow(-(ol_real)INFINITY), INFINITE | SIGN);
    assert_int_equal(narrow(largest), INFINITE);
    assert_int_equal(narrow(-largest), INFINITE | SIGN);
    assert_int_equal(narrow(0), 0);
    assert_int_equal(narrow(-(ol_real)0.0), SIGN);
}

/* Reals become what bfloat16 makes of them, which is returned. */
static uint16_t *round_weights(size_t n, ol_real *x)
{
    uint16_t *bits = malloc(n * sizeof *bits);

    assert_non_null(bits);
    ol_bf16_from_reals(n, x, bits);
    ol_bf16_to_reals(n, bits, x);
    return bits;
}

/* The same values as reals and as bfloat16. */
typedef struct pair {
    ol_weight wide, narrow;
} pair;

static pair pair_of(pool *p, int rows, int cols, int ld)
{
    const size_t n = (size_t)rows * (size_t)ld;
    ol_weight w = {.at = {pool_random(p, n, 1), NULL}, .rows = rows, .cols = cols, .ld = ld};
    pair both = {w, w};

    both.narrow.bf16 = round_weights(n, w.at.v);
    both.narrow.at.v = NULL;
    return both;
}

typedef void weight_product(int n, ol_real alpha, ol_mat x, const ol_weight *w, ol_real beta,
                            ol_mat_out y, ol_real *scratch);

/* A product with panels against the one with the matrix, rows of x and y wider than they need be.
 * A sum of `terms` products of size 1 in another order rounds otherwise by about √terms ε. */
static void product_case(weight_product *product, const pair *both, int width, int terms, int beta)
{
    enum { n = 3 };
    const int cols = both->wide.cols, ldx = terms + 2, ldy = width + 5;
    const size_t reals = (size_t)(n * ldy);
    pool p = {0};
    const ol_mat x = {pool_random(&p, (size_t)(n * ldx), 2), ldx};
    ol_real *y = pool_random(&p, reals, 3), *expected = pool_copy(&p, reals, y);
    ol_real *scratch = pool_take(&p, ol_weight_scratch(cols));

    if (beta == 0) /* what stands in y must not matter then */
        y[0] = (ol_real)NAN;
    product(n, (ol_real)0.5, x, &both->wide, (ol_real)beta, (ol_mat_out){expected, ldy}, scratch);
    product(n, (ol_real)0.5, x, &both->narrow, (ol_real)beta, (ol_mat_out){y, ldy}, scratch);
    for (size_t i = 0; i < reals; i++)
        if (!(fabs((double)(y[i] - expected[i])) <= 20 * sqrt(terms) * EPSILON))
            fail_msg("%d x %d, beta %d: element %zu is %g, not %g", both->wide.rows, cols, beta, i,
                     (double)y[i], (double)expected[i]);
    assert_true(pool_finish(&p));
}

/* Panels have 2^16 reals, and 8 rows at least: here are one, three with a cut one at the end, the
 * same of the least rows, exactly two, and one with a row more. */
static void test_weight_products(void **state)
{
    static const int sizes[][3] = {{7, 5, 5},        {7, 5, 9},        {200, 700, 700},
                                   {19, 9000, 9100}, {16, 8192, 8192}, {17, 4096, 4096}};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int rows = sizes[i][0], cols = sizes[i][1];
        pool p = {0};
        const pair both = pair_of(&p, rows, cols, sizes[i][2]);

        for (int beta = 0; beta < 3; beta++) {
            product_case(ol_weight_nt, &both, rows, cols, beta);
            product_case(ol_weight_nn, &both, cols, rows, beta);
        }
        free((void *)both.narrow.bf16);
        assert_true(pool_finish(&p));
    }
}

static void test_weight_row(void **state)
{
    pool p = {0};
    const pair both = pair_of(&p, 4, 5, 7);
    ol_real *scratch = pool_take(&p, 5);

    (void)state;
    for (int i = 0; i < 4; i++) {
        const ol_real *wide = ol_weight_row(&both.wide, i, scratch);

        assert_ptr_equal(wide, both.wide.at.v + i * 7);
        assert_memory_equal(ol_weight_row(&both.narrow, i, scratch), wide, 5 * sizeof *wide);
    }
    free((void *)both.narrow.bf16);
    assert_true(pool_finish(&p));
}

/* Operators with frozen weights */

static const int START[] = {0, 3};
static const int POSITION[] = {0, 1, 2};
static const int32_t TOKEN[] = {6, 0, 3};
static const ol_rows ROWS = {
    .B = 1, .start = START, .position = POSITION, .token = TOKEN, .longest = 3};

#define FROZEN(i, o, r, c, l)                                                                      \
    .spec = {.in = (i), .out = (o)}, .rows = &ROWS, .n = 3,                                        \
    .w = {{.rows = (r), .cols = (c), .ld = (l)}}

static const shape frozen[] = {
    {"linear", &ol_linear, FROZEN(9000, 19, 19, 9000, 9000)},
    {"linear of columns", &ol_linear, FROZEN(4, 5, 5, 4, 7)},
    {"conv1d", &ol_conv1d, FROZEN(19, 9000, 19, 9000, 9000)},
    {"conv1d of columns", &ol_conv1d, FROZEN(4, 5, 4, 5, 7)},
    {"embedding", &ol_embedding, FROZEN(0, 5, 7, 5, 6)},
    {"positions", &ol_positions, FROZEN(0, 5, 7, 5, 6)},
    {"cross-entropy", &cross_entropy, FROZEN(9000, 1, 19, 9000, 9000)},
    {"cross-entropy of columns", &cross_entropy, FROZEN(4, 1, 19, 4, 6)},
};

/* All passes; all that comes out of them stands in c. */
static void walk(const shape *s, ol_call *c, const ol_weight *w)
{
    c->w[0] = *w;
    c->w_bar[0] = (ol_dual){NULL, NULL};
    s->op->forward(OL_PRIMAL | OL_TANGENT, c);
    s->op->backward(OL_PRIMAL | OL_TANGENT, c);
}

static void near_call(const shape *s, const char *what, size_t n, const ol_real *wide,
                      const ol_real *got)
{
    double *expected = malloc((n + 1) * sizeof *expected);
    char name[64];

    assert_non_null(expected);
    for (size_t i = 0; i < n; i++)
        expected[i] = (double)wide[i];
    snprintf(name, sizeof name, "%s: %s", s->name, what);
    near(name, n, expected, got);
    free(expected);
}

static void test_operators_bf16(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof frozen / sizeof *frozen; k++) {
        const shape *s = &frozen[k];
        const size_t in = s->op->inputs > 0 ? shape_input(s, 0) : 0;
        const size_t out = (size_t)(s->n * s->spec.out);
        pool p = {0};
        const pair both = pair_of(&p, s->w[0].rows, s->w[0].cols, s->w[0].ld);
        ol_call a = shape_call(s, &p), b = shape_call(s, &p);

        walk(s, &a, &both.wide);
        walk(s, &b, &both.narrow);
        near_call(s, "y", out, a.y.v, b.y.v);
        near_call(s, "R{y}", out, a.y.dot, b.y.dot);
        near_call(s, "x_bar", in, a.x_bar[0].v, b.x_bar[0].v);
        near_call(s, "R{x_bar}", in, a.x_bar[0].dot, b.x_bar[0].dot);
        free((void *)both.narrow.bf16);
        assert_true(pool_finish(&p));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm),           cmocka_unit_test(test_bf16_exact),
        cmocka_unit_test(test_bf16_nearest),   cmocka_unit_test(test_bf16_special),
        cmocka_unit_test(test_weight_row),     cmocka_unit_test(test_weight_products),
        cmocka_unit_test(test_operators_bf16),
    };

    return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
