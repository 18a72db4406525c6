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
#include "outerloop/optim/adam.h" /* OL_INNER_EPS_ROOT */

size_t delta_start_f64(const delta_case *c, float **start);
size_t delta_of_f64(const delta_case *c, const float *start, double **delta);

/* ‖Δ32-Δ64‖/‖Δ64‖ of the same episode from the same floats. */
static double single_error(const delta_case *c)
{
    double *single, *exact, difference = 0, size = 0;
    float *start;
    const size_t P = delta_start_f64(c, &start);

    assert_non_null(start);
    assert_int_equal(delta_of(c, start, &single), P);
    assert_int_equal(delta_of_f64(c, start, &exact), P);
    assert_true(single && exact);
    for (size_t i = 0; i < P; i++) {
        difference += (single[i] - exact[i]) * (single[i] - exact[i]);
        size += exact[i] * exact[i];
    }
    assert_true(difference > 0); /* else both are the same build */
    free(single);
    free(exact);
    free(start);
    return sqrt(difference / size);
}

/* The first step of a run, its second, and a later one, at the settings that a job has when it says
 * nothing: the meta-gradient is good to three digits however moments are shared. */
static void test_defaults(void **state)
{
    static const int before[] = {0, 1, 20};

    (void)state;
    for (int i = 0; i < 3 * 4 * 3 * 3; i++) {
        const delta_case c = {.before = before[i % 3],
                              .moments = i / 3 % 4,
                              .steps = 1 + i / 12 % 3,
                              .seed = 1 + (uint32_t)i / 36,
                              .lr = 1e-3,
                              .eps_root = OL_INNER_EPS_ROOT};
        const double error = single_error(&c);

        if (!(error < 1e-3))
            fail_msg("seed %u, K=%d, moments %d, after %d steps: f32 is off by %.3g", c.seed,
                     c.steps, c.moments, c.before, error);
    }
}

/* Without eps_root the same episodes do lose their digits: what the default is for. */
static void test_without_eps_root(void **state)
{
    double worst = 0;

    (void)state;
    for (uint32_t seed = 1; seed <= 3; seed++)
        worst = fmax(worst, single_error(&(delta_case){.seed = seed, .steps = 2, .lr = 1e-3}));
    assert_true(worst > 1e-3);
}

/* From moments that are well above 0, ε and ρ do not matter: 2e-5 is some hundred times f32's ε. */
static void test_late(void **state)
{
    (void)state;
    for (int steps = 1; steps <= 3; steps++)
        for (int moments = 1; moments < 4; moments++)
            assert_true(
                single_error(&(delta_case){
                    .seed = 1, .moments = moments, .steps = steps, .before = 20, .lr = 1e-3}) <=
                2e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_without_eps_root),
        cmocka_unit_test(test_late),
    };

    return cmocka_run_group_tests_name("both precisions", tests, NULL, NULL);
}
