/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/text/prompt.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *const ol_variant_names[] = {[OL_DIRECT] = "direct", [OL_CHANNEL] = "channel", NULL};

ol_status ol_prompt_spec_check(const ol_prompt_spec *spec)
{
    OL_CHECK(spec->shots >= 0, OL_EUSAGE, "shots must be 0 or more, not %d", spec->shots);
    OL_CHECK(spec->max_tokens_per_example > OL_PROMPT_SPARE, OL_EUSAGE,
             "max_tokens_per_example must be more than %d, not %d", OL_PROMPT_SPARE,
             spec->max_tokens_per_example);
    OL_CHECK(spec->max_tokens >= 2, OL_EUSAGE, "max_tokens must be 2 or more, not %d",
             spec->max_tokens);
    return OL_OK;
}

int ol_prompt_limit(const ol_prompt_spec *spec)
{
    const int64_t examples = spec->shots > 0 ? spec->shots : 1;
    const int64_t limit = examples * spec->max_tokens_per_example;

    return limit < spec->max_tokens ? (int)limit : spec->max_tokens;
}

/* Append the ids of head + text, tokenized as one string. */
static ol_status encode(ol_tokenizer *tokenizer, const char *head, const char *text,
                        ol_tokens *pool, uint32_t *n)
{
    const size_t before = pool->n;
    OL_AUTO_TEXT joined = {0};

    OL_TRY(ol_text_format(&joined, "%s%s", head, text));
    OL_TRY(ol_tokenizer_encode(tokenizer, joined.data, joined.size, pool));
    *n = (uint32_t)(pool->n - before);
    return OL_OK;
}

/* Both forms of a lead: at `at` with the newlines of a later example, at `first_at` without.
 *
 * Where the newlines are split off, the first form is the end of the later one, and one encoding gives
 * both. Other leads are encoded twice. */
static ol_status encode_lead(ol_tokenizer *tokenizer, const char *newlines, const char *lead,
                             ol_tokens *pool, ol_example *out)
{
    uint32_t newline;

    out->at = pool->n;
    if (!ol_tokenizer_splits_newlines(tokenizer, lead))
        return encode(tokenizer, newlines, lead, pool, &out->n_lead);
    OL_TRY(encode(tokenizer, "\n\n", "", pool, &out->n_lead));
    OL_TRY(encode(tokenizer, "\n", "", pool, &newline));
    out->first_at = pool->n;
    OL_TRY(encode(tokenizer, "", lead, pool, &out->n_first));
    out->n_lead += newline + out->n_first;
    return OL_OK;
}

ol_status ol_prompt_tokenize(ol_tokenizer *tokenizer, ol_variant variant, const char *input,
                             const char *output, bool labelled, ol_tokens *pool, ol_example *out)
{
    const bool channel = variant == OL_CHANNEL;
    const bool no_input = input[0] == '\0';
    const char *lead = channel ? output : input, *tail = channel ? input : output;
    const char *later = !channel && no_input ? "\n\n" : "\n\n\n";

    *out = (ol_example){.first_at = SIZE_MAX};
    OL_TRY(encode_lead(tokenizer, later, lead, pool, out));
    OL_TRY(encode(tokenizer, labelled && !(channel && no_input) ? "\n" : "", tail, pool,
                  &out->n_tail));
    if (out->first_at < SIZE_MAX)
        return OL_OK;
    out->first_at = pool->n;
    return encode(tokenizer, "", lead, pool, &out->n_first);
}

bool ol_prompt_view(const ol_prompt_spec *spec, const int32_t *pool, const ol_example *example,
                    bool first, size_t reserve, ol_example_view *out)
{
    const bool channel = spec->variant == OL_CHANNEL;
    size_t *n_input = channel ? &out->n_tail : &out->n_lead;
    const size_t *n_output = channel ? &out->n_lead : &out->n_tail;

    out->lead = pool + (first ? example->first_at : example->at);
    out->n_lead = first ? example->n_first : example->n_lead;
    out->tail = pool + example->at + example->n_lead;
    out->n_tail = example->n_tail;

    const size_t output = reserve > 0 ? reserve : *n_output;
    const size_t cap = (size_t)spec->max_tokens_per_example;

    if (output + OL_PROMPT_SPARE > cap)
        return false;
    if (*n_input > cap - OL_PROMPT_SPARE - output)
        *n_input = cap - OL_PROMPT_SPARE - output;
    return true;
}

ol_status ol_prompt_append(const ol_prompt_spec *spec, const ol_example_view *demos, int n_demos,
                           const ol_example_view *target, ol_tokens *scratch, ol_batch *out)
{
    const size_t limit = (size_t)ol_prompt_limit(spec);
    OL_AUTO_FREE uint8_t *mask = NULL;

    OL_CHECK(target->n_tail > 0, OL_EDATA, "the scored piece of a prompt is empty");
    OL_CHECK(target->n_tail <= limit, OL_EDATA,
             "the scored piece of a prompt has %zu tokens, over the prompt's cap of %zu; raise "
             "max_tokens",
             target->n_tail, limit);
    scratch->n = 0;
    for (int i = 0; i < n_demos; i++) {
        OL_TRY(ol_tokens_append(scratch, demos[i].lead, demos[i].n_lead));
        OL_TRY(ol_tokens_append(scratch, demos[i].tail, demos[i].n_tail));
    }
    OL_TRY(ol_tokens_append(scratch, target->lead, target->n_lead));
    OL_TRY(ol_tokens_append(scratch, target->tail, target->n_tail));

    const size_t cut = scratch->n > limit ? scratch->n - limit : 0;
    const size_t n = scratch->n - cut;

    mask = calloc(n, 1);
    OL_CHECK(mask, OL_ENOMEM, "no memory for a prompt of %zu tokens", n);
    memset(mask + n - target->n_tail, 1, target->n_tail);
    return ol_batch_append(out, (int64_t)n, scratch->ids + cut, mask);
}
