/* SPDX-License-Identifier: BSD-3-Clause */
/* Every operator timed in the shapes of a model, all four passes, with its plain loop beside it.
 *
 *     meson test -C build --benchmark --verbose operators        or     bench_operators [SHAPE...]
 *
 * Passes are timed in turn, and the best of several rounds counts. Where an operator multiplies
 * matrices the rate is in GFLOP/s, of the flop that went through the door to BLAS; else in GB/s, of
 * its inputs, weights and output, each counted once. The plain loop is one of doubles: what the
 * operator means, and no rival. One thread. Fails where an operator is wrong. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operators.h"
#include "outerloop/base/clock.h"
#include "outerloop/kernel/attention.h"
#include "outerloop/kernel/cross_entropy.h"
#include "outerloop/kernel/embedding.h"
#include "outerloop/kernel/gate.h"
#include "outerloop/kernel/gemm.h"
#include "outerloop/kernel/linear.h"
#include "outerloop/kernel/lowrank.h"
#include "outerloop/kernel/norm.h"
#include "outerloop/kernel/rate.h"
#include "outerloop/kernel/residual.h"
#include "outerloop/kernel/rotary.h"
#include "outerloop/kernel/vector.h"
#include "plain.h"
#include "plain_adam.h"

enum { T = 256, MOST_SEQUENCES = 4, MOST_ROWS = T * MOST_SEQUENCES, RANK = 8, MOST_HEAD = 64 };
enum { ROUNDS = 9, PLAIN_ROUNDS = 2, ELEMENTS = 5000000 };

/* Sizes of a model, and the sequences of T tokens that go through it at one time. */
typedef struct model {
    const char *name;
    int B, C, H, G, F, V, scored;
} model;

static const model models[] = {
    {"default", 4, 256, 8, 8, 1024, 8192, 32},
    {"gpt2", 1, 768, 12, 12, 3072, 50257, 8},
    {"smollm2", 1, 576, 9, 3, 1536, 49152, 4},
};

/* What is timed: the passes of an operator, or a step of Adam. */
enum { FORWARD, BACKWARD, R_FORWARD, R_BACKWARD, PLAIN, TIMED };

typedef struct work {
    const char *name;
    void (*run)(const struct work *w, int what); /* what is not there returns at once     */
    const void *payload;
    double bytes;          /* of FORWARD */
    double seconds[TIMED]; /* the best; INFINITY where it was not run */
    double flops;          /* of FORWARD */
    double error;          /* of FORWARD against PLAIN, relative to the largest */
} work;

/* Operators */

typedef struct operation {
    const shape *shape;
    ol_call call;
    const double *frequency;
    double *expected; /* [n,out] */
} operation;

/* The head, with memory that outlives a call. */
static ol_real *head_scratch;
static double head_loss[MOST_ROWS];

static void run_head(const ol_call *c, int what)
{
    const ol_cross_entropy_dim d = {c->n, c->spec->in, c->w[0].rows};

    if (what == FORWARD)
        ol_cross_entropy_loss(d, c->x[0].v, &c->w[0], c->rows->token, head_loss, head_scratch);
    else if (what != R_FORWARD)
        ol_cross_entropy_adjoint(what == BACKWARD ? OL_PRIMAL : OL_TANGENT, d, c->x[0], &c->w[0],
                                 c->rows->token, c->y_bar.v, head_loss, c->x_bar[0], c->w_bar[0],
                                 head_scratch);
    for (int i = 0; i < d.M && what == FORWARD; i++)
        c->y.v[i] = (ol_real)head_loss[i];
}

static void run_operator(const work *w, int what)
{
    const operation *o = w->payload;
    const ol_operator *op = o->shape->op;

    if (what == PLAIN)
        plain_forward(op, &o->call, o->frequency, o->expected);
    else if (op == &cross_entropy)
        run_head(&o->call, what);
    else if (what == FORWARD || what == R_FORWARD)
        op->forward(what == FORWARD ? OL_PRIMAL : OL_TANGENT, &o->call);
    else
        op->backward(what == BACKWARD ? OL_PRIMAL : OL_TANGENT, &o->call);
}

/* Largest difference of one fresh forward pass from the plain loop, over the largest value. */
static double error_of(operation *o)
{
    const size_t n = (size_t)o->shape->n * (size_t)o->shape->spec.out;
    const unsigned flags = o->shape->op->flags;
    const ol_real *before = flags & OL_IN_PLACE ? o->call.x[0].v : o->call.y.v;
    ol_real *was = malloc(n * sizeof *was);
    const work once = {.payload = o};
    double apart = 0, most = 0;

    if (!was)
        abort();
    memcpy(was, before, n * sizeof *was);
    run_operator(&once, PLAIN);
    run_operator(&once, FORWARD);
    for (size_t i = 0; i < n; i++) {
        const double right = o->expected[i] + (flags & OL_ADDS ? (double)was[i] : 0);

        apart = fmax(apart, fabs((double)o->call.y.v[i] - right));
        most = fmax(most, fabs(right));
    }
    free(was);
    return apart / most;
}

static double bytes_of(const shape *s)
{
    size_t reals = (size_t)s->n * (size_t)s->spec.out;

    for (int i = 0; i < s->op->inputs; i++)
        reals += shape_input(s, i);
    for (int j = 0; j < OL_OP_WEIGHTS && s->op != &ol_embedding && s->op != &ol_positions; j++)
        reals += shape_weight(s, j);
    return (double)(s->op->inputs == 0 ? 2 * reals : reals) * sizeof(ol_real);
}

/* Adam */

typedef struct vectors_of_adam {
    ol_span span;
    ol_real *x, *m, *v, *g, *to, *lx, *lg;
} vectors_of_adam;

static const ol_adam_spec adam = {
    .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .eps_root = 1e-8, .weight_decay = 0.01};

static void plain_steps(const vectors_of_adam *a)
{
    const double c1 = 1 / (1 - pow(adam.beta1, 2)), c2 = 1 / (1 - pow(adam.beta2, 2));

    for (size_t i = 0; i < a->span.size; i++) {
        double x = (double)a->x[i], m = (double)a->m[i], v = (double)a->v[i];

        plain_adam(&adam, a->span.decay, c1, c2, (double)a->g[i], &x, &m, &v);
        a->x[i] = (ol_real)x;
        a->m[i] = (ol_real)m;
        a->v[i] = (ol_real)v;
    }
}

static ol_adam_path path_of(const vectors_of_adam *a, const ol_real *const *g)
{
    return (ol_adam_path){.spec = &adam,
                          .n_spans = 1,
                          .spans = &a->span,
                          .t0 = 1,
                          .x0 = a->x,
                          .m0 = a->m,
                          .v0 = a->v,
                          .g = g};
}

static void run_step(const work *w, int what)
{
    const vectors_of_adam *a = w->payload;

    if (what == FORWARD)
        ol_adam_step(&adam, 1, &a->span, 2, a->g, a->x, a->m, a->v);
    else if (what == PLAIN)
        plain_steps(a);
}

static void run_replay(const work *w, int what)
{
    const vectors_of_adam *a = w->payload;
    const ol_real *const g = a->g;
    const ol_adam_path path = path_of(a, &g);

    if (what == FORWARD)
        ol_adam_replay(&path, 1, a->to);
    else if (what == BACKWARD)
        ol_adam_adjoint(&path, 0, NULL, a->lx, NULL, NULL, a->lg);
}

static void run_axpy(const work *w, int what)
{
    const vectors_of_adam *a = w->payload;

    if (what == FORWARD)
        ol_vector_axpy(a->span.size, (ol_real)1e-9, a->g, a->lx);
}

/* Timing and printing */

static const double TOLERANCE = 1e-4; /* what nobody would call rounding; tests are stricter */
static int wrong;

static void time_work(work *w)
{
    double flops, begin, end;

    for (int what = 0; what < TIMED; what++)
        w->seconds[what] = INFINITY;
    for (int round = 0; round < ROUNDS; round++)
        for (int what = 0; what < TIMED; what++) {
            if (what == PLAIN && round >= PLAIN_ROUNDS)
                continue;
            flops = ol_gemm_flops();
            begin = ol_clock_seconds();
            w->run(w, what);
            end = ol_clock_seconds();
            w->seconds[what] = fmin(w->seconds[what], end - begin);
            if (what == FORWARD)
                w->flops = ol_gemm_flops() - flops;
        }
}

static void print_time(double seconds)
{
    if (seconds > 1e-6 && seconds < INFINITY)
        printf("%11.1f", 1e6 * seconds);
    else
        printf("%11s", "-"); /* there is no such pass */
}

static void print_work(const work *w)
{
    const double forward = w->seconds[FORWARD], plain = w->seconds[PLAIN];

    printf("%-24s", w->name);
    print_time(forward);
    if (w->flops > 0)
        printf("%9.1f GFLOP/s", 1e-9 * w->flops / forward);
    else
        printf("%9.1f GB/s   ", 1e-9 * w->bytes / forward);
    for (int what = BACKWARD; what < PLAIN; what++)
        print_time(w->seconds[what]);
    print_time(plain);
    if (plain > 1e-6)
        printf("%8.1f", plain / forward);
    else
        printf("%8s", "-");
    if (w->error >= 0)
        printf("%10.1e", w->error);
    printf("%s\n", w->error > TOLERANCE ? "  WRONG" : "");
    wrong += w->error > TOLERANCE;
    fflush(stdout);
}

static void bench_operator(const shape *s, const double *frequency)
{
    pool p = {0};
    operation o = {.shape = s, .call = shape_call(s, &p), .frequency = frequency};
    work w = {.name = s->name, .run = run_operator, .payload = &o, .bytes = bytes_of(s)};

    o.expected = malloc((size_t)s->n * (size_t)s->spec.out * sizeof *o.expected);
    if (!o.expected)
        abort();
    if (s->op->flags & OL_IN_PLACE) {
        o.call.y = o.call.x[0];
        o.call.y_bar = o.call.x_bar[0];
    }
    if (s->op == &cross_entropy)
        head_scratch = pool_take(
            &p, ol_cross_entropy_scratch((ol_cross_entropy_dim){s->n, s->spec.in, s->w[0].rows}));
    w.error = error_of(&o);
    time_work(&w);
    print_work(&w);
    free(o.expected);
    if (!pool_finish(&p))
        abort();
}

static void bench_adam(void)
{
    pool p = {0};
    vectors_of_adam a = {.span = {0, ELEMENTS, true}};
    const double real = sizeof(ol_real) * (double)ELEMENTS;
    work works[] = {
        {.name = "adam step", .run = run_step, .payload = &a, .bytes = 7 * real},
        {.name = "adam replay, adjoint", .run = run_replay, .payload = &a, .bytes = 5 * real},
        {.name = "axpy", .run = run_axpy, .payload = &a, .bytes = 3 * real},
    };
    ol_real **const all[] = {&a.x, &a.m, &a.v, &a.g, &a.to, &a.lx, &a.lg};

    for (uint32_t i = 0; i < sizeof all / sizeof *all; i++)
        *all[i] = pool_random(&p, ELEMENTS, 50 + i);
    for (size_t i = 0; i < ELEMENTS; i++)
        a.v[i] *= a.v[i];
    for (size_t k = 0; k < sizeof works / sizeof *works; k++) {
        works[k].error = NAN; /* tests/optim holds them against the formula */
        time_work(&works[k]);
        print_work(&works[k]);
    }
    if (!pool_finish(&p))
        abort();
}

/* Rows of a model: B sequences of T tokens, the last `scored` of them scored. */
static int starts[MOST_SEQUENCES + 1], positions[MOST_ROWS];
static int32_t tokens[MOST_ROWS];
static ol_real angles[MOST_ROWS * MOST_HEAD];
static double frequency[MOST_HEAD / 2];

static ol_rows fill(const model *m)
{
    const int D = m->C / m->H;

    for (int b = 0; b <= m->B; b++)
        starts[b] = b * T;
    for (int i = 0; i < m->B * T; i++) {
        positions[i] = i % T;
        tokens[i] = (int32_t)((int64_t)i * 7919 % m->V);
    }
    for (int j = 0; j < D / 2; j++)
        frequency[j] = pow(10000, -2.0 * j / D);
    ol_rotary_angles(m->B * T, D, positions, frequency, angles);
    return (ol_rows){.B = m->B,
                     .start = starts,
                     .position = positions,
                     .token = tokens,
                     .query_start = starts,
                     .query_position = positions,
                     .angle = angles,
                     .longest = T};
}

#define W(m, k)                                                                                    \
    {                                                                                              \
        .rows = (m), .cols = (k), .ld = (k)                                                        \
    }

#define ALL .rows = &rows, .n = n

static void bench_model(const model *m)
{
    const int C = m->C, D = C / m->H, F = m->F, V = m->V, KV = m->G * D, n = m->B * T;
    const ol_rows rows = fill(m);
    const ol_op_spec plain = {.in = C, .out = C}, wide = {.in = F, .out = F};
    const ol_op_spec up = {.in = C, .out = F}, down = {.in = F, .out = C};
    const ol_op_spec low = {.in = C, .out = C, .rank = RANK, .scale = 1};
    const ol_op_spec norm = {.in = C, .out = C, .heads = 1, .eps = 1e-5};
    const ol_op_spec norms = {.in = C, .out = C, .heads = m->H, .eps = 1e-5};
    const ol_op_spec heads = {.in = C, .out = C, .heads = m->H, .kv_heads = m->G, .head_dim = D};
    const ol_op_spec head = {.in = C, .out = 1};
    const shape all[] = {
        {"linear, C to F", &ol_linear, up, ALL, .w = {W(F, C), W(F, 1)}},
        {"linear, F to C", &ol_linear, down, ALL, .w = {W(C, F), W(C, 1)}},
        {"conv1d, C to F", &ol_conv1d, up, ALL, .w = {W(C, F), W(F, 1)}},
        {"low rank, C to C", &ol_lowrank, low, ALL, .w = {W(RANK, C), W(C, RANK)}},
        {"attention", &ol_attention, heads, ALL},
        {"cross-entropy", &cross_entropy, head, .rows = &rows, .n = m->scored, .w = {W(V, C)}},
        {"layernorm", &ol_layernorm, norm, ALL, .w = {W(C, 1), W(C, 1)}},
        {"rmsnorm", &ol_rmsnorm, norm, ALL, .w = {W(C, 1)}},
        {"rmsnorm per head", &ol_rmsnorm, norms, ALL, .w = {W(D, 1)}},
        {"gelu", &ol_gelu, wide, ALL},
        {"swiglu", &ol_swiglu, wide, ALL},
        {"rotary", &ol_rotary, heads, ALL},
        {"embedding", &ol_embedding, plain, ALL, .w = {W(V, C)}},
        {"positions", &ol_positions, plain, ALL, .w = {W(T, C)}},
        {"residual", &ol_residual, plain, ALL},
        {"pick", &ol_pick, plain, ALL},
    };

    printf("%s: %d rows, C %d, H %d, G %d, F %d, V %d (%d scored), keys and values %d wide\n",
           m->name, n, C, m->H, m->G, F, V, m->scored, KV);
    printf("%-24s%11s%17s%11s%11s%11s%11s%8s%10s\n", "operator", "forward us", "rate   ",
           "backward us", " R forward", " R backward", "plain us", "ratio", "error");
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        bench_operator(&all[k], frequency);
}

int main(int argc, char **argv)
{
    double gflops;

    ol_gemm_threads(1);
    if (ol_gemm_rate(5, &gflops) != OL_OK)
        return 1;
    printf("one thread; a square product of 768: %.1f GFLOP/s\n\n", gflops);
    for (size_t k = 0; k < sizeof models / sizeof *models; k++) {
        bool chosen = argc < 2 && k == 0;

        for (int i = 1; i < argc; i++)
            chosen = chosen || strcmp(argv[i], models[k].name) == 0;
        if (chosen)
            bench_model(&models[k]);
    }
    bench_adam();
    return wrong > 0;
}
