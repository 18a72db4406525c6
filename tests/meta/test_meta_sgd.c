/* SPDX-License-Identifier: BSD-3-Clause */
/* Meta-SGD in f64: dq/dθ and dq/dα against differences of the whole inner loop, and maml as the case
 * of equal rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static ol_learner_spec rates_learner(ol_rates per, int steps)
{
    ol_learner_spec spec = world_learner(OL_SGD, OL_MOMENTS_READ, steps);

    spec.learner = ol_learner_find("meta-sgd");
    spec.rates = per;
    return spec;
}

/* A world whose state has rates behind θ: around 0.05, or all `rate` when that is above 0. */
static world rates_world(const ol_learner_spec *spec, double rate)
{
    world w = world_make();
    const size_t P = w.model->P, O = ol_learner_size(w.model, spec);
    ol_real *draws = tiny_normals(O, 9), *all[3] = {w.state.theta, w.state.m, w.state.v};

    for (int i = 0; i < 3; i++) {
        ol_real *grown = tiny_reals(O);

        memcpy(grown, all[i], P * sizeof *grown);
        free(all[i]);
        all[i] = grown;
    }
    for (size_t i = P; i < O; i++)
        all[0][i] = rate > 0 ? rate : 0.05 + 0.01 * draws[i];
    w.state = (ol_state){.theta = all[0], .m = all[1], .v = all[2], .t = 5};
    free(draws);
    return w;
}

/* α of element j of tensor p, by its definition. */
static double rate_of(const world *w, const ol_learner_spec *spec, const ol_real *state, int p,
                      size_t j)
{
    const ol_real *own = state + w->model->P;

    return spec->rates == OL_RATES_TENSOR ? own[p] : own[w->model->params[p].offset + j];
}

/* θ_K of the plain loop; sum [P], unless NULL, becomes Σ_k g_k. */
static void plain_loop(const world *w, const ol_learner_spec *spec, const ol_real *state,
                       ol_real *x, ol_real *sum)
{
    const size_t P = w->model->P;
    ol_real *g = tiny_reals(P);

    memcpy(x, state, P * sizeof *x);
    for (int k = 0; k < spec->steps; k++) {
        world_loss(w, &w->episode.support, x, g);
        if (sum)
            ol_vector_axpy(P, 1, g, sum);
        for (int p = 0; p < w->model->n_params; p++)
            for (size_t j = 0; j < w->model->params[p].size; j++)
                x[w->model->params[p].offset + j] -=
                    rate_of(w, spec, state, p, j) * g[w->model->params[p].offset + j];
    }
    free(g);
}

/* q at the state moved by h along u, whose part [from, to) counts. */
static double moved_loss(const world *w, const ol_learner_spec *spec, double h, const ol_real *u,
                         size_t from, size_t to)
{
    ol_real *state = tiny_reals(ol_learner_size(w->model, spec)), *x = tiny_reals(w->model->P);
    double loss;

    memcpy(state, w->state.theta, ol_learner_size(w->model, spec) * sizeof *state);
    ol_vector_axpy(to - from, h, u + from, state + from);
    plain_loop(w, spec, state, x, NULL);
    loss = world_loss(w, &w->episode.query, x, NULL);
    free(state), free(x);
    return loss;
}

/* <Δ, u> over [from, to) against differences of fourth order. The loop is smooth: with a step of 3e-5
 * (of rates 1e-5, which are a thousandth of θ's size) truncation and rounding are below 1e-9 of ‖Δ‖. */
static void along(const world *w, const ol_learner_spec *spec, const ol_real *delta, size_t from,
                  size_t to, double h)
{
    static const double places[] = {1, -1, 2, -2}, weights[] = {8, -8, -1, 1};

    for (uint32_t direction = 0; direction < 3; direction++) {
        ol_real *u = tiny_normals(to, 100 + direction);
        double difference = 0, error;

        for (int i = 0; i < 4; i++)
            difference += weights[i] * moved_loss(w, spec, places[i] * h, u, from, to) / (12 * h);
        error = fabs(ol_vector_dot(to - from, delta + from, u + from) - difference);
        if (!(error <= 1e-8 * ol_vector_norm(to - from, delta + from)))
            fail_msg("K=%d, %s, reals %zu to %zu: off by %.3g of %.3g", spec->steps,
                     spec->rates ? "weight" : "tensor", from, to, error,
                     ol_vector_norm(to - from, delta + from));
        free(u);
    }
}

static void test_derivatives(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        ol_learner_spec spec = rates_learner((ol_rates)(i % 2), 1 + i / 2);
        world w = rates_world(&spec, 0);
        const size_t P = w.model->P, O = ol_learner_size(w.model, &spec);
        outcome kept = world_run(&w, &spec), again;

        assert_int_equal(kept.status, OL_OK);
        assert_int_equal(O, P + (i % 2 ? P : (size_t)w.model->n_params));
        along(&w, &spec, kept.delta, 0, P, 3e-5);
        along(&w, &spec, kept.delta, P, O, 1e-5);
        spec.storage = OL_STORAGE_RECOMPUTE;
        spec.measure_share = true;
        again = world_run(&w, &spec);
        assert_memory_equal(again.delta, kept.delta, O * sizeof *kept.delta);
        assert_true(again.report.second_order > 1e-3);
        outcome_finish(&kept);
        outcome_finish(&again);
        world_finish(&w);
    }
}

/* Order 1: dq/dθ = ∇L_query(θ_K) = λ and dq/dα = -Σ_k g_k∘λ. */
static void test_first_order(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        ol_learner_spec spec = rates_learner((ol_rates)i, 3);
        world w = rates_world(&spec, 0);
        const size_t P = w.model->P;
        ol_real *x = tiny_reals(P), *sum = tiny_reals(P), *l = tiny_reals(P);
        outcome o;

        spec.order = 1;
        o = world_run(&w, &spec);
        plain_loop(&w, &spec, w.state.theta, x, sum);
        world_loss(&w, &w.episode.query, x, l);
        assert_true(ol_vector_distance(P, o.delta, l) <= 1e-12 * ol_vector_norm(P, l));
        for (int p = 0; p < w.model->n_params; p++) {
            const ol_param *param = &w.model->params[p];
            double expected = -ol_vector_dot(param->size, sum + param->offset, l + param->offset);

            if (i == 0)
                assert_true(fabs(o.delta[P + (size_t)p] - expected) <= 1e-12);
            for (size_t j = param->offset; j < param->offset + param->size && i == 1; j++)
                assert_true(fabs(o.delta[P + j] + sum[j] * l[j]) <= 1e-12);
        }
        free(x), free(sum), free(l);
        outcome_finish(&o);
        world_finish(&w);
    }
}

/* Equal rates that do not move are maml's SGD: an episode and an outer step with the same bits. */
static void equal_case(ol_rates per, int order)
{
    ol_learner_spec rates = rates_learner(per, 3), maml = world_learner(OL_SGD, OL_MOMENTS_READ, 3);
    const ol_outer_spec outer = {.adam = WORLD_ADAM, .own_lr = 0, .max_grad_norm = 0.01};
    world a = rates_world(&rates, maml.adam.lr), b = world_make();
    const size_t P = a.model->P, O = ol_learner_size(a.model, &rates), bytes = P * sizeof(ol_real);
    outcome x, y;

    rates.order = maml.order = order;
    x = world_run(&a, &rates);
    y = world_run(&b, &maml);
    assert_int_equal(x.status, OL_OK);
    assert_memory_equal(x.delta, y.delta, bytes);
    assert_memory_equal(x.losses, y.losses, 3 * sizeof *x.losses);
    assert_true(x.report.grad_norm == y.report.grad_norm);
    assert_true(world_outer(&a, &rates, &outer, &x.out, 1) ==
                world_outer(&b, &maml, &outer, &y.out, 1));
    assert_memory_equal(a.state.theta, b.state.theta, bytes);
    assert_memory_equal(a.state.m, b.state.m, bytes);
    assert_memory_equal(a.state.v, b.state.v, bytes);
    assert_int_equal(a.state.t, b.state.t);
    for (size_t i = P; i < O; i++)
        assert_true(a.state.theta[i] == maml.adam.lr);
    outcome_finish(&x);
    outcome_finish(&y);
    world_finish(&a);
    world_finish(&b);
}

static void test_equal_rates(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        equal_case((ol_rates)(i % 2), 1 + i / 2);
}

/* The outer step of the rates: AdamW by itself, at its own rate, without decay. */
static void test_outer_step(void **state)
{
    const ol_learner_spec spec = rates_learner(OL_RATES_TENSOR, 2);
    const ol_outer_spec outer = {.adam = WORLD_ADAM, .own_lr = 0.003, .max_grad_norm = 0.01};
    world w = rates_world(&spec, 0), was = rates_world(&spec, 0);
    const size_t P = w.model->P, E = ol_learner_size(w.model, &spec) - P;
    outcome o = world_run(&w, &spec);
    const double norm = ol_vector_norm(E, o.delta + P), clip = fmin(1, 0.01 / norm);

    (void)state;
    world_outer(&w, &spec, &outer, &o.out, 1);
    for (size_t i = 0; i < E; i++) { /* moments of rates start at 0 here, and t at 5 */
        const double g = clip * o.delta[P + i], m = 0.2 * g / (1 - pow(0.8, 6));
        const double v = 0.1 * g * g / (1 - pow(0.9, 6));

        assert_true(fabs(w.state.theta[P + i] -
                         (was.state.theta[P + i] - 0.003 * m / (sqrt(v) + 0.05))) <= 1e-14);
        assert_true(fabs(w.state.m[P + i] - 0.2 * g) <= 1e-14);
    }
    outcome_finish(&o);
    world_finish(&w);
    world_finish(&was);
}

/* Adaptation takes the learned rates, whatever the rate that it is given. */
static void test_adaptation(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        ol_learner_spec spec = rates_learner((ol_rates)i, 3);
        world w = rates_world(&spec, 0);
        const size_t P = w.model->P;
        ol_real *x = tiny_reals(P);

        plain_loop(&w, &spec, w.state.theta, x, NULL);
        spec.adam.lr = 17;
        w.ws = tiny_arena(ol_learner_adapt_bytes(w.model, ol_batch_extent(&w.episode.support)));
        assert_int_equal(ol_learner_adapt(w.model, &spec, &w.episode.support, 3, 5, &w.ws,
                                          w.state.theta, w.state.m, w.state.v, NULL),
                         OL_OK);
        assert_true(ol_vector_distance(P, w.state.theta, x) <= 1e-13 * ol_vector_norm(P, x));
        free(x);
        world_finish(&w);
    }
}

static void test_tensors(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        ol_learner_spec spec = rates_learner((ol_rates)i, 1);
        world w = rates_world(&spec, 0);
        const int n = ol_learner_tensors(w.model, &spec, NULL), half = w.model->n_params;
        const size_t O = ol_learner_size(w.model, &spec);
        ol_tensor *tensors = calloc((size_t)n, sizeof *tensors);
        ol_real *theta = tiny_theta(w.model, 3);
        size_t at = 0;

        assert_true(tensors && n == 2 * half);
        assert_int_equal(ol_learner_tensors(w.model, NULL, NULL), half);
        assert_int_equal(ol_learner_tensors(w.model, &spec, tensors), n);
        for (int p = 0; p < n; p++) {
            assert_int_equal(tensors[p].offset, at);
            at += tensors[p].size;
            assert_int_equal(tensors[p].size, (size_t)tensors[p].rows *
                                                  (size_t)(tensors[p].cols ? tensors[p].cols : 1));
        }
        assert_int_equal(at, O);
        assert_string_equal(tensors[half].name, "rates.wte.weight");
        assert_int_equal(tensors[half].size, i ? tensors[0].size : 1);
        ol_state_start(w.model, &spec, theta, &w.state);
        assert_memory_equal(w.state.theta, theta, w.model->P * sizeof *theta);
        for (size_t j = w.model->P; j < O; j++)
            assert_true(w.state.theta[j] == spec.adam.lr);
        assert_true(ol_vector_norm(O, w.state.m) + ol_vector_norm(O, w.state.v) == 0);
        assert_int_equal(w.state.t, 0);
        spec.inner = OL_ADAMW;
        assert_non_null(strstr(spec.learner->misfit(&spec), "learner.inner.optimizer"));
        free(tensors), free(theta);
        world_finish(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derivatives), cmocka_unit_test(test_first_order),
        cmocka_unit_test(test_equal_rates), cmocka_unit_test(test_outer_step),
        cmocka_unit_test(test_adaptation),  cmocka_unit_test(test_tensors),
    };

    return cmocka_run_group_tests_name("meta-sgd", tests, NULL, NULL);
}
