/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/attention.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "outerloop/kernel/gemm.h"  /* ol_gemm_nn, ol_gemm_nt, ol_gemm_tn */
#include "outerloop/kernel/vmath.h" /* ol_vmath_exp */

enum { BLOCK = 64 }; /* query rows of a block */

/* One block of query rows of one sequence and head: pointers are at its first element. */
typedef struct block {
    int rows, keys;              /* query rows, and the keys that the last of them sees */
    int D, H, ldq, ldkv;         /* distances between rows: H·D and G·D                 */
    ol_real scale;               /* σ                                                   */
    const int *position;         /* [rows]                                              */
    ol_dual q, k, v, o;          /* o also stands for o_bar                             */
    ol_dual q_bar, k_bar, v_bar; /* NULL where not wanted                               */
    ol_real *lse;                /* [rows], H apart                                     */
    ol_dual p;                   /* scratch: P and R{P}            [rows,keys]          */
    ol_dual s;                   /* scratch: S_bar and R{S_bar}    [rows,keys]          */
} block;

static ol_mat q_of(const block *b, const ol_real *at)
{
    return (ol_mat){at, b->ldq};
}

static ol_mat kv_of(const block *b, const ol_real *at)
{
    return (ol_mat){at, b->ldkv};
}

static ol_mat pairs_of(const block *b, const ol_real *at)
{
    return (ol_mat){at, b->keys};
}

/* out [rows,keys] = α a bᵀ + β out, a like q, b like k; nothing and β when either is NULL.
 * Returns the β of a next term. */
static ol_real pairs(const block *b, ol_real alpha, const ol_real *a, const ol_real *k,
                     ol_real beta, ol_real *out)
{
    if (!a || !k)
        return beta;
    ol_gemm_nt(b->rows, b->keys, b->D, alpha, q_of(b, a), kv_of(b, k), beta,
               (ol_mat_out){out, b->keys});
    return 1;
}

/* out [rows,D], like q, = α p k + β out, likewise. */
static ol_real to_queries(const block *b, ol_real alpha, const ol_real *p, const ol_real *k,
                          ol_real beta, ol_real *out)
{
    if (!p || !k || !out)
        return beta;
    ol_gemm_nn(b->rows, b->D, b->keys, alpha, pairs_of(b, p), kv_of(b, k), beta,
               (ol_mat_out){out, b->ldq});
    return 1;
}

/* out [keys,D], like k, += α pᵀ a, likewise. */
static void to_keys(const block *b, ol_real alpha, const ol_real *p, const ol_real *a, ol_real *out)
{
    if (p && a && out)
        ol_gemm_tn(b->keys, b->D, b->rows, alpha, pairs_of(b, p), q_of(b, a), 1,
                   (ol_mat_out){out, b->ldkv});
}

static void zero_pairs(const block *b, ol_real *out)
{
    memset(out, 0, (size_t)b->rows * (size_t)b->keys * sizeof *out);
}

static void zero_queries(const block *b, ol_real *out)
{
    for (int i = 0; out && i < b->rows; i++)
        memset(out + (size_t)i * (size_t)b->ldq, 0, (size_t)b->D * sizeof *out);
}

/* Turn a row of S into probabilities; its normaliser is found, or read when `known`. */
static void softmax_row(int visible, int keys, int known, ol_real *lse, ol_real *row)
{
    ol_real top = row[0], sum = 0;

    if (!known) {
#pragma omp simd reduction(max : top)
        for (int j = 0; j < visible; j++)
            top = row[j] > top ? row[j] : top;
    } else {
        top = *lse;
    }
    for (int j = 0; j < visible; j++)
        row[j] -= top;
    ol_vmath_exp((size_t)visible, row, row);
    memset(row + visible, 0, (size_t)(keys - visible) * sizeof *row);
    if (known)
        return;
#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < visible; j++)
        sum += row[j];
    const ol_real inverse = 1 / sum;

    for (int j = 0; j < visible; j++)
        row[j] *= inverse;
    *lse = top + (ol_real)log((double)sum);
}

/* P of a block (1). */
static void probabilities(const block *b, int known)
{
    pairs(b, b->scale, b->q.v, b->k.v, 0, b->p.v);
    for (int i = 0; i < b->rows; i++)
        softmax_row(b->position[i] + 1, b->keys, known, b->lse + (size_t)i * (size_t)b->H,
                    b->p.v + (size_t)i * (size_t)b->keys);
}

/* out = p (x - Σ p x) for a row; invisible keys have p = 0. */
static void softmax_tangent_row(int keys, const ol_real *p, const ol_real *x, ol_real *out)
{
    ol_real along = 0;

#pragma omp simd reduction(+ : along)
    for (int j = 0; j < keys; j++)
        along += p[j] * x[j];
    for (int j = 0; j < keys; j++)
        out[j] = p[j] * (x[j] - along);
}

/* R{P} of a block (3), P given; NULL when it is zero. */
static const ol_real *probability_tangents(const block *b)
{
    const ol_real beta = pairs(b, b->scale, b->q.dot, b->k.v, 0, b->p.dot);

    if (pairs(b, b->scale, b->q.v, b->k.dot, beta, b->p.dot) == 0)
        return NULL;
    for (int i = 0; i < b->rows; i++) {
        const size_t at = (size_t)i * (size_t)b->keys;

        softmax_tangent_row(b->keys, b->p.v + at, b->p.dot + at, b->p.dot + at);
    }
    return b->p.dot;
}

static void forward_block(ol_pass pass, const block *b)
{
    probabilities(b, !(pass & OL_PRIMAL));
    if (pass & OL_PRIMAL)
        to_queries(b, 1, b->p.v, b->v.v, 0, b->o.v);
    if (pass & OL_TANGENT) {
        const ol_real beta = to_queries(b, 1, probability_tangents(b), b->v.v, 0, b->o.dot);

        if (to_queries(b, 1, b->p.v, b->v.dot, beta, b->o.dot) == 0)
            zero_queries(b, b->o.dot);
    }
}

/* S_bar, and R{S_bar} when `tangent`, from P_bar and R{P_bar} in place, for one row (2), (4). */
static void score_adjoint_row(int keys, int tangent, const ol_real *p, const ol_real *p_dot,
                              ol_real *s, ol_real *s_dot)
{
    ol_real along = 0, along_dot = 0;

#pragma omp simd reduction(+ : along)
    for (int j = 0; j < keys; j++)
        along += p[j] * s[j];
    if (tangent) {
#pragma omp simd reduction(+ : along_dot)
        for (int j = 0; j < keys; j++)
            along_dot += p_dot[j] * s[j] + p[j] * s_dot[j];
        for (int j = 0; j < keys; j++)
            s_dot[j] = p_dot[j] * (s[j] - along) + p[j] * (s_dot[j] - along_dot);
    }
    for (int j = 0; j < keys; j++)
        s[j] = p[j] * (s[j] - along);
}

/* P, S_bar and, when asked for, their tangents. b->o is o_bar here. */
static void score_adjoints(ol_pass pass, const block *b)
{
    const int tangent = (pass & OL_TANGENT) != 0;

    probabilities(b, 1);
    pairs(b, 1, b->o.v, b->v.v, 0, b->s.v);
    if (tangent) {
        const ol_real beta = pairs(b, 1, b->o.dot, b->v.v, 0, b->s.dot);

        if (!probability_tangents(b))
            zero_pairs(b, b->p.dot);
        if (pairs(b, 1, b->o.v, b->v.dot, beta, b->s.dot) == 0)
            zero_pairs(b, b->s.dot);
    }
    for (int i = 0; i < b->rows; i++) {
        const size_t at = (size_t)i * (size_t)b->keys;

        score_adjoint_row(b->keys, tangent, b->p.v + at, b->p.dot + at, b->s.v + at, b->s.dot + at);
    }
}

static void backward_block(ol_pass pass, const block *b)
{
    score_adjoints(pass, b);
    if (pass & OL_PRIMAL) {
        to_queries(b, b->scale, b->s.v, b->k.v, 0, b->q_bar.v);
        to_keys(b, b->scale, b->s.v, b->q.v, b->k_bar.v);
        to_keys(b, 1, b->p.v, b->o.v, b->v_bar.v);
    }
    if (pass & OL_TANGENT) {
        const ol_real beta = to_queries(b, b->scale, b->s.dot, b->k.v, 0, b->q_bar.dot);

        to_queries(b, b->scale, b->s.v, b->k.dot, beta, b->q_bar.dot);
        to_keys(b, b->scale, b->s.dot, b->q.v, b->k_bar.dot);
        to_keys(b, b->scale, b->s.v, b->q.dot, b->k_bar.dot);
        to_keys(b, 1, b->p.dot, b->o.v, b->v_bar.dot);
        to_keys(b, 1, b->p.v, b->o.dot, b->v_bar.dot);
    }
}

/* Keys and values, those of one sequence from row `start` on. */
typedef struct key_rows {
    ol_dual k, v;
    int start;
} key_rows;

/* The block that starts at query row i of sequence b, head h; o is y or y_bar of the call. */
static block block_at(const ol_call *c, key_rows kv, ol_dual o, int b, int h, int i)
{
    const int D = c->spec->head_dim, H = c->spec->heads, G = c->spec->kv_heads;
    const int left = c->rows->query_start[b + 1] - i, rows = left < BLOCK ? left : BLOCK;
    const int keys = c->rows->query_position[i + rows - 1] + 1;
    const size_t query = ((size_t)i * (size_t)H + (size_t)h) * (size_t)D;
    const size_t key = ((size_t)kv.start * (size_t)G + (size_t)(h / (H / G))) * (size_t)D;
    const size_t pairs = (size_t)BLOCK * (size_t)keys;

    return (block){.rows = rows,
                   .keys = keys,
                   .D = D,
                   .H = H,
                   .ldq = H * D,
                   .ldkv = G * D,
                   .scale = (ol_real)(1.0 / sqrt((double)D)),
                   .position = c->rows->query_position + i,
                   .q = ol_dual_at(c->x[0], query),
                   .k = ol_dual_at(kv.k, key),
                   .v = ol_dual_at(kv.v, key),
                   .o = ol_dual_at(o, query),
                   .q_bar = ol_dual_at(c->x_bar[0], query),
                   .k_bar = ol_dual_at(c->x_bar[1], key),
                   .v_bar = ol_dual_at(c->x_bar[2], key),
                   .lse = c->state.v + (size_t)i * (size_t)H + (size_t)h,
                   .p = {c->scratch, c->scratch + pairs},
                   .s = {c->scratch + 2 * pairs, c->scratch + 3 * pairs}};
}

static size_t block_reals(int longest)
{
    return 4 * (size_t)BLOCK * (size_t)longest;
}

static void forward_sequence(ol_pass pass, const ol_call *c, key_rows kv, int b)
{
    for (int h = 0; h < c->spec->heads; h++)
        for (int i = c->rows->query_start[b]; i < c->rows->query_start[b + 1]; i += BLOCK) {
            const block at = block_at(c, kv, c->y, b, h, i);

            forward_block(pass, &at);
        }
}

/* The rows of sequence b's own, put at their positions among the keys that it shares. */
static void forward_shared(const ol_call *c)
{
    const ol_rows *r = c->rows;
    const size_t width = (size_t)c->spec->kv_heads * (size_t)c->spec->head_dim;
    ol_real *k = c->scratch + block_reals(r->longest), *v = k + (size_t)r->longest * width;
    const key_rows kv = {{k, NULL}, {v, NULL}, 0};

    for (int b = 0; b < r->B; b++) {
        for (int i = r->start[b]; i < r->start[b + 1]; i++) {
            const size_t to = (size_t)r->position[i] * width, from = (size_t)i * width;

            memcpy(k + to, c->x[1].v + from, width * sizeof *k);
            memcpy(v + to, c->x[2].v + from, width * sizeof *v);
        }
        forward_sequence(OL_PRIMAL, c, kv, b);
    }
}

static void forward(ol_pass pass, const ol_call *c)
{
    if (c->rows->shared) {
        assert(pass == OL_PRIMAL);
        forward_shared(c);
        return;
    }
    for (int b = 0; b < c->rows->B; b++)
        forward_sequence(pass, c, (key_rows){c->x[1], c->x[2], c->rows->start[b]}, b);
}

/* k_bar and v_bar gather from several blocks and heads, so they start from zero. */
static void zero_keys(const ol_call *c, ol_real *x)
{
    const size_t width = (size_t)c->spec->kv_heads * (size_t)c->spec->head_dim;

    if (x)
        memset(x, 0, (size_t)c->rows->start[c->rows->B] * width * sizeof *x);
}

static void backward(ol_pass pass, const ol_call *c)
{
    for (int i = 1; i < 3; i++) {
        zero_keys(c, pass & OL_PRIMAL ? c->x_bar[i].v : NULL);
        zero_keys(c, pass & OL_TANGENT ? c->x_bar[i].dot : NULL);
    }
    for (int b = 0; b < c->rows->B; b++)
        for (int h = 0; h < c->spec->heads; h++)
            for (int i = c->rows->query_start[b]; i < c->rows->query_start[b + 1]; i += BLOCK) {
                const key_rows kv = {c->x[1], c->x[2], c->rows->start[b]};
                const block at = block_at(c, kv, c->y_bar, b, h, i);

                backward_block(pass, &at);
            }
}

static int state(const ol_op_spec *spec)
{
    return spec->heads;
}

static size_t scratch(const ol_op_spec *spec, int longest)
{
    return block_reals(longest) +
           2 * (size_t)longest * (size_t)spec->kv_heads * (size_t)spec->head_dim;
}

const ol_operator ol_attention = {.name = "attention",
                                  .inputs = 3,
                                  .flags = OL_BENDS | OL_REDOES,
                                  .forward = forward,
                                  .backward = backward,
                                  .state = state,
                                  .scratch = scratch};
