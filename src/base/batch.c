/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/batch.h"

#include <stdlib.h>
#include <string.h>

static ol_status grow(ol_batch *batch, int prompts, int64_t tokens)
{
    if (prompts + 1 > batch->room) {
        const int room = 2 * prompts + 8;
        int64_t *offsets = realloc(batch->offsets, (size_t)room * sizeof *offsets);

        OL_CHECK(offsets, OL_ENOMEM, "no memory for a batch of %d prompts", prompts);
        batch->offsets = offsets;
        batch->room = room;
        batch->offsets[batch->B] = ol_batch_tokens(batch);
    }
    if (tokens > batch->capacity) {
        const int64_t capacity = 2 * tokens + 64;
        int32_t *ids = realloc(batch->tokens, (size_t)capacity * sizeof *ids);
        uint8_t *mask = NULL;

        if (ids) {
            batch->tokens = ids;
            mask = realloc(batch->loss_mask, (size_t)capacity);
        }
        OL_CHECK(mask, OL_ENOMEM, "no memory for a batch of %lld tokens", (long long)tokens);
        batch->loss_mask = mask;
        batch->capacity = capacity;
    }
    return OL_OK;
}

ol_status ol_batch_append(ol_batch *batch, int64_t n, const int32_t *tokens,
                          const uint8_t *loss_mask)
{
    const int64_t at = ol_batch_tokens(batch);

    OL_TRY(grow(batch, batch->B + 1, at + n));
    if (n > 0) {
        memcpy(batch->tokens + at, tokens, (size_t)n * sizeof *tokens);
        memcpy(batch->loss_mask + at, loss_mask, (size_t)n);
    }
    batch->offsets[++batch->B] = at + n;
    return OL_OK;
}

ol_status ol_batch_extend(ol_batch *batch, const ol_batch *from)
{
    for (int b = 0; b < from->B; b++) {
        const int64_t at = from->offsets[b];

        OL_TRY(ol_batch_append(batch, from->offsets[b + 1] - at, from->tokens + at,
                               from->loss_mask + at));
    }
    return OL_OK;
}

void ol_batch_clear(ol_batch *batch)
{
    batch->B = 0;
    if (batch->offsets)
        batch->offsets[0] = 0;
}

void ol_batch_finish(ol_batch *batch)
{
    if (!batch)
        return;
    free(batch->offsets);
    free(batch->tokens);
    free(batch->loss_mask);
    *batch = (ol_batch){0};
}

ol_batch ol_batch_prompt(const ol_batch *batch, int b, int64_t offsets[2])
{
    const int64_t at = batch->offsets[b];

    offsets[0] = 0;
    offsets[1] = batch->offsets[b + 1] - at;
    return (ol_batch){.B = 1,
                      .offsets = offsets,
                      .tokens = batch->tokens + at,
                      .loss_mask = batch->loss_mask + at};
}

ol_prompts_size ol_batch_size(const ol_batch *batch)
{
    ol_prompts_size size = {0};

    for (int b = 0; b < batch->B; b++) {
        int64_t scored = 0;

        for (int64_t i = batch->offsets[b] + 1; i < batch->offsets[b + 1]; i++)
            scored += batch->loss_mask[i];
        ol_prompts_size_add(&size, batch->offsets[b + 1] - batch->offsets[b], scored);
    }
    return size;
}

int64_t ol_batch_longest(const ol_batch *batch)
{
    int64_t longest = 0;

    for (int b = 0; b < batch->B; b++) {
        const int64_t n = batch->offsets[b + 1] - batch->offsets[b];

        longest = n > longest ? n : longest;
    }
    return longest;
}

static ol_status check_prompt(const ol_batch *batch, int b, int V, int context, const char *what)
{
    const int64_t at = batch->offsets[b], n = batch->offsets[b + 1] - at;
    int64_t scored = 0;

    OL_CHECK(n >= 2, OL_EDATA, "%s: prompt %d has %lld tokens; it needs at least 2", what, b,
             (long long)n);
    OL_CHECK(
        n - 1 <= context, OL_EDATA, /* the last token is predicted, and not read */
        "%s: prompt %d has %lld tokens, but the model's context is %d; lower data.max_tokens of a "
        "job, --max-tokens of prompts, to that, or take a model of context %lld",
        what, b, (long long)n, context, (long long)n - 1);
    for (int64_t j = at; j < at + n; j++) {
        OL_CHECK(batch->tokens[j] >= 0 && batch->tokens[j] < V, OL_EDATA,
                 "%s: prompt %d holds token %d, but the model's vocabulary has %d", what, b,
                 batch->tokens[j], V);
        scored += j > at && batch->loss_mask[j];
    }
    OL_CHECK(scored > 0, OL_EDATA, "%s: prompt %d scores no token; its loss is undefined", what, b);
    return OL_OK;
}

ol_status ol_batch_check(const ol_batch *batch, int V, int context, const char *what)
{
    OL_CHECK(batch->B > 0, OL_EDATA, "%s has no prompts", what);
    for (int b = 0; b < batch->B; b++)
        OL_TRY(check_prompt(batch, b, V, context, what));
    return OL_OK;
}
