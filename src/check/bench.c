/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/check/bench.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/clock.h"      /* ol_clock_seconds */
#include "outerloop/base/rng.h"        /* ol_rng_stream */
#include "outerloop/kernel/gemm.h"     /* ol_gemm_nn, ol_gemm_flops */
#include "outerloop/kernel/products.h" /* ol_products_use */
#include "outerloop/kernel/rate.h"     /* ol_gemm_rate */
#include "outerloop/meta/outer.h"      /* ol_state_layout */
#include "prompts_file.h"              /* ol_prompts_file_read */

enum { PRODUCT_REPS = 5, SEED = 1 };

static ol_status random_prompts(const ol_bench_spec *spec, ol_rng *rng, ol_batch *batch)
{
    const size_t n = (size_t)spec->seq + 1;
    int32_t *tokens = malloc(n * sizeof *tokens);
    uint8_t *mask = calloc(n, 1);
    ol_status status = tokens && mask ? OL_OK : ol_fail(OL_ENOMEM, "no memory for a prompt");

    if (spec->labels > spec->seq)
        status =
            ol_fail(OL_EUSAGE, "labels (%d) must not exceed seq (%d)", spec->labels, spec->seq);
    for (int b = 0; b < spec->batch && status == OL_OK; b++) {
        for (size_t j = 0; j < n; j++) {
            tokens[j] = (int32_t)ol_rng_below(rng, (uint32_t)spec->model.vocab);
            mask[j] = j >= n - (size_t)spec->labels;
        }
        status = ol_batch_append(batch, (int64_t)n, tokens, mask);
    }
    free(tokens);
    free(mask);
    return status;
}

/* The first prompt of row r, appended. */
static ol_status take_row(const ol_prompts_file *file, const char *path, int r, ol_batch *side)
{
    int64_t offsets[2];
    int b = 0;

    OL_CHECK(r < file->rows, OL_EUSAGE, "%s: has %d rows, too few for both sides; lower --batch",
             path, file->rows);
    for (int i = 0; i < r; i++)
        b += file->options[i];
    const ol_batch one = ol_batch_prompt(&file->batch, b, offsets);

    return ol_batch_extend(side, &one);
}

/* Prompts of both sides, from each file in turn. Files are small, and read again for each prompt. */
static ol_status read_sides(const ol_bench_spec *spec, ol_episode *episode)
{
    for (int i = 0; i < 2 * spec->batch; i++) {
        const char *path = spec->prompts[i % spec->n_prompts];
        OL_AUTO(ol_prompts_file_finish) ol_prompts_file file = {0};

        OL_TRY(ol_prompts_file_read(path, spec->model.vocab, INT_MAX, &file));
        OL_TRY(take_row(&file, path, i / spec->n_prompts,
                        i < spec->batch ? &episode->support : &episode->query));
    }
    return OL_OK;
}

/* What the timed episodes work on. */
typedef struct workload {
    ol_model *model;
    ol_learner_spec learner;
    ol_episode episode;
    ol_arena frozen; /* weights that are not trained */
    ol_arena arena;  /* state and contribution */
    ol_arena scratch;
    ol_state state;
    ol_contribution out;
    double *inner_losses;
    size_t resident; /* bytes of this process at the beginning */
} workload;

static void place(ol_arena *arena, workload *w)
{
    w->state = ol_state_layout(arena, ol_learner_size(w->model, &w->learner));
    w->out = ol_contribution_layout(arena, w->model, &w->learner);
    w->inner_losses = ol_arena_take(arena, (size_t)w->learner.steps * sizeof *w->inner_losses);
}

/* θ and moments as some steps of training leave them. */
static void random_state(workload *w, ol_rng *rng)
{
    ol_model_random(w->model, SEED, w->state.theta, w->frozen.base);
    for (size_t i = 0; i < w->model->P; i++) {
        if (w->model->lora)
            w->state.theta[i] += (ol_real)(0.01 * ol_rng_normal(rng));
        w->state.m[i] = (ol_real)(1e-4 * (2 * ol_rng_uniform(rng) - 1));
        w->state.v[i] = (ol_real)(1e-6 * ol_rng_uniform(rng) + 1e-8);
    }
    w->state.t = 100;
}

static ol_status make_model(const ol_bench_spec *spec, int64_t context, workload *w)
{
    static const char *const lora[] = {"lora"};
    static const char *const targets[] = {"q_proj", "v_proj"}, *const gpt2_targets[] = {"c_attn"};
    ol_model_spec shape = spec->model;
    ol_trained_spec trained = {.frozen_bf16 = spec->frozen_bf16};

    shape.context = (int)context;
    if (spec->lora > 0) {
        trained.trained = (ol_patterns){1, lora};
        trained.targets =
            shape.family == OL_GPT2 ? (ol_patterns){1, gpt2_targets} : (ol_patterns){2, targets};
        trained.rank = spec->lora;
        trained.alpha = spec->lora;
    }
    OL_TRY(ol_model_create(&shape, &trained, &w->model));
    OL_TRY(ol_arena_init(&w->frozen, "frozen weights", w->model->frozen_bytes));
    w->model->block = ol_arena_take(&w->frozen, w->model->frozen_bytes);
    return OL_OK;
}

static int64_t longest(const ol_episode *episode)
{
    const int64_t a = ol_batch_longest(&episode->support), b = ol_batch_longest(&episode->query);

    return a > b ? a : b;
}

static ol_status prepare(const ol_bench_spec *spec, workload *w)
{
    ol_rng rng = ol_rng_stream(SEED, OL_RNG_BENCH, 0, 0);
    ol_arena dry = ol_arena_dry("state");

    if (spec->n_prompts > 0) {
        OL_TRY(read_sides(spec, &w->episode));
    } else {
        OL_TRY(random_prompts(spec, &rng, &w->episode.support));
        OL_TRY(random_prompts(spec, &rng, &w->episode.query));
    }
    OL_TRY(make_model(spec, longest(&w->episode), w));
    w->learner = (ol_learner_spec){.learner = ol_learner_find("maml"),
                                   .order = spec->order,
                                   .steps = spec->steps,
                                   .inner = spec->inner,
                                   .adam = OL_ADAM_SPEC_INIT,
                                   .moments = OL_MOMENTS_READ,
                                   .storage = spec->storage,
                                   .storage_bytes = (size_t)spec->storage_mib << 20};
    w->learner.adam.weight_decay = 0.01;
    place(&dry, w);
    OL_TRY(ol_arena_init(&w->arena, "model, moments and gradient", dry.peak));
    place(&w->arena, w);
    random_state(w, &rng);
    return ol_arena_init(&w->scratch, "activations of an episode",
                         ol_learner_bytes(w->model, &w->learner,
                                          ol_batch_extent(&w->episode.support),
                                          ol_batch_extent(&w->episode.query)));
}

/* Matrix products of one forward pass of the query side, in flop. */
static double forward_flops(workload *w)
{
    const ol_batch *query = &w->episode.query;
    const ol_mark mark = ol_arena_mark(&w->scratch);
    double *losses = ol_arena_take(&w->scratch, (size_t)query->B * sizeof *losses);
    const double before = ol_gemm_flops();

    ol_objective_losses(w->model, query, w->state.theta, &w->scratch, losses);
    ol_arena_rewind(&w->scratch, mark);
    return ol_gemm_flops() - before;
}

/* The same episode with products in f32, beside which those that were timed stand. */
static ol_status compare_products(workload *w, ol_bench_report *report)
{
    const ol_products kind = ol_products_used();
    const ol_real *delta = w->out.parts[0].vector;
    const size_t n = w->out.parts[0].size;
    ol_real *timed = malloc(n * sizeof *timed);
    double apart = 0, whole = 0;
    ol_episode_report episode;
    ol_status status;

    OL_CHECK(timed, OL_ENOMEM, "no memory for a second gradient");
    memcpy(timed, delta, n * sizeof *timed);
    ol_products_use(OL_PRODUCTS_F32);
    status = ol_learner_episode(w->model, &w->learner, &w->episode, ol_state_borrow(&w->state),
                                &w->scratch, &w->out, w->inner_losses, &episode);
    ol_products_use(kind);
    for (size_t i = 0; i < n; i++) {
        const double d = (double)timed[i] - (double)delta[i];

        apart += d * d;
        whole += (double)delta[i] * (double)delta[i];
    }
    report->delta_error = sqrt(apart / whole);
    free(timed);
    return status;
}

/* The best of the episodes. */
static ol_status time_episodes(const ol_bench_spec *spec, workload *w, ol_episode_report *episode,
                               ol_bench_report *report)
{
    for (int r = 0; r < spec->reps; r++) {
        const double flops = ol_gemm_flops(), narrow = ol_gemm_flops_bf16();
        double begin, seconds;
        ol_phase_times phases;

        ol_phase_read();
        begin = ol_clock_seconds();
        OL_TRY(ol_learner_episode(w->model, &w->learner, &w->episode, ol_state_borrow(&w->state),
                                  &w->scratch, &w->out, w->inner_losses, episode));
        seconds = ol_clock_seconds() - begin;
        phases = ol_phase_read();
        if (seconds < report->best_seconds) {
            report->best_seconds = seconds;
            report->phases = phases;
            report->gflops = 1e-9 * (ol_gemm_flops() - flops) / seconds;
            report->flop = ol_gemm_flops() - flops;
            report->bf16_share = (ol_gemm_flops_bf16() - narrow) / report->flop;
        }
    }
    return OL_OK;
}

static ol_status measure(const ol_bench_spec *spec, workload *w, ol_bench_report *report)
{
    const ol_prompts_size support = ol_batch_size(&w->episode.support);
    const ol_prompts_size query = ol_batch_size(&w->episode.query);
    ol_episode_report episode;
    ol_status status;

    *report = (ol_bench_report){
        .params = w->model->P,
        .foretold_flop = ol_learner_flop(w->model, &w->learner, &support, &query),
        .foretold_bytes = w->resident + w->arena.size + w->scratch.size + w->model->frozen_bytes,
        .frozen_bytes = w->model->frozen_bytes,
        .tokens = support.tokens - support.prompts + query.tokens - query.prompts,
        .best_seconds = INFINITY,
        .workspace_bytes = w->scratch.size};
    OL_TRY(ol_gemm_rate(PRODUCT_REPS, &report->product_gflops));
    if (spec->timers)
        ol_phase_start();
    status = time_episodes(spec, w, &episode, report);
    ol_phase_stop();
    OL_TRY(status);
    report->peak_bytes = ol_clock_peak_bytes();
    report->passes = report->flop / forward_flops(w);
    report->query_loss = episode.query_after;
    report->grad_norm = episode.grad_norm;
    return ol_products_used() == OL_PRODUCTS_F32 ? OL_OK : compare_products(w, report);
}

static void drop(workload *w)
{
    ol_batch_finish(&w->episode.support);
    ol_batch_finish(&w->episode.query);
    ol_arena_finish(&w->arena);
    ol_arena_finish(&w->scratch);
    ol_model_destroy(w->model);
    ol_arena_finish(&w->frozen);
}

ol_status ol_bench(const ol_bench_spec *spec, ol_bench_report *report)
{
    OL_AUTO(drop) workload w = {.resident = ol_clock_resident_bytes()};

    OL_TRY(prepare(spec, &w));
    return measure(spec, &w, report);
}

/* A model and room to score a file's prompts, twice. */
static ol_status prepare_scoring(const ol_bench_spec *spec, const ol_prompts_file *file,
                                 workload *w, double *losses[2])
{
    const ol_batch *batch = &file->batch;
    ol_arena dry = ol_arena_dry("scoring");

    OL_TRY(make_model(spec, ol_batch_longest(batch), w));
    for (int pass = 0; pass < 2; pass++) {
        ol_arena *arena = pass ? &w->arena : &dry;

        if (pass)
            OL_TRY(ol_arena_init(arena, "model and losses", dry.peak));
        w->state.theta = ol_arena_reals(arena, w->model->P);
        for (int i = 0; i < 2; i++)
            losses[i] = ol_arena_take(arena, (size_t)batch->B * sizeof *losses[i]);
    }
    ol_model_random(w->model, SEED, w->state.theta, w->frozen.base);
    return ol_arena_init(&w->scratch, "activations of scoring",
                         ol_objective_bytes(w->model, ol_batch_extent(batch), OL_LOSSES, false));
}

/* Seconds of the losses of a batch: together, or each prompt on its own. */
static double time_losses(const ol_batch *batch, bool apart, workload *w, double *losses)
{
    const double begin = ol_clock_seconds();
    int64_t offsets[2];

    if (!apart)
        ol_objective_losses(w->model, batch, w->state.theta, &w->scratch, losses);
    for (int b = 0; apart && b < batch->B; b++) {
        const ol_batch one = ol_batch_prompt(batch, b, offsets);

        ol_objective_losses(w->model, &one, w->state.theta, &w->scratch, losses + b);
    }
    return ol_clock_seconds() - begin;
}

ol_status ol_bench_scoring(const ol_bench_spec *spec, ol_scoring_report *report)
{
    OL_AUTO(ol_prompts_file_finish) ol_prompts_file file = {0};
    OL_AUTO(drop) workload w = {0};
    double *losses[2], best[2] = {INFINITY, INFINITY};

    OL_TRY(ol_prompts_file_read(spec->prompts[0], spec->model.vocab, INT_MAX, &file));
    OL_TRY(prepare_scoring(spec, &file, &w, losses));
    for (int r = 0; r < spec->reps; r++)
        for (int i = 0; i < 2; i++)
            best[i] = fmin(best[i], time_losses(&file.batch, i, &w, losses[i]));
    *report = (ol_scoring_report){.rows = file.rows,
                                  .prompts = file.batch.B,
                                  .tokens = ol_batch_tokens(&file.batch) - file.batch.B,
                                  .best_seconds = best[0],
                                  .apart_seconds = best[1]};
    for (int b = 0; b < file.batch.B; b++)
        report->difference = fmax(report->difference, fabs(losses[0][b] - losses[1][b]));
    return OL_OK;
}
