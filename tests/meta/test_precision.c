/* SPDX-License-Identifier: BSD-3-Clause */
/* The product's precision against the tests': the same sources, compiled twice, agree. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "delta.h"

size_t delta_of_f64(int steps, double **delta);

/* A Hessian-vector product of this model has a condition of some tens; 2e-4 is 2000 times f32's ε,
 * and a hundredth of what the second-order part contributes. */
static void test_single_near_double(void **state)
{
    (void)state;
    for (int steps = 1; steps <= 3; steps++) {
        double *single, *exact, difference = 0, size = 0;
        const size_t P = delta_of(steps, &single);

        assert_int_equal(delta_of_f64(steps, &exact), P);
        assert_true(single && exact);
        for (size_t i = 0; i < P; i++) {
            difference += (single[i] - exact[i]) * (single[i] - exact[i]);
            size += exact[i] * exact[i];
        }
        if (!(sqrt(difference / size) <= 2e-4))
            fail_msg("K=%d: f32 is off by %.3g", steps, sqrt(difference / size));
        assert_true(difference > 0); /* else both are the same build */
        free(single);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_single_near_double)};

    return cmocka_run_group_tests_name("both precisions", tests, NULL, NULL);
}
