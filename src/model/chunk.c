/* SPDX-License-Identifier: BSD-3-Clause */
#include "chunk.h"

ol_extent ol_batch_extent(const ol_batch *batch)
{
    const int64_t tokens = ol_batch_tokens(batch);
    ol_extent extent = {batch->B, tokens, ol_batch_longest(batch), 0};

    for (int64_t j = 0; j < tokens; j++)
        extent.scored += batch->loss_mask[j] != 0;
    return extent;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

ol_extent ol_extent_max(ol_extent a, ol_extent b)
{
    return (ol_extent){(int)larger(a.prompts, b.prompts), larger(a.tokens, b.tokens),
                       larger(a.longest, b.longest), larger(a.scored, b.scored)};
}

ol_extent ol_chunk_bounds(ol_extent extent, int64_t limit)
{
    const int64_t rows = smaller(extent.tokens, larger(limit, extent.longest));

    return (ol_extent){extent.prompts, rows, extent.longest, smaller(extent.scored, rows)};
}

ol_chunk ol_chunk_layout(ol_arena *arena, ol_extent bounds, int D)
{
    const size_t B = (size_t)bounds.prompts, n = (size_t)bounds.tokens, M = (size_t)bounds.scored;
    ol_chunk chunk = {.longest = (int)bounds.longest};

    chunk.angle = D > 0 ? ol_arena_reals(arena, n * (size_t)D) : NULL;
    chunk.start = ol_arena_take(arena, (B + 1) * sizeof *chunk.start);
    chunk.scored_start = ol_arena_take(arena, (B + 1) * sizeof *chunk.scored_start);
    chunk.token = ol_arena_take(arena, n * sizeof *chunk.token);
    chunk.position = ol_arena_take(arena, n * sizeof *chunk.position);
    chunk.row = ol_arena_take(arena, M * sizeof *chunk.row);
    chunk.row_position = ol_arena_take(arena, M * sizeof *chunk.row_position);
    chunk.target = ol_arena_take(arena, M * sizeof *chunk.target);
    chunk.weight = ol_arena_reals(arena, M);
    chunk.loss = ol_arena_take(arena, M * sizeof *chunk.loss);
    chunk.path = ol_arena_take(arena, (size_t)bounds.longest * sizeof *chunk.path);
    return chunk;
}

ol_rows ol_chunk_rows(const ol_chunk *c, bool scored_only)
{
    return (ol_rows){.B = c->B,
                     .start = c->start,
                     .position = c->position,
                     .token = c->token,
                     .query_start = scored_only ? c->scored_start : c->start,
                     .query_position = scored_only ? c->row_position : c->position,
                     .angle = c->angle,
                     .shared = c->shared,
                     .longest = c->longest};
}

/* Rows that the loss of a prompt depends on: those before its last scored token. */
static int rows_of(const ol_batch *batch, int b)
{
    int64_t j = batch->offsets[b + 1] - 1;

    while (!batch->loss_mask[j])
        j--;
    return (int)(j - batch->offsets[b]);
}

/* Add prompt b; the rows of its first `shared` tokens stand already, on the path. */
static void add_prompt(ol_chunk *chunk, const ol_batch *batch, int b, int rows, int shared)
{
    const int32_t *tokens = batch->tokens + batch->offsets[b];
    const uint8_t *mask = batch->loss_mask + batch->offsets[b];
    const int first = chunk->M;

    for (int j = shared; j < rows; j++) {
        const int i = chunk->n++;

        chunk->token[i] = tokens[j];
        chunk->position[i] = j;
        chunk->path[j] = i;
    }
    for (int j = 0; j < rows; j++) {
        if (!mask[j + 1])
            continue;
        chunk->row[chunk->M] = chunk->path[j];
        chunk->row_position[chunk->M] = j;
        chunk->target[chunk->M++] = tokens[j + 1];
    }
    for (int i = first; i < chunk->M; i++)
        chunk->weight[i] = (ol_real)(1.0 / ((double)batch->B * (chunk->M - first)));
    chunk->start[++chunk->B] = chunk->n;
    chunk->scored_start[chunk->B] = chunk->M;
}

static void clear(ol_chunk *chunk, bool shared)
{
    chunk->B = chunk->n = chunk->M = 0;
    chunk->shared = shared;
    chunk->start[0] = chunk->scored_start[0] = 0;
}

int ol_chunk_fill(ol_chunk *chunk, const ol_batch *batch, int b0, int64_t limit)
{
    int b = b0;

    clear(chunk, false);
    for (; b < batch->B; b++) {
        const int rows = rows_of(batch, b);

        if (b > b0 && chunk->n + rows > limit)
            break;
        add_prompt(chunk, batch, b, rows, 0);
    }
    return b;
}

static int64_t scored_of(const ol_batch *batch, int b)
{
    int64_t scored = 0;

    for (int64_t j = batch->offsets[b] + 1; j < batch->offsets[b + 1]; j++)
        scored += batch->loss_mask[j] != 0;
    return scored;
}

ol_extent ol_chunk_extent(const ol_batch *batch, int64_t limit)
{
    ol_extent most = {.longest = ol_batch_longest(batch)}, chunk = {0};

    for (int b = 0; b < batch->B; b++) {
        const int rows = rows_of(batch, b);

        if (chunk.prompts > 0 && chunk.tokens + rows > limit)
            chunk = (ol_extent){0};
        chunk.prompts++;
        chunk.tokens += rows;
        chunk.scored += scored_of(batch, b);
        most = ol_extent_max(most, chunk);
    }
    return most;
}

/* Tokens that prompts a and b begin with alike, at most n. */
static int common_start(const ol_batch *batch, int a, int b, int n)
{
    const int32_t *x = batch->tokens + batch->offsets[a];
    const int32_t *y = batch->tokens + batch->offsets[b];
    int j = 0;

    while (j < n && x[j] == y[j])
        j++;
    return j;
}

int ol_chunk_fill_shared(ol_chunk *chunk, const ol_batch *batch, int b0, ol_extent bounds)
{
    int b = b0, before = 0;

    clear(chunk, true);
    for (; b < batch->B; b++) {
        const int rows = rows_of(batch, b);
        const int shared = b > b0 ? common_start(batch, b - 1, b, (int)smaller(before, rows)) : 0;

        if (b > b0 && (chunk->n + rows - shared > bounds.tokens ||
                       chunk->M + scored_of(batch, b) > bounds.scored))
            break;
        add_prompt(chunk, batch, b, rows, shared);
        before = rows;
    }
    return b;
}
