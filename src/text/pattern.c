/* SPDX-License-Identifier: BSD-3-Clause */
#include "pattern.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Outside of a class Oniguruma also counts the six superscripts and fractions of Latin 1. */
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define LATIN1 "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

enum { LONGEST_PATTERN = 1 << 15, LONGEST_NAME = 40 };

typedef struct translation {
    const char *where;   /* for messages                           */
    const char *pattern; /* whole                                  */
    const char *at;      /* what is left of it                     */
    ol_text *out;
    bool in_class; /* between "[" and "]"                    */
    int depth;     /* of groups                              */
    int caseless;  /* depth of the outermost (?i:, 0 outside */
} translation;

static ol_status refuse(const translation *t, const char *what)
{
    return ol_fail(OL_EDATA, "%s: %s is not supported, at character %zu of the pattern %.200s",
                   t->where, what, (size_t)(t->at - t->pattern) + 1, t->pattern);
}

static ol_status put(translation *t, const char *text, size_t taken)
{
    t->at += taken;
    return ol_text_append(t->out, text, strlen(text));
}

static ol_status copy(translation *t, size_t n)
{
    OL_TRY(ol_text_append(t->out, t->at, n));
    t->at += n;
    return OL_OK;
}

static bool starts_with(const translation *t, const char *words)
{
    return strncmp(t->at, words, strlen(words)) == 0;
}

/* \p{NAME}, \P{NAME}, \p{^NAME}: categories are read alike, anything longer is a script. */
static ol_status property(translation *t)
{
    const char *name = t->at + 3, *end = strchr(t->at, '}');
    bool negated = t->at[1] == 'P';

    if (t->at[2] != '{' || !end || end - name > LONGEST_NAME)
        return refuse(t, "a property other than \\p{NAME}");
    if (*name == '^') {
        negated = !negated;
        name++;
    }
    for (const char *c = name; c < end; c++)
        if (!isalpha((unsigned char)*c) && *c != '_')
            return refuse(t, "a property of such a name");
    OL_TRY(ol_text_format(t->out, "\\%c{%s%.*s}", negated ? 'P' : 'p', end - name > 2 ? "sc:" : "",
                          (int)(end - name), name));
    t->at = end + 1;
    return OL_OK;
}

/* \uHHHH, \x{H...} and \xHH: a code point. */
static ol_status code_point(translation *t)
{
    const bool braces = t->at[1] == 'x' && t->at[2] == '{';
    const char *digits = t->at + (braces ? 3 : 2);
    const size_t most = braces ? 6 : t->at[1] == 'u' ? 4 : 2;
    size_t n = 0;

    while (n < most && isxdigit((unsigned char)digits[n]))
        n++;
    if (n == 0 || (braces ? digits[n] != '}' : n < most))
        return refuse(t, "a code point not of the forms \\uHHHH, \\x{H} and \\xHH");
    if (most == 2 && digits[0] > '7')
        return refuse(t, "a byte above \\x7F"); /* half a character in Oniguruma's eyes */
    OL_TRY(ol_text_format(t->out, "\\x{%.*s}", (int)n, digits));
    t->at = digits + n + (braces ? 1 : 0);
    return OL_OK;
}

static ol_status escape(translation *t)
{
    const char c = t->at[1];
    char name[4] = {'\\', c, '\0'};

    switch (c) {
    case 's':
        return put(t, "\\p{wspace}", 2); /* PCRE2's own \s also takes U+180E */
    case 'S':
        return put(t, "\\P{wspace}", 2);
    case 'd':
        return put(t, "\\p{Nd}", 2);
    case 'D':
        return put(t, "\\P{Nd}", 2);
    case 'w':
        return put(t, t->in_class ? WORD : "[" WORD LATIN1 "]", 2);
    case 'W':
        return t->in_class ? refuse(t, "\\W in a class") : put(t, "[^" WORD LATIN1 "]", 2);
    case 'v':
        return put(t, "\\x{0b}", 2);
    case 'p':
    case 'P':
        return property(t);
    case 'u':
    case 'x':
        return code_point(t);
    default:
        if ((c && strchr("rntfae ", c)) || ispunct((unsigned char)c))
            return copy(t, 2);
        return refuse(t, (unsigned char)c > ' ' && (unsigned char)c < 0x7F ? name : "this escape");
    }
}

/* Under (?i: Oniguruma also matches one character for several, as "ß" for "ss"; PCRE2 does not. */
static ol_status check_folding(const translation *t)
{
    static const char *const several[] = {"ss", "ff", "fi", "fl", "st"};

    if (t->caseless == 0)
        return OL_OK;
    if ((unsigned char)*t->at >= 0x80)
        return refuse(t, "a letter beyond ASCII under (?i:");
    for (size_t i = 0; !t->in_class && i < sizeof several / sizeof several[0]; i++)
        if (strncasecmp(t->at, several[i], 2) == 0)
            return refuse(t, "\"ss\", \"ff\", \"fi\", \"fl\" or \"st\" under (?i:");
    return OL_OK;
}

static ol_status open_class(translation *t)
{
    OL_TRY(copy(t, t->at[1] == '^' ? 2 : 1));
    t->in_class = true;
    return *t->at == ']' ? refuse(t, "\"]\" first in a class") : OL_OK;
}

static ol_status open_group(translation *t)
{
    static const char *const kinds[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"};

    t->depth++;
    if (starts_with(t, "(?i:") && t->caseless == 0)
        t->caseless = t->depth;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (starts_with(t, kinds[i]))
            return copy(t, strlen(kinds[i]));
    if (t->at[1] == '?' || t->at[1] == '*')
        return refuse(t, "a group of this kind");
    return put(t, "(?:", 1); /* nothing refers to what a group has taken */
}

/* {n}, {n,} and {n,m}; lazy only where both read it so. */
static ol_status interval(translation *t)
{
    const size_t low = strspn(t->at + 1, "0123456789"), comma = t->at[1 + low] == ',';
    const size_t high = comma ? strspn(t->at + 2 + low, "0123456789") : 0;
    const size_t n = 1 + low + comma + high;

    if (low == 0 || t->at[n] != '}')
        return refuse(t, "a \"{\" that begins no {n}, {n,} or {n,m}");
    if (t->at[n + 1] == '+' || (t->at[n + 1] == '?' && !comma))
        return refuse(t, "\"}+\" or \"{n}?\"");
    return copy(t, n + 1);
}

static ol_status close_group(translation *t)
{
    if (t->depth == t->caseless)
        t->caseless = 0;
    t->depth--;
    return copy(t, 1);
}

static ol_status outside_class(translation *t)
{
    switch (*t->at) {
    case ')':
        return close_group(t);
    case '[':
        return open_class(t);
    case '(':
        return open_group(t);
    case '{':
        return interval(t);
    case '^':
        return refuse(t, "\"^\"");
    case '$':
        return put(t, "(?![^\\n])", 1); /* before each newline and at the end */
    case '.':
        return put(t, "[^\\n]", 1);
    default:
        return copy(t, 1);
    }
}

static ol_status inside_class(translation *t)
{
    if (*t->at == '[')
        return refuse(t, "a class in a class");
    if (starts_with(t, "&&"))
        return refuse(t, "\"&&\" in a class");
    t->in_class = *t->at != ']';
    return copy(t, 1);
}

ol_status pattern_translate(const char *where, const char *pattern, ol_text *out)
{
    translation t = {.where = where, .pattern = pattern, .at = pattern, .out = out};

    OL_CHECK(strlen(pattern) <= LONGEST_PATTERN, OL_EDATA,
             "%s: a pattern of %zu bytes; at most %d are read", where, strlen(pattern),
             LONGEST_PATTERN);
    while (*t.at) {
        OL_TRY(check_folding(&t));
        if (*t.at == '\\')
            OL_TRY(escape(&t));
        else
            OL_TRY(t.in_class ? inside_class(&t) : outside_class(&t));
    }
    return OL_OK;
}
