/* SPDX-License-Identifier: BSD-3-Clause */
#include "operators.h"

#include <stdlib.h>

#include "outerloop/kernel/attention.h"
#include "outerloop/kernel/cross_entropy.h"
#include "outerloop/kernel/embedding.h"
#include "outerloop/kernel/gelu.h"
#include "outerloop/kernel/layernorm.h"
#include "outerloop/kernel/linear.h"

/* The adjoint of a parameter: its value part may not be wanted. */
static ol_dual param_bar(const operator* op, ol_dual x_bar, size_t at)
{
    ol_dual bar = ol_dual_at(x_bar, at);

    if (op->mute_params)
        bar.v = NULL;
    return bar;
}

static void *must(size_t n, size_t size)
{
    void *block = calloc(n > 0 ? n : 1, size);

    if (!block)
        abort();
    return block;
}

/* Kinds of rows of `ld` reals of which the first `used` are `kind` and the rest are untouched. */
static element *put_rows(element *at, size_t rows, size_t used, size_t ld, element kind)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < ld; j++)
            *at++ = j < used ? kind : UNTOUCHED;
    return at;
}

static void put_kinds(operator* op, size_t n_in, size_t n_out, element **in, element **out)
{
    op->n_in = n_in;
    op->n_out = n_out;
    op->in_kind = *in = must(n_in, sizeof **in);
    op->out_kind = *out = must(n_out, sizeof **out);
}

/* x W + b */

typedef struct linear {
    ol_linear_dim d;
    bool add_x;
} linear;

static size_t linear_w(const linear *l)
{
    return (size_t)(l->d.n * l->d.in);
}

static size_t linear_b(const linear *l)
{
    return linear_w(l) + (size_t)(l->d.in * l->d.ldw);
}

static void linear_forward(const operator* op, ol_pass pass, ol_dual x, ol_real *state, ol_dual y)
{
    const linear *l = op->payload;

    (void)state;
    ol_linear_forward(pass, l->d, x, ol_dual_at(x, linear_w(l)), ol_dual_at(x, linear_b(l)), y);
}

static void linear_backward(const operator* op, ol_pass pass, ol_dual x, ol_real *state,
                            ol_dual y_bar, ol_dual x_bar)
{
    const linear *l = op->payload;

    (void)state;
    ol_linear_backward(pass, l->d, x, ol_dual_at(x, linear_w(l)), y_bar, l->add_x, x_bar,
                       param_bar(op, x_bar, linear_w(l)), param_bar(op, x_bar, linear_b(l)));
}

static operator linear_of(const char *name, const linear *l)
{
    operator op = {.name = name,
                   .params_at = linear_w(l),
                   .forward = linear_forward,
                   .backward = linear_backward,
                   .payload = l};
    const ol_linear_dim d = l->d;
    element *in, *out;

    put_kinds(&op, linear_b(l) + (size_t)d.out, (size_t)(d.n * d.ldy), &in, &out);
    in = put_rows(in, (size_t)d.n, (size_t)d.in, (size_t)d.in, l->add_x ? ADDED : OVERWRITTEN);
    in = put_rows(in, (size_t)d.in, (size_t)d.out, (size_t)d.ldw, ADDED);
    put_rows(in, 1, (size_t)d.out, (size_t)d.out, ADDED);
    put_rows(out, (size_t)d.n, (size_t)d.out, (size_t)d.ldy, OVERWRITTEN);
    return op;
}

/* LayerNorm */

static void layernorm_forward(const operator* op, ol_pass pass, ol_dual x, ol_real *state,
                              ol_dual y)
{
    const ol_layernorm_dim *d = op->payload;
    const size_t w = (size_t)(d->n * d->C);

    ol_layernorm_forward(pass, *d, x, ol_dual_at(x, w), ol_dual_at(x, w + (size_t)d->C), state,
                         state + d->n, y);
}

static void layernorm_backward(const operator* op, ol_pass pass, ol_dual x, ol_real *state,
                               ol_dual y_bar, ol_dual x_bar)
{
    const ol_layernorm_dim *d = op->payload;
    const size_t w = (size_t)(d->n * d->C);
    ol_real *row = must(2 * (size_t)d->C, sizeof *row);

    ol_layernorm_backward(pass, *d, x, ol_dual_at(x, w), state, state + d->n, y_bar, row, x_bar,
                          param_bar(op, x_bar, w), param_bar(op, x_bar, w + (size_t)d->C));
    free(row);
}

static operator layernorm_of(const char *name, const ol_layernorm_dim *d)
{
    const size_t n = (size_t)(d->n * d->C);
    operator op = {.name = name,
                   .n_state = 2 * (size_t)d->n,
                   .params_at = n,
                   .forward = layernorm_forward,
                   .backward = layernorm_backward,
                   .payload = d};
    element *in, *out;

    put_kinds(&op, n + 2 * (size_t)d->C, n, &in, &out);
    put_rows(in, 1, op.n_in, op.n_in, ADDED);
    put_rows(out, 1, n, n, OVERWRITTEN);
    return op;
}

/* GELU */

static void gelu_forward(const operator* op, ol_pass pass, ol_dual x, ol_real *state, ol_dual y)
{
    (void)state;
    ol_gelu_forward(pass, op->n_in, x, y);
}

static void gelu_backward(const operator* op, ol_pass pass, ol_dual x, ol_real *state,
                          ol_dual y_bar, ol_dual x_bar)
{
    (void)state;
    ol_gelu_backward(pass, op->n_in, x, y_bar, x_bar);
}

static operator gelu_of(const char *name, size_t n)
{
    operator op = {
        .name = name, .params_at = n, .forward = gelu_forward, .backward = gelu_backward};
    element *in, *out;

    put_kinds(&op, n, n, &in, &out);
    put_rows(in, 1, n, n, OVERWRITTEN);
    put_rows(out, 1, n, n, OVERWRITTEN);
    return op;
}

/* attention */

/* Inputs q, then k and v in rows of their own; or all three in rows of 3C when `fused`. */
typedef struct attention {
    ol_attention_dim d;
    bool fused;
} attention;

static size_t attention_keys(const attention *a)
{
    return (size_t)a->d.key_start[a->d.B];
}

static size_t attention_queries(const attention *a)
{
    return (size_t)a->d.query_start[a->d.B];
}

static size_t attention_width(const attention *a)
{
    return (size_t)(a->d.H * a->d.D);
}

/* Where k starts in x. */
static size_t attention_k(const attention *a)
{
    return a->fused ? attention_width(a) : attention_queries(a) * attention_width(a);
}

static ol_attention_io attention_io(const attention *a, ol_dual x, ol_real *lse)
{
    const size_t k = attention_k(a);

    return (ol_attention_io){x, ol_dual_at(x, k), ol_dual_at(x, k + attention_width(a)), lse};
}

static ol_real *attention_scratch(const attention *a)
{
    int longest = 0;

    for (int b = 0; b < a->d.B; b++) {
        const int n = a->d.key_start[b + 1] - a->d.key_start[b];

        longest = n > longest ? n : longest;
    }
    return must(ol_attention_scratch(longest), sizeof(ol_real));
}

static void attention_forward(const operator* op, ol_pass pass, ol_dual x, ol_real *state,
                              ol_dual y)
{
    const attention *a = op->payload;
    ol_real *scratch = attention_scratch(a);

    ol_attention_forward(pass, a->d, attention_io(a, x, state), y, scratch);
    free(scratch);
}

static void attention_backward(const operator* op, ol_pass pass, ol_dual x, ol_real *state,
                               ol_dual y_bar, ol_dual x_bar)
{
    const attention *a = op->payload;
    const size_t k = attention_k(a);
    ol_real *scratch = attention_scratch(a);

    ol_attention_backward(pass, a->d, attention_io(a, x, state), y_bar, x_bar, ol_dual_at(x_bar, k),
                          ol_dual_at(x_bar, k + attention_width(a)), scratch);
    free(scratch);
}

static operator attention_of(const char *name, const attention *a)
{
    const size_t C = attention_width(a), m = attention_queries(a), n = attention_keys(a);
    operator op = {.name = name,
                   .n_state = m * (size_t)a->d.H,
                   .params_at = m * C + 2 * n * C,
                   .forward = attention_forward,
                   .backward = attention_backward,
                   .payload = a};
    element *in, *out;

    put_kinds(&op, m * C + 2 * n * C, m * C, &in, &out);
    put_rows(in, 1, op.n_in, op.n_in, OVERWRITTEN);
    put_rows(out, 1, op.n_out, op.n_out, OVERWRITTEN);
    return op;
}

/* Sequences of 150, 1, 5 and 70 tokens: blocks of 64 queries that are full, cut and alone. */
static const int STARTS[] = {0, 150, 151, 156, 226};
static int positions[226];

/* Every 3rd token of the first sequence asks, and not its last ones; one token of the others. */
static const int QUERY_STARTS[] = {0, 48, 49, 50, 51};
static int query_positions[51];

static void fill_positions(void)
{
    for (int b = 0; b < 4; b++)
        for (int i = STARTS[b]; i < STARTS[b + 1]; i++)
            positions[i] = i - STARTS[b];
    for (int i = 0; i < 48; i++)
        query_positions[i] = 3 * i;
    query_positions[48] = 0;
    query_positions[49] = 2;
    query_positions[50] = 66;
}

/* embedding and rows */

enum { ROWS = 9, WIDTH = 5, WORDS = 7, PLACES = 6 };

/* Words and places that repeat, and some that never occur. */
static const int32_t TOKENS[ROWS] = {3, 0, 3, 3, 6, 1, 0, 6, 2};
static const int PLACE[ROWS] = {0, 1, 2, 3, 0, 1, 0, 1, 2};

static void embedding_forward(const operator* op, ol_pass pass, ol_dual x, ol_real *state,
                              ol_dual y)
{
    (void)op, (void)state;
    ol_embedding_forward(pass, ROWS, WIDTH, TOKENS, PLACE, x, ol_dual_at(x, WORDS * WIDTH), y);
}

static void embedding_backward(const operator* op, ol_pass pass, ol_dual x, ol_real *state,
                               ol_dual y_bar, ol_dual x_bar)
{
    (void)x, (void)state;
    ol_embedding_backward(pass, ROWS, WIDTH, TOKENS, PLACE, y_bar, param_bar(op, x_bar, 0),
                          param_bar(op, x_bar, WORDS * WIDTH));
}

static void gather_forward(const operator* op, ol_pass pass, ol_dual x, ol_real *state, ol_dual y)
{
    (void)op, (void)state;
    ol_rows_gather(pass, ROWS, WIDTH, PLACE, x, y);
}

static void scatter_backward(const operator* op, ol_pass pass, ol_dual x, ol_real *state,
                             ol_dual y_bar, ol_dual x_bar)
{
    (void)op, (void)x, (void)state;
    ol_rows_scatter(pass, ROWS, WIDTH, PLACE, y_bar, x_bar);
}

static operator rows_of(const char *name, bool embedding)
{
    operator op = {.name = name,
                   .params_at = embedding ? 0 : PLACES * WIDTH,
                   .forward = embedding ? embedding_forward : gather_forward,
                   .backward = embedding ? embedding_backward : scatter_backward};
    element *in, *out;

    put_kinds(&op, (embedding ? WORDS + PLACES : PLACES) * WIDTH, ROWS * WIDTH, &in, &out);
    put_rows(in, 1, op.n_in, op.n_in, ADDED);
    put_rows(out, 1, op.n_out, op.n_out, OVERWRITTEN);
    return op;
}

/* head */

/* The losses of the rows; y_bar is their weight, which is data. */
static int32_t target_of(const ol_cross_entropy_dim *d, int i)
{
    return (int32_t)((i * 7919) % d->V);
}

static void head_forward(const operator* op, ol_pass pass, ol_dual x, ol_real *state, ol_dual y)
{
    const ol_cross_entropy_dim *d = op->payload;
    ol_real *scratch = must(ol_cross_entropy_scratch(*d), sizeof *scratch);
    int32_t *target = must((size_t)d->M, sizeof *target);
    double *loss = must((size_t)d->M, sizeof *loss);

    (void)pass, (void)state;
    for (int i = 0; i < d->M; i++)
        target[i] = target_of(d, i);
    ol_cross_entropy_loss(*d, x.v, x.v + d->M * d->C, target, loss, scratch);
    for (int i = 0; i < d->M; i++)
        y.v[i] = loss[i];
    free(scratch);
    free(target);
    free(loss);
}

static void head_backward(const operator* op, ol_pass pass, ol_dual x, ol_real *state,
                          ol_dual y_bar, ol_dual x_bar)
{
    const ol_cross_entropy_dim *d = op->payload;
    const size_t w = (size_t)(d->M * d->C);
    ol_real *scratch = must(ol_cross_entropy_scratch(*d), sizeof *scratch);
    int32_t *target = must((size_t)d->M, sizeof *target);
    double *loss = must((size_t)d->M, sizeof *loss);

    (void)state;
    for (int i = 0; i < d->M; i++)
        target[i] = target_of(d, i);
    ol_cross_entropy_adjoint(pass, *d, x, ol_dual_at(x, w), target, y_bar.v, loss, x_bar,
                             param_bar(op, x_bar, w), scratch);
    free(scratch);
    free(target);
    free(loss);
}

static operator head_of(const char *name, const ol_cross_entropy_dim *d)
{
    const size_t h = (size_t)(d->M * d->C), w = (size_t)(d->V * d->C), M = (size_t)d->M;
    operator op = {.name = name,
                   .params_at = h,
                   .no_value_tangent = true,
                   .forward = head_forward,
                   .backward = head_backward,
                   .payload = d};
    element *in, *out;

    put_kinds(&op, h + w, M, &in, &out);
    in = put_rows(in, 1, h, h, OVERWRITTEN);
    put_rows(in, 1, w, w, ADDED);
    put_rows(out, 1, M, M, OVERWRITTEN);
    return op;
}

int operators_build(operator list[MOST_OPERATORS])
{
    static const linear plain = {{7, 5, 6, 6, 6}, false}, wide = {{7, 5, 6, 11, 9}, false},
                        joined = {{7, 5, 6, 6, 6}, true};
    static const ol_layernorm_dim norm = {6, 10, 1e-5};
    static const attention fused = {{2, 4, 4, STARTS, STARTS, positions, 24, 24}, true},
                           few = {{3, 4, 4, STARTS, QUERY_STARTS, query_positions, 12, 24}, false};
    static const ol_cross_entropy_dim head = {21, 5, 17};
    static const ol_cross_entropy_dim blocks = {17, 2, 132000}; /* rows in blocks of 16 */
    int n = 0;

    fill_positions();
    list[n++] = linear_of("linear", &plain);
    list[n++] = linear_of("linear in wider rows", &wide);
    list[n++] = linear_of("linear adding to x_bar", &joined);
    list[n++] = layernorm_of("layernorm", &norm);
    list[n++] = gelu_of("gelu", 600);
    list[n++] = attention_of("attention", &fused);
    list[n++] = attention_of("attention with fewer queries", &few);
    list[n++] = rows_of("embedding", true);
    list[n++] = rows_of("rows", false);
    list[n++] = head_of("cross-entropy", &head);
    list[n++] = head_of("cross-entropy in blocks of rows", &blocks);
    return n;
}

void operators_finish(int n, operator* list)
{
    for (int i = 0; i < n; i++) {
        free((void *)list[i].in_kind);
        free((void *)list[i].out_kind);
    }
}
