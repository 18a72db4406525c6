/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/model/objective.h"

#include <assert.h>

#include "outerloop/base/phase.h"      /* ol_phase_enter */
#include "outerloop/kernel/products.h" /* ol_products_used */
#include "outerloop/kernel/rotary.h"   /* ol_rotary_angles */
#include "outerloop/kernel/vector.h"   /* ol_vector_zero */
#include "walk.h"

/* Reals of a row times rows that go through the model at one time: enough for the products to run
 * near their best rate; more would only cost memory. And its bounds, in rows. They are twice as many where
 * products round their factors to bfloat16 and most weights, being trained, are rounded each time. */
enum { CHUNK_REALS = 1 << 17, LEAST_ROWS = 256, MOST_ROWS = 1024 };

struct ol_tape {
    ol_kept value, bar;
    bool full; /* holds the walks of a batch */
};

static int64_t chunk_rows(const ol_model *model)
{
    const bool rounds =
        ol_products_used() != OL_PRODUCTS_F32 && model->P * sizeof(ol_real) > model->frozen_bytes;
    const int64_t fit = CHUNK_REALS / model->spec.width, rows = fit < LEAST_ROWS ? LEAST_ROWS : fit;

    return rows * (rounds ? 2 : 1) > MOST_ROWS ? MOST_ROWS : rows * (rounds ? 2 : 1);
}

/* Bounds of one chunk. Of losses, whose prompts share rows, at least half are not the start that
 * each chunk repeats. */
static ol_extent chunk_bounds(const ol_model *model, ol_extent extent, ol_work what)
{
    const int64_t twice = 2 * extent.longest, rows = chunk_rows(model);

    return ol_chunk_bounds(extent, what == OL_LOSSES && twice > rows ? twice : rows);
}

static ol_tape tape_layout(ol_arena *arena, const ol_model *model, ol_extent bounds, bool adjoints)
{
    ol_tape tape = {.value = ol_kept_layout(arena, model, OL_VALUE, bounds)};

    if (adjoints)
        tape.bar = ol_kept_layout(arena, model, OL_BAR, bounds);
    return tape;
}

/* Everything of a walk but θ, for chunks within `bounds`. Without a tape, one is made for a chunk at a time. */
static ol_walk walk_layout(ol_arena *arena, const ol_model *model, ol_extent bounds, ol_work what,
                           const ol_tape *tape, bool with_tape, ol_chunk *chunk)
{
    const bool adjoints = what == OL_PRODUCT || with_tape;
    ol_walk w = {.model = model, .chunk = chunk};
    ol_tape own = {0};

    *chunk = ol_chunk_layout(arena, bounds, model->graph->frequency ? model->spec.head_dim : 0);
    if (what != OL_LOSSES && !with_tape)
        own = tape_layout(arena, model, bounds, adjoints);
    if (tape)
        own = *tape;
    w.kept[OL_VALUE] = own.value;
    w.kept[OL_BAR] = own.bar;
    w.keeps[OL_VALUE] = what == OL_LOSSES ? 0 : ~0u;
    w.keeps[OL_BAR] = adjoints ? ~0u : 0;
    w.shared[OL_VALUE] = ol_shared_layout(arena, model, OL_VALUE, bounds, what == OL_LOSSES);
    if (what != OL_LOSSES)
        w.shared[OL_BAR] = ol_shared_layout(arena, model, OL_BAR, bounds, !adjoints);
    if (what == OL_PRODUCT) {
        w.keeps[OL_DOT] = ~0u;
        w.kept[OL_DOT] = ol_kept_layout(arena, model, OL_DOT, bounds);
        w.shared[OL_DOT] = ol_shared_layout(arena, model, OL_DOT, bounds, false);
        w.shared[OL_BAR_DOT] = ol_shared_layout(arena, model, OL_BAR_DOT, bounds, true);
    }
    w.scratch = ol_arena_reals(arena, ol_walk_scratch(model, bounds));
    return w;
}

ol_tape *ol_tape_layout(ol_arena *arena, const ol_model *model, ol_extent extent)
{
    ol_tape *tape = ol_arena_take(arena, sizeof *tape);
    const ol_tape placed = tape_layout(arena, model, extent, true);

    if (tape)
        *tape = placed;
    return tape;
}

size_t ol_objective_bytes(const ol_model *model, ol_extent extent, ol_work most, bool tape)
{
    size_t bytes = 0;

    for (int what = OL_LOSSES; what <= (int)most; what++) {
        ol_arena dry = ol_arena_dry("objective");
        ol_chunk chunk;

        walk_layout(&dry, model, chunk_bounds(model, extent, (ol_work)what), (ol_work)what, NULL,
                    tape && what != OL_LOSSES, &chunk);
        bytes = dry.peak > bytes ? dry.peak : bytes;
    }
    return bytes;
}

/* What a chunk that was just filled still lacks: angles, and its place in a tape. */
static void place_chunk(const ol_walk *w, ol_chunk *chunk, const ol_chunk *before, bool in_tape)
{
    chunk->row0 = in_tape ? before->row0 + before->n : 0;
    chunk->scored0 = in_tape ? before->scored0 + before->M : 0;
    if (chunk->angle)
        ol_rotary_angles(chunk->n, w->model->spec.head_dim, chunk->position,
                         w->model->graph->frequency, chunk->angle);
}

/* Fill the chunk with the next prompts of a batch; returns the prompt after them. */
static int next_chunk(const ol_walk *w, ol_chunk *chunk, const ol_batch *batch, int b, bool in_tape)
{
    const ol_chunk before = b > 0 ? *chunk : (ol_chunk){0};
    const int next = ol_chunk_fill(chunk, batch, b, chunk_rows(w->model));

    place_chunk(w, chunk, &before, in_tape);
    return next;
}

/* Mean over each prompt's scored tokens, from the losses of the chunk's rows. */
static void prompt_means(const ol_chunk *chunk, double *losses)
{
    for (int b = 0; b < chunk->B; b++) {
        const int first = chunk->scored_start[b], end = chunk->scored_start[b + 1];
        double sum = 0;

        for (int i = first; i < end; i++)
            sum += chunk->loss[i];
        losses[b] = sum / (end - first);
    }
}

bool ol_objective_losses_unless(bool (*stop)(void), const ol_model *model, const ol_batch *batch,
                                const ol_real *theta, ol_arena *ws, double *losses)
{
    const ol_mark mark = ol_arena_mark(ws);
    const ol_extent extent = ol_batch_extent(batch);
    const ol_extent bounds = chunk_bounds(model, extent, OL_LOSSES);
    ol_chunk chunk;
    ol_walk walk = walk_layout(ws, model, bounds, OL_LOSSES, NULL, false, &chunk);
    int b = 0;

    walk.theta.v = (ol_real *)theta; /* inputs of a walk are never written */
    while (b < batch->B && !(stop && stop())) {
        const int next = ol_chunk_fill_shared(&chunk, batch, b, bounds);

        place_chunk(&walk, &chunk, NULL, false);
        ol_walk_forward(OL_PRIMAL, &walk);
        ol_walk_losses(&walk);
        prompt_means(&chunk, losses + b);
        b = next;
    }
    ol_arena_rewind(ws, mark);
    return b == batch->B;
}

void ol_objective_losses(const ol_model *model, const ol_batch *batch, const ol_real *theta,
                         ol_arena *ws, double *losses)
{
    ol_objective_losses_unless(NULL, model, batch, theta, ws, losses);
}

/* L of the batch from the losses of one chunk: each row's loss times its weight in (1), (2). */
static double chunk_loss(const ol_chunk *chunk, int B)
{
    double sum = 0;

    for (int b = 0; b < chunk->B; b++) {
        const int first = chunk->scored_start[b], end = chunk->scored_start[b + 1];

        for (int i = first; i < end; i++)
            sum += chunk->loss[i] / ((double)B * (end - first));
    }
    return sum;
}

double ol_objective_grad(const ol_model *model, const ol_batch *batch, const ol_real *theta,
                         ol_wanted wanted, ol_tape *tape, ol_arena *ws, ol_real *grad)
{
    const ol_mark mark = ol_arena_mark(ws);
    ol_chunk chunk;
    ol_walk walk = walk_layout(ws, model, ol_chunk_extent(batch, chunk_rows(model)), OL_GRADIENT,
                               tape, tape != NULL, &chunk);
    double loss = 0;

    walk.theta.v = (ol_real *)theta;
    walk.theta_bar.v = grad;
    walk.moved_only = wanted == OL_OF_ADAPTED;
    walk.reaches_all = tape != NULL;
    ol_vector_zero(model->P, grad);
    for (int b = 0; b < batch->B;) {
        b = next_chunk(&walk, &chunk, batch, b, tape != NULL);
        const ol_phase was = ol_phase_enter(OL_PHASE_FORWARD);

        ol_walk_forward(OL_PRIMAL, &walk);
        ol_phase_enter(OL_PHASE_BACKWARD);
        ol_walk_backward(OL_PRIMAL, &walk);
        ol_phase_leave(was);
        loss += chunk_loss(&chunk, batch->B);
    }
    if (tape)
        tape->full = true;
    ol_arena_rewind(ws, mark);
    return loss;
}

void ol_objective_hvp(const ol_model *model, const ol_batch *batch, const ol_real *theta,
                      const ol_real *u, ol_tape *tape, ol_arena *ws, ol_real *hv)
{
    const ol_mark mark = ol_arena_mark(ws);
    const bool full = tape && tape->full;
    ol_chunk chunk;
    ol_walk walk = walk_layout(ws, model, ol_chunk_extent(batch, chunk_rows(model)), OL_PRODUCT,
                               tape, tape != NULL, &chunk);

    assert(u != hv);
    for (int b = 0; b < batch->B;) {
        b = next_chunk(&walk, &chunk, batch, b, tape != NULL);
        walk.theta = (ol_dual){(ol_real *)theta, NULL};
        walk.theta_bar = (ol_dual){0}; /* θ_bar itself is not wanted: its products are left out */
        const ol_phase was = ol_phase_enter(full ? OL_PHASE_PRODUCT : OL_PHASE_RECOMPUTE);

        if (!full) {
            ol_walk_forward(OL_PRIMAL, &walk);
            ol_walk_backward(OL_PRIMAL, &walk);
            ol_phase_enter(OL_PHASE_PRODUCT);
        }
        walk.theta.dot = (ol_real *)u;
        walk.theta_bar.dot = hv;
        ol_walk_forward(OL_TANGENT, &walk);
        ol_walk_backward(OL_TANGENT, &walk);
        ol_phase_leave(was);
    }
    if (tape)
        tape->full = false; /* θ moves on: whoever comes next fills it again */
    ol_arena_rewind(ws, mark);
}
