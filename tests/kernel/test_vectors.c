/* SPDX-License-Identifier: BSD-3-Clause */
/* Vectors: their sums, and exp. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "near.h"
#include "outerloop/kernel/vector.h"
#include "outerloop/kernel/vmath.h"
#include "pool.h"

/* An element's exp does not depend on where it stands: prompts alone and in company agree. */
static void test_vmath(void **state)
{
    enum { n = 101 };
    pool p = {0};
    ol_real *x = pool_random(&p, n, 1), all[n], one;
    double exps[n];

    (void)state;
    for (int i = 0; i < n; i++)
        exps[i] = exp((double)x[i]);
    ol_vmath_exp(n, x, all);
    near("exp", n, exps, all);
    for (size_t i = 0; i < n; i++) {
        ol_vmath_exp(1, x + i, &one);
        assert_memory_equal(&one, all + i, sizeof one);
    }
    ol_vmath_exp(n, x, x); /* in place */
    assert_memory_equal(x, all, n * sizeof one);
    one = -(ol_real)INFINITY;
    ol_vmath_exp(1, &one, &one);
    assert_true(one == 0);
    assert_true(pool_finish(&p));
}

static void test_vector(void **state)
{
    enum { n = 1000 };
    pool p = {0};
    ol_real *x = pool_random(&p, n, 1), *y = pool_random(&p, n, 2), *z = pool_copy(&p, n, y);
    double dot = 0, norm = 0, distance = 0;

    (void)state;
    for (int i = 0; i < n; i++) {
        dot += (double)x[i] * (double)y[i];
        norm += (double)x[i] * (double)x[i];
        distance += pow((double)x[i] - (double)y[i], 2);
    }
    assert_true(fabs(ol_vector_dot(n, x, y) - dot) <= 1e-11);
    assert_true(fabs(ol_vector_norm(n, x) - sqrt(norm)) <= 1e-11);
    assert_true(fabs(ol_vector_distance(n, x, y) - sqrt(distance)) <= 1e-11);
    ol_vector_axpy(n, 2, x, y);
    ol_vector_scale(n, (ol_real)0.5, y);
    for (int i = 0; i < n; i++)
        assert_true(fabs((double)y[i] - 0.5 * ((double)z[i] + 2 * (double)x[i])) <=
                    4 * EPSILON * (1 + fabs((double)y[i])));
    assert_true(ol_vector_finite(n, x));
    x[n - 1] = (ol_real)INFINITY;
    assert_false(ol_vector_finite(n, x));
    x[n - 1] = (ol_real)NAN;
    assert_false(ol_vector_finite(n, x));
    ol_vector_zero(n, x);
    assert_true(ol_vector_norm(n, x) == 0);
    assert_true(pool_finish(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vmath),
        cmocka_unit_test(test_vector),
    };

    return cmocka_run_group_tests_name("vectors", tests, NULL, NULL);
}
