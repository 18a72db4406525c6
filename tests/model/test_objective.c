/* SPDX-License-Identifier: BSD-3-Clause */
/* The objective in f64, of every family and with any part trained: losses against plain loops,
 * gradient and Hessian-vector product against differences.
 *
 * Central differences of fourth order along standard normals u with step h = 1e-5. Truncation, where
 * it is seen (h = 1e-4), is at most 2.5e-5 of ‖g‖, of adapters that bend most, and falls as h⁴: 2.5e-9
 * are left. Rounding is 1.5 ε L/h = 1e-10 nats, against ‖g‖ of 0.1 and more. 1e-8 leaves room to both.
 * What only sums in another order agrees to 1e-12. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cases.h"
#include "dense.h"
#include "outerloop/kernel/vector.h"

enum { CONTEXT = 128, WORDS = 13 };

static const double STEP = 1e-5;

/* A difference of fourth order is Σ weights f(θ + places h u) / (12 h). */
static const double places[] = {1, -1, 2, -2}, weights[] = {8, -8, -1, 1};

/* Run a check in every case. */
static void each_case(void (*check)(const setting *))
{
    for (int i = 0; i < cases_count(); i++) {
        setting s = case_make(i, CONTEXT, tiny_batch(4, 2, 24, WORDS, 2));

        check(&s);
        case_finish(&s);
    }
}

/* θ + t u */
static ol_real *moved(const setting *s, double t, const ol_real *u)
{
    ol_real *x = tiny_reals(s->model->P);

    memcpy(x, s->theta, s->model->P * sizeof *x);
    ol_vector_axpy(s->model->P, t, u, x);
    return x;
}

static void check_losses(const setting *s)
{
    ol_arena ws =
        tiny_arena(ol_objective_bytes(s->model, ol_batch_extent(&s->batch), OL_LOSSES, false));
    double losses[8];

    ol_objective_losses(s->model, &s->batch, s->theta, &ws, losses);
    ol_arena_finish(&ws);
    for (int b = 0; b < s->batch.B; b++) {
        const int64_t at = s->batch.offsets[b];
        const double expected =
            dense_loss(s->model, s->scale, s->theta, (int)(s->batch.offsets[b + 1] - at),
                       s->batch.tokens + at, s->batch.loss_mask + at);

        if (!(fabs(losses[b] - expected) <= 1e-12 * expected))
            fail_msg("%s: prompt %d: %.17g, not %.17g", s->name, b, losses[b], expected);
    }
}

static void test_losses(void **state)
{
    (void)state;
    assert_int_equal(cases_count(), 200); /* none drops out unseen */
    each_case(check_losses);
}

static void check_gradient(const setting *s)
{
    double loss;
    ol_real *g = case_gradient(s, s->theta, OL_OF_TRAINED, NULL, &loss);

    assert_true(fabs(loss - case_loss(s, s->theta)) <= 1e-12 * loss);
    for (uint32_t direction = 0; direction < 3; direction++) {
        ol_real *u = tiny_normals(s->model->P, 10 + direction);
        const double along = ol_vector_dot(s->model->P, g, u);
        double difference = 0;

        for (int i = 0; i < 4; i++) {
            ol_real *x = moved(s, places[i] * STEP, u);

            difference += weights[i] * case_loss(s, x) / (12 * STEP);
            free(x);
        }
        /* along a normal u it has the size of ‖g‖ */
        if (!(fabs(along - difference) <= 1e-8 * ol_vector_norm(s->model->P, g)))
            fail_msg("%s: %.12g, by differences %.12g", s->name, along, difference);
        free(u);
    }
    free(g);
}

static void test_gradient(void **state)
{
    (void)state;
    each_case(check_gradient);
}

/* Of what the inner loop moves: those entries of the gradient, in every bit, and 0 elsewhere. */
static void check_adapted(const setting *s)
{
    ol_real *g = case_gradient(s, s->theta, OL_OF_TRAINED, NULL, NULL);
    ol_real *part = case_gradient(s, s->theta, OL_OF_ADAPTED, NULL, NULL);
    double moved_norm = 0;

    for (int i = 0; i < s->model->n_params; i++) {
        const ol_param *p = &s->model->params[i];

        if (p->adapts)
            moved_norm += ol_vector_norm(p->size, g + p->offset);
        else
            ol_vector_zero(p->size, g + p->offset);
    }
    assert_true(moved_norm > 0);
    same_bits(s, "gradient of what is adapted", s->model->P, part, g);
    free(g), free(part);
}

static void test_adapted(void **state)
{
    (void)state;
    each_case(check_adapted);
}

/* H u against differences of the gradient; u moves what the inner loop moves. */
static void check_product(const setting *s)
{
    const size_t P = s->model->P;
    ol_real *u = case_direction(s, 20), *hu = case_product(s, u, NULL, NULL);
    ol_real *expected = tiny_reals(P), *all = fixed_reals(P, tiny_normals(P, 20));
    ol_real *of_all = case_product(s, all, NULL, NULL);

    for (int i = 0; i < 4; i++) {
        ol_real *x = moved(s, places[i] * STEP, u);
        ol_real *g = case_gradient(s, x, OL_OF_TRAINED, NULL, NULL);

        ol_vector_axpy(P, weights[i] / (12 * STEP), g, expected);
        free(x), free(g);
    }
    near(s, "Hessian product against differences", P, hu, expected, 1e-8);
    same_bits(s, "Hessian product where u moves what is not adapted", P, of_all, hu);
    fixed_free(u), fixed_free(all);
    free(hu), free(expected), free(of_all);
}

static void test_product(void **state)
{
    (void)state;
    each_case(check_product);
}

/* <u, H v> = <v, H u>: sums of P terms of size ‖u‖‖Hv‖/P. And products add up. */
static void check_symmetry(const setting *s)
{
    const size_t P = s->model->P;
    ol_real *u = case_direction(s, 20), *v = case_direction(s, 21), *sum = tiny_reals(P);
    ol_real *hu = case_product(s, u, NULL, NULL), *hv = case_product(s, v, NULL, NULL);
    const double uhv = ol_vector_dot(P, u, hv), vhu = ol_vector_dot(P, v, hu);
    ol_real *h_sum;

    if (!(fabs(uhv - vhu) <= 1e-12 * ol_vector_norm(P, u) * ol_vector_norm(P, hv)))
        fail_msg("%s: <u,Hv> = %.17g, <v,Hu> = %.17g", s->name, uhv, vhu);
    memcpy(sum, u, P * sizeof *sum);
    ol_vector_axpy(P, 1, v, sum);
    h_sum = case_product(s, sum, NULL, NULL);
    hv = case_product(s, u, NULL, hv);
    near(s, "added Hessian products", P, hv, h_sum, 1e-12);
    fixed_free(u), fixed_free(v);
    free(sum), free(hu), free(hv), free(h_sum);
}

static void test_symmetry(void **state)
{
    (void)state;
    each_case(check_symmetry);
}

/* A NaN in θ shows in the loss: it is returned, not hidden. */
static void test_not_finite(void **state)
{
    (void)state;
    for (int i = 0; i < cases_count(); i++) {
        setting s = case_make(i, CONTEXT, tiny_batch(3, 5, 40, WORDS, 7));
        ol_real *theta = tiny_theta(s.model, 1), *g;
        double loss;

        theta[0] = NAN; /* of the first tensor: an embedding's first word, or a matrix' corner */
        s.batch.tokens[0] = 0;
        g = case_gradient(&s, theta, OL_OF_TRAINED, NULL, &loss);
        if (!isnan(loss) || !isnan(case_loss(&s, theta)))
            fail_msg("%s: %g", s.name, loss);
        free(theta), free(g);
        case_finish(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses),   cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_adapted),  cmocka_unit_test(test_product),
        cmocka_unit_test(test_symmetry), cmocka_unit_test(test_not_finite),
    };

    return cmocka_run_group_tests_name("objective", tests, NULL, NULL);
}
