/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/text/prompt.h
 * Rows of a task to prompts, to the token as MetaICL builds them.
 *
 * An example is a lead and a tail, tokenized apart; only a target's tail is scored:
 *
 *     variant    lead      tail
 *     direct     input     output
 *     channel    output    input
 *
 * Newlines go in front of the text before it is tokenized. Nothing else is added: no template, no
 * token for begin or end.
 *   - the lead of an example that is not the first of its prompt: "\n\n\n" ("\n\n" in direct when
 *     the input is empty);
 *   - the tail: "\n", except in rows without labels (no options, or only empty ones), and in
 *     channel when the input is empty.
 *
 * Two caps, in tokens:
 *   - an example with |input| >= max_tokens_per_example - 2 - |output| keeps the first
 *     max_tokens_per_example - 2 - |output| tokens of its input; for a target with options,
 *     |output| is the longest option;
 *   - a prompt longer than ol_prompt_limit loses tokens from the left, never of the scored tail.
 *
 * Source: Min et al. 2022, "MetaICL: learning to learn in context", and its published code.
 * Local; a batch of prompts is an ol_batch with loss_mask 1 on the scored tail. Where nothing
 * precedes the tail, its first token is marked too, as MetaICL marks it, and counts for nothing.
 */
#ifndef OUTERLOOP_TEXT_PROMPT_H
#define OUTERLOOP_TEXT_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/batch.h"     /* ol_batch     */
#include "outerloop/base/status.h"    /* ol_status    */
#include "outerloop/text/tokenizer.h" /* ol_tokenizer */

typedef enum ol_variant {
    OL_DIRECT = 0,  /**< predict the output given the input */
    OL_CHANNEL = 1, /**< predict the input given the output */
} ol_variant;

enum { OL_PROMPT_SPARE = 2 }; /**< MetaICL keeps two free, for marks that it no longer writes */

/** "direct" and "channel", then NULL. */
extern const char *const ol_variant_names[];

/** What shapes a prompt. */
typedef struct ol_prompt_spec {
    ol_variant variant;
    int shots;                  /**< demonstrations, >= 0                        */
    int max_tokens;             /**< a whole prompt, MetaICL: 1024               */
    int max_tokens_per_example; /**< one demonstration or target, MetaICL: 256   */
} ol_prompt_spec;

/** Errors: OL_EUSAGE for a spec out of range, in the words of a job file's keys. */
ol_status ol_prompt_spec_check(const ol_prompt_spec *spec);

/** Most tokens of a prompt: min(max_tokens, max_tokens_per_example * max(shots, 1)). */
int ol_prompt_limit(const ol_prompt_spec *spec);

/**
 * One example, tokenized uncut, in the two forms it can take. Offsets count from the beginning of
 * the ol_tokens it was appended to, which may grow and move.
 */
typedef struct ol_example {
    size_t at;       /**< lead as a later example: [n_lead], then the tail: [n_tail] */
    size_t first_at; /**< lead as the first example: [n_first]                       */
    uint32_t n_lead, n_tail, n_first;
} ol_example;

/** Lead and tail, cut to the cap; borrowed from the tokens they were made of. */
typedef struct ol_example_view {
    const int32_t *lead, *tail;
    size_t n_lead, n_tail;
} ol_example_view;

/**
 * Tokenize one example and append it to `pool`.
 * @param labelled  the row has an option that is not empty (see "the tail" above)
 * Errors: OL_ENOMEM.
 */
ol_status ol_prompt_tokenize(ol_tokenizer *tokenizer, ol_variant variant, const char *input,
                             const char *output, bool labelled, ol_tokens *pool, ol_example *out);

/**
 * An example as it stands in a prompt: first or later form, cut to the cap.
 * @param reserve  tokens to keep free for the output; 0 means this example's own |output|
 * @return false when the output alone, and the 2, exceed the cap: the caller knows which row to
 * name. Cost: none.
 */
bool ol_prompt_view(const ol_prompt_spec *spec, const int32_t *pool, const ol_example *example,
                    bool first, size_t reserve, ol_example_view *out);

/**
 * Append one prompt: demos[0..n_demos-1] in order, then the target with its tail scored.
 * @param scratch  reused between calls; its content is overwritten
 * Errors: OL_EDATA when the tail is empty or exceeds ol_prompt_limit, OL_ENOMEM.
 */
ol_status ol_prompt_append(const ol_prompt_spec *spec, const ol_example_view *demos, int n_demos,
                           const ol_example_view *target, ol_tokens *scratch, ol_batch *out);

/** Tokens of an example as it stands in a prompt, the `whole` of it uncut. */
static inline size_t ol_prompt_whole(const ol_example *example, bool first)
{
    return (size_t)(first ? example->n_first : example->n_lead) + example->n_tail;
}

/** Tokens that ol_prompt_append would write, with `before` tokens of demonstrations. */
static inline size_t ol_prompt_length(const ol_prompt_spec *spec, size_t before,
                                      const ol_example_view *target)
{
    const size_t limit = (size_t)ol_prompt_limit(spec);
    const size_t n = before + target->n_lead + target->n_tail;

    return n < limit ? n : limit;
}

#endif
