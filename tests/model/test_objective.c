/* SPDX-License-Identifier: BSD-3-Clause */
/* The objective in f64: losses against a dense forward pass, gradient and Hessian-vector product
 * against differences, and what must not matter: chunks, kept tapes, rows after the last score.
 *
 * Central differences of fourth order along a direction u of standard normals (‖u‖ ≈ 30) with step
 * 1e-4: truncation is h⁴ = 1e-16 times a fifth derivative (the first step that shows it, 1e-3,
 * leaves 1e-6, so this one 1e-10), rounding 1.5 ε/h = 3e-12; 1e-8 leaves room to both. What only
 * sums in another order agrees to 1e-12. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dense.h"
#include "outerloop/kernel/vector.h"
#include "tiny.h"

static const double STEP = 1e-4;

/* A model, a batch, parameters and room to work. */
typedef struct setting {
    ol_model *model;
    ol_batch batch;
    ol_real *theta;
    ol_arena ws;
    ol_arena tape_memory;
    ol_tape *tape;
} setting;

static setting set_up(int layers, ol_batch batch)
{
    const ol_extent extent = ol_batch_extent(&batch);
    setting s = {.model = tiny_model(layers, 128), .batch = batch};
    ol_arena dry = ol_arena_dry("tape");
    size_t bytes[2];

    ol_tape_layout(&dry, s.model, extent);
    s.tape_memory = tiny_arena(dry.peak);
    s.tape = ol_tape_layout(&s.tape_memory, s.model, extent);
    bytes[0] = ol_objective_bytes(s.model, extent, OL_PRODUCT, false);
    bytes[1] = ol_objective_bytes(s.model, extent, OL_PRODUCT, true);
    s.ws = tiny_arena(bytes[0] > bytes[1] ? bytes[0] : bytes[1]);
    s.theta = tiny_theta(s.model, 1);
    return s;
}

static void tear_down(setting *s)
{
    assert_int_equal(ol_arena_mark(&s->ws), 0);
    ol_arena_finish(&s->ws);
    ol_arena_finish(&s->tape_memory);
    ol_batch_finish(&s->batch);
    ol_model_destroy(s->model);
    free(s->theta);
}

static void near(const char *what, size_t n, const ol_real *a, const ol_real *b, double tolerance)
{
    const double error = ol_vector_distance(n, a, b) / ol_vector_norm(n, b);

    if (!(error <= tolerance))
        fail_msg("%s: relative error %.3g, over %.1g", what, error, tolerance);
}

static double loss_of(setting *s, const ol_real *theta)
{
    double *losses = calloc((size_t)s->batch.B, sizeof *losses), sum = 0;

    assert_non_null(losses);
    ol_objective_losses(s->model, &s->batch, theta, &s->ws, losses);
    for (int b = 0; b < s->batch.B; b++)
        sum += losses[b];
    free(losses);
    return sum / s->batch.B;
}

static ol_real *gradient(setting *s, const ol_real *theta, ol_tape *tape)
{
    ol_real *g = tiny_normals(s->model->P, 99); /* what stood there must not matter */

    ol_objective_grad(s->model, &s->batch, theta, OL_OF_TRAINED, tape, &s->ws, g);
    return g;
}

static ol_real *product(setting *s, const ol_real *u, ol_tape *tape)
{
    ol_real *hv = tiny_reals(s->model->P);

    ol_objective_hvp(s->model, &s->batch, s->theta, u, tape, &s->ws, hv);
    return hv;
}

static ol_real *moved(const setting *s, double t, const ol_real *u)
{
    ol_real *x = tiny_reals(s->model->P);

    memcpy(x, s->theta, s->model->P * sizeof *x);
    ol_vector_axpy(s->model->P, t, u, x);
    return x;
}

static void against_dense(int layers)
{
    setting s = set_up(layers, tiny_batch(7, 2, 80, 13, 1));
    double losses[7];

    ol_objective_losses(s.model, &s.batch, s.theta, &s.ws, losses);
    for (int b = 0; b < 7; b++) {
        const int64_t at = s.batch.offsets[b];
        const double expected = dense_loss(s.model, s.theta, (int)(s.batch.offsets[b + 1] - at),
                                           s.batch.tokens + at, s.batch.loss_mask + at);

        if (!(fabs(losses[b] - expected) <= 1e-12 * expected))
            fail_msg("prompt %d: %.17g, not %.17g", b, losses[b], expected);
    }
    tear_down(&s);
}

static void test_losses(void **state)
{
    (void)state;
    for (int layers = 1; layers <= 4; layers++)
        against_dense(layers);
}

static void gradient_case(int layers)
{
    static const double places[] = {1, -1, 2, -2}, weights[] = {8, -8, -1, 1};
    setting s = set_up(layers, tiny_batch(4, 2, 70, 13, 2));
    ol_real *g = gradient(&s, s.theta, NULL), *kept = gradient(&s, s.theta, s.tape);
    double loss = ol_objective_grad(s.model, &s.batch, s.theta, OL_OF_TRAINED, NULL, &s.ws, g);

    assert_true(fabs(loss - loss_of(&s, s.theta)) <= 1e-12 * loss);
    near("gradient with a kept tape", s.model->P, kept, g, 1e-12);
    for (uint32_t direction = 0; direction < 4; direction++) {
        ol_real *u = tiny_normals(s.model->P, 10 + direction);
        const double along = ol_vector_dot(s.model->P, g, u);
        double difference = 0;

        for (int i = 0; i < 4; i++) {
            ol_real *x = moved(&s, places[i] * STEP, u);

            difference += weights[i] * loss_of(&s, x) / (12 * STEP);
            free(x);
        }
        if (!(fabs(along - difference) <= 1e-8 * fabs(along)))
            fail_msg("%d layers: %.12g against %.12g", layers, along, difference);
        free(u);
    }
    free(g);
    free(kept);
    tear_down(&s);
}

static void test_gradient(void **state)
{
    (void)state;
    for (int layers = 1; layers <= 3; layers++)
        gradient_case(layers);
}

static void product_case(int layers)
{
    static const double places[] = {1, -1, 2, -2}, weights[] = {8, -8, -1, 1};
    setting s = set_up(layers, tiny_batch(4, 2, 70, 13, 3));
    const size_t P = s.model->P;
    ol_real *u = tiny_normals(P, 20), *v = tiny_normals(P, 21), *expected = tiny_reals(P);
    ol_real *hu = product(&s, u, NULL), *hv = product(&s, v, NULL);
    ol_real *g = gradient(&s, s.theta, s.tape);
    ol_real *kept = product(&s, u, s.tape), *again = product(&s, u, s.tape);

    for (int i = 0; i < 4; i++) {
        ol_real *x = moved(&s, places[i] * STEP, u), *g_there = gradient(&s, x, NULL);

        ol_vector_axpy(P, weights[i] / (12 * STEP), g_there, expected);
        free(x);
        free(g_there);
    }
    near("Hessian product against differences", P, hu, expected, 1e-8);
    near("Hessian product of a kept tape", P, kept, hu, 1e-12);
    assert_memory_equal(kept, again, P * sizeof *kept); /* a product leaves the tape as it was */
    /* <u,Hv> = <v,Hu>: sums of P terms of size ‖u‖‖Hv‖/P */
    assert_true(fabs(ol_vector_dot(P, u, hv) - ol_vector_dot(P, v, hu)) <=
                1e-12 * ol_vector_norm(P, u) * ol_vector_norm(P, hv));
    ol_objective_hvp(s.model, &s.batch, s.theta, u, NULL, &s.ws, hv); /* added: H (u + v) */
    ol_vector_axpy(P, 1, u, v);
    free(hu);
    hu = product(&s, v, NULL);
    near("added Hessian products", P, hv, hu, 1e-12);
    free(u), free(v), free(expected), free(hu), free(hv), free(g), free(kept), free(again);
    tear_down(&s);
}

static void test_hessian_product(void **state)
{
    (void)state;
    for (int layers = 1; layers <= 3; layers++)
        product_case(layers);
}

/* 30 prompts of about 70 rows go through in chunks of at most 1024; alone each is its own chunk,
 * and on a tape all are one. */
static void test_chunks(void **state)
{
    setting s = set_up(2, tiny_batch(30, 50, 100, 13, 4));
    const size_t P = s.model->P;
    ol_real *whole = gradient(&s, s.theta, NULL), *taped = gradient(&s, s.theta, s.tape);
    ol_real *u = tiny_normals(P, 30), *hu = product(&s, u, NULL),
            *taped_hu = product(&s, u, s.tape);
    ol_real *mean = tiny_reals(P), *mean_hu = tiny_reals(P), *one = tiny_reals(P);
    double sum = 0;

    (void)state;
    assert_true(ol_batch_tokens(&s.batch) > 2 * 1024);
    for (int b = 0; b < s.batch.B; b++) {
        int64_t offsets[2] = {0, s.batch.offsets[b + 1] - s.batch.offsets[b]};
        const ol_batch alone = {.B = 1,
                                .offsets = offsets,
                                .tokens = s.batch.tokens + s.batch.offsets[b],
                                .loss_mask = s.batch.loss_mask + s.batch.offsets[b]};

        sum += ol_objective_grad(s.model, &alone, s.theta, OL_OF_TRAINED, NULL, &s.ws, one);
        ol_vector_axpy(P, 1.0 / s.batch.B, one, mean);
        ol_vector_zero(P, one);
        ol_objective_hvp(s.model, &alone, s.theta, u, NULL, &s.ws, one);
        ol_vector_axpy(P, 1.0 / s.batch.B, one, mean_hu);
    }
    assert_true(fabs(sum / s.batch.B - loss_of(&s, s.theta)) <= 1e-12 * sum);
    near("gradient in chunks", P, whole, mean, 1e-12);
    near("gradient on a tape", P, taped, mean, 1e-12);
    near("Hessian product in chunks", P, hu, mean_hu, 1e-12);
    near("Hessian product on a tape", P, taped_hu, mean_hu, 1e-12);
    free(whole), free(taped), free(u), free(hu), free(taped_hu);
    free(mean), free(mean_hu), free(one);
    tear_down(&s);
}

/* Tokens after the last scored one change nothing, in no bit. */
static void test_rows_after_the_last_score(void **state)
{
    const int32_t tokens[] = {1, 2, 3, 4, 5, 6}, others[] = {1, 2, 3, 4, 12, 0};
    const uint8_t mask[] = {0, 0, 1, 1, 0, 0};
    double losses[3];
    ol_real *g[3], *hu[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        ol_batch batch = {0};
        setting s;

        assert_int_equal(ol_batch_append(&batch, i == 2 ? 4 : 6, i == 1 ? others : tokens, mask),
                         OL_OK);
        s = set_up(2, batch);
        ol_real *u = tiny_normals(s.model->P, 40);

        losses[i] = loss_of(&s, s.theta);
        g[i] = gradient(&s, s.theta, NULL);
        hu[i] = product(&s, u, NULL);
        if (i > 0) {
            assert_true(losses[i] == losses[0]);
            assert_memory_equal(g[i], g[0], s.model->P * sizeof *u);
            assert_memory_equal(hu[i], hu[0], s.model->P * sizeof *u);
        }
        free(u);
        tear_down(&s);
    }
    for (int i = 0; i < 3; i++)
        free(g[i]), free(hu[i]);
}

/* Nothing precedes a first token, so a mark on it changes no bit. */
static void test_mark_on_the_first_token(void **state)
{
    setting s = set_up(2, tiny_batch(5, 2, 40, 13, 8)), marked;
    ol_batch batch = tiny_batch(5, 2, 40, 13, 8);
    ol_real *g[2], *hu[2];

    (void)state;
    for (int b = 0; b < batch.B; b++)
        batch.loss_mask[batch.offsets[b]] = 1;
    marked = set_up(2, batch);
    ol_real *u = tiny_normals(s.model->P, 60);

    assert_true(loss_of(&s, s.theta) == loss_of(&marked, s.theta));
    for (int taped = 0; taped < 2; taped++) {
        g[0] = gradient(&s, s.theta, taped ? s.tape : NULL);
        g[1] = gradient(&marked, s.theta, taped ? marked.tape : NULL);
        hu[0] = product(&s, u, taped ? s.tape : NULL);
        hu[1] = product(&marked, u, taped ? marked.tape : NULL);
        assert_memory_equal(g[0], g[1], s.model->P * sizeof *u);
        assert_memory_equal(hu[0], hu[1], s.model->P * sizeof *u);
        free(g[0]), free(g[1]), free(hu[0]), free(hu[1]);
    }
    free(u);
    tear_down(&s);
    tear_down(&marked);
}

/* A prompt's loss does not depend on the prompts beside it, but for the order of sums. */
static void test_company(void **state)
{
    setting s = set_up(3, tiny_batch(6, 5, 40, 13, 5));
    double together[6], alone;

    (void)state;
    ol_objective_losses(s.model, &s.batch, s.theta, &s.ws, together);
    for (int b = 0; b < 6; b++) {
        int64_t offsets[2] = {0, s.batch.offsets[b + 1] - s.batch.offsets[b]};
        const ol_batch one = {.B = 1,
                              .offsets = offsets,
                              .tokens = s.batch.tokens + s.batch.offsets[b],
                              .loss_mask = s.batch.loss_mask + s.batch.offsets[b]};

        ol_objective_losses(s.model, &one, s.theta, &s.ws, &alone);
        assert_true(fabs(alone - together[b]) <= 1e-12 * alone);
    }
    tear_down(&s);
}

/* Inputs of the walks are const but for a cast: none of them is written. */
static void test_inputs(void **state)
{
    setting s = set_up(2, tiny_batch(3, 5, 40, 13, 6));
    const size_t P = s.model->P;
    const size_t n = (size_t)ol_batch_tokens(&s.batch);
    ol_real *u = tiny_normals(P, 50), *u_copy = tiny_normals(P, 50),
            *theta = tiny_theta(s.model, 1);
    ol_batch batch = tiny_batch(3, 5, 40, 13, 6);
    ol_real *g = gradient(&s, s.theta, s.tape), *hu = product(&s, u, s.tape),
            *h2 = product(&s, u, NULL);

    (void)state;
    assert_memory_equal(u, u_copy, P * sizeof *u);
    assert_memory_equal(s.theta, theta, P * sizeof *u);
    assert_memory_equal(s.batch.tokens, batch.tokens, n * sizeof *batch.tokens);
    assert_memory_equal(s.batch.loss_mask, batch.loss_mask, n);
    free(u), free(u_copy), free(theta), free(g), free(hu), free(h2);
    ol_batch_finish(&batch);
    tear_down(&s);
}

/* A NaN in θ shows in the loss: it is returned, not hidden. */
static void test_not_finite(void **state)
{
    setting s = set_up(2, tiny_batch(3, 5, 40, 13, 7));
    ol_real *g = tiny_reals(s.model->P);

    (void)state;
    s.theta[ol_model_param(s.model, "ln_f.weight")->offset] = NAN;
    assert_true(
        isnan(ol_objective_grad(s.model, &s.batch, s.theta, OL_OF_TRAINED, NULL, &s.ws, g)));
    assert_true(isnan(loss_of(&s, s.theta)));
    free(g);
    tear_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_hessian_product),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_rows_after_the_last_score),
        cmocka_unit_test(test_mark_on_the_first_token),
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_not_finite),
    };

    return cmocka_run_group_tests_name("objective", tests, NULL, NULL);
}
