/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/kernel/attention.h"

#include <math.h>
#include <string.h>

#include "outerloop/kernel/gemm.h"  /* ol_gemm_nn, ol_gemm_nt, ol_gemm_tn */
#include "outerloop/kernel/vmath.h" /* ol_vmath_exp */

enum { BLOCK = 64 }; /* query rows of a block */

/* One block of query rows of one sequence and head: pointers are at its first element. */
typedef struct block {
    int rows;            /* query rows                                   */
    int keys;            /* keys that its last row sees                  */
    int D, C, H;         /* of the call                                  */
    int ldq, ldkv;       /* of the call                                  */
    ol_real scale;       /* σ                                            */
    const int *position; /* [rows]                                       */
    ol_dual q, k, v, o;  /* o also stands for o_bar                      */
    ol_real *lse;        /* [rows], H apart                              */
    ol_dual p;           /* scratch: P and R{P}            [rows,keys]   */
    ol_dual s;           /* scratch: S_bar and R{S_bar}    [rows,keys]   */
} block;

static ol_mat q_of(const block *b, const ol_real *at)
{
    return (ol_mat){at, b->ldq};
}

static ol_mat kv_of(const block *b, const ol_real *at)
{
    return (ol_mat){at, b->ldkv};
}

static ol_mat o_of(const block *b, const ol_real *at)
{
    return (ol_mat){at, b->C};
}

static ol_mat pairs_of(const block *b, const ol_real *at)
{
    return (ol_mat){at, b->keys};
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
    ol_gemm_nt(b->rows, b->keys, b->D, b->scale, q_of(b, b->q.v), kv_of(b, b->k.v), 0,
               (ol_mat_out){b->p.v, b->keys});
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

/* R{P} of a block (3), P given. */
static void probability_tangents(const block *b)
{
    const ol_mat_out out = {b->p.dot, b->keys};

    ol_gemm_nt(b->rows, b->keys, b->D, b->scale, q_of(b, b->q.dot), kv_of(b, b->k.v), 0, out);
    ol_gemm_nt(b->rows, b->keys, b->D, b->scale, q_of(b, b->q.v), kv_of(b, b->k.dot), 1, out);
    for (int i = 0; i < b->rows; i++) {
        const size_t at = (size_t)i * (size_t)b->keys;

        softmax_tangent_row(b->keys, b->p.v + at, b->p.dot + at, b->p.dot + at);
    }
}

static void forward_block(ol_pass pass, const block *b)
{
    probabilities(b, !(pass & OL_PRIMAL));
    if (pass & OL_PRIMAL)
        ol_gemm_nn(b->rows, b->D, b->keys, 1, pairs_of(b, b->p.v), kv_of(b, b->v.v), 0,
                   (ol_mat_out){b->o.v, b->C});
    if (pass & OL_TANGENT) {
        const ol_mat_out out = {b->o.dot, b->C};

        probability_tangents(b);
        ol_gemm_nn(b->rows, b->D, b->keys, 1, pairs_of(b, b->p.dot), kv_of(b, b->v.v), 0, out);
        ol_gemm_nn(b->rows, b->D, b->keys, 1, pairs_of(b, b->p.v), kv_of(b, b->v.dot), 1, out);
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
    ol_gemm_nt(b->rows, b->keys, b->D, 1, o_of(b, b->o.v), kv_of(b, b->v.v), 0,
               (ol_mat_out){b->s.v, b->keys});
    if (tangent) {
        const ol_mat_out out = {b->s.dot, b->keys};

        probability_tangents(b);
        ol_gemm_nt(b->rows, b->keys, b->D, 1, o_of(b, b->o.dot), kv_of(b, b->v.v), 0, out);
        ol_gemm_nt(b->rows, b->keys, b->D, 1, o_of(b, b->o.v), kv_of(b, b->v.dot), 1, out);
    }
    for (int i = 0; i < b->rows; i++) {
        const size_t at = (size_t)i * (size_t)b->keys;

        score_adjoint_row(b->keys, tangent, b->p.v + at, b->p.dot + at, b->s.v + at, b->s.dot + at);
    }
}

static void backward_block(ol_pass pass, const block *b, ol_dual q_bar, ol_dual k_bar,
                           ol_dual v_bar)
{
    const int n = b->rows, m = b->keys, D = b->D;
    const ol_real scale = b->scale;

    score_adjoints(pass, b);
    if (pass & OL_PRIMAL) {
        ol_gemm_nn(n, D, m, scale, pairs_of(b, b->s.v), kv_of(b, b->k.v), 0,
                   (ol_mat_out){q_bar.v, b->ldq});
        ol_gemm_tn(m, D, n, scale, pairs_of(b, b->s.v), q_of(b, b->q.v), 1,
                   (ol_mat_out){k_bar.v, b->ldkv});
        ol_gemm_tn(m, D, n, 1, pairs_of(b, b->p.v), o_of(b, b->o.v), 1,
                   (ol_mat_out){v_bar.v, b->ldkv});
    }
    if (pass & OL_TANGENT) {
        const ol_mat_out q_out = {q_bar.dot, b->ldq};
        const ol_mat_out k_out = {k_bar.dot, b->ldkv}, v_out = {v_bar.dot, b->ldkv};

        ol_gemm_nn(n, D, m, scale, pairs_of(b, b->s.dot), kv_of(b, b->k.v), 0, q_out);
        ol_gemm_nn(n, D, m, scale, pairs_of(b, b->s.v), kv_of(b, b->k.dot), 1, q_out);
        ol_gemm_tn(m, D, n, scale, pairs_of(b, b->s.dot), q_of(b, b->q.v), 1, k_out);
        ol_gemm_tn(m, D, n, scale, pairs_of(b, b->s.v), q_of(b, b->q.dot), 1, k_out);
        ol_gemm_tn(m, D, n, 1, pairs_of(b, b->p.dot), o_of(b, b->o.v), 1, v_out);
        ol_gemm_tn(m, D, n, 1, pairs_of(b, b->p.v), o_of(b, b->o.dot), 1, v_out);
    }
}

/* The block that starts at query row i of sequence b, head h. */
static block block_at(const ol_attention_dim *d, const ol_attention_io *io, ol_dual o, int b, int h,
                      int i, ol_real *scratch)
{
    const int left = d->query_start[b + 1] - i;
    const int rows = left < BLOCK ? left : BLOCK;
    const int keys = d->position[i + rows - 1] + 1;
    const size_t column = (size_t)h * (size_t)d->D, C = (size_t)d->H * (size_t)d->D;
    const size_t query = (size_t)i * (size_t)d->ldq + column;
    const size_t key = (size_t)d->key_start[b] * (size_t)d->ldkv + column;
    const size_t pairs = (size_t)BLOCK * (size_t)keys;

    return (block){.rows = rows,
                   .keys = keys,
                   .D = d->D,
                   .C = (int)C,
                   .H = d->H,
                   .ldq = d->ldq,
                   .ldkv = d->ldkv,
                   .scale = (ol_real)(1.0 / sqrt((double)d->D)),
                   .position = d->position + i,
                   .q = ol_dual_at(io->q, query),
                   .k = ol_dual_at(io->k, key),
                   .v = ol_dual_at(io->v, key),
                   .o = ol_dual_at(o, (size_t)i * C + column),
                   .lse = io->lse + (size_t)i * (size_t)d->H + (size_t)h,
                   .p = {scratch, scratch + pairs},
                   .s = {scratch + 2 * pairs, scratch + 3 * pairs}};
}

size_t ol_attention_scratch(int longest)
{
    return 4 * (size_t)BLOCK * (size_t)longest;
}

void ol_attention_forward(ol_pass pass, ol_attention_dim d, ol_attention_io io, ol_dual o,
                          ol_real *scratch)
{
    for (int b = 0; b < d.B; b++)
        for (int h = 0; h < d.H; h++)
            for (int i = d.query_start[b]; i < d.query_start[b + 1]; i += BLOCK) {
                const block at = block_at(&d, &io, o, b, h, i, scratch);

                forward_block(pass, &at);
            }
}

/* k_bar and v_bar gather from several blocks, so they start from zero. */
static void zero_rows(const ol_attention_dim *d, ol_real *x)
{
    const size_t C = (size_t)d->H * (size_t)d->D;

    for (int i = d->key_start[0]; i < d->key_start[d->B]; i++)
        memset(x + (size_t)i * (size_t)d->ldkv, 0, C * sizeof *x);
}

void ol_attention_backward(ol_pass pass, ol_attention_dim d, ol_attention_io io, ol_dual o_bar,
                           ol_dual q_bar, ol_dual k_bar, ol_dual v_bar, ol_real *scratch)
{
    if (pass & OL_PRIMAL) {
        zero_rows(&d, k_bar.v);
        zero_rows(&d, v_bar.v);
    }
    if (pass & OL_TANGENT) {
        zero_rows(&d, k_bar.dot);
        zero_rows(&d, v_bar.dot);
    }
    for (int b = 0; b < d.B; b++)
        for (int h = 0; h < d.H; h++)
            for (int i = d.query_start[b]; i < d.query_start[b + 1]; i += BLOCK) {
                const block at = block_at(&d, &io, o_bar, b, h, i, scratch);
                const size_t column = (size_t)h * (size_t)d.D;
                const size_t query = (size_t)i * (size_t)d.ldq + column;
                const size_t key = (size_t)d.key_start[b] * (size_t)d.ldkv + column;

                backward_block(pass, &at, ol_dual_at(q_bar, query), ol_dual_at(k_bar, key),
                               ol_dual_at(v_bar, key));
            }
}
