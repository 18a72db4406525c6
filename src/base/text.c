/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ol_status reserve(ol_text *text, size_t more)
{
    const size_t need = text->size + more + 1;

    if (need > text->capacity) {
        const size_t capacity = need < 128 ? 256 : 2 * need;
        char *data = realloc(text->data, capacity);

        OL_CHECK(data, OL_ENOMEM, "no memory for a text of %zu bytes", need);
        text->data = data;
        text->capacity = capacity;
    }
    return OL_OK;
}

ol_status ol_text_append(ol_text *text, const char *bytes, size_t n)
{
    OL_TRY(reserve(text, n));
    if (n > 0)
        memcpy(text->data + text->size, bytes, n);
    text->size += n;
    text->data[text->size] = '\0';
    return OL_OK;
}

ol_status ol_text_format(ol_text *text, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    OL_TRY(reserve(text, (size_t)n));
    va_start(args, format);
    vsnprintf(text->data + text->size, (size_t)n + 1, format, args);
    va_end(args);
    text->size += (size_t)n;
    return OL_OK;
}

ol_status ol_text_real(ol_text *text, double x)
{
    char digits[40];

    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, x);
        if (strtod(digits, NULL) == x)
            break;
    }
    return ol_text_append(text, digits, strlen(digits));
}

size_t ol_text_space(const char *bytes, size_t n, bool end)
{
    static const char *const wide[] = {
        "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81",
        "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86",
        "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8",
        "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};
    const char at = n > 0 ? bytes[end ? n - 1 : 0] : '\0';

    if (at == ' ' || (at >= '\t' && at <= '\r'))
        return 1;
    for (size_t i = 0; (unsigned char)at >= 0x80 && i < sizeof wide / sizeof *wide; i++) {
        const size_t w = strlen(wide[i]);

        if (n >= w && memcmp(end ? bytes + n - w : bytes, wide[i], w) == 0)
            return w;
    }
    return 0;
}

void ol_text_plain(char *text, size_t n)
{
    unsigned char *s = (unsigned char *)text;

    for (size_t i = 0; i < n; i++) {
        const bool second = s[i] == 0xc2 && i + 1 < n && s[i + 1] >= 0x80 && s[i + 1] < 0xa0;

        if (second)
            s[i + 1] = '?';
        if (second || s[i] == 0x7f || (s[i] < ' ' && s[i] != '\n' && s[i] != '\t'))
            s[i] = '?';
    }
}

bool ol_text_is_name(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    for (; *s; s++)
        if (*s < ' ' || *s == 0x7f || (*s == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0))
            return false;
    return true;
}

const char *ol_text_line(const char **at, size_t *n)
{
    const char *line = *at;

    if (!line || !*line)
        return NULL;
    *n = strcspn(line, "\n");
    *at = line + *n + (line[*n] == '\n');
    return line;
}

int ol_text_columns(const char *text)
{
    int columns = 0;

    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

int ol_text_fit(const char *text, int columns)
{
    int bytes = 0;

    for (int letters = 0; text[bytes] && letters < columns; letters++)
        do
            bytes++;
        while (((unsigned char)text[bytes] & 0xc0) == 0x80);
    return bytes;
}

ol_status ol_text_cell(ol_text *text, const char *cell, int width, bool left)
{
    const int columns = ol_text_columns(cell), pad = columns < width ? width - columns : 0;
    const int end = (width - 1) / 2, begin = width - 1 - end; /* around the mark */

    if (columns > width && width > 2)
        return ol_text_format(text, "%.*s…%s", ol_text_fit(cell, begin), cell,
                              cell + ol_text_fit(cell, columns - end));
    return ol_text_format(text, "%*s%.*s%*s", left ? 0 : pad, "", ol_text_fit(cell, width), cell,
                          left ? pad : 0, "");
}

ol_status ol_text_wrap(ol_text *text, const char *words, int indent, int width)
{
    int used = indent;

    while (*words) {
        const size_t rest = strlen(words), length = strcspn(words, " ");
        const int columns = ol_text_columns(words) - ol_text_columns(words + length);

        if (used > indent && width > 0 && used + 1 + columns > width) {
            OL_TRY(ol_text_format(text, "\n%*s", indent, ""));
            used = indent;
        }
        OL_TRY(ol_text_format(text, "%s%.*s", used > indent ? " " : "", (int)length, words));
        used += (used > indent) + columns;
        words += length < rest ? length + strspn(words + length, " ") : rest;
    }
    return ol_text_append(text, "\n", 1);
}

void ol_text_finish(ol_text *text)
{
    if (!text)
        return;
    free(text->data);
    *text = (ol_text){0};
}

enum { LONGEST = 64 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t ol_text_distance(const char *a, const char *b)
{
    const size_t n = least(strlen(a), LONGEST), m = least(strlen(b), LONGEST);
    size_t rows[3][LONGEST + 1]; /* row i is rows[i % 3]: two swapped letters look two rows up */

    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *const row = rows[i % 3];
        const size_t *const above = rows[(i + 2) % 3];

        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], rows[(i + 1) % 3][j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *ol_text_nearest(const char *word, const char *const *names, size_t n)
{
    const char *nearest = NULL;
    size_t best = least(strlen(word) / 2, strlen(word) / 3 + 1) + 1;

    for (size_t i = 0; i < n; i++) {
        const size_t distance = ol_text_distance(word, names[i]);

        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

const char *ol_text_meant(const char *word, const char *const *names, size_t n,
                          char text[OL_TEXT_MEANT])
{
    const char *near = ol_text_nearest(word, names, n);

    snprintf(text, OL_TEXT_MEANT, near ? " (did you mean \"%.200s\"?)" : "", near);
    return text;
}
