/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/eval/result.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Place the parts of a result whose counts are set; `text` bytes of option texts follow them. */
static char *lay_out(ol_arena *arena, ol_eval_result *r, size_t text)
{
    const size_t rows = (size_t)r->rows, prompts = (size_t)r->prompts;
    ol_eval_scoring *scorings = ol_arena_take(arena, (size_t)r->n * sizeof *scorings);

    r->offsets = ol_arena_take(arena, (rows + 1) * sizeof *r->offsets);
    r->gold = ol_arena_take(arena, rows * sizeof *r->gold);
    r->options = ol_arena_take(arena, prompts * sizeof *r->options);
    r->scorings = scorings;
    for (int i = 0; i < r->n; i++) {
        int *predicted = ol_arena_take(arena, rows * sizeof *predicted);
        double *losses = ol_arena_take(arena, prompts * sizeof *losses);
        if (scorings)
            scorings[i] = (ol_eval_scoring){.predicted = predicted, .losses = losses};
    }
    return ol_arena_take(arena, text);
}

static ol_status allocate(ol_eval_result *r, size_t text, char **texts)
{
    ol_arena dry = ol_arena_dry("evaluation result");

    lay_out(&dry, r, text);
    OL_TRY(ol_arena_init(&r->memory, "evaluation result", dry.peak));
    *texts = lay_out(&r->memory, r, text);
    return OL_OK;
}

/* The options, one after the other with their NULs. */
static void place_options(ol_eval_result *r, char *texts)
{
    for (int i = 0; i < r->prompts; i++) {
        r->options[i] = texts;
        texts += strlen(texts) + 1;
    }
}

ol_status ol_eval_result_init(int rows, const int *options_per_row, const char *const *options,
                              int n, ol_eval_result *result)
{
    ol_eval_result r = {.rows = rows, .n = n};
    size_t text = 0;
    char *texts, *at;

    *result = (ol_eval_result){0};
    for (int i = 0; i < rows; i++)
        r.prompts += options_per_row[i];
    for (int i = 0; i < r.prompts; i++)
        text += strlen(options[i]) + 1;
    OL_TRY(allocate(&r, text, &texts));
    at = texts;
    for (int i = 0; i < r.prompts; i++)
        at = stpcpy(at, options[i]) + 1;
    place_options(&r, texts);
    r.offsets[0] = 0;
    for (int i = 0; i < rows; i++)
        r.offsets[i + 1] = r.offsets[i] + options_per_row[i];
    memset(r.gold, 0, (size_t)rows * sizeof *r.gold);
    for (int i = 0; i < n; i++) {
        memset(r.scorings[i].predicted, 0, (size_t)rows * sizeof(int));
        memset(r.scorings[i].losses, 0, (size_t)r.prompts * sizeof(double));
    }
    *result = r;
    return OL_OK;
}

void ol_eval_result_finish(ol_eval_result *result)
{
    if (!result)
        return;
    ol_arena_finish(&result->memory);
    *result = (ol_eval_result){0};
}

/* Front of a packed result, in which pointers mean nothing. Then offsets, gold, texts with their
   NULs, and the scorings: each itself, predicted and losses. */
typedef struct head {
    uint64_t magic, text;
    ol_eval_result result;
} head;

#define MAGIC 0x6c766530u

ol_status ol_eval_result_pack(const ol_eval_result *r, ol_text *bytes)
{
    const size_t rows = (size_t)r->rows, prompts = (size_t)r->prompts;
    head h = {.magic = MAGIC, .result = *r};

    for (size_t i = 0; i < prompts; i++)
        h.text += strlen(r->options[i]) + 1;
    OL_TRY(ol_text_append(bytes, (const char *)&h, sizeof h));
    OL_TRY(ol_text_append(bytes, (const char *)r->offsets, (rows + 1) * sizeof *r->offsets));
    OL_TRY(ol_text_append(bytes, (const char *)r->gold, rows * sizeof *r->gold));
    for (size_t i = 0; i < prompts; i++)
        OL_TRY(ol_text_append(bytes, r->options[i], strlen(r->options[i]) + 1));
    for (int i = 0; i < r->n; i++) {
        const ol_eval_scoring *s = &r->scorings[i];
        OL_TRY(ol_text_append(bytes, (const char *)s, sizeof *s));
        OL_TRY(ol_text_append(bytes, (const char *)s->predicted, rows * sizeof *s->predicted));
        OL_TRY(ol_text_append(bytes, (const char *)s->losses, prompts * sizeof *s->losses));
    }
    return OL_OK;
}

static size_t packed_size(const head *h)
{
    const ol_eval_result *r = &h->result;
    const size_t rows = (size_t)r->rows, prompts = (size_t)r->prompts;

    return sizeof *h + (2 * rows + 1) * sizeof(int) + h->text +
           (size_t)r->n * (sizeof *r->scorings + rows * sizeof(int) + prompts * sizeof(double));
}

static const char *take(void *to, const char *from, size_t n)
{
    memcpy(to, from, n);
    return from + n;
}

static const char *take_scoring(const ol_eval_result *r, const char *at, ol_eval_scoring *s)
{
    const ol_eval_scoring placed = *s;

    at = take(s, at, sizeof *s);
    s->predicted = placed.predicted;
    s->losses = placed.losses;
    at = take(s->predicted, at, (size_t)r->rows * sizeof *s->predicted);
    return take(s->losses, at, (size_t)r->prompts * sizeof *s->losses);
}

ol_status ol_eval_result_unpack(const char *bytes, size_t size, size_t *used,
                                ol_eval_result *result)
{
    const char *at = bytes;
    head h = {0};
    ol_eval_result *r = &h.result;
    char *texts;

    *result = (ol_eval_result){0};
    if (size >= sizeof h)
        at = take(&h, at, sizeof h);
    OL_CHECK(h.magic == MAGIC && r->rows >= 0 && r->prompts >= 0 && r->n >= 0 && h.text <= size &&
                 packed_size(&h) <= size,
             OL_EDATA, "an evaluation result of %zu bytes is cut short", size);
    OL_TRY(allocate(r, h.text, &texts));
    at = take(r->offsets, at, ((size_t)r->rows + 1) * sizeof *r->offsets);
    at = take(r->gold, at, (size_t)r->rows * sizeof *r->gold);
    at = take(texts, at, h.text);
    place_options(r, texts);
    for (int i = 0; i < r->n; i++)
        at = take_scoring(r, at, &r->scorings[i]);
    *used = (size_t)(at - bytes);
    *result = *r;
    return OL_OK;
}
