/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/base/clock.h"
#include "outerloop/kernel/gemm.h"
#include "outerloop/kernel/products.h"
#include "outerloop/run/bench.h"

/* The f64 build of the same function; precision.h names it. */
ol_status ol_bench_f64(const ol_bench_spec *spec, ol_bench_report *report);

struct options {
    ol_bench_spec spec;
    int threads;
    bool f64;
    ol_products products; /* of f32 */
};

enum {
    LAYERS = 256,
    WIDTH,
    HEADS,
    KV_HEADS,
    HEAD_DIM,
    HIDDEN,
    VOCAB,
    LORA,
    SEQ,
    BATCH,
    LABELS,
    STEPS,
    INNER,
    ORDER,
    STORAGE,
    STORAGE_MIB,
    REPS,
    PRECISION,
    THREADS,
    ARCH,
    FROZEN,
    UNTIED
};

static int count(struct argp_state *state, const char *name, const char *value)
{
    char *end;
    const long n = strtol(value, &end, 10);

    if (end == value || *end || n < 1 || n > 1 << 28)
        argp_error(state, "--%s takes a whole number of at least 1, not \"%s\"", name, value);
    return (int)n;
}

/* 0 for the first word, 1 for the second. */
static int choice(struct argp_state *state, const char *name, const char *value, const char *first,
                  const char *second)
{
    if (strcmp(value, first) != 0 && strcmp(value, second) != 0)
        argp_error(state, "--%s is %s or %s, not \"%s\"", name, first, second, value);
    return strcmp(value, second) == 0;
}

static const char *const storages[] = {
    [OL_AUTO] = "auto", [OL_KEEP] = "keep", [OL_RECOMPUTE] = "recompute", NULL};

static void set_storage(struct argp_state *state, const char *value, ol_bench_spec *spec)
{
    int kind = 0;

    while (storages[kind] && strcmp(storages[kind], value) != 0)
        kind++;
    if (!storages[kind])
        argp_error(state, "--storage is auto, keep or recompute, not \"%s\"", value);
    spec->storage = (ol_storage)kind;
}

static void set_precision(struct argp_state *state, const char *value, struct options *o)
{
    int kind = 0;

    o->f64 = strcmp(value, "f64") == 0;
    while (ol_products_names[kind] && strcmp(ol_products_names[kind], value) != 0)
        kind++;
    if (!o->f64 && !ol_products_names[kind])
        argp_error(state, "--precision is f32, bf16, bf16x3, auto or f64, not \"%s\"", value);
    o->products = o->f64 ? OL_PRODUCTS_F32 : (ol_products)kind;
}

static int family(struct argp_state *state, const char *value)
{
    int f = 0;

    while (ol_model_families[f] && strcmp(ol_model_families[f], value) != 0)
        f++;
    if (!ol_model_families[f])
        argp_error(state, "--arch is gpt2, llama, qwen2 or qwen3, not \"%s\"", value);
    return f;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct options *o = state->input;
    ol_bench_spec *s = &o->spec;
    const struct {
        const char *name;
        int *at;
    } counts[] = {
        [LAYERS - LAYERS] = {"layers", &s->model.layers},
        [WIDTH - LAYERS] = {"width", &s->model.width},
        [HEADS - LAYERS] = {"heads", &s->model.heads},
        [KV_HEADS - LAYERS] = {"kv-heads", &s->model.kv_heads},
        [HEAD_DIM - LAYERS] = {"head-dim", &s->model.head_dim},
        [HIDDEN - LAYERS] = {"hidden", &s->model.hidden},
        [VOCAB - LAYERS] = {"vocab", &s->model.vocab},
        [LORA - LAYERS] = {"lora", &s->lora},
        [SEQ - LAYERS] = {"seq", &s->seq},
        [BATCH - LAYERS] = {"batch", &s->batch},
        [LABELS - LAYERS] = {"labels", &s->labels},
        [STEPS - LAYERS] = {"steps", &s->steps},
        [STORAGE_MIB - LAYERS] = {"storage-mib", &s->storage_mib},
        [REPS - LAYERS] = {"reps", &s->reps},
        [THREADS - LAYERS] = {"threads", &o->threads},
    };

    switch (key) {
    case INNER:
        s->inner = choice(state, "inner", value, "sgd", "adamw") ? OL_ADAMW : OL_SGD;
        return 0;
    case ORDER:
        s->order = 1 + choice(state, "order", value, "1", "2");
        return 0;
    case STORAGE:
        set_storage(state, value, s);
        return 0;
    case PRECISION:
        set_precision(state, value, o);
        return 0;
    case ARCH:
        s->model.family = family(state, value);
        return 0;
    case FROZEN:
        s->frozen_bf16 = choice(state, "frozen", value, "f32", "bf16");
        return 0;
    case UNTIED:
        s->model.tied = false;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected \"%s\"", value);
        return EINVAL;
    default:
        if (key < LAYERS || key > THREADS)
            return ARGP_ERR_UNKNOWN;
        *counts[key - LAYERS].at = count(state, counts[key - LAYERS].name, value);
        return 0;
    }
}

static void print(const struct options *o, const ol_bench_report *r)
{
    const ol_bench_spec *s = &o->spec;

    printf("one episode: K=%d %s steps, order %d, storage %s, %d+%d prompts of %d tokens, %s\n",
           s->steps, s->inner == OL_SGD ? "sgd" : "adamw", s->order, storages[s->storage], s->batch,
           s->batch, s->seq, o->f64 ? "f64" : ol_products_describe());
    printf("model: %s, %d layers, width %d, %d heads, vocabulary %d: %zu parameters trained",
           ol_model_families[s->model.family], s->model.layers, s->model.width, s->model.heads,
           s->model.vocab, r->params);
    if (s->lora > 0)
        printf(" (rank %d), %.1f MiB frozen as %s", s->lora, (double)r->frozen_bytes / (1 << 20),
               s->frozen_bf16 ? "bf16" : "f32");
    printf(
        "\nquery loss %.6f, |meta-gradient| %.6e, scratch %.1f MiB, %.2f forward passes' worth of "
        "products\n",
        r->query_loss, r->grad_norm, (double)r->workspace_bytes / (1 << 20), r->passes);
    printf(
        "best_s=%.4f gflops=%.1f sgemm_share=%.3f peak_rss_mib=%.0f sgemm_gflops=%.1f params=%zu "
        "passes=%.2f threads=%d delta_error=%.1e\n",
        r->best_seconds, r->gflops, r->gflops / r->product_gflops,
        (double)ol_clock_peak_bytes() / (1 << 20), r->product_gflops, r->params, r->passes,
        o->threads, r->delta_error);
}

int ol_cmd_bench(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"layers", LAYERS, "N", 0, "blocks of the model (4)", 0},
        {"width", WIDTH, "N", 0, "width (256)", 0},
        {"heads", HEADS, "N", 0, "attention heads (8)", 0},
        {"arch", ARCH, "FAMILY", 0, "gpt2, llama, qwen2 or qwen3 (gpt2)", 0},
        {"kv-heads", KV_HEADS, "N", 0, "groups of keys and values (as many as heads)", 0},
        {"head-dim", HEAD_DIM, "N", 0, "size of a head (width/heads)", 0},
        {"hidden", HIDDEN, "N", 0, "width of the network (gpt2: 4 width, else 8/3 width)", 0},
        {"untied", UNTIED, NULL, 0, "a head of its own rather than the embedding", 0},
        {"lora", LORA, "RANK", 0, "train an adapter of that rank on q and v, the rest being frozen",
         0},
        {"frozen", FROZEN, "f32|bf16", 0, "how frozen weights are stored (f32)", 0},
        {"vocab", VOCAB, "N", 0, "vocabulary (8192)", 0},
        {"seq", SEQ, "N", 0, "tokens of input of a prompt (256)", 0},
        {"batch", BATCH, "N", 0, "prompts of the support and of the query batch (4)", 0},
        {"labels", LABELS, "N", 0, "scored tokens of a prompt (8)", 0},
        {"steps", STEPS, "N", 0, "inner steps K (1)", 0},
        {"inner", INNER, "sgd|adamw", 0, "inner optimizer (adamw)", 0},
        {"order", ORDER, "1|2", 0, "1 first-order, 2 exact (2)", 0},
        {"storage", STORAGE, "KIND", 0,
         "activations of which inner steps are kept: auto (the last and what --storage-mib holds), "
         "keep (the last) or recompute (none) (auto)",
         0},
        {"storage-mib", STORAGE_MIB, "N", 0, "memory for those before the last (512)", 0},
        {"reps", REPS, "N", 0, "episodes timed; the best counts (3)", 0},
        {"precision", PRECISION, "KIND", 0,
         "f32 or f64 for all of the computation; bf16, bf16x3 or auto for products of f32 (f32)",
         0},
        {"threads", THREADS, "N", 0, "BLAS threads (1)", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .doc = "Time one episode's meta-gradient on random tokens, in this process.\v"
               "The last line holds pairs: best_s (seconds), gflops (of matrix products), "
               "sgemm_share (of this core's rate for one large product, measured in the same run), "
               "peak_rss_mib (peak memory), delta_error (of the meta-gradient, against products in "
               "f32).",
    };
    struct options o = {.spec = OL_BENCH_SPEC_INIT, .threads = 1};
    ol_bench_report report;
    ol_status status;

    ol_cli_parse(&argp, argc, argv, &o);
    ol_gemm_threads(o.threads);
    status = ol_products_use(o.products);
    if (status == OL_OK)
        status = o.f64 ? ol_bench_f64(&o.spec, &report) : ol_bench(&o.spec, &report);
    if (status == OL_OK)
        print(&o, &report);
    return ol_cli_finish(status, false);
}
