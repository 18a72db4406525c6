/* SPDX-License-Identifier: BSD-3-Clause */
/* The outer update: clipping, carrying moments, schedules. In f64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static void same(size_t n, const ol_real *a, const ol_real *b)
{
    assert_true(ol_vector_distance(n, a, b) <= 1e-13 * ol_vector_norm(n, b));
}

/* One update with G scaled to `norm`, clipping at `most`, against world_step by hand. */
static void update_case(ol_moments moments, ol_optimizer inner, double norm, double most)
{
    world w = world_make(), plain = world_make();
    const size_t P = w.model->P;
    const ol_learner_spec learner = world_learner(inner, moments, 3);
    const ol_outer_spec spec = {.adam = {.lr = 0.01,
                                         .beta1 = 0.9,
                                         .beta2 = 0.99,
                                         .eps = 1e-6,
                                         .eps_root = 1e-4,
                                         .weight_decay = 0.1},
                                .max_grad_norm = most};
    ol_learner_spec as_inner = world_learner(OL_ADAMW, moments, 1);
    ol_span *spans = calloc((size_t)w.model->n_params, sizeof *spans);
    ol_real *G = tiny_normals(P, 1), *g = tiny_normals(P, 1);
    ol_real *mean_m = tiny_normals(P, 2), *mean_v = tiny_reals(P);
    const double size = ol_vector_norm(P, G);
    int64_t t = 5;

    assert_non_null(spans);
    ol_model_spans(w.model, spans);
    ol_vector_scale(P, norm / size, G);
    ol_vector_scale(P, (most > 0 && norm > most ? most : norm) / size, g);
    for (size_t i = 0; i < P; i++)
        mean_v[i] = 0.5 + 0.1 * sin((double)i);
    const bool m_carried = ol_learner_carries_m(&learner);
    const bool v_carried = ol_learner_carries_v(&learner);
    const double said =
        ol_outer_update(w.model, &learner, &spec, spans, G, m_carried ? mean_m : NULL,
                        v_carried ? mean_v : NULL, &w.state);

    assert_true(fabs(said - norm) <= 1e-12 * norm);
    if (inner == OL_ADAMW && moments == OL_MOMENTS_CARRY)
        memcpy(plain.state.m, mean_m, P * sizeof *mean_m);
    if (inner == OL_ADAMW && (moments == OL_MOMENTS_CARRY || moments == OL_MOMENTS_CARRY_V)) {
        memcpy(plain.state.v, mean_v, P * sizeof *mean_v);
        t += 3;
    }
    as_inner.adam = spec.adam;
    world_step(w.model, &as_inner, t + 1, g, plain.state.theta, plain.state.m, plain.state.v);
    assert_int_equal(w.state.t, t + 1);
    same(P, w.state.theta, plain.state.theta);
    same(P, w.state.m, plain.state.m);
    same(P, w.state.v, plain.state.v);
    free(spans), free(G), free(g), free(mean_m), free(mean_v);
    world_finish(&w);
    world_finish(&plain);
}

static void test_update(void **state)
{
    (void)state;
    for (ol_moments moments = OL_MOMENTS_SEPARATE; moments <= OL_MOMENTS_CARRY_V; moments++) {
        update_case(moments, OL_ADAMW, 7, 0);
        update_case(moments, OL_ADAMW, 7, 1);
        update_case(moments, OL_ADAMW, 1.2, 1); /* a little too long is too long */
        update_case(moments, OL_ADAMW, 0.5, 1);
        update_case(moments, OL_SGD, 7, 1); /* an inner SGD has no moments to carry */
    }
}

static void rate(ol_schedule_shape shape, int64_t warmup, int64_t s, double expected)
{
    const double got = ol_schedule_rate(shape, 0.4, warmup, 12, s);

    if (!(fabs(got - expected) <= 1e-15))
        fail_msg("shape %d, warmup %d, step %d: %.17g, not %.17g", (int)shape, (int)warmup, (int)s,
                 got, expected);
}

static void test_schedule(void **state)
{
    (void)state;
    for (ol_schedule_shape shape = OL_CONSTANT; shape <= OL_COSINE; shape++) {
        rate(shape, 4, 0, 0.1);
        rate(shape, 4, 1, 0.2);
        rate(shape, 4, 3, 0.4);
        rate(shape, 4, 4, 0.4);
        rate(shape, 0, 0, 0.4);
        rate(shape, 12, 11, 0.4); /* all of it is warmup */
    }
    rate(OL_CONSTANT, 4, 11, 0.4);
    rate(OL_LINEAR, 4, 8, 0.2);
    rate(OL_LINEAR, 4, 11, 0.05);
    rate(OL_LINEAR, 4, 12, 0);
    rate(OL_COSINE, 4, 8, 0.2);
    rate(OL_COSINE, 4, 6, 0.2 * (1 + sqrt(0.5)));
    rate(OL_COSINE, 4, 12, 0);
}

static void test_spans_and_state(void **state)
{
    ol_model *model = tiny_model(2, 16);
    ol_span *spans = calloc((size_t)model->n_params, sizeof *spans);
    ol_arena dry = ol_arena_dry("state"), arena;
    ol_state made;

    (void)state;
    assert_non_null(spans);
    ol_model_spans(model, spans);
    for (int i = 0; i < model->n_params; i++) {
        const bool matrix =
            strstr(model->params[i].name, ".weight") && !strstr(model->params[i].name, "ln_");

        assert_int_equal(spans[i].offset, model->params[i].offset);
        assert_int_equal(spans[i].size, model->params[i].size);
        assert_int_equal(spans[i].decay, matrix);
    }
    ol_state_layout(&dry, model);
    arena = tiny_arena(dry.peak);
    made = ol_state_layout(&arena, model);
    assert_int_equal(made.t, 0);
    assert_true(ol_vector_norm(model->P, made.theta) + ol_vector_norm(model->P, made.m) +
                    ol_vector_norm(model->P, made.v) ==
                0);
    ol_arena_finish(&arena);
    free(spans);
    ol_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_spans_and_state),
    };

    return cmocka_run_group_tests_name("outer update", tests, NULL, NULL);
}
