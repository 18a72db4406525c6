/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/base/clock.h"
#include "outerloop/check/bench.h"
#include "outerloop/collective/phases.h"
#include "outerloop/kernel/gemm.h"
#include "outerloop/kernel/products.h"
#include "outerloop/kernel/rate.h"

/* The f64 builds of the same functions; precision.h names them. */
ol_status ol_bench_f64(const ol_bench_spec *spec, ol_bench_report *report);
ol_status ol_bench_scoring_f64(const ol_bench_spec *spec, ol_scoring_report *report);

struct options {
    ol_bench_spec spec;
    unsigned order, frozen, family; /* choices: the first is 0 */
    int threads;
    bool f64, scoring, untied;
    ol_cli_words prompts;
    ol_products products; /* of f32 */
};

static void read_precision(struct argp_state *state, const char *value, void *at)
{
    struct options *o = at;
    int kind = 0;

    o->f64 = strcmp(value, "f64") == 0;
    while (ol_products_names[kind] && strcmp(ol_products_names[kind], value) != 0)
        kind++;
    if (!o->f64 && !ol_products_names[kind])
        argp_error(state, "--precision is f32, bf16, bf16x3, auto or f64, not \"%s\"", value);
    o->products = o->f64 ? OL_PRODUCTS_F32 : (ol_products)kind;
}

static ol_status print_phases(const ol_bench_report *report)
{
    ol_phase_row rows[OL_PHASES];
    OL_AUTO_TEXT text = {0};

    ol_phases_own(&report->phases, rows);
    OL_TRY(ol_phases_text(rows, 1, &text));
    printf("%s\n", text.data);
    return OL_OK;
}

/* The cost model beside what was. */
static void print_foretold(const ol_bench_report *r)
{
    const double seconds = r->foretold_flop / (1e9 * OL_RATE_REACHED * r->product_gflops);
    const double mib = (double)r->foretold_bytes / (1 << 20);
    const double peak = (double)r->peak_bytes / (1 << 20);

    printf("foretold / measured: %.2f / %.2f Gflop (%.2f), %.3f / %.3f s (%.2f), %.0f / %.0f MiB "
           "(%.2f)\n",
           1e-9 * r->foretold_flop, 1e-9 * r->flop, r->foretold_flop / r->flop, seconds,
           r->best_seconds, seconds / r->best_seconds, mib, peak, mib / peak);
}

static void print(const struct options *o, const ol_bench_report *r)
{
    const ol_bench_spec *s = &o->spec;

    printf(
        "one episode: K=%d %s steps, order %d, storage %s, %d+%d prompts, %lld tokens in all, %s\n",
        s->steps, ol_optimizer_names[s->inner], s->order, ol_storage_names[s->storage], s->batch,
        s->batch, (long long)r->tokens, o->f64 ? "f64" : ol_products_describe());
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
    print_foretold(r);
    printf(
        "best_s=%.4f gflops=%.1f sgemm_share=%.3f peak_rss_mib=%.0f sgemm_gflops=%.1f params=%zu "
        "passes=%.2f threads=%d bf16_share=%.3f delta_error=%.1e tokens=%lld\n",
        r->best_seconds, r->gflops, r->gflops / r->product_gflops,
        (double)r->peak_bytes / (1 << 20), r->product_gflops, r->params, r->passes, o->threads,
        r->bf16_share, r->delta_error, (long long)r->tokens);
}

static ol_status time_episode(const struct options *o)
{
    ol_bench_report report;

    OL_TRY(o->f64 ? ol_bench_f64(&o->spec, &report) : ol_bench(&o->spec, &report));
    if (o->spec.timers)
        OL_TRY(print_phases(&report));
    print(o, &report);
    return OL_OK;
}

static ol_status time_scoring(const struct options *o)
{
    ol_scoring_report r;

    OL_TRY(o->f64 ? ol_bench_scoring_f64(&o->spec, &r) : ol_bench_scoring(&o->spec, &r));
    printf("scoring %d rows, %d prompts of %lld tokens: %.3f s together, %.3f s each on its own; "
           "losses differ by %.1e nats at most\n",
           r.rows, r.prompts, (long long)r.tokens, r.best_seconds, r.apart_seconds, r.difference);
    printf("best_s=%.4f apart_s=%.4f apart_ratio=%.2f tokens=%lld prompts=%d difference=%.1e "
           "peak_rss_mib=%.0f threads=%d\n",
           r.best_seconds, r.apart_seconds, r.apart_seconds / r.best_seconds, (long long)r.tokens,
           r.prompts, r.difference, (double)ol_clock_peak_bytes() / (1 << 20), o->threads);
    return OL_OK;
}

static void check_options(struct argp_state *state, void *at)
{
    const struct options *o = at;

    if (o->scoring && o->prompts.n != 1)
        argp_error(state,
                   "--scoring wants one --prompts FILE.h5, as `outerloop prompts` writes it");
}

/* What the command line asks for; options write into it. */
static struct options given = {.spec = OL_BENCH_SPEC_INIT, .order = 1, .threads = 1};

static const ol_cli_option options[] = {
    {"layers", 0, "N", "blocks of the model (4)", .count = &given.spec.model.layers, .least = 1},
    {"width", 0, "N", "width (256)", .count = &given.spec.model.width, .least = 1},
    {"heads", 0, "N", "attention heads (8)", .count = &given.spec.model.heads, .least = 1},
    {"arch", .help = "family of the model (gpt2)", .choice = &given.family,
     .names = ol_model_families},
    {"kv-heads", 0, "N", "groups of keys and values (as many as heads)",
     .count = &given.spec.model.kv_heads, .least = 1},
    {"head-dim", 0, "N", "size of a head (width/heads)", .count = &given.spec.model.head_dim,
     .least = 1},
    {"hidden", 0, "N", "width of the network (gpt2: 4 width, else 8/3 width)",
     .count = &given.spec.model.hidden, .least = 1},
    {"untied", .help = "a head of its own rather than the embedding", .flag = &given.untied},
    {"lora", 0, "RANK", "train an adapter of that rank on q and v, the rest being frozen",
     .count = &given.spec.lora, .least = 1},
    {"frozen", 0, "f32|bf16", "how frozen weights are stored (f32)", .choice = &given.frozen},
    {"vocab", 0, "N", "vocabulary (8192)", .count = &given.spec.model.vocab, .least = 1},
    {"prompts", 0, "FILE.h5",
     "prompts as `outerloop prompts` writes them, the first of each row; of several files in "
     "turn (random ones)",
     .words = &given.prompts},
    {"scoring", .help = "time the scoring of all of them, together and each on its own, instead",
     .flag = &given.scoring},
    {"seq", 0, "N", "tokens of input of a random prompt (256)", .count = &given.spec.seq,
     .least = 1},
    {"batch", 0, "N", "prompts of the support and of the query batch (4)",
     .count = &given.spec.batch, .least = 1},
    {"labels", 0, "N", "scored tokens of a random prompt (8)", .count = &given.spec.labels,
     .least = 1},
    {"steps", 0, "N", "inner steps K (1)", .count = &given.spec.steps, .least = 1},
    {"inner", .help = "inner optimizer (adamw)", .choice = &given.spec.inner,
     .names = ol_optimizer_names},
    {"order", 0, "1|2", "1 first-order, 2 exact (2)", .choice = &given.order},
    {"storage",
     .help = "inner steps whose activations are kept: the last and what --storage-mib holds, "
             "the last, none (auto)",
     .choice = &given.spec.storage, .names = ol_storage_names},
    {"storage-mib", 0, "N", "memory for those before the last (512)",
     .count = &given.spec.storage_mib, .least = 1},
    {"reps", 0, "N", "episodes timed; the best counts (3)", .count = &given.spec.reps, .least = 1},
    {"precision", 0, "KIND",
     "f32 or f64 for all of the computation; bf16, bf16x3 or auto for products of f32 (f32)",
     .read = read_precision, .at = &given},
    {"threads", 0, "N", "BLAS threads (1)", .count = &given.threads, .least = 1},
    {"timers", .help = "also say where the seconds of the best episode went",
     .flag = &given.spec.timers},
    {0},
};

static const ol_cli_syntax syntax = {
    .options = options,
    .check = check_options,
    .at = &given,
    .doc = "Time one episode's meta-gradient, in this process.\v"
           "tools/bench-suite has a table of several shapes, with PyTorch beside. The last "
           "line holds pairs: best_s (seconds), gflops (of matrix products), "
           "sgemm_share (of this core's rate for one large product, measured in the same run), "
           "peak_rss_mib (peak memory), bf16_share (of the flop of products, made in "
           "bfloat16), delta_error (of the meta-gradient, against products in "
           "f32), tokens (of input, of all prompts).",
};

/* Words of the command line that are other than what they stand for. */
static void translate(struct options *o)
{
    ol_bench_spec *s = &o->spec;

    s->order = (int)o->order + 1;
    s->prompts = o->prompts.items;
    s->n_prompts = (int)o->prompts.n;
    s->frozen_bf16 = o->frozen == 1;
    s->model.family = (int)o->family;
    s->model.tied = !o->untied;
}

int ol_cmd_bench(int argc, char **argv)
{
    ol_status status;

    ol_cli_read(&syntax, argc, argv);
    translate(&given);
    ol_gemm_threads(given.threads);
    status = ol_products_use(given.products);
    if (status == OL_OK)
        status = given.scoring ? time_scoring(&given) : time_episode(&given);
    free(given.prompts.items);
    return ol_cli_finish(status, false);
}
