/* SPDX-License-Identifier: BSD-3-Clause */
#include "added.h"

#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_GROW */
#include "outerloop/base/text.h" /* ol_text_space */

ol_status added_append(added_set *set, const char *content, size_t n, added_token token)
{
    OL_TRY(OL_GROW(set->tokens, set->n, "added tokens"));
    token.content = malloc(n);
    OL_CHECK(token.content, OL_ENOMEM, "no memory for an added token of %zu bytes", n);
    memcpy(token.content, content, n);
    token.n = n;
    set->tokens[set->n++] = token;
    set->starts[(uint8_t)content[0]] = true;
    return OL_OK;
}

static int by_bytes(const void *a, const void *b)
{
    const added_token *x = a, *y = b;
    const int order = memcmp(x->content, y->content, x->n < y->n ? x->n : y->n);

    return order != 0 ? order : (x->n > y->n) - (x->n < y->n);
}

const added_token *added_sort(added_set *set)
{
    if (set->n > 0)
        qsort(set->tokens, set->n, sizeof *set->tokens, by_bytes);
    for (size_t i = 1; i < set->n; i++)
        if (by_bytes(&set->tokens[i - 1], &set->tokens[i]) == 0)
            return &set->tokens[i];
    return NULL;
}

/* The first of tokens[low..high-1], which agree in `depth` bytes, whose next byte is at least
 * `byte`; `high` when there is none. A token of `depth` bytes comes before all others. */
static size_t lower_bound(const added_set *set, size_t low, size_t high, size_t depth, int byte)
{
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const added_token *t = &set->tokens[middle];

        if (t->n <= depth || (uint8_t)t->content[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest token that bytes[0..n-1] begin with, or NULL. */
static const added_token *longest(const added_set *set, const char *bytes, size_t n)
{
    const added_token *best = NULL;
    size_t low = 0, high = set->n;

    for (size_t depth = 0; depth < n && low < high; depth++) {
        const int byte = (uint8_t)bytes[depth];

        low = lower_bound(set, low, high, depth, byte);
        high = lower_bound(set, low, high, depth, byte + 1);
        if (low < high && set->tokens[low].n == depth + 1)
            best = &set->tokens[low];
    }
    return best;
}

/* Where the white space that ends at `end` begins, not before `least`. */
static size_t spaces_before(const char *bytes, size_t least, size_t end)
{
    size_t width;

    while ((width = ol_text_space(bytes + least, end - least, true)) > 0)
        end -= width;
    return end;
}

static size_t spaces_after(const char *bytes, size_t at, size_t n)
{
    size_t width;

    while ((width = ol_text_space(bytes + at, n - at, false)) > 0)
        at += width;
    return at;
}

bool added_find(const added_set *set, const char *bytes, size_t n, size_t at, size_t done,
                added_match *out)
{
    const added_token *found = NULL;

    if (set->n == 0)
        return false;
    for (; at < n; at++)
        if (set->starts[(uint8_t)bytes[at]] && (found = longest(set, bytes + at, n - at)))
            break;
    if (!found)
        return false;
    out->id = found->id;
    out->next = at + found->n;
    out->from = found->lstrip && at > done ? spaces_before(bytes, done, at) : at;
    out->to = found->rstrip ? spaces_after(bytes, out->next, n) : out->next;
    return true;
}

void added_finish(added_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        free(set->tokens[i].content);
    free(set->tokens);
    *set = (added_set){0};
}
