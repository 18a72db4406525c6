/* SPDX-License-Identifier: BSD-3-Clause */
/* Whatever a lead begins with, both forms of it are the ids of the text with its newlines, encoded whole. */
#ifndef TEXT_FORMS_H
#define TEXT_FORMS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "outerloop/text/prompt.h"

static inline void check_whole(ol_tokenizer *tokenizer, const char *newlines, const char *lead,
                               const int32_t *ids, size_t n)
{
    char joined[64];
    ol_tokens whole = {0};

    snprintf(joined, sizeof joined, "%s%s", newlines, lead);
    assert_int_equal(ol_tokenizer_encode(tokenizer, joined, strlen(joined), &whole), OL_OK);
    assert_int_equal(n, whole.n);
    if (n > 0)
        assert_memory_equal(ids, whole.ids, n * sizeof *ids);
    ol_tokens_finish(&whole);
}

static inline void check_forms(ol_tokenizer *tokenizer, const char *lead)
{
    ol_tokens pool = {0};
    ol_example made;

    assert_int_equal(ol_prompt_tokenize(tokenizer, OL_DIRECT, lead, "A", true, &pool, &made),
                     OL_OK);
    check_whole(tokenizer, lead[0] ? "\n\n\n" : "\n\n", lead, pool.ids + made.at, made.n_lead);
    check_whole(tokenizer, "", lead, pool.ids + made.first_at, made.n_first);
    ol_tokens_finish(&pool);
}

#endif
