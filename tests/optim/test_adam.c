/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps against their formula, replays bit for bit, adjoints against differences. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "outerloop/base/rng.h"
#include "plain_adam.h"

#ifdef OL_F64
static const double EPSILON = DBL_EPSILON;
#else
static const double EPSILON = FLT_EPSILON;
#endif

/* Spans that are shorter, longer and as long as the blocks of 1024 that steps work on. */
enum { SPANS = 5, P = 1200 + 3 + 1024 + 1 + 300, MOST_STEPS = 4 };
static const ol_span spans[SPANS] = {
    {0, 1200, true}, {1200, 3, false}, {1203, 1024, true}, {2227, 1, false}, {2228, 300, false}};

/* eps_root is what each test makes it. */
static ol_adam_spec SPEC = {
    .lr = 0.02, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.3};
static const double ROOTS[] = {0, 0.04};

/* Everything that an inner loop's end depends on. */
typedef struct start {
    ol_real x[P], m[P], v[P], g[MOST_STEPS][P];
} start;

static start *draw(void)
{
    ol_rng rng = ol_rng_stream(9, OL_RNG_TEST, 0, 0);
    start *s = malloc(sizeof *s);

    assert_non_null(s);
    for (int i = 0; i < P; i++) {
        s->x[i] = (ol_real)ol_rng_normal(&rng);
        s->m[i] = (ol_real)ol_rng_normal(&rng);
        s->v[i] = (ol_real)(0.1 + ol_rng_uniform(&rng));
        for (int k = 0; k < MOST_STEPS; k++) {
            const double g = ol_rng_normal(&rng);

            s->g[k][i] = (ol_real)(g < 0 ? g - 0.1 : g + 0.1);
        }
    }
    return s;
}

static bool decays(int i)
{
    return i < 1200 || (i >= 1203 && i < 2227);
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 16 * EPSILON * (1 + fabs(b)); /* a dozen operations on values of size 1 */
}

static void test_adam_step(void **state)
{
    start *s = draw(), *was = draw();

    (void)state;
    for (int t = 1; t <= 1001; t += 500) {
        SPEC.eps_root = ROOTS[t > 1];
        memcpy(s, was, sizeof *s);
        ol_adam_step(&SPEC, SPANS, spans, t, s->g[0], s->x, s->m, s->v);
        for (int i = 0; i < P; i++) {
            double x = (double)was->x[i], m = (double)was->m[i], v = (double)was->v[i];

            plain_adam(&SPEC, decays(i), 1 / (1 - pow(0.8, t)), 1 / (1 - pow(0.95, t)),
                       (double)was->g[0][i], &x, &m, &v);
            assert_true(near((double)s->m[i], m));
            assert_true(near((double)s->v[i], v));
            assert_true(near((double)s->x[i], x));
        }
    }
    free(s);
    free(was);
}

static void test_sgd_step(void **state)
{
    start *s = draw(), *was = draw();

    (void)state;
    ol_sgd_step(0.02, SPANS, spans, s->g[0], s->x);
    for (int i = 0; i < P; i++)
        assert_true(near((double)s->x[i], (double)was->x[i] - 0.02 * (double)was->g[0][i]));
    memcpy(s, was, sizeof *s);
    ol_sgd_step(0.02, 1, spans + 2, s->g[0], s->x); /* a part alone: the others stay */
    for (int i = 0; i < P; i++)
        assert_true((s->x[i] == was->x[i]) == (i < 1203 || i >= 2227));
    free(s);
    free(was);
}

static ol_adam_path path_of(const start *s, const ol_real **g, bool moments)
{
    for (int k = 0; k < MOST_STEPS; k++)
        g[k] = s->g[k];
    return (ol_adam_path){.spec = &SPEC,
                          .n_spans = SPANS,
                          .spans = spans,
                          .t0 = 7,
                          .x0 = s->x,
                          .m0 = moments ? s->m : NULL,
                          .v0 = moments ? s->v : NULL,
                          .g = g};
}

/* Replays make the bits that steps make, from moments and from nothing. */
static void test_replay(void **state)
{
    (void)state;
    for (int moments = 0; moments < 2; moments++) {
        SPEC.eps_root = ROOTS[moments];
        start *s = draw(), *walked = draw();
        const ol_real *g[MOST_STEPS];
        const ol_adam_path path = path_of(s, g, moments);
        ol_real x[P];

        if (!moments) {
            memset(walked->m, 0, sizeof walked->m);
            memset(walked->v, 0, sizeof walked->v);
        }
        for (int k = 0; k <= MOST_STEPS; k++) {
            ol_adam_replay(&path, k, x);
            assert_memory_equal(x, walked->x, sizeof x);
            if (k < MOST_STEPS)
                ol_adam_step(&SPEC, SPANS, spans, 7 + k + 1, g[k], walked->x, walked->m, walked->v);
        }
        free(s);
        free(walked);
    }
}

/* What remains when gradients are data. */
static void test_decay(void **state)
{
    start *s = draw(), *was = draw();

    (void)state;
    ol_adam_decay(&SPEC, SPANS, spans, 3, s->x);
    for (int i = 0; i < P; i++)
        assert_true(
            near((double)s->x[i], (double)was->x[i] * (decays(i) ? pow(1 - 0.02 * 0.3, 3) : 1)));
    memcpy(s, was, sizeof *s);
    ol_adam_decay(&SPEC, SPANS, spans, 0, s->x);
    assert_memory_equal(s->x, was->x, sizeof s->x);
    free(s);
    free(was);
}

/* Where v and g are 0, lg is the momentum's part alone; without eps_root because the slope of the root
 * counts as 0 there. */
static void adjoint_at_zero(double eps_root)
{
    start *s = draw(), *l = draw();
    const ol_real *g[MOST_STEPS];
    const ol_adam_path path = path_of(s, g, false);
    const double rate = 0.02 / (1 - pow(0.8, 8)) / (sqrt(eps_root) + 1e-3);
    ol_real lg[P];

    SPEC.eps_root = eps_root;
    memset(s->g[0], 0, sizeof s->g[0]);
    ol_adam_adjoint(&path, 0, NULL, l->x, NULL, NULL, lg);
    free(l);
    l = draw();
    for (int i = 0; i < P; i++)
        assert_true(fabs((double)lg[i] + 0.2 * rate * (double)l->x[i]) <=
                    16 * EPSILON * (1 + fabs((double)lg[i])));
    free(s);
    free(l);
}

static void test_adjoint_at_zero(void **state)
{
    (void)state;
    adjoint_at_zero(0);
    adjoint_at_zero(0.04);
}

/* Gradients of any size that a float holds, the smallest ones underflowing in v: no step of the
 * adjoint leaves the range of a float.  */
static void test_adjoint_of_small_gradients(void **state)
{
    start *s = draw();
    const ol_real *g[MOST_STEPS];
    ol_adam_path path = path_of(s, g, false);
    const ol_adam_spec spec = {.lr = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    ol_real lx[P], lg[P];

    (void)state;
    path.spec = &spec;
    path.t0 = 0;
    for (int i = 0; i < P; i++) {
        s->g[0][i] = (ol_real)((i % 2 ? 1 : -1) * pow(10, -30.0 + 35.0 * i / P));
        lx[i] = (ol_real)1e-3;
    }
    ol_adam_adjoint(&path, 0, NULL, lx, NULL, NULL, lg);
    for (int i = 0; i < P; i++) {
        const double size = fabs((double)s->g[0][i]);

        /* -ε/(|g| + ε)², and rounding that is measured by the terms that cancel: 1/(|g| + ε) */
        assert_true(isfinite((double)lg[i]));
        if (size > 1e-15)
            assert_true(fabs((double)lg[i] + 1e-3 * 1e-8 / pow(size + 1e-8, 2)) <=
                        16 * 1e-3 * EPSILON / (size + 1e-8));
    }
    free(s);
}

#ifdef OL_F64
/* Q = Σ weight x_K, by steps. */
static double objective(const start *from, const ol_real *weight, int K, bool moments)
{
    start *s = malloc(sizeof *s);
    double sum = 0;

    assert_non_null(s);
    memcpy(s, from, sizeof *s);
    if (!moments) {
        memset(s->m, 0, sizeof s->m);
        memset(s->v, 0, sizeof s->v);
    }
    for (int k = 0; k < K; k++)
        ol_adam_step(&SPEC, SPANS, spans, 7 + k + 1, s->g[k], s->x, s->m, s->v);
    for (int i = 0; i < P; i++)
        sum += weight[i] * s->x[i];
    free(s);
    return sum;
}

/* dQ along the direction that moves one block of reals of `start` by u. Differences of fourth order
 * with step 1e-4: gradients of at least 0.1 move by at most 4e-4, so √v by 0.4 % and truncation is
 * below (4e-3)⁴ = 3e-10; rounding is 1.5 ε |Q|/h = 1e-10, with |Q| ≈ √P. */
static const double STEP = 1e-4;

static double difference(const start *from, const ol_real *weight, int K, bool moments,
                         size_t offset, const ol_real *u)
{
    static const double places[] = {1, -1, 2, -2}, weights[] = {8, -8, -1, 1};
    start *s = malloc(sizeof *s);
    double sum = 0;

    assert_non_null(s);
    for (int i = 0; i < 4; i++) {
        ol_real *at = (ol_real *)(void *)((char *)s + offset);

        memcpy(s, from, sizeof *s);
        for (int j = 0; j < P; j++)
            at[j] += places[i] * STEP * u[j];
        sum += weights[i] * objective(s, weight, K, moments) / (12 * STEP);
    }
    free(s);
    return sum;
}

static void expect_along(const char *what, const ol_real *u, const ol_real *l, double expected)
{
    double along = 0, size = 0;

    for (int i = 0; i < P; i++) {
        along += u[i] * l[i];
        size += fabs(u[i] * l[i]);
    }
    if (!(fabs(along - expected) <= 1e-9 * (1 + size)))
        fail_msg("%s: %.12g along a direction, differences say %.12g", what, along, expected);
}

static void adjoint_case(int K, bool moments)
{
    start *s = draw(), *other = draw();
    const ol_real *g[MOST_STEPS], *u = other->g[3], *weight = other->g[2];
    const ol_adam_path path = path_of(s, g, moments);
    ol_real x[P], again[P], lx[P], lm[P], lv[P], lg[P];

    memcpy(lx, weight, sizeof lx);
    memset(lm, 0, sizeof lm);
    memset(lv, 0, sizeof lv);
    for (int k = K - 1; k >= 0; k--) {
        ol_adam_adjoint(&path, k, x, lx, lm, lv, lg);
        ol_adam_replay(&path, k, again);
        assert_true(k == 0 || memcmp(x, again, sizeof x) == 0);
        expect_along(
            "lg", u, lg,
            difference(s, weight, K, moments, offsetof(start, g) + (size_t)k * sizeof lg, u));
    }
    expect_along("lx", u, lx, difference(s, weight, K, moments, offsetof(start, x), u));
    if (moments) {
        expect_along("lm", u, lm, difference(s, weight, K, moments, offsetof(start, m), u));
        for (int i = 0; i < P; i++) /* keep v well above 0 */
            other->g[3][i] *= 0.01;
        expect_along("lv", u, lv, difference(s, weight, K, moments, offsetof(start, v), u));
    }
    if (K == 1) {
        ol_real without[P];

        memcpy(lx, weight, sizeof lx);
        ol_adam_adjoint(&path, 0, NULL, lx, NULL, NULL, without);
        assert_memory_equal(without, lg, sizeof lg);
    }
    free(s);
    free(other);
}

static void test_adjoint(void **state)
{
    (void)state;
    for (int K = 1; K <= 6; K++) {
        SPEC.eps_root = ROOTS[K > 3];
        adjoint_case((K - 1) % 3 + 1, true);
    }
}

/* From nothing, v is near g²: its root has a kink at g = 0 that differences stumble over, so gradients
 * keep away from it; test_adjoint_at_zero stands on it. */
static void test_adjoint_without_moments(void **state)
{
    (void)state;
    for (int K = 1; K <= 6; K++) {
        SPEC.eps_root = ROOTS[K > 3];
        adjoint_case((K - 1) % 3 + 1, false);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adam_step),       cmocka_unit_test(test_sgd_step),
        cmocka_unit_test(test_replay),          cmocka_unit_test(test_decay),
        cmocka_unit_test(test_adjoint_at_zero), cmocka_unit_test(test_adjoint_of_small_gradients),
#ifdef OL_F64
        cmocka_unit_test(test_adjoint),         cmocka_unit_test(test_adjoint_without_moments),
#endif
    };

    return cmocka_run_group_tests_name("optimizers", tests, NULL, NULL);
}
