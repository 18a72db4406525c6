/* SPDX-License-Identifier: BSD-3-Clause */
#include "operators.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/kernel/attention.h"
#include "outerloop/kernel/cross_entropy.h"
#include "outerloop/kernel/embedding.h"
#include "outerloop/kernel/gate.h"
#include "outerloop/kernel/linear.h"
#include "outerloop/kernel/lowrank.h"
#include "outerloop/kernel/norm.h"
#include "outerloop/kernel/residual.h"
#include "outerloop/kernel/rotary.h"
#include "outerloop/kernel/vector.h"

/* Words and positions that repeat, and some that never occur; some of the rows are picked. */
enum { ROWS = 9, WORDS = 7, PLACES = 6, PICKED = 4 };

static const int START[] = {0, 4, 6, ROWS}, POSITION[ROWS] = {0, 1, 2, 3, 0, 1, 0, 1, 2};
static const int32_t TOKEN[ROWS] = {3, 0, 3, 3, 6, 1, 0, 6, 2};
static const int PICK[PICKED] = {1, 2, 5, 8};

const double rotary_frequency[] = {1, 0.3};

static ol_real angle[ROWS * 4];

static const ol_rows few = {.B = 3,
                            .start = START,
                            .position = POSITION,
                            .token = TOKEN,
                            .query_start = START,
                            .query_position = POSITION,
                            .angle = angle,
                            .longest = 4};

/* Sequences of 150, 1, 5 and 70 tokens: blocks of 64 queries that are full, cut and alone. */
enum { TOKENS = 226, QUERIES = 52 };

static const int STARTS[] = {0, 150, 151, 156, TOKENS};

/* Every 3rd token of the first sequence asks, and not its last ones; none of the second. */
static const int QUERY_STARTS[] = {0, 48, 48, 49, QUERIES};

static int positions[TOKENS], query_positions[QUERIES] = {[48] = 2, 0, 1, 66};

static const ol_rows ragged = {.B = 4,
                               .start = STARTS,
                               .position = positions,
                               .query_start = STARTS,
                               .query_position = positions,
                               .longest = 150};
static const ol_rows asked = {.B = 4,
                              .start = STARTS,
                              .position = positions,
                              .query_start = QUERY_STARTS,
                              .query_position = query_positions,
                              .longest = 150};

/* Targets of the head. */
enum { SCORED = 21 };

static int32_t targets[SCORED];

static const ol_rows scored = {.token = targets};

static void fill_rows(void)
{
    for (int b = 0; b < 4; b++)
        for (int i = STARTS[b]; i < STARTS[b + 1]; i++)
            positions[i] = i - STARTS[b];
    for (int i = 0; i < 48; i++)
        query_positions[i] = 3 * i;
    for (int i = 0; i < SCORED; i++)
        targets[i] = (i * 7919) % 17;
    ol_rotary_angles(ROWS, 4, POSITION, rotary_frequency, angle);
}

#define SIZE(i, o) .spec = {.in = (i), .out = (o)}
#define NORM(c, h) .spec = {.in = (c), .out = (c), .heads = (h), .eps = 1e-5}
#define TURN(c) .spec = {.in = (c), .out = (c), .head_dim = 4}
#define LOW .spec = {.in = 5, .out = 6, .rank = 3, .scale = 0.7}
#define HEADS(h, g, d)                                                                             \
    .spec = {.in = (h) * (d), .out = (h) * (d), .heads = (h), .kv_heads = (g), .head_dim = (d)}
#define ALL(count) .rows = &few, .n = (count)
#define SOME .rows = &few, .n = PICKED, .row = PICK
#define RAGGED .rows = &ragged, .n = TOKENS
#define ASKED .rows = &asked, .n = QUERIES
#define SCORES(count) .rows = &scored, .n = (count)
#define COLUMNS(m, k, l)                                                                           \
    {                                                                                              \
        .rows = (m), .cols = (k), .ld = (l)                                                        \
    }
#define MATRIX(m, k) COLUMNS(m, k, k)
#define VECTOR(m) MATRIX(m, 1)

const shape shapes[] = {
    {"linear", &ol_linear, SIZE(5, 6), ALL(7), .w = {MATRIX(6, 5), VECTOR(6)}, .adds = 1},
    {"linear of columns", &ol_linear, SIZE(5, 6), ALL(7), .w = {COLUMNS(6, 5, 8)}, .adds = 1},
    {"conv1d", &ol_conv1d, SIZE(5, 6), ALL(7), .w = {MATRIX(5, 6)}, .adds = 1},
    {"conv1d of columns", &ol_conv1d, SIZE(5, 6), ALL(7), .w = {COLUMNS(5, 6, 11), VECTOR(6)},
     .adds = 1},
    {"low rank", &ol_lowrank, LOW, ALL(7), .w = {MATRIX(3, 5), COLUMNS(6, 3, 4)}, .adds = 1},
    {"low rank in blocks", &ol_lowrank, LOW, ALL(1030), .w = {MATRIX(3, 5), MATRIX(6, 3)},
     .adds = 1},
    {"layernorm", &ol_layernorm, NORM(10, 0), ALL(6), .w = {VECTOR(10), VECTOR(10)}, .adds = 1},
    {"rmsnorm", &ol_rmsnorm, NORM(10, 1), ALL(6), .w = {VECTOR(10)}, .adds = 1},
    {"rmsnorm per head", &ol_rmsnorm, NORM(12, 3), ALL(6), .w = {VECTOR(4)}, .adds = 1},
    {"gelu", &ol_gelu, SIZE(60, 60), ALL(10), .adds = 1},
    {"swiglu", &ol_swiglu, SIZE(60, 60), ALL(10), .adds = 3},
    {"rotary", &ol_rotary, TURN(12), ALL(ROWS)},
    {"rotary of picked rows", &ol_rotary, TURN(8), SOME},
    {"attention", &ol_attention, HEADS(3, 3, 4), RAGGED},
    {"attention in groups", &ol_attention, HEADS(4, 2, 3), RAGGED},
    {"attention of one group", &ol_attention, HEADS(3, 1, 4), RAGGED},
    {"attention with fewer queries", &ol_attention, HEADS(4, 2, 3), ASKED},
    {"embedding", &ol_embedding, SIZE(0, 5), ALL(ROWS), .w = {COLUMNS(WORDS, 5, 6)}},
    {"positions", &ol_positions, SIZE(0, 5), ALL(ROWS), .w = {COLUMNS(PLACES, 5, 6)}},
    {"residual", &ol_residual, SIZE(5, 5), ALL(7), .adds = 1},
    {"residual of picked rows", &ol_residual, SIZE(5, 5), SOME, .adds = 1},
    {"pick", &ol_pick, SIZE(5, 5), ALL(7), .adds = 1},
    {"pick of picked rows", &ol_pick, SIZE(5, 5), SOME, .adds = 1},
    {"cross-entropy", &cross_entropy, SIZE(5, 1), SCORES(SCORED), .w = {MATRIX(17, 5)}},
    {"cross-entropy of columns", &cross_entropy, SIZE(5, 1), SCORES(8), .w = {COLUMNS(17, 5, 9)}},
    /* so many words that rows are taken 16 at a time */
    {"cross-entropy in blocks", &cross_entropy, SIZE(2, 1), SCORES(17), .w = {MATRIX(124000, 2)}},
};

const int n_shapes = sizeof shapes / sizeof *shapes;

/* Attention has keys and values of all rows; where rows are picked, x[0] has all rows. */
size_t shape_input(const shape *s, int i)
{
    const bool attends = s->op == &ol_attention, keys = attends && i > 0;
    const bool all = keys || (s->row && !(s->op->flags & OL_IN_PLACE));
    const int width = keys ? s->spec.kv_heads * s->spec.head_dim : s->spec.in;

    return (size_t)(all ? s->rows->start[s->rows->B] : s->n) * (size_t)width;
}

size_t shape_weight(const shape *s, int j)
{
    return (size_t)s->w[j].rows * (size_t)s->w[j].ld;
}

static size_t output_reals(const shape *s)
{
    return (size_t)s->n * (size_t)s->spec.out;
}

static size_t state_reals(const shape *s)
{
    return s->op->state ? (size_t)s->n * (size_t)s->op->state(&s->spec) : 0;
}

static size_t scratch_reals(const shape *s)
{
    return s->op->scratch ? s->op->scratch(&s->spec, s->rows->longest) : 0;
}

ol_call shape_call(const shape *s, pool *p)
{
    ol_call c = {.spec = &s->spec, .rows = s->rows, .n = s->n, .row = s->row};

    fill_rows();
    for (int i = 0; i < s->op->inputs; i++) {
        c.x[i] = pool_random_dual(p, shape_input(s, i), 10 + 4 * (uint32_t)i);
        c.x_bar[i] = pool_random_dual(p, shape_input(s, i), 12 + 4 * (uint32_t)i);
    }
    for (int j = 0; j < OL_OP_WEIGHTS && s->w[j].rows > 0; j++) {
        c.w[j] = s->w[j];
        c.w[j].at = pool_random_dual(p, shape_weight(s, j), 30 + 4 * (uint32_t)j);
        c.w_bar[j] = pool_random_dual(p, shape_weight(s, j), 32 + 4 * (uint32_t)j);
    }
    c.y = pool_random_dual(p, output_reals(s), 40);
    c.y_bar = pool_random_dual(p, output_reals(s), 42);
    c.state = pool_random_dual(p, state_reals(s), 44);
    c.scratch = pool_take(p, scratch_reals(s));
    return c;
}

/* Cross-entropy */

static ol_cross_entropy_dim head_dim(const ol_call *c)
{
    return (ol_cross_entropy_dim){c->n, c->spec->in, c->w[0].rows};
}

/* R{loss} = <h_bar, R{h}> + <w_bar, R{w}>, row by row with weight 1. */
static void head_tangents(const ol_call *c, ol_real *scratch)
{
    const ol_cross_entropy_dim d = {1, c->spec->in, c->w[0].rows};
    const size_t C = (size_t)d.C, words = (size_t)d.V * (size_t)c->w[0].ld;
    const ol_real one = 1;
    pool p = {0};
    ol_real *h_bar = pool_take(&p, C), *w_bar = pool_take(&p, words);

    for (int i = 0; i < c->n; i++) {
        const ol_dual h = ol_dual_at(c->x[0], (size_t)i * C);
        double loss, sum = 0;

        ol_vector_zero(words, w_bar);
        ol_cross_entropy_adjoint(OL_PRIMAL, d, h, &c->w[0], c->rows->token + i, &one, &loss,
                                 (ol_dual){h_bar, NULL}, (ol_dual){w_bar, NULL}, scratch);
        if (h.dot)
            sum += ol_vector_dot(C, h_bar, h.dot);
        if (c->w[0].at.dot)
            sum += ol_vector_dot(words, w_bar, c->w[0].at.dot);
        c->y.dot[i] = (ol_real)sum;
    }
    if (!pool_finish(&p))
        abort();
}

static void head_forward(ol_pass pass, const ol_call *c)
{
    const ol_cross_entropy_dim d = head_dim(c);
    pool p = {0};
    ol_real *scratch = pool_take(&p, ol_cross_entropy_scratch(d));
    double loss[SCORED];

    if (pass & OL_PRIMAL) {
        ol_cross_entropy_loss(d, c->x[0].v, &c->w[0], c->rows->token, loss, scratch);
        for (int i = 0; i < d.M; i++)
            c->y.v[i] = (ol_real)loss[i];
    }
    if (pass & OL_TANGENT)
        head_tangents(c, scratch);
    if (!pool_finish(&p))
        abort();
}

static void head_backward(ol_pass pass, const ol_call *c)
{
    const ol_cross_entropy_dim d = head_dim(c);
    pool p = {0};
    ol_real *scratch = pool_take(&p, ol_cross_entropy_scratch(d));
    double loss[SCORED];

    ol_cross_entropy_adjoint(pass, d, c->x[0], &c->w[0], c->rows->token, c->y_bar.v, loss,
                             c->x_bar[0], c->w_bar[0], scratch);
    if (!pool_finish(&p))
        abort();
}

const ol_operator cross_entropy = {.name = "cross-entropy",
                                   .inputs = 1,
                                   .flags = OL_BENDS,
                                   .forward = head_forward,
                                   .backward = head_backward};

/* The shapes as flat functions */

/* A shape with one `add` of those it may have. */
typedef struct variant {
    shape shape;
    unsigned add;
} variant;

static ol_dual part_of(const flat *f, int p, ol_dual x, bool no_value, bool no_dot)
{
    const ol_dual part = ol_dual_at(x, f->part[p]);

    return (ol_dual){no_value ? NULL : part.v, no_dot ? NULL : part.dot};
}

/* The call on these vectors, with NULL for what is absent. */
static ol_call call_on(const flat *f, const vectors *v)
{
    const variant *var = f->payload;
    const shape *s = &var->shape;
    const absence *a = &f->absent;
    ol_call c = {.spec = &s->spec,
                 .rows = s->rows,
                 .n = s->n,
                 .row = s->row,
                 .y = v->y,
                 .y_bar = {v->y_bar.v, a->y_bar_dot ? NULL : v->y_bar.dot},
                 .add = var->add,
                 .state = v->state,
                 .scratch = v->scratch};

    for (int p = 0; p < f->parts; p++) {
        const ol_dual x = part_of(f, p, v->x, false, a->x_dot >> p & 1);
        const ol_dual x_bar = part_of(f, p, v->x_bar, a->x_bar >> p & 1, a->x_bar_dot >> p & 1);
        const int j = p - f->inputs;

        *(j < 0 ? &c.x_bar[p] : &c.w_bar[j]) = x_bar;
        if (j >= 0)
            c.w[j] = s->w[j];
        *(j < 0 ? &c.x[p] : &c.w[j].at) = x;
    }
    return c;
}

/* Of a pass: `to` becomes `from`, or 0 where that is NULL, and then so is what is returned. */
static ol_real *copy_or_zero(size_t n, bool pass, const ol_real *from, ol_real *to)
{
    if (!pass)
        return to;
    if (to && from)
        memcpy(to, from, n * sizeof *to);
    else if (to)
        ol_vector_zero(n, to);
    return from ? to : NULL;
}

/* What an operator that works in place is given: `to`, after it became a copy of `from`. */
static ol_dual moved(size_t n, ol_pass pass, ol_dual from, ol_dual to)
{
    return (ol_dual){copy_or_zero(n, pass & OL_PRIMAL, from.v, to.v),
                     copy_or_zero(n, pass & OL_TANGENT, from.dot, to.dot)};
}

static void forward(const flat *f, ol_pass pass, const vectors *v)
{
    const variant *var = f->payload;
    ol_call c = call_on(f, v);

    if (var->shape.op->flags & OL_IN_PLACE)
        c.x[0] = c.y = moved(f->n_out, pass, c.x[0], c.y);
    var->shape.op->forward(pass, &c);
}

static void backward(const flat *f, ol_pass pass, const vectors *v)
{
    const variant *var = f->payload;
    ol_call c = call_on(f, v);

    if (var->shape.op->flags & OL_IN_PLACE) {
        c.x_bar[0] = c.y_bar = moved(f->n_out, pass, c.y_bar, c.x_bar[0]);
        c.x[0] = c.y = (ol_dual){NULL, NULL}; /* what stood there is lost */
    }
    var->shape.op->backward(pass, &c);
}

static void *must(void *block)
{
    if (!block)
        abort();
    return block;
}

/* Of x_bar: inputs are overwritten or added to, columns of weights added to, the rest untouched. */
static element *kinds_of(const flat *f, const variant *var)
{
    element *kinds = must(malloc(f->n_in * sizeof *kinds));

    for (int p = 0; p < f->parts; p++) {
        const ol_weight *w = &var->shape.w[p < f->inputs ? 0 : p - f->inputs];

        for (size_t i = f->part[p]; i < f->part[p + 1]; i++)
            kinds[i] = p < f->inputs ? (var->add >> p & 1 ? ADDED : OVERWRITTEN)
                       : (i - f->part[p]) % (size_t)w->ld < (size_t)w->cols ? ADDED
                                                                            : UNTOUCHED;
    }
    return kinds;
}

static flat flat_of(const shape *s, unsigned add)
{
    const unsigned flags = s->op->flags;
    variant *var = must(malloc(sizeof *var));
    flat f = {.n_out = output_reals(s),
              .n_state = state_reals(s),
              .n_scratch = scratch_reals(s),
              .inputs = s->op->inputs,
              .out_kind = flags & OL_ADDS ? ADDED : OVERWRITTEN,
              .bends = flags & OL_BENDS,
              .curved = flags & OL_BENDS || (s->op->inputs > 0 && s->w[0].rows > 0),
              .data = s->op == &cross_entropy,
              .forward = forward,
              .backward = backward,
              .payload = var};

    *var = (variant){*s, add};
    snprintf(f.name, sizeof f.name, "%s (add %u)", s->name, add);
    for (int i = 0; i < f.inputs; i++)
        f.part[++f.parts] = f.n_in += shape_input(s, i);
    for (int j = 0; j < OL_OP_WEIGHTS && s->w[j].rows > 0; j++)
        f.part[++f.parts] = f.n_in += shape_weight(s, j);
    f.in_kind = kinds_of(&f, var);
    return f;
}

int operators_build(flat list[MOST_OPERATORS])
{
    int n = 0;

    fill_rows();
    for (int i = 0; i < n_shapes; i++)
        for (unsigned add = 0; add <= shapes[i].adds; add++)
            if (n < MOST_OPERATORS)
                list[n++] = flat_of(&shapes[i], add);
    return n;
}

void operators_finish(int n, flat *list)
{
    for (int i = 0; i < n; i++) {
        free((void *)list[i].in_kind);
        free((void *)list[i].payload);
    }
}
