/* SPDX-License-Identifier: BSD-3-Clause */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "outerloop/text/split.h"

#include <assert.h>
#include <stdlib.h>
#include <pcre2.h>

#include "outerloop/base/file.h" /* ol_utf8_valid */

/* White_Space spelt out: PCRE2's own \s also takes U+180E, which Unicode has dropped. */
#define SPACE                                                                                      \
    "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"       \
    "\\x{3000}"
#define PATTERN                                                                                    \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE "\\p{L}\\p{N}]+|[" SPACE              \
    "]+(?![^" SPACE "])|[" SPACE "]+"

struct ol_splitter {
    pcre2_code *code;
    pcre2_match_data *match;
    const char *bytes;
    size_t n, at;
    size_t valid_end; /* the valid UTF-8 that `at` stands in ends here */
};

ol_status ol_splitter_create(ol_splitter **out)
{
    ol_splitter *s = calloc(1, sizeof *s);
    int error;
    PCRE2_SIZE where;

    *out = NULL;
    OL_CHECK(s, OL_ENOMEM, "no memory for the text splitter");
    s->code = pcre2_compile((PCRE2_SPTR)PATTERN, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &where, NULL);
    if (s->code)
        s->match = pcre2_match_data_create(1, NULL);
    if (!s->match) {
        ol_splitter_destroy(s);
        return ol_fail(OL_ENOMEM, "no memory for the text splitter");
    }
    /* Where compiling to machine code is forbidden the interpreter serves, only slower. */
    pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE);
    *out = s;
    return OL_OK;
}

void ol_splitter_destroy(ol_splitter *splitter)
{
    if (!splitter)
        return;
    pcre2_match_data_free(splitter->match);
    pcre2_code_free(splitter->code);
    free(splitter);
}

void ol_splitter_start(ol_splitter *splitter, const char *bytes, size_t n)
{
    splitter->bytes = bytes;
    splitter->n = n;
    splitter->at = splitter->valid_end = 0;
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

size_t ol_splitter_next(ol_splitter *splitter)
{
    ol_splitter *s = splitter;
    size_t length;

    if (s->at == s->n)
        return 0;
    if (s->at == s->valid_end) {
        s->valid_end += ol_utf8_valid(s->bytes + s->at, s->n - s->at);
        if (s->at == s->valid_end) {
            length = invalid_run(s);
            s->at = s->valid_end = s->at + length;
            return length;
        }
    }
    const int found = pcre2_match(s->code, (PCRE2_SPTR)s->bytes, s->valid_end, s->at,
                                  PCRE2_NO_UTF_CHECK, s->match, NULL);

    /* Some branch takes any character, so only a resource limit can fail: the rest is one piece. */
    length = found > 0 ? pcre2_get_ovector_pointer(s->match)[1] - s->at : s->valid_end - s->at;
    assert(length > 0);
    s->at += length;
    return length;
}
