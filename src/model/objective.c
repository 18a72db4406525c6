/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/model/objective.h"

#include <assert.h>

#include "gpt2.h"
#include "outerloop/kernel/vector.h" /* ol_vector_zero */

/* Rows that go through the model at one time when nothing has to be kept. Enough for the products
 * to run near their best rate; more would only cost memory. */
enum { CHUNK_ROWS = 1024 };

struct ol_tape {
    ol_chunk chunk;
    ol_statistics statistics;
    ol_buffers value; /* of every block */
    ol_buffers bar;   /* of every block */
};

/* One walk's buffers: `kept` or parts of the arena. */
typedef enum purpose { LOSSES, GRADIENT, PRODUCT } purpose;

/* Bounds of one chunk. Of losses, whose prompts share rows, at least half are not the start that
 * each chunk repeats. */
static ol_extent chunk_bounds(ol_extent extent, purpose what)
{
    const int64_t twice = 2 * extent.longest;

    return ol_chunk_bounds(extent, what == LOSSES && twice > CHUNK_ROWS ? twice : CHUNK_ROWS);
}

static ol_walk walk_layout(ol_arena *arena, const ol_model *model, ol_extent extent, purpose what,
                           ol_tape *tape, bool with_tape, ol_chunk *chunk, ol_statistics *rows)
{
    const ol_extent bounds = with_tape ? extent : chunk_bounds(extent, what);
    ol_walk walk = {.model = model, .chunk = chunk, .statistics = rows};

    if (!with_tape) {
        *chunk = ol_chunk_layout(arena, bounds);
        *rows = ol_statistics_layout(arena, model, bounds);
        walk.value = ol_buffers_layout(arena, model, bounds, OL_ACTIVATIONS,
                                       what == LOSSES ? OL_ALTERNATE : OL_OWN);
        if (what != LOSSES)
            walk.bar = ol_buffers_layout(arena, model, bounds, OL_ADJOINTS, OL_ALTERNATE);
    } else if (tape) {
        walk.chunk = &tape->chunk;
        walk.statistics = &tape->statistics;
        walk.value = tape->value;
        walk.bar = tape->bar;
    }
    if (what == PRODUCT) {
        walk.dot = ol_buffers_layout(arena, model, bounds, OL_ACTIVATIONS, OL_OWN);
        walk.bar_dot = ol_buffers_layout(arena, model, bounds, OL_ADJOINTS, OL_ALTERNATE);
    }
    if (what == LOSSES)
        walk.path_kv =
            ol_arena_reals(arena, 2 * (size_t)bounds.longest * (size_t)model->spec.width);
    walk.scratch = ol_arena_reals(arena, ol_walk_scratch(model, bounds));
    return walk;
}

ol_tape *ol_tape_layout(ol_arena *arena, const ol_model *model, ol_extent extent)
{
    ol_tape *tape = ol_arena_take(arena, sizeof *tape);
    ol_tape placed;

    placed.chunk = ol_chunk_layout(arena, extent);
    placed.statistics = ol_statistics_layout(arena, model, extent);
    placed.value = ol_buffers_layout(arena, model, extent, OL_ACTIVATIONS, OL_OWN);
    placed.bar = ol_buffers_layout(arena, model, extent, OL_ADJOINTS, OL_OWN);
    if (tape)
        *tape = placed;
    return tape;
}

size_t ol_objective_bytes(const ol_model *model, ol_extent extent, bool tape)
{
    size_t most = 0;

    for (int what = LOSSES; what <= PRODUCT; what++) {
        ol_arena dry = ol_arena_dry("objective");
        ol_chunk chunk;
        ol_statistics rows;

        walk_layout(&dry, model, extent, (purpose)what, NULL, tape && what != LOSSES, &chunk,
                    &rows);
        most = dry.peak > most ? dry.peak : most;
    }
    return most;
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

void ol_objective_losses(const ol_model *model, const ol_batch *batch, const ol_real *theta,
                         ol_arena *ws, double *losses)
{
    const ol_mark mark = ol_arena_mark(ws);
    const ol_extent extent = ol_batch_extent(batch), bounds = chunk_bounds(extent, LOSSES);
    ol_chunk chunk;
    ol_statistics rows;
    ol_walk walk = walk_layout(ws, model, extent, LOSSES, NULL, false, &chunk, &rows);

    walk.theta.v = (ol_real *)theta; /* inputs of a walk are never written */
    for (int b = 0; b < batch->B;) {
        const int next = ol_chunk_fill_shared(&chunk, batch, b, bounds);

        ol_walk_forward(OL_PRIMAL, &walk);
        ol_walk_losses(&walk);
        prompt_means(&chunk, losses + b);
        b = next;
    }
    ol_arena_rewind(ws, mark);
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
                         ol_tape *tape, ol_arena *ws, ol_real *grad)
{
    const ol_mark mark = ol_arena_mark(ws);
    ol_chunk own;
    ol_statistics rows;
    ol_walk walk =
        walk_layout(ws, model, ol_batch_extent(batch), GRADIENT, tape, tape != NULL, &own, &rows);
    ol_chunk *chunk = tape ? &tape->chunk : &own;
    double loss = 0;

    walk.theta.v = (ol_real *)theta;
    walk.theta_bar.v = grad;
    ol_vector_zero(model->P, grad);
    for (int b = 0; b < batch->B;) {
        b = ol_chunk_fill(chunk, batch, b, tape ? INT64_MAX : CHUNK_ROWS);
        ol_walk_forward(OL_PRIMAL, &walk);
        ol_walk_backward(OL_PRIMAL, &walk);
        loss += chunk_loss(chunk, batch->B);
    }
    ol_arena_rewind(ws, mark);
    return loss;
}

void ol_objective_hvp(const ol_model *model, const ol_batch *batch, const ol_real *theta,
                      const ol_real *u, ol_tape *tape, ol_arena *ws, ol_real *hv)
{
    const ol_mark mark = ol_arena_mark(ws);
    ol_chunk own;
    ol_statistics rows;
    ol_walk walk =
        walk_layout(ws, model, ol_batch_extent(batch), PRODUCT, tape, tape != NULL, &own, &rows);
    const ol_pass pass = tape ? OL_TANGENT : OL_PRIMAL | OL_TANGENT;

    assert(u != hv);
    walk.theta = (ol_dual){(ol_real *)theta, (ol_real *)u};
    walk.theta_bar.dot = hv; /* θ_bar itself is not wanted: its products are left out */
    for (int b = 0; b < batch->B;) {
        b = tape ? batch->B : ol_chunk_fill(&own, batch, b, CHUNK_ROWS);
        ol_walk_forward(pass, &walk);
        ol_walk_backward(pass, &walk);
    }
    ol_arena_rewind(ws, mark);
}
