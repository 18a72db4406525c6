/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_GROW */

enum { DEEPEST = 10 };

/* Inside what a scan of libconfig's text stands; text and includes matter only outside all. */
enum state { OUTSIDE, STRING, LINE_COMMENT, BLOCK_COMMENT };

static bool starts(const char *at, const char *end, const char *word)
{
    const size_t n = strlen(word);

    return (size_t)(end - at) >= n && memcmp(at, word, n) == 0;
}

/* One step of the scan outside numbers and names: the state after `at`, and how many bytes that
 * took in *n. */
static enum state step(enum state state, const char *at, const char *end, size_t *n)
{
    *n = 1;
    switch (state) {
    case STRING:
        if (*at == '\\' && end - at > 1)
            *n = 2;
        return *at == '"' ? OUTSIDE : STRING;
    case LINE_COMMENT:
        return *at == '\n' ? OUTSIDE : LINE_COMMENT;
    case BLOCK_COMMENT:
        *n = starts(at, end, "*/") ? 2 : 1;
        return *n == 2 ? OUTSIDE : BLOCK_COMMENT;
    case OUTSIDE:
        break;
    }
    if (starts(at, end, "/*")) {
        *n = 2;
        return BLOCK_COMMENT;
    }
    return *at == '"' ? STRING : *at == '#' || starts(at, end, "//") ? LINE_COMMENT : OUTSIDE;
}

/* Bytes of the name or number at `at`, 0 when there is none. */
static size_t word_size(const char *at, const char *end)
{
    const char *c = at;

    if (c < end && (isalpha((unsigned char)*c) || *c == '*')) {
        while (c < end && (isalnum((unsigned char)*c) || strchr("-_*", *c)))
            c++;
    } else if (c < end && (isdigit((unsigned char)*c) || strchr("+-.", *c))) {
        c++;
        while (c < end && (isalnum((unsigned char)*c) || *c == '.' ||
                           (strchr("+-", *c) && strchr("eE", c[-1]))))
            c++;
    }
    return (size_t)(c - at);
}

/* libconfig 1.5 cuts a whole number past 32 bits without a word unless it ends in L. */
static ol_status append_word(ol_text *out, const char *word, size_t n)
{
    char copy[32];
    char *end;
    long long value;

    OL_TRY(ol_text_append(out, word, n));
    if (n >= sizeof copy || isalpha((unsigned char)word[0]) || word[0] == '*')
        return OL_OK;
    memcpy(copy, word, n);
    copy[n] = '\0';
    value = strtoll(copy, &end, strpbrk(copy, "xX") ? 16 : 10);
    if (*end == '\0' && (value > INT_MAX || value < INT_MIN))
        OL_TRY(ol_text_append(out, "L", 1));
    return OL_OK;
}

static const char *past_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* Append text up to the end of the line (or of the text), and move *at and *state past it. No line that
 * begins with @include is left as one: libconfig would open what it names, and a folder there ends the
 * process. Behind a form feed it is a mistake of syntax. */
static ol_status append_line(ol_text *out, const char **at, const char *end, enum state *state)
{
    if (*state == OUTSIDE && starts(past_blanks(*at, end), end, "@include"))
        OL_TRY(ol_text_append(out, "\f", 1));
    while (*at < end) {
        size_t n = *state == OUTSIDE ? word_size(*at, end) : 0;
        const bool last = **at == '\n';

        if (n > 0) {
            OL_TRY(append_word(out, *at, n));
        } else {
            *state = step(*state, *at, end, &n);
            OL_TRY(ol_text_append(out, *at, n));
        }
        *at += n;
        if (last || (*at)[-1] == '\n') /* an escaped end of line ends it, too */
            return OL_OK;
    }
    return ol_text_append(out, "\n", 1);
}

ol_status ol_conf_widen(ol_text *out, const char *text, size_t size)
{
    const char *const end = text + size;
    enum state state = OUTSIDE;

    while (text < end)
        OL_TRY(append_line(out, &text, end, &state));
    return OL_OK;
}

/* The name in an include line `   @include "NAME"`, or NULL; its length in *n. What may follow on
 * the line is left to *rest. */
static const char *include_name(const char *at, const char *end, size_t *n, const char **rest)
{
    const char *name;

    at = past_blanks(at, end);
    if (!starts(at, end, "@include"))
        return NULL;
    at = past_blanks(at + strlen("@include"), end);
    if (at == end || *at != '"')
        return NULL;
    name = ++at;
    while (at < end && *at != '"' && *at != '\n')
        at++;
    if (at == end || *at != '"')
        return NULL;
    *n = (size_t)(at - name);
    *rest = at + 1;
    return name;
}

static ol_status expand(struct source *source, const char *name, const char *text, size_t size,
                        int depth, ol_conf_mistakes *mistakes);

/* A file by its path as it is when absolute, else beside the file that includes it. */
static ol_status include(struct source *source, const char *from, int line, const char *name,
                         size_t n, int depth, ol_conf_mistakes *mistakes)
{
    const char *slash = strrchr(from, '/');
    const int folder = slash && name[0] != '/' ? (int)(slash + 1 - from) : 0;
    char place[PATH_MAX + 16], path[PATH_MAX];
    OL_AUTO_FREE char *text = NULL;
    size_t size;
    ol_status status;

    snprintf(place, sizeof place, "%s:%d", from, line);
    OL_TRY(ol_path_format(path, "%.*s%.*s", folder, from, (int)n, name));
    if (depth == DEEPEST)
        return ol_conf_mistake(mistakes, place,
                               "@include \"%.*s\": %d files deep; does it include itself?", (int)n,
                               name, depth);
    status = ol_read_file_within(path, OL_SETTINGS_BYTES, &text, &size);
    if (status == OL_EDATA)
        return ol_conf_mistake(mistakes, place, "@include: %s", ol_status_message());
    OL_TRY(status);
    return expand(source, path, text, size, depth + 1, mistakes);
}

static bool rest_is_blank(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
        at++;
    return at == end || *at == '\n' || *at == '#' || starts(at, end, "//");
}

/* The lines of one file. */
static ol_status expand_lines(struct source *source, const char *name, const char *text,
                              size_t size, int depth, ol_conf_mistakes *mistakes)
{
    const char *const end = text + size;
    enum state state = OUTSIDE;
    int line = 1;
    int opened = 1; /* line where the state was last outside */

    for (const char *at = text; at < end; line++) {
        size_t n;
        const char *rest;
        const char *included = state == OUTSIDE ? include_name(at, end, &n, &rest) : NULL;

        if (state == OUTSIDE)
            opened = line;
        if (included && rest_is_blank(rest, end)) {
            OL_TRY(include(source, name, line, included, n, depth, mistakes));
            at = memchr(rest, '\n', (size_t)(end - rest));
            at = at ? at + 1 : end;
            continue;
        }
        OL_TRY(OL_GROW(source->lines, source->n_lines, "lines of a job"));
        source->lines[source->n_lines++] = (struct origin_line){name, line};
        OL_TRY(append_line(&source->text, &at, end, &state));
    }
    if (state == STRING || state == BLOCK_COMMENT) {
        char place[PATH_MAX + 16];

        snprintf(place, sizeof place, "%s:%d", name, opened);
        return ol_conf_mistake(mistakes, place, "a %s opens here and is never closed",
                               state == STRING ? "string" : "comment");
    }
    return OL_OK;
}

static ol_status expand(struct source *source, const char *name, const char *text, size_t size,
                        int depth, ol_conf_mistakes *mistakes)
{
    char *held;

    if (memchr(text, '\0', size) || ol_utf8_valid(text, size) < size)
        return ol_conf_mistake(mistakes, name, "not a text file in UTF-8");
    if (source->n_files == sizeof source->files / sizeof source->files[0])
        return ol_conf_mistake(mistakes, name, "more than %zu files are included", source->n_files);
    held = strdup(name);
    OL_CHECK(held, OL_ENOMEM, "no memory to read %s", name);
    source->files[source->n_files++] = held;
    return expand_lines(source, held, text, size, depth, mistakes);
}

ol_status ol_conf_source_read(struct source *source, const char *name, const char *text,
                              size_t size, ol_conf_mistakes *mistakes)
{
    OL_TRY(ol_text_append(&source->text, "", 0)); /* an empty file is a text, too */
    return expand(source, name, text, size, 1, mistakes);
}

void ol_conf_source_finish(struct source *source)
{
    ol_text_finish(&source->text);
    free(source->lines);
    for (size_t i = 0; i < source->n_files; i++)
        free(source->files[i]);
    *source = (struct source){0};
}

void ol_conf_source_place(const struct source *source, unsigned line, char place[PATH_MAX])
{
    const size_t last = source->n_lines;
    const size_t at = line < 1 ? 1 : line > last ? last : line;

    if (last == 0)
        snprintf(place, PATH_MAX, "%s", source->n_files > 0 ? source->files[0] : "");
    else
        snprintf(place, PATH_MAX, "%.*s:%d", PATH_MAX - 16, source->lines[at - 1].file,
                 source->lines[at - 1].line);
}

const char *ol_conf_source_line(const struct source *source, unsigned line, int *n)
{
    const char *at = source->text.data;
    size_t size;

    for (unsigned i = 1; i < line && at; i++) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    if (!at)
        at = "";
    at += strspn(at, " \t\f");
    size = strcspn(at, "\r\n");
    *n = size > 60 ? 60 : (int)size;
    return at;
}
