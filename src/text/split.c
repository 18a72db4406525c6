/* SPDX-License-Identifier: BSD-3-Clause */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "outerloop/text/split.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <pcre2.h>

#include "outerloop/base/file.h" /* ol_utf8_valid     */
#include "pattern.h"             /* pattern_translate */

/* A pattern that runs wild is stopped. Steps grow with the text, since one look back over a long
 * run of spaces is honest work. */
enum { STEPS = 10000000, STEPS_PER_BYTE = 16, HEAP_KIB = 1 << 18, JIT_STACK = 1 << 22 };

/* PCRE2 10.42 makes \P{Nd}+ possessive before \P{Lu}, as if the two had nothing in common. */
#define OPTIONS (PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_POSSESS)

/* A piece: bytes[at..at+n-1]; not valid UTF-8, and so not to be cut further, when broken. */
typedef struct piece {
    size_t at, n;
    bool broken;
} piece;

/* A pattern, and how far it is with the piece that it cuts. */
typedef struct stage {
    pcre2_code *code;
    char *where;
    size_t base;     /* where the piece begins in the text                              */
    size_t at, end;  /* of what is left of it, from base                                */
    size_t from, to; /* the next match, from base; none is known when to <= at          */
} stage;

struct ol_splitter {
    stage stages[OL_MOST_PATTERNS];
    size_t n_stages;
    bool gpt2; /* the one stage has its pattern */
    pcre2_match_data *match;
    pcre2_match_context *limits;
    pcre2_jit_stack *stack;
    const char *bytes;
    size_t n, at;
};

ol_status ol_splitter_create(ol_splitter **out)
{
    OL_AUTO(ol_splitter_drop) ol_splitter *s = calloc(1, sizeof *s);

    *out = NULL;
    OL_CHECK(s, OL_ENOMEM, "no memory for the text splitter");
    s->match = pcre2_match_data_create(1, NULL);
    s->limits = pcre2_match_context_create(NULL);
    s->stack = pcre2_jit_stack_create(JIT_STACK / 128, JIT_STACK, NULL);
    OL_CHECK(s->match && s->limits, OL_ENOMEM, "no memory for the text splitter");
    pcre2_set_heap_limit(s->limits, HEAP_KIB);
    if (s->stack)
        pcre2_jit_stack_assign(s->limits, NULL, s->stack);
    return OL_GIVE(out, s);
}

bool ol_splitter_is_gpt2(const ol_splitter *splitter)
{
    return splitter->gpt2;
}

void ol_splitter_destroy(ol_splitter *splitter)
{
    if (!splitter)
        return;
    for (size_t i = 0; i < splitter->n_stages; i++) {
        pcre2_code_free(splitter->stages[i].code);
        free(splitter->stages[i].where);
    }
    pcre2_jit_stack_free(splitter->stack);
    pcre2_match_context_free(splitter->limits);
    pcre2_match_data_free(splitter->match);
    free(splitter);
}

static ol_status compile(const char *where, const char *pattern, const ol_text *translated,
                         pcre2_code **out)
{
    PCRE2_UCHAR words[120];
    PCRE2_SIZE at;
    uint32_t empty = 0;
    int error;

    *out = pcre2_compile((PCRE2_SPTR)(translated->data ? translated->data : ""), translated->size,
                         OPTIONS, &error, &at, NULL);
    if (!*out) {
        pcre2_get_error_message(error, words, sizeof words);
        return ol_fail(OL_EDATA, "%s: the pattern %.200s does not compile: %s", where, pattern,
                       (const char *)words);
    }
    pcre2_pattern_info(*out, PCRE2_INFO_MATCHEMPTY, &empty);
    if (empty) {
        pcre2_code_free(*out);
        return ol_fail(OL_EDATA,
                       "%s: the pattern %.200s also matches nothing at all, which is "
                       "not supported",
                       where, pattern);
    }
    /* Where compiling to machine code is forbidden the interpreter serves, only slower. */
    pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE);
    return OL_OK;
}

ol_status ol_splitter_add(ol_splitter *splitter, const char *where, const char *pattern)
{
    stage *next = &splitter->stages[splitter->n_stages];
    OL_AUTO_TEXT translated = {0};

    OL_CHECK(splitter->n_stages < OL_MOST_PATTERNS, OL_EDATA, "%s: more than %d steps", where,
             OL_MOST_PATTERNS);
    OL_TRY(pattern_translate(where, pattern, &translated));
    OL_TRY(compile(where, pattern, &translated, &next->code));
    splitter->n_stages++;
    splitter->gpt2 = splitter->n_stages == 1 && strcmp(pattern, OL_GPT2_PATTERN) == 0;
    next->where = strdup(where);
    OL_CHECK(next->where, OL_ENOMEM, "%s: no memory for a pattern", where);
    return OL_OK;
}

void ol_splitter_start(ol_splitter *splitter, const char *bytes, size_t n)
{
    const size_t most = (UINT32_MAX - STEPS) / STEPS_PER_BYTE;

    splitter->bytes = bytes;
    splitter->n = n;
    splitter->at = 0;
    for (size_t i = 0; i < splitter->n_stages; i++)
        splitter->stages[i].at = splitter->stages[i].end = 0;
    pcre2_set_match_limit(splitter->limits,
                          (uint32_t)(STEPS + STEPS_PER_BYTE * (n < most ? n : most)));
}

/* Length of the run of bytes at `at` with which no valid code point begins. */
static size_t invalid_run(const ol_splitter *s)
{
    size_t end = s->at;

    while (end < s->n) {
        const size_t left = s->n - end;

        if (ol_utf8_valid(s->bytes + end, left < 4 ? left : 4) > 0)
            break;
        end++;
    }
    return end - s->at;
}

/* The next run of text that is valid UTF-8, or of bytes that are not; n = 0 at the end. */
static piece next_run(ol_splitter *s)
{
    piece run = {.at = s->at};

    if (s->at == s->n)
        return run;
    run.n = ol_utf8_valid(s->bytes + s->at, s->n - s->at);
    run.broken = run.n == 0;
    if (run.broken)
        run.n = invalid_run(s);
    s->at += run.n;
    return run;
}

/* Look for the next match of a stage in what is left of its piece. */
static ol_status search(ol_splitter *s, stage *t)
{
    PCRE2_SPTR text = (PCRE2_SPTR)s->bytes + t->base;
    PCRE2_UCHAR words[120];
    int found = pcre2_match(t->code, text, t->end, t->at, PCRE2_NO_UTF_CHECK, s->match, s->limits);

    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
        found = pcre2_match(t->code, text, t->end, t->at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                            s->match, s->limits);
    if (found >= 0) {
        t->from = pcre2_get_ovector_pointer(s->match)[0];
        t->to = pcre2_get_ovector_pointer(s->match)[1];
    }
    if (found == PCRE2_ERROR_NOMATCH || (found >= 0 && t->to <= t->from))
        t->from = t->to = t->end;
    else if (found < 0) {
        pcre2_get_error_message(found, words, sizeof words);
        return ol_fail(OL_EDATA, "%s: a pattern gave up on a text of %zu bytes: %s", t->where,
                       t->end, (const char *)words);
    }
    return OL_OK;
}

/* The next piece after the first k stages; n = 0 at the end. */
static ol_status next_piece(ol_splitter *s, size_t k, piece *out)
{
    stage *t = k > 0 ? &s->stages[k - 1] : NULL;
    size_t end;

    if (!t) {
        *out = next_run(s);
        return OL_OK;
    }
    if (t->at == t->end) {
        OL_TRY(next_piece(s, k - 1, out));
        if (out->n == 0 || out->broken)
            return OL_OK;
        t->base = out->at;
        t->end = out->n;
        t->at = t->from = t->to = 0;
    }
    if (t->to <= t->at)
        OL_TRY(search(s, t));
    end = t->at < t->from ? t->from : t->to;
    *out = (piece){.at = t->base + t->at, .n = end - t->at};
    t->at = end;
    return OL_OK;
}

ol_status ol_splitter_next(ol_splitter *splitter, size_t *length)
{
    piece next;

    OL_TRY(next_piece(splitter, splitter->n_stages, &next));
    *length = next.n;
    return OL_OK;
}
