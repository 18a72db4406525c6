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

/* What episodes left behind on the mean: G of that norm, and moments. */
typedef struct left {
    ol_arena memory;
    ol_contribution out;
} left;

static left left_make(const world *w, const ol_learner_spec *learner, double norm)
{
    const size_t P = w->model->P;
    ol_arena dry = ol_arena_dry("mean");
    left made;

    ol_contribution_layout(&dry, w->model, learner);
    made.memory = tiny_arena(dry.peak);
    made.out = ol_contribution_layout(&made.memory, w->model, learner);
    for (int i = 0; i < made.out.n; i++) {
        const size_t size = made.out.parts[i].size;
        ol_real *x = tiny_normals(size, 1 + (uint32_t)i);

        for (size_t j = 0; j < size; j++)
            made.out.parts[i].vector[j] =
                strcmp(made.out.parts[i].name, "v") == 0 ? 0.5 + 0.1 * x[j] * x[j] : x[j];
        free(x);
    }
    ol_vector_scale(P, norm / ol_vector_norm(P, made.out.parts[0].vector),
                    made.out.parts[0].vector);
    return made;
}

static void left_finish(left *m)
{
    ol_arena_finish(&m->memory);
}

/* The moments that `mean` carries into a plain state. */
static void carry_plainly(const left *from, ol_moments moments, world *plain)
{
    const size_t bytes = plain->model->P * sizeof(ol_real);
    const ol_real *m = ol_contribution_part(&from->out, "m");
    const ol_real *v = ol_contribution_part(&from->out, "v");

    assert_int_equal(m != NULL, moments == OL_MOMENTS_CARRY);
    assert_int_equal(v != NULL, moments == OL_MOMENTS_CARRY || moments == OL_MOMENTS_CARRY_V);
    if (m)
        memcpy(plain->state.m, m, bytes);
    if (v)
        memcpy(plain->state.v, v, bytes);
    plain->state.t += v ? 3 : 0;
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
    left mean = left_make(&w, &learner, norm), again = left_make(&w, &learner, norm);
    ol_real *g = again.out.parts[0].vector;
    double said;

    carry_plainly(&again, inner == OL_ADAMW ? moments : OL_MOMENTS_SEPARATE, &plain);
    said = world_outer(&w, &learner, &spec, &mean.out, 1);
    assert_true(fabs(said - norm) <= 1e-12 * norm);
    ol_vector_scale(P, most > 0 && norm > most ? most / norm : 1, g);
    as_inner.adam = spec.adam;
    world_step(w.model, &as_inner, plain.state.t + 1, g, plain.state.theta, plain.state.m,
               plain.state.v);
    assert_int_equal(w.state.t, plain.state.t + 1);
    same(P, w.state.theta, plain.state.theta);
    same(P, w.state.m, plain.state.m);
    same(P, w.state.v, plain.state.v);
    left_finish(&mean);
    left_finish(&again);
    world_finish(&w);
    world_finish(&plain);
}

/* θ ← θ - ε mean(θ - θ_K), of any norm, without decay; m, v and t are what is carried and no more. */
static void interpolation_case(ol_moments moments, double rate)
{
    world w = world_make(), plain = world_make();
    const size_t P = w.model->P;
    ol_learner_spec learner = world_learner(OL_ADAMW, moments, 3);
    const ol_outer_spec spec = {
        .adam = {.lr = rate, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-6, .weight_decay = 0.5},
        .max_grad_norm = 1};
    left mean;

    learner.learner = ol_learner_find("reptile");
    assert_true(learner.learner->interpolates);
    mean = left_make(&w, &learner, 7);
    carry_plainly(&mean, moments, &plain);
    ol_vector_axpy(P, -rate, ol_contribution_part(&mean.out, "delta"), plain.state.theta);
    assert_true(fabs(world_outer(&w, &learner, &spec, &mean.out, 1) - 7) <= 1e-12);
    assert_int_equal(w.state.t, plain.state.t);
    same(P, w.state.theta, plain.state.theta);
    assert_memory_equal(w.state.m, plain.state.m, P * sizeof(ol_real));
    assert_memory_equal(w.state.v, plain.state.v, P * sizeof(ol_real));
    left_finish(&mean);
    world_finish(&w);
    world_finish(&plain);
}

static void test_interpolation(void **state)
{
    (void)state;
    for (ol_moments moments = OL_MOMENTS_SEPARATE; moments <= OL_MOMENTS_CARRY_V; moments++) {
        interpolation_case(moments, 1);
        interpolation_case(moments, 0.25);
    }
}

/* At ε = 1 and one episode, reptile's outer step ends where the inner loop did. */
static void test_interpolation_of_an_episode(void **state)
{
    world w = world_make();
    const size_t P = w.model->P;
    ol_learner_spec learner = world_learner(OL_ADAMW, OL_MOMENTS_CARRY, 3);
    ol_real *x = tiny_reals(P), *m = tiny_reals(P), *v = tiny_reals(P);
    outcome o;

    (void)state;
    learner.learner = ol_learner_find("reptile");
    world_adapt(&w, &learner, w.state.theta, x, m, v, NULL);
    o = world_run(&w, &learner);
    assert_int_equal(o.status, OL_OK);
    world_outer(&w, &learner, &(ol_outer_spec){.adam = {.lr = 1}}, &o.out, 1);
    same(P, w.state.theta, x);
    same(P, w.state.m, m);
    same(P, w.state.v, v);
    assert_int_equal(w.state.t, 5 + 3);
    free(x), free(m), free(v);
    outcome_finish(&o);
    world_finish(&w);
}

/* A state with room for the learner's own. */
static world shares_world(const ol_learner_spec *learner)
{
    world w = world_make();
    const size_t P = w.model->P, O = ol_learner_size(w.model, learner);
    ol_real **vectors[] = {&w.state.theta, &w.state.m, &w.state.v};

    for (int i = 0; i < 3; i++) {
        ol_real *grown = tiny_normals(O, 9);

        memcpy(grown, *vectors[i], P * sizeof *grown);
        for (size_t j = P; j < O; j++)
            grown[j] = 1 + grown[j] * grown[j];
        free(*vectors[i]);
        *vectors[i] = grown;
    }
    return w;
}

/* Ranks that keep a state together make the bits of one alone, each its share. */
static void shares_case(const char *name, ol_rates per, double most)
{
    static const int counts[] = {2, 3, 7, 64};
    ol_learner_spec learner = world_learner(OL_ADAMW, OL_MOMENTS_CARRY, 3);
    const ol_outer_spec spec = {.adam = WORLD_ADAM, .own_lr = 0.01, .max_grad_norm = most};

    learner.learner = ol_learner_find(name);
    learner.rates = per;
    if (learner.learner->own)
        learner.inner = OL_SGD;
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        world w = shares_world(&learner), alone = shares_world(&learner);
        const size_t bytes = ol_learner_size(w.model, &learner) * sizeof(ol_real);
        left mean = left_make(&w, &learner, 7);

        assert_true(world_outer(&w, &learner, &spec, &mean.out, counts[c]) ==
                    world_outer(&alone, &learner, &spec, &mean.out, 1));
        assert_int_equal(w.state.t, alone.state.t);
        assert_memory_equal(w.state.theta, alone.state.theta, bytes);
        assert_memory_equal(w.state.m, alone.state.m, bytes);
        assert_memory_equal(w.state.v, alone.state.v, bytes);
        left_finish(&mean);
        world_finish(&w);
        world_finish(&alone);
    }
}

static void test_shares(void **state)
{
    (void)state;
    shares_case("maml", OL_RATES_TENSOR, 1);
    shares_case("maml", OL_RATES_TENSOR, 0);
    shares_case("reptile", OL_RATES_TENSOR, 0);
    shares_case("meta-sgd", OL_RATES_TENSOR, 1);
    shares_case("meta-sgd", OL_RATES_WEIGHT, 1);
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
    ol_model_spans(model, OL_OF_TRAINED, spans);
    for (int i = 0; i < model->n_params; i++) {
        const bool matrix =
            strstr(model->params[i].name, ".weight") && !strstr(model->params[i].name, "ln_");

        assert_int_equal(spans[i].offset, model->params[i].offset);
        assert_int_equal(spans[i].size, model->params[i].size);
        assert_int_equal(spans[i].decay, matrix);
    }
    ol_state_layout(&dry, model->P);
    arena = tiny_arena(dry.peak);
    made = ol_state_layout(&arena, model->P);
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
        cmocka_unit_test(test_update),        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_interpolation), cmocka_unit_test(test_interpolation_of_an_episode),
        cmocka_unit_test(test_schedule),      cmocka_unit_test(test_spans_and_state),
    };

    return cmocka_run_group_tests_name("outer update", tests, NULL, NULL);
}
