/* SPDX-License-Identifier: BSD-3-Clause */
/* The value of every operator against a plain loop, in the precision that this file is compiled for;
 * its derivatives follow from the value by the checks of deriv.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "near.h"
#include "operators.h"
#include "outerloop/kernel/attention.h"
#include "outerloop/kernel/cross_entropy.h"
#include "outerloop/kernel/gate.h"
#include "plain.h"

static void test_operators(void **state)
{
    (void)state;
    for (int k = 0; k < n_shapes; k++) {
        const shape *s = &shapes[k];
        const size_t n = (size_t)s->n * (size_t)s->spec.out;
        pool p = {0};
        ol_call c = shape_call(s, &p);
        double *expected = malloc(n * sizeof *expected);

        assert_non_null(expected);
        plain_forward(s->op, &c, rotary_frequency, expected);
        for (size_t i = 0; s->op->flags & OL_ADDS && i < n; i++)
            expected[i] += (double)c.y.v[i];
        if (s->op->flags & OL_IN_PLACE)
            c.y = c.x[0];
        s->op->forward(OL_PRIMAL, &c);
        near(s->name, n, expected, c.y.v);
        assert_true(pool_finish(&p));
        free(expected);
    }
}

/* Values where an exponential overflows, and where a difference of large numbers would. */
static void test_gates_far_out(void **state)
{
    enum { n = 8 };
    static const double at[n] = {0, 1e-6, -1e-6, 40, -40, 1000, -1000, 3};
    const ol_op_spec spec = {.in = n, .out = n};
    ol_real x[n], one[n], y[n];
    const ol_call c = {.spec = &spec, .n = 1, .x = {{x, NULL}, {one, NULL}}, .y = {y, NULL}};
    double gelu[n], silu[n];

    (void)state;
    for (int i = 0; i < n; i++) {
        x[i] = (ol_real)at[i];
        one[i] = 1;
        gelu[i] = plain_gelu((double)x[i]);
        silu[i] = plain_silu((double)x[i]);
    }
    ol_gelu.forward(OL_PRIMAL, &c);
    near("gelu", n, gelu, y);
    ol_swiglu.forward(OL_PRIMAL, &c);
    near("swiglu", n, silu, y);
}

/* Scores that would overflow an exponential if the largest were not taken off. */
static void test_attention_large_scores(void **state)
{
    enum { n = 3 };
    static const int start[] = {0, n}, position[] = {0, 1, 2};
    static const ol_rows rows = {.B = 1,
                                 .start = start,
                                 .position = position,
                                 .query_start = start,
                                 .query_position = position,
                                 .longest = n};
    const shape s = {"large scores", &ol_attention,
                     .spec = {.in = 1, .out = 1, .heads = 1, .kv_heads = 1, .head_dim = 1},
                     .rows = &rows, .n = n};
    const double expected[n] = {5, 7, 11};
    pool p = {0};
    ol_call c = shape_call(&s, &p);

    (void)state;
    for (int i = 0; i < n; i++) {
        c.x[0].v[i] = 300;
        c.x[1].v[i] = (ol_real)(i + 1);
        c.x[2].v[i] = (ol_real)expected[i];
    }
    ol_attention.forward(OL_PRIMAL, &c);
    near("attention to the largest", n, expected, c.y.v);
    assert_true(pool_finish(&p));
}

/* Three sequences: the second begins with 70 rows of the first, the third with 3 of the second. */
enum { SEQUENCES = 3, TOTAL = 197 };

static const int LENGTH[] = {90, 100, 7}, BEGUN[] = {0, 70, 3};

typedef struct layout {
    int start[SEQUENCES + 1], position[TOTAL], row[TOTAL];
    int query_start[SEQUENCES + 1], query_position[TOTAL], query_row[TOTAL];
    ol_rows rows;
} layout;

/* Rows of the sequences, of which one at every `step` positions asks; each with its row where
 * nothing is shared. */
static void lay_out(bool shared, int step, layout *l)
{
    int n = 0, m = 0;

    for (int b = 0, first = 0; b < SEQUENCES; first += LENGTH[b++]) {
        l->start[b] = n;
        l->query_start[b] = m;
        for (int i = shared ? BEGUN[b] : 0; i < LENGTH[b]; i++) {
            if (i % step == 0) {
                l->query_position[m] = i;
                l->query_row[m++] = first + i;
            }
            l->position[n] = i;
            l->row[n++] = first + i;
        }
    }
    l->start[SEQUENCES] = n;
    l->query_start[SEQUENCES] = m;
    l->rows = (ol_rows){.B = SEQUENCES,
                        .start = l->start,
                        .position = l->position,
                        .query_start = l->query_start,
                        .query_position = l->query_position,
                        .shared = shared,
                        .longest = 100};
}

/* Where nothing is shared: sequences become alike where they begin so. */
static void repeat_beginnings(int width, ol_real *x)
{
    for (int b = 1, first = LENGTH[0]; b < SEQUENCES; first += LENGTH[b++])
        for (int i = 0; i < BEGUN[b] * width; i++)
            x[first * width + i] = x[(first - LENGTH[b - 1]) * width + i];
}

static void pick_rows(int n, size_t width, const int *row, const ol_real *from, ol_real *to)
{
    for (int i = 0; i < n; i++)
        memcpy(to + (size_t)i * width, from + (size_t)row[i] * width, width * sizeof *to);
}

/* Rows that sequences share are there once, and all is as with each sequence alone. */
static void shared_case(int step)
{
    enum { H = 4, G = 2, D = 3, Q = H * D, KV = G * D };
    layout all, own;
    shape alone = {"alone", &ol_attention,
                   .spec = {.in = Q, .out = Q, .heads = H, .kv_heads = G, .head_dim = D},
                   .rows = &all.rows, .n = TOTAL};
    shape shared = alone;
    double expected[TOTAL * Q];
    pool p = {0};

    lay_out(false, 1, &all);
    lay_out(true, step, &own);
    shared.rows = &own.rows;
    shared.n = own.query_start[SEQUENCES];
    ol_call a = shape_call(&alone, &p), s = shape_call(&shared, &p);

    for (int i = 1; i < 3; i++) {
        repeat_beginnings(KV, a.x[i].v);
        pick_rows(own.start[SEQUENCES], KV, own.row, a.x[i].v, s.x[i].v);
    }
    pick_rows(s.n, Q, own.query_row, a.x[0].v, s.x[0].v);
    ol_attention.forward(OL_PRIMAL, &a);
    ol_attention.forward(OL_PRIMAL, &s);
    for (int i = 0; i < s.n * Q; i++)
        expected[i] = (double)a.y.v[own.query_row[i / Q] * Q + i % Q];
    near("attention of shared rows", (size_t)(s.n * Q), expected, s.y.v);
    assert_true(pool_finish(&p));
}

static void test_attention_shared(void **state)
{
    (void)state;
    shared_case(1);
    shared_case(3);
}

/* Logits far beyond what exp can hold; and the loss that comes with the adjoint. */
static void test_cross_entropy_large_logits(void **state)
{
    enum { M = 9, C = 6, V = 23 };
    const ol_cross_entropy_dim d = {M, C, V};
    int32_t target[M];
    const ol_rows rows = {.token = target};
    const ol_op_spec spec = {.in = C, .out = 1};
    pool p = {0};
    ol_real *h = pool_random(&p, M * C, 1), *w = pool_random(&p, V * C, 2);
    ol_real *scratch = pool_take(&p, ol_cross_entropy_scratch(d)), *ones = pool_take(&p, M);
    const ol_call c = {.spec = &spec,
                       .rows = &rows,
                       .n = M,
                       .x = {{h, NULL}},
                       .w = {{.at = {w, NULL}, .rows = V, .cols = C, .ld = C}}};
    double loss[M], again[M], expected[M];

    (void)state;
    for (int i = 0; i < M; i++) {
        target[i] = (i * 5) % V;
        ones[i] = 1;
    }
    for (int i = 0; i < M * C; i += 2)
        h[i] *= 1000;
    plain_forward(&cross_entropy, &c, NULL, expected);
    ol_cross_entropy_loss(d, h, &c.w[0], target, loss, scratch);
    for (int i = 0; i < M; i++) /* of logits up to 1e4 */
        assert_true(fabs(loss[i] - expected[i]) <= 200 * EPSILON * 1e4);
    ol_cross_entropy_adjoint(OL_PRIMAL, d, c.x[0], &c.w[0], target, ones, again,
                             (ol_dual){NULL, NULL}, (ol_dual){NULL, NULL}, scratch);
    assert_memory_equal(again, loss, sizeof loss);
    assert_true(pool_finish(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operators),
        cmocka_unit_test(test_gates_far_out),
        cmocka_unit_test(test_attention_large_scores),
        cmocka_unit_test(test_attention_shared),
        cmocka_unit_test(test_cross_entropy_large_logits),
    };

    return cmocka_run_group_tests_name("kernels against plain loops", tests, NULL, NULL);
}
