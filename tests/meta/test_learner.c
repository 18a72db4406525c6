/* SPDX-License-Identifier: BSD-3-Clause */
/* The learners in f64: Δ through the whole inner loop against differences of it, and the other
 * learners against their definitions. The loop itself is written plainly in world.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "world.h"

static const char *const MOMENTS[] = {"separate", "read", "carry", "carry_v"};

static void ran(const outcome *o)
{
    if (o->status != OL_OK)
        fail_msg("%s", ol_status_message());
}

static double relative(size_t n, const ol_real *a, const ol_real *b)
{
    return ol_vector_distance(n, a, b) / ol_vector_norm(n, b);
}

static void same(const char *what, size_t n, const ol_real *a, const ol_real *b, double tolerance)
{
    const double error = relative(n, a, b);

    if (!(error <= tolerance))
        fail_msg("%s: relative error %.3g, over %.1g", what, error, tolerance);
}

/* q(θ + t u): the query loss after the plain inner loop. */
static double adapted_loss(const world *w, const ol_learner_spec *spec, double t, const ol_real *u)
{
    const size_t P = w->model->P;
    ol_real *theta = tiny_reals(P), *x = tiny_reals(P), *m = tiny_reals(P), *v = tiny_reals(P);
    double loss;

    memcpy(theta, w->state.theta, P * sizeof *theta);
    if (u)
        ol_vector_axpy(P, t, u, theta);
    world_adapt(w, spec, theta, x, m, v, NULL);
    loss = world_loss(w, &w->episode.query, x, NULL);
    free(theta), free(x), free(m), free(v);
    return loss;
}

static bool has_kinks(const ol_learner_spec *spec)
{
    return spec->inner == OL_ADAMW && spec->moments == OL_MOMENTS_SEPARATE;
}

/**
 * <Δ, u> for standard normal u, whose size is ‖Δ‖, against differences of fourth order: the largest
 * error of three directions over ‖Δ‖.
 *
 * With moments the loop is smooth: step 1e-4 gives truncation near 1e-10 and rounding 1e-12. From
 * empty moments a step is g/(|g| + ε'), whose second derivative jumps at g = 0: each of the few
 * elements that a step of h carries over it errs by O(h), so h is 1e-6 and rounding 1e-10.
 */
static double difference_error(const world *w, const ol_learner_spec *spec, const ol_real *delta)
{
    static const double places[] = {1, -1, 2, -2}, weights[] = {8, -8, -1, 1};
    const double h = has_kinks(spec) ? 1e-6 : 1e-4;
    const size_t P = w->model->P;
    double worst = 0;

    for (uint32_t direction = 0; direction < 3; direction++) {
        ol_real *u = tiny_normals(P, 100 + direction);
        double difference = 0;

        for (int i = 0; i < 4; i++)
            difference += weights[i] * adapted_loss(w, spec, places[i] * h, u) / (12 * h);
        worst = fmax(worst, fabs(ol_vector_dot(P, delta, u) - difference));
        free(u);
    }
    return worst / ol_vector_norm(P, delta);
}

static void against_differences(const world *w, const ol_learner_spec *spec, const ol_real *delta)
{
    const double error = difference_error(w, spec, delta);

    if (!(error <= (has_kinks(spec) ? 1e-6 : 1e-8)))
        fail_msg("%s, %s, K=%d: off by %.3g of ‖Δ‖", spec->inner == OL_SGD ? "sgd" : "adamw",
                 MOMENTS[spec->moments], spec->steps, error);
}

/* Everything that an exact episode returns but Δ, by the plain loop. */
static void against_plain_loop(const world *w, const ol_learner_spec *spec, const outcome *o)
{
    const size_t P = w->model->P;
    ol_real *x = tiny_reals(P), *m = tiny_reals(P), *v = tiny_reals(P);
    double losses[8];

    world_adapt(w, spec, w->state.theta, x, m, v, losses);
    for (int k = 0; k < spec->steps; k++)
        assert_true(fabs(losses[k] - o->losses[k]) <= 1e-12 * losses[k]);
    const double after = world_loss(w, &w->episode.query, x, NULL);

    assert_true(fabs(after - o->report.query_after) <= 1e-12 * after);
    assert_true(fabs(o->report.grad_norm - ol_vector_norm(P, o->delta)) <= 1e-12 * after);
    if (o->m)
        same("adapted m", P, o->m, m, 1e-12);
    if (o->v)
        same("adapted v", P, o->v, v, 1e-12);
    free(x), free(m), free(v);
}

static void exact_case(ol_optimizer inner, ol_moments moments, int steps)
{
    world w = world_make();
    ol_learner_spec spec = world_learner(inner, moments, steps);
    outcome kept = world_run(&w, &spec), again;

    ran(&kept);
    against_plain_loop(&w, &spec, &kept);
    against_differences(&w, &spec, kept.delta);
    for (int i = 0; i < 4; i++) { /* none, one tape more, all: the same bits */
        spec.storage = i == 0 ? OL_STORAGE_RECOMPUTE : OL_STORAGE_AUTO;
        spec.storage_bytes = i == 1 ? 1 : i == 2 ? 3 * world_tape_bytes(&w) / 2 : SIZE_MAX;
        again = world_run(&w, &spec);
        ran(&again);
        assert_memory_equal(again.delta, kept.delta, w.model->P * sizeof *kept.delta);
        outcome_finish(&again);
    }
    outcome_finish(&kept);
    world_finish(&w);
}

static void test_exact_sgd(void **state)
{
    (void)state;
    for (int steps = 1; steps <= 3; steps++)
        exact_case(OL_SGD, OL_MOMENTS_CARRY, steps);
}

static void test_exact_adamw(void **state)
{
    (void)state;
    for (ol_moments moments = OL_MOMENTS_SEPARATE; moments <= OL_MOMENTS_CARRY_V; moments++)
        for (int steps = 1; steps <= 3; steps++)
            exact_case(OL_ADAMW, moments, steps);
}

/* Differences tell the exact Δ from one without its second-order part, and from one that has it
 * with the wrong sign. */
static void test_differences_can_fail(void **state)
{
    (void)state;
    for (ol_moments moments = OL_MOMENTS_SEPARATE; moments <= OL_MOMENTS_CARRY_V; moments++) {
        world w = world_make();
        ol_learner_spec spec = world_learner(OL_ADAMW, moments, 2);
        outcome exact = world_run(&w, &spec), first;

        spec.order = 1;
        first = world_run(&w, &spec);
        ran(&exact), ran(&first);
        assert_true(difference_error(&w, &spec, first.delta) > 1e-3);
        ol_vector_scale(w.model->P, 2, first.delta); /* Δ₁ - (Δ - Δ₁) */
        ol_vector_axpy(w.model->P, -1, exact.delta, first.delta);
        assert_true(difference_error(&w, &spec, first.delta) > 1e-3);
        outcome_finish(&exact);
        outcome_finish(&first);
        world_finish(&w);
    }
}

/* Order 1: ∇L_query(θ_K) times what weight decay leaves of θ. */
static void first_order_case(ol_optimizer inner, ol_moments moments)
{
    world w = world_make();
    const size_t P = w.model->P;
    ol_learner_spec spec = world_learner(inner, moments, 2);
    ol_real *x = tiny_reals(P), *m = tiny_reals(P), *v = tiny_reals(P), *g = tiny_reals(P);
    outcome o;

    spec.order = 1;
    o = world_run(&w, &spec);
    ran(&o);
    against_plain_loop(&w, &spec, &o);
    world_adapt(&w, &spec, w.state.theta, x, m, v, NULL);
    world_loss(&w, &w.episode.query, x, g);
    for (int p = 0; p < w.model->n_params && inner == OL_ADAMW; p++)
        if (w.model->params[p].cols > 0)
            for (size_t i = 0; i < w.model->params[p].size; i++)
                g[w.model->params[p].offset + i] *= pow(1 - 0.05 * 0.2, 2);
    same("first order", P, o.delta, g, 1e-12);
    free(x), free(m), free(v), free(g);
    outcome_finish(&o);
    world_finish(&w);
}

static void test_first_order(void **state)
{
    (void)state;
    first_order_case(OL_SGD, OL_MOMENTS_READ);
    first_order_case(OL_ADAMW, OL_MOMENTS_SEPARATE);
    first_order_case(OL_ADAMW, OL_MOMENTS_CARRY);
}

static void test_reptile(void **state)
{
    (void)state;
    for (ol_moments moments = OL_MOMENTS_SEPARATE; moments <= OL_MOMENTS_CARRY_V; moments++) {
        world w = world_make();
        const size_t P = w.model->P;
        ol_learner_spec spec = world_learner(OL_ADAMW, moments, 3);
        ol_real *x = tiny_reals(P), *m = tiny_reals(P), *v = tiny_reals(P);
        outcome o;

        spec.learner = ol_learner_find("reptile");
        o = world_run(&w, &spec);
        ran(&o);
        against_plain_loop(&w, &spec, &o);
        world_adapt(&w, &spec, w.state.theta, x, m, v, NULL);
        ol_vector_scale(P, -1, x);
        ol_vector_axpy(P, 1, w.state.theta, x);
        same("θ - θ_K", P, o.delta, x, 1e-12);
        free(x), free(m), free(v);
        outcome_finish(&o);
        world_finish(&w);
    }
}

/* metaicl and multitask: the gradient of all prompts as one batch. */
static void test_plain_learners(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        const char *name = which ? "multitask" : "metaicl";
        world w = world_make();
        ol_learner_spec spec = world_learner(OL_ADAMW, OL_MOMENTS_CARRY, 3);
        ol_real *g = tiny_reals(w.model->P);
        ol_batch all = {0};
        outcome o;

        spec.learner = ol_learner_find(name);
        assert_int_equal(spec.learner->demonstrations, which == 0);
        assert_int_equal(ol_learner_steps(&spec), 0);
        assert_int_equal(ol_batch_extend(&all, &w.episode.support), OL_OK);
        assert_int_equal(ol_batch_extend(&all, &w.episode.query), OL_OK);
        o = world_run(&w, &spec);
        ran(&o);
        world_loss(&w, &all, w.state.theta, g);
        assert_int_equal(o.out.n, 1);
        same(name, w.model->P, o.delta, g, 1e-12);
        ol_batch_finish(&w.episode.support); /* a query alone is fine */
        outcome_finish(&o);
        o = world_run(&w, &spec);
        ran(&o);
        world_loss(&w, &w.episode.query, w.state.theta, g);
        same("without a support", w.model->P, o.delta, g, 1e-12);
        ol_batch_finish(&all);
        free(g);
        outcome_finish(&o);
        world_finish(&w);
    }
}

/* At inner rate 0 the inner loop does nothing, and neither does its adjoint. */
static void test_rate_zero(void **state)
{
    (void)state;
    for (int inner = OL_SGD; inner <= OL_ADAMW; inner++)
        for (int order = 1; order <= 2; order++) {
            world w = world_make();
            ol_learner_spec spec = world_learner((ol_optimizer)inner, OL_MOMENTS_READ, 2);
            ol_real *g = tiny_reals(w.model->P);
            outcome o;

            spec.adam.lr = 0;
            spec.order = order;
            spec.measure_before = true;
            o = world_run(&w, &spec);
            ran(&o);
            world_loss(&w, &w.episode.query, w.state.theta, g);
            same("rate 0", w.model->P, o.delta, g, 1e-14);
            assert_true(fabs(o.report.query_before - o.report.query_after) <= 1e-14);
            free(g);
            outcome_finish(&o);
            world_finish(&w);
        }
}

/**
 * A word that is never used, with v = 0 and a gradient of exactly 0: its derivative is 0, not NaN.
 *
 * The head is tied, so that every word takes part in every softmax; this one's probability is made
 * to underflow: LayerNorm's output has mean 1 and the word's row is -2000 throughout, for a logit
 * of -16000. Positions that no prompt reaches have a gradient of 0 too.
 */
static void test_zero_moments(void **state)
{
    (void)state;
    for (ol_moments moments = OL_MOMENTS_SEPARATE; moments <= OL_MOMENTS_CARRY_V; moments++) {
        world w = world_make();
        const size_t C = 8, word = 12 * C,
                     place = ol_model_param(w.model, "wpe.weight")->offset + 40 * C;
        ol_learner_spec spec = world_learner(OL_ADAMW, moments, 2);
        outcome o;

        ol_batch_finish(&w.episode.support);
        ol_batch_finish(&w.episode.query);
        w.episode.support = tiny_batch(3, 4, 20, 12, 1); /* words 0 .. 11 */
        w.episode.query = tiny_batch(3, 4, 20, 12, 2);
        for (size_t i = 0; i < C; i++) {
            w.state.theta[ol_model_param(w.model, "ln_f.weight")->offset + i] = 1;
            w.state.theta[ol_model_param(w.model, "ln_f.bias")->offset + i] = 1;
            w.state.theta[word + i] = -2000;
            w.state.m[word + i] = w.state.v[word + i] = 0;
            w.state.m[place + i] = w.state.v[place + i] = 0;
        }
        spec.measure_share = true;
        o = world_run(&w, &spec);
        ran(&o);
        assert_true(ol_vector_finite(w.model->P, o.delta));
        for (size_t i = 0; i < C; i++)
            assert_true(o.delta[word + i] == 0 && o.delta[place + i] == 0);
        assert_true(o.report.grad_norm > 0 && isfinite(o.report.second_order));
        outcome_finish(&o);
        world_finish(&w);
    }
}

static void test_measurements(void **state)
{
    world w = world_make();
    ol_learner_spec spec = world_learner(OL_ADAMW, OL_MOMENTS_CARRY, 2);
    outcome exact, first, measured;

    (void)state;
    exact = world_run(&w, &spec);
    assert_true(isnan(exact.report.query_before) && isnan(exact.report.second_order));
    spec.order = 1;
    first = world_run(&w, &spec);
    spec.order = 2;
    spec.measure_share = spec.measure_before = true;
    measured = world_run(&w, &spec);
    ran(&exact), ran(&first), ran(&measured);
    const double share = relative(w.model->P, exact.delta, first.delta);

    assert_true(fabs(measured.report.second_order - share) <= 1e-12);
    assert_memory_equal(measured.delta, exact.delta, w.model->P * sizeof *exact.delta);
    assert_true(fabs(measured.report.query_before -
                     world_loss(&w, &w.episode.query, w.state.theta, NULL)) <= 1e-12);
    assert_int_equal(ol_arena_mark(&w.ws), 0);
    outcome_finish(&exact), outcome_finish(&first), outcome_finish(&measured);
    world_finish(&w);
}

static void failed(world *w, const ol_learner_spec *spec, const char *said)
{
    outcome o = world_run(w, spec);

    assert_int_equal(o.status, OL_ENONFINITE);
    if (!strstr(ol_status_message(), said))
        fail_msg("no \"%s\" in: %s", said, ol_status_message());
    outcome_finish(&o);
}

static void test_not_finite(void **state)
{
    world w = world_make();
    ol_learner_spec spec = world_learner(OL_SGD, OL_MOMENTS_READ, 3);

    (void)state;
    spec.adam.lr = 1e200; /* after one step θ is beyond any loss */
    failed(&w, &spec, "inner step 1");
    spec.steps = 1;
    failed(&w, &spec, "after 1 inner steps");
    spec.learner = ol_learner_find("reptile");
    failed(&w, &spec, "after 1 inner steps");
    spec.learner = ol_learner_find("maml");
    w.state.theta[0] = NAN; /* word 0, which every softmax sees */
    failed(&w, &spec, "inner step 0");
    spec.learner = ol_learner_find("metaicl");
    failed(&w, &spec, "loss of the prompts");
    world_finish(&w);
}

/* Nothing that an episode borrows is written. */
static void test_inputs(void **state)
{
    world w = world_make(), copy = world_make();
    const size_t bytes = w.model->P * sizeof(ol_real);
    const ol_learner_spec spec = world_learner(OL_ADAMW, OL_MOMENTS_CARRY, 2);
    outcome o = world_run(&w, &spec);

    (void)state;
    ran(&o);
    assert_memory_equal(w.state.theta, copy.state.theta, bytes);
    assert_memory_equal(w.state.m, copy.state.m, bytes);
    assert_memory_equal(w.state.v, copy.state.v, bytes);
    assert_int_equal(w.state.t, copy.state.t);
    outcome_finish(&o);
    world_finish(&w);
    world_finish(&copy);
}

static int questions, patience;

static bool out_of_patience(void)
{
    return ++questions > patience;
}

/* A request to stop is heeded before every inner step, on the way there and back. */
static void test_stop(void **state)
{
    world w = world_make();
    ol_learner_spec spec = world_learner(OL_ADAMW, OL_MOMENTS_READ, 3);

    (void)state;
    spec.stop = out_of_patience;
    for (patience = 0; patience <= 6; patience++) {
        outcome o;

        questions = 0;
        o = world_run(&w, &spec);
        assert_int_equal(o.status, patience < 6 ? OL_ESTOPPED : OL_OK);
        assert_int_equal(questions, patience < 6 ? patience + 1 : 6);
        outcome_finish(&o);
    }
    world_finish(&w);
}

/* Adapting to a target: the same loop, in two calls or in one. */
static void test_adapt(void **state)
{
    (void)state;
    for (ol_moments moments = OL_MOMENTS_SEPARATE; moments <= OL_MOMENTS_CARRY_V; moments++) {
        world w = world_make();
        const size_t P = w.model->P;
        const ol_learner_spec spec = world_learner(OL_ADAMW, moments, 3);
        ol_real *x = tiny_reals(P), *m = tiny_reals(P), *v = tiny_reals(P);
        ol_real *theta = tiny_theta(w.model, 1), *tm = tiny_reals(P), *tv = tiny_reals(P);
        double losses[3], expected[3];
        int64_t t;

        w.ws = tiny_arena(ol_learner_adapt_bytes(w.model, ol_batch_extent(&w.episode.support)));
        world_adapt(&w, &spec, w.state.theta, x, m, v, expected);
        t = ol_learner_start_moments(w.model, &spec, ol_state_borrow(&w.state), tm, tv);
        assert_int_equal(t, moments == OL_MOMENTS_SEPARATE ? 0 : 5);
        assert_int_equal(ol_learner_adapt(w.model, &spec, &w.episode.support, 1, t, &w.ws, theta,
                                          tm, tv, losses),
                         OL_OK);
        assert_int_equal(ol_learner_adapt(w.model, &spec, &w.episode.support, 2, t + 1, &w.ws,
                                          theta, tm, tv, losses + 1),
                         OL_OK);
        same("adapted θ", P, theta, x, 1e-12);
        same("adapted m", P, tm, m, 1e-12);
        same("adapted v", P, tv, v, 1e-12);
        for (int k = 0; k < 3; k++)
            assert_true(fabs(losses[k] - expected[k]) <= 1e-12);
        theta[0] = NAN;
        assert_int_equal(
            ol_learner_adapt(w.model, &spec, &w.episode.support, 1, t, &w.ws, theta, tm, tv, NULL),
            OL_ENONFINITE);
        free(x), free(m), free(v), free(theta), free(tm), free(tv);
        world_finish(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_sgd),
        cmocka_unit_test(test_exact_adamw),
        cmocka_unit_test(test_differences_can_fail),
        cmocka_unit_test(test_first_order),
        cmocka_unit_test(test_reptile),
        cmocka_unit_test(test_plain_learners),
        cmocka_unit_test(test_rate_zero),
        cmocka_unit_test(test_zero_moments),
        cmocka_unit_test(test_measurements),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_adapt),
    };

    return cmocka_run_group_tests_name("learners", tests, NULL, NULL);
}
