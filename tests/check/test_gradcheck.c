/* SPDX-License-Identifier: BSD-3-Clause */
/* Differences and their errors on functions that are known; a wrong gradient does not pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/check/difference.h"
#include "../meta/world.h"
#include "outerloop/check/gradcheck.h"

typedef struct known {
    double (*f)(double);
    double slope;
    double rounding; /* added to f, of either sign */
} known;

static double smooth(double h)
{
    return 3.0 + exp(h) * sin(2.0 * h + 1.0);
}

/* A corner rounded over a width of 1e-6, as Adam's step from a small second moment is. */
static double corner(double h)
{
    return (h + 3e-7) / sqrt((h + 3e-7) * (h + 3e-7) + 1e-12);
}

/* Nothing is there beyond 0.01. */
static double cliff(double h)
{
    return fabs(h) > 0.01 ? (double)NAN : 1.0 + 5.0 * h + h * h * h;
}

static double flat(double h)
{
    (void)h;
    return 7.0;
}

static double at(void *payload, double h)
{
    const known *k = payload;
    uint64_t bits;

    memcpy(&bits, &h, sizeof bits);
    bits = (bits ^ (bits >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
    return k->f(h) + k->rounding * ((double)(bits >> 40) / 8388608.0 - 1.0);
}

static void differences_know_their_error(void **state)
{
    const double corner_slope = 1e-12 / pow(9e-14 + 1e-12, 1.5);
    known cases[] = {{smooth, sin(1.0) + 2.0 * cos(1.0), 0.0},
                     {corner, corner_slope, 0.0},
                     {cliff, 5.0, 0.0},
                     {flat, 0.0, 0.0},
                     {smooth, sin(1.0) + 2.0 * cos(1.0), 1e-9},
                     {cliff, 5.0, 1e-12}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double noise = ol_difference_noise(at, &cases[i], 1e-14);
        const ol_slope s = ol_difference_slope(at, &cases[i], 0.1, noise, 0.0);

        assert_true(noise >= 0.2 * cases[i].rounding);
        assert_true(noise <= 1e-14 + 3.0 * cases[i].rounding);
        assert_true(fabs(s.value - cases[i].slope) <= s.error);
        assert_true(s.error <= 1e-6 + 1e3 * cases[i].rounding + 1e-6 * fabs(cases[i].slope));
    }
}

static void what_holds(void **state)
{
    const ol_gradcheck_quantity good = {2.0, 1.0, 1.0 + 1e-7, 1e-9};
    ol_gradcheck_quantity q = good;
    (void)state;

    assert_true(ol_gradcheck_holds(&good));
    q.slope = 1.0 + 1e-5; /* wrong in the sixth digit */
    assert_false(ol_gradcheck_holds(&q));
    q = good, q.slope = -1.0;
    assert_false(ol_gradcheck_holds(&q));
    q = good, q.slope = (double)NAN;
    assert_false(ol_gradcheck_holds(&q));
    q = good, q.uncertainty = 0.1; /* agrees with anything: not decided */
    assert_false(ol_gradcheck_holds(&q));
    q = good, q.uncertainty = (double)INFINITY, q.difference = (double)NAN;
    assert_false(ol_gradcheck_holds(&q));
    q = (ol_gradcheck_quantity){0};
    assert_true(ol_gradcheck_holds(&q));
    q.slope = 1.0;
    assert_false(ol_gradcheck_holds(&q));
}

/* The query loss after the inner loop, along u. */
typedef struct line {
    world *w;
    const ol_learner_spec *spec;
    ol_real *x, *m, *v, *u;
} line;

static double query_loss(void *payload, double h)
{
    const line *l = payload;
    const size_t P = l->w->model->P;
    double losses[16], sum = 0;
    const int64_t t =
        ol_learner_start_moments(l->w->model, l->spec, ol_state_borrow(&l->w->state), l->m, l->v);

    for (size_t i = 0; i < P; i++)
        l->x[i] = l->w->state.theta[i] + h * l->u[i];
    if (ol_learner_adapt(l->w->model, l->spec, &l->w->episode.support, l->spec->steps, t, &l->w->ws,
                         l->x, l->m, l->v, NULL) != OL_OK)
        return (double)NAN;
    ol_objective_losses(l->w->model, &l->w->episode.query, l->x, &l->w->ws, losses);
    for (int b = 0; b < l->w->episode.query.B; b++)
        sum += losses[b];
    return sum / l->w->episode.query.B;
}

/* The exact gradient holds; the first-order one, and one with a tensor off by 1e-4, do not. */
static void a_wrong_gradient_does_not_hold(void **state)
{
    world w = world_make();
    const size_t P = w.model->P;
    ol_learner_spec spec = world_learner(OL_ADAMW, OL_MOMENTS_READ, 2), first = spec;
    line l = {&w, &spec, tiny_reals(P), tiny_reals(P), tiny_reals(P), tiny_normals(P, 9)};
    outcome wrong, exact;
    (void)state;

    first.order = 1;
    wrong = world_run(&w, &first);
    exact = world_run(&w, &spec);
    const ol_slope s =
        ol_difference_slope(query_loss, &l, 1e-2, ol_difference_noise(query_loss, &l, 1e-14), 0.0);
    ol_gradcheck_quantity q = {.norm = ol_vector_norm(P, exact.delta),
                               .slope = ol_vector_dot(P, exact.delta, l.u),
                               .difference = s.value,
                               .uncertainty = s.error};

    assert_true(ol_gradcheck_holds(&q));
    assert_true(ol_gradcheck_error(&q) < 1e-7);
    q.slope = ol_vector_dot(P, wrong.delta, l.u);
    assert_false(ol_gradcheck_holds(&q));
    exact.delta[P / 2] += 1e-4 * q.norm;
    q.slope = ol_vector_dot(P, exact.delta, l.u);
    assert_false(ol_gradcheck_holds(&q));
    outcome_finish(&wrong), outcome_finish(&exact), world_finish(&w);
    free(l.x), free(l.m), free(l.v), free(l.u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_know_their_error),
        cmocka_unit_test(what_holds),
        cmocka_unit_test(a_wrong_gradient_does_not_hold),
    };

    return cmocka_run_group_tests_name("gradcheck", tests, NULL, NULL);
}
