/* SPDX-License-Identifier: BSD-3-Clause */
/* Every fast kernel against a plain loop, in the precision that this file is compiled for.
 *
 * A sum of n products of size 1 rounds to within n ε, a vector function to a few ε: 200 ε of the
 * largest value leaves an order to sums of up to 150 terms. */
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
#include "outerloop/kernel/attention.h"
#include "outerloop/kernel/cross_entropy.h"
#include "outerloop/kernel/embedding.h"
#include "outerloop/kernel/gelu.h"
#include "outerloop/kernel/gemm.h"
#include "outerloop/kernel/layernorm.h"
#include "outerloop/kernel/linear.h"
#include "outerloop/kernel/vector.h"
#include "outerloop/kernel/vmath.h"

#ifdef OL_F64
static const double EPSILON = DBL_EPSILON;
#else
static const double EPSILON = FLT_EPSILON;
#endif

static ol_real *draw(size_t n, uint32_t stream)
{
    ol_rng rng = ol_rng_stream(3, OL_RNG_TEST, stream, 0);
    ol_real *x = malloc(n * sizeof *x);

    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (ol_real)ol_rng_normal(&rng);
    return x;
}

static void near(const char *what, size_t n, const double *expected, const ol_real *got)
{
    double worst = 0, largest = 1;

    for (size_t i = 0; i < n; i++) {
        const double error = fabs(expected[i] - (double)got[i]);

        if (!isfinite(error))
            fail_msg("%s: element %zu is %g, not %g", what, i, (double)got[i], expected[i]);
        worst = fmax(worst, error);
        largest = fmax(largest, fabs(expected[i]));
    }
    if (worst > 200 * EPSILON * largest)
        fail_msg("%s: off by %.3g of %.3g", what, worst, largest);
}

/* c = α op(a) op(b) + β c, element by element. */
static void product_ref(int ta, int tb, int m, int n, int k, double alpha, ol_mat a, ol_mat b,
                        double beta, const ol_real *c, int ldc, double *out)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;

            for (int l = 0; l < k; l++)
                sum += (double)a.at[ta ? l * a.ld + i : i * a.ld + l] *
                       (double)b.at[tb ? j * b.ld + l : l * b.ld + j];
            out[i * ldc + j] = alpha * sum + (beta != 0 ? beta * (double)c[i * ldc + j] : 0);
        }
}

static void test_gemm(void **state)
{
    enum { m = 7, n = 9, k = 11, ld = 13 };
    void (*const products[])(int, int, int, ol_real, ol_mat, ol_mat, ol_real,
                             ol_mat_out) = {ol_gemm_nn, ol_gemm_nt, ol_gemm_tn};
    ol_real *a = draw(ld * ld, 1), *b = draw(ld * ld, 2);
    double expected[ld * ld];

    (void)state;
    for (int p = 0; p < 3; p++)
        for (int beta = 0; beta < 2; beta++) {
            ol_real *c = draw(ld * ld, 3);
            const double before = ol_gemm_flops();

            for (int i = 0; i < ld * ld; i++)
                expected[i] = (double)c[i];
            product_ref(p == 2, p == 1, m, n, k, 0.5, (ol_mat){a, ld}, (ol_mat){b, ld}, 2 * beta, c,
                        ld, expected);
            if (beta == 0) /* what stands in c must not matter then */
                c[0] = (ol_real)NAN;
            products[p](m, n, k, (ol_real)0.5, (ol_mat){a, ld}, (ol_mat){b, ld},
                        (ol_real)(2 * beta), (ol_mat_out){c, ld});
            near("product", ld * ld, expected, c);
            assert_true(ol_gemm_flops() - before == 2.0 * m * n * k);
            free(c);
        }
    free(a);
    free(b);
}

static void test_linear(void **state)
{
    enum { n = 6, in = 5, out = 7, ldw = 12, ldy = 9 };
    const ol_linear_dim d = {n, in, out, ldw, ldy};
    ol_real *x = draw(n * in, 1), *w = draw(in * ldw, 2), *b = draw(out, 3), *y = draw(n * ldy, 4);
    double expected[n * ldy];

    (void)state;
    for (int i = 0; i < n * ldy; i++)
        expected[i] = (double)y[i];
    product_ref(0, 0, n, out, in, 1, (ol_mat){x, in}, (ol_mat){w, ldw}, 0, NULL, ldy, expected);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < out; j++)
            expected[i * ldy + j] += (double)b[j];
    ol_linear_forward(OL_PRIMAL, d, (ol_dual){x, NULL}, (ol_dual){w, NULL}, (ol_dual){b, NULL},
                      (ol_dual){y, NULL});
    near("linear", n * ldy, expected, y);
    free(x);
    free(w);
    free(b);
    free(y);
}

static void test_layernorm(void **state)
{
    enum { n = 5, C = 13 };
    ol_real *x = draw(n * C, 1), *g = draw(C, 2), *b = draw(C, 3), y[n * C], mean[n], rstd[n];
    double expected[n * C], means[n], rstds[n];

    (void)state;
    for (int i = 0; i < n; i++) {
        double mu = 0, var = 0;

        for (int j = 0; j < C; j++)
            mu += (double)x[i * C + j] / C;
        for (int j = 0; j < C; j++)
            var += pow((double)x[i * C + j] - mu, 2) / C;
        means[i] = mu;
        rstds[i] = 1 / sqrt(var + 1e-5);
        for (int j = 0; j < C; j++)
            expected[i * C + j] =
                ((double)x[i * C + j] - mu) * rstds[i] * (double)g[j] + (double)b[j];
    }
    ol_layernorm_forward(OL_PRIMAL, (ol_layernorm_dim){n, C, 1e-5}, (ol_dual){x, NULL},
                         (ol_dual){g, NULL}, (ol_dual){b, NULL}, mean, rstd, (ol_dual){y, NULL});
    near("layernorm", n * C, expected, y);
    near("mean", n, means, mean);
    near("rstd", n, rstds, rstd);
    free(x);
    free(g);
    free(b);
}

static double gelu_ref(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

static void test_gelu(void **state)
{
    enum { n = 777 };
    ol_real *x = draw(n, 1), y[n];
    double expected[n];

    (void)state;
    x[0] = 0;
    x[1] = 40;
    x[2] = -40;
    x[3] = (ol_real)1e-6;
    for (int i = 0; i < n; i++)
        expected[i] = gelu_ref((double)x[i]);
    ol_gelu_forward(OL_PRIMAL, n, (ol_dual){x, NULL}, (ol_dual){y, NULL});
    near("gelu", n, expected, y);
    free(x);
}

/* One head of one query row: softmax over the keys it sees, in double. */
static double attend_ref(int D, int visible, const ol_real *q, const ol_real *k, const ol_real *v,
                         int ldkv, double *o)
{
    double score[256], top = -INFINITY, sum = 0;

    for (int j = 0; j < visible; j++) {
        score[j] = 0;
        for (int c = 0; c < D; c++)
            score[j] += (double)q[c] * (double)k[j * ldkv + c] / sqrt(D);
        top = fmax(top, score[j]);
    }
    for (int j = 0; j < visible; j++)
        sum += exp(score[j] - top);
    for (int c = 0; c < D; c++) {
        o[c] = 0;
        for (int j = 0; j < visible; j++)
            o[c] += exp(score[j] - top) / sum * (double)v[j * ldkv + c];
    }
    return top + log(sum);
}

/* Sequences of 130 and 67 keys; every key asks, or 70 and 1 of them. */
static void attention_case(bool few)
{
    enum { H = 3, D = 5, C = H * D, LDKV = 2 * C, LDQ = C + 4, N = 197 };
    static const int keys[] = {0, 130, 197}, few_queries[] = {0, 70, 71};
    const int *queries = few ? few_queries : keys;
    const int m = queries[2];
    int position[N];
    ol_real *q = draw(N * LDQ, 1), *kv = draw(N * LDKV, 2), *o = draw(N * C, 3);
    ol_real lse[N * H], *scratch = malloc(ol_attention_scratch(130) * sizeof *scratch);
    double *expected = malloc(N * C * sizeof *expected), lses[N * H];

    assert_true(scratch && expected);
    for (int b = 0; b < 2; b++)
        for (int i = queries[b]; i < queries[b + 1]; i++) {
            position[i] = few ? (b == 0 ? i + i / 2 : 40) : i - queries[b];
            for (int h = 0; h < H; h++) {
                const ol_real *k = kv + keys[b] * LDKV + h * D;

                lses[i * H + h] = attend_ref(D, position[i] + 1, q + i * LDQ + h * D, k, k + C,
                                             LDKV, expected + i * C + h * D);
            }
        }
    ol_attention_forward(OL_PRIMAL, (ol_attention_dim){H, D, 2, keys, queries, position, LDQ, LDKV},
                         (ol_attention_io){{q, NULL}, {kv, NULL}, {kv + C, NULL}, lse},
                         (ol_dual){o, NULL}, scratch);
    near("attention", (size_t)m * C, expected, o);
    near("lse", (size_t)m * H, lses, lse);
    free(q);
    free(kv);
    free(o);
    free(scratch);
    free(expected);
}

static void test_attention(void **state)
{
    (void)state;
    attention_case(false);
    attention_case(true);
}

/* Scores that would overflow an exponential if the largest were not taken off. */
static void test_attention_large_scores(void **state)
{
    enum { n = 3 };
    static const int start[] = {0, n}, position[] = {0, 1, 2};
    ol_real q[n] = {300, 300, 300}, k[n] = {1, 2, 3}, v[n] = {5, 7, 11}, o[n], lse[n];
    ol_real *scratch = malloc(ol_attention_scratch(n) * sizeof *scratch);
    const double expected[n] = {5, 7, 11};

    (void)state;
    assert_non_null(scratch);
    ol_attention_forward(OL_PRIMAL, (ol_attention_dim){1, 1, 1, start, start, position, 1, 1},
                         (ol_attention_io){{q, NULL}, {k, NULL}, {v, NULL}, lse},
                         (ol_dual){o, NULL}, scratch);
    near("attention to the largest", n, expected, o);
    free(scratch);
}

static void test_cross_entropy(void **state)
{
    enum { M = 9, C = 6, V = 23 };
    const ol_cross_entropy_dim d = {M, C, V};
    ol_real *h = draw(M * C, 1), *w = draw(V * C, 2);
    ol_real *scratch = malloc(ol_cross_entropy_scratch(d) * sizeof *scratch);
    int32_t target[M];
    double loss[M];

    (void)state;
    assert_non_null(scratch);
    for (int c = 0; c < C; c++)
        h[c] *= 1000; /* logits far beyond what exp can hold */
    for (int i = 0; i < M; i++)
        target[i] = (i * 5) % V;
    ol_cross_entropy_loss(d, h, w, target, loss, scratch);
    for (int i = 0; i < M; i++) {
        double z[V], top = -INFINITY, sum = 0;

        for (int j = 0; j < V; j++) {
            z[j] = 0;
            for (int c = 0; c < C; c++)
                z[j] += (double)h[i * C + c] * (double)w[j * C + c];
            top = fmax(top, z[j]);
        }
        for (int j = 0; j < V; j++)
            sum += exp(z[j] - top);
        const double expected = top + log(sum) - z[target[i]];

        assert_true(fabs(loss[i] - expected) <= 200 * EPSILON * fmax(1, fabs(top)));
    }
    free(h);
    free(w);
    free(scratch);
}

static void test_embedding(void **state)
{
    enum { n = 4, C = 3 };
    static const int32_t token[n] = {1, 0, 1, 2};
    static const int position[n] = {0, 1, 0, 1};
    ol_real *wte = draw(3 * C, 1), *wpe = draw(2 * C, 2), x[n * C];

    (void)state;
    ol_embedding_forward(OL_PRIMAL, n, C, token, position, (ol_dual){wte, NULL},
                         (ol_dual){wpe, NULL}, (ol_dual){x, NULL});
    for (int i = 0; i < n; i++)
        for (int j = 0; j < C; j++)
            assert_true(x[i * C + j] == wte[token[i] * C + j] + wpe[position[i] * C + j]);
    free(wte);
    free(wpe);
}

/* An element's exp or tanh does not depend on where it stands: prompts alone and in company agree. */
static void test_vmath(void **state)
{
    enum { n = 101 };
    ol_real *x = draw(n, 1), all[n], one;
    double exps[n], tanhs[n];

    (void)state;
    for (int i = 0; i < n; i++) {
        exps[i] = exp((double)x[i]);
        tanhs[i] = tanh((double)x[i]);
    }
    ol_vmath_exp(n, x, all);
    near("exp", n, exps, all);
    for (size_t i = 0; i < n; i++) {
        ol_vmath_exp(1, x + i, &one);
        assert_memory_equal(&one, all + i, sizeof one);
    }
    ol_vmath_tanh(n, x, all);
    near("tanh", n, tanhs, all);
    ol_vmath_tanh(n, x, x); /* in place */
    assert_memory_equal(x, all, n * sizeof one);
    one = -(ol_real)INFINITY;
    ol_vmath_exp(1, &one, &one);
    assert_true(one == 0);
    free(x);
}

static void test_vector(void **state)
{
    enum { n = 1000 };
    ol_real *x = draw(n, 1), *y = draw(n, 2), *z = draw(n, 2);
    double dot = 0, norm = 0, distance = 0;

    (void)state;
    for (int i = 0; i < n; i++) {
        dot += (double)x[i] * (double)y[i];
        norm += (double)x[i] * (double)x[i];
        distance += pow((double)x[i] - (double)y[i], 2);
    }
    assert_true(fabs(ol_vector_dot(n, x, y) - dot) <= 1e-11);
    assert_true(fabs(ol_vector_norm(n, x) - sqrt(norm)) <= 1e-11);
    assert_true(fabs(ol_vector_distance(n, x, y) - sqrt(distance)) <= 1e-11);
    ol_vector_axpy(n, 2, x, y);
    ol_vector_scale(n, (ol_real)0.5, y);
    for (int i = 0; i < n; i++)
        assert_true(fabs((double)y[i] - 0.5 * ((double)z[i] + 2 * (double)x[i])) <=
                    4 * EPSILON * (1 + fabs((double)y[i])));
    assert_true(ol_vector_finite(n, x));
    x[n - 1] = (ol_real)INFINITY;
    assert_false(ol_vector_finite(n, x));
    x[n - 1] = (ol_real)NAN;
    assert_false(ol_vector_finite(n, x));
    ol_vector_zero(n, x);
    assert_true(ol_vector_norm(n, x) == 0);
    free(x);
    free(y);
    free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm),      cmocka_unit_test(test_linear),
        cmocka_unit_test(test_layernorm), cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_attention), cmocka_unit_test(test_attention_large_scores),
        cmocka_unit_test(test_embedding), cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_vmath),     cmocka_unit_test(test_vector),
    };

    return cmocka_run_group_tests_name("kernels against plain loops", tests, NULL, NULL);
}
