/* SPDX-License-Identifier: BSD-3-Clause */
#include "normal.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "outerloop/base/file.h" /* ol_utf8_valid */

/* Characters below U+0300, whose first byte is less than this, are their own normal form and
 * compose with nothing before them; those from there on may compose with the one before. */
enum { HIGH = 0xCC };

enum { LONGEST = 32 }; /* more characters than any decomposes into */

static bool is_first(char byte)
{
    return ((uint8_t)byte & 0xC0) != 0x80;
}

/* Length of the text that needs no change: all before the last low character that a high one
 * follows. */
static size_t low_run(const char *bytes, size_t n)
{
    size_t end = 0;

    while (end < n && (uint8_t)bytes[end] < HIGH)
        end++;
    if (end == n || end == 0)
        return end;
    do
        end--;
    while (!is_first(bytes[end]));
    return end;
}

/* Length of one character of any kind and the high ones that follow. */
static size_t high_run(const char *bytes, size_t n)
{
    size_t end = 1;

    while (end < n && (!is_first(bytes[end]) || (uint8_t)bytes[end] >= HIGH))
        end++;
    return end;
}

/* Characters that grow. */
typedef struct characters {
    utf8proc_int32_t *at;
    size_t n, room;
} characters;

static void finish(characters *text)
{
    free(text->at);
}

static ol_status decompose(const char *bytes, size_t n, characters *out)
{
    utf8proc_int32_t c;

    for (size_t i = 0; i < n;) {
        utf8proc_ssize_t more;
        int last_class = 0;

        if (out->room - out->n <= LONGEST) {
            const size_t room = 2 * out->room + n + LONGEST;
            utf8proc_int32_t *grown = realloc(out->at, room * sizeof *grown);

            OL_CHECK(grown, OL_ENOMEM, "no memory for the normal form of %zu bytes", n);
            out->at = grown;
            out->room = room;
        }
        i += (size_t)utf8proc_iterate((const utf8proc_uint8_t *)bytes + i,
                                      (utf8proc_ssize_t)(n - i), &c);
        more = utf8proc_decompose_char(c, out->at + out->n, LONGEST,
                                       UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &last_class);
        assert(more > 0 && more <= LONGEST);
        out->n += (size_t)more;
    }
    return OL_OK;
}

static uint8_t class_of(utf8proc_int32_t c)
{
    return (uint8_t)utf8proc_get_property(c)->combining_class;
}

/* Order combining marks by class, those of one class as they stand. @param sorted  scratch [n] */
static void order_marks(utf8proc_int32_t *marks, size_t n, utf8proc_int32_t *sorted)
{
    size_t from[257] = {0};

    for (size_t i = 0; i < n; i++)
        from[class_of(marks[i]) + 1]++;
    for (size_t k = 1; k < 257; k++)
        from[k] += from[k - 1];
    for (size_t i = 0; i < n; i++)
        sorted[from[class_of(marks[i])]++] = marks[i];
    memcpy(marks, sorted, n * sizeof *marks);
}

static ol_status order_all(characters *text)
{
    OL_AUTO_FREE utf8proc_int32_t *sorted = NULL;

    for (size_t i = 0, n; i < text->n; i += n + 1) {
        n = 0;
        while (i + n < text->n && class_of(text->at[i + n]) > 0)
            n++;
        if (n < 2)
            continue;
        if (!sorted)
            sorted = malloc(text->n * sizeof *sorted);
        OL_CHECK(sorted, OL_ENOMEM, "no memory for the normal form of a text");
        order_marks(text->at + i, n, sorted);
    }
    return OL_OK;
}

/* What utf8proc_map does, whose way of ordering marks takes time as the square of their number. */
static ol_status append_high(const char *bytes, size_t n, ol_text *out)
{
    OL_AUTO(finish) characters text = {0};
    utf8proc_ssize_t size;

    OL_TRY(decompose(bytes, n, &text));
    OL_TRY(order_all(&text));
    size = utf8proc_reencode(text.at, (utf8proc_ssize_t)text.n, /* in place, with room for a NUL */
                             UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    return ol_text_append(out, (const char *)text.at, (size_t)size);
}

static ol_status append_valid(const char *bytes, size_t n, ol_text *out)
{
    for (size_t at = 0; at < n;) {
        const size_t low = low_run(bytes + at, n - at);
        size_t high;

        OL_TRY(ol_text_append(out, bytes + at, low));
        at += low;
        if (at == n)
            break;
        high = high_run(bytes + at, n - at);
        OL_TRY(append_high(bytes + at, high, out));
        at += high;
    }
    return OL_OK;
}

ol_status normal_append(const char *bytes, size_t n, ol_text *out)
{
    while (n > 0) {
        const size_t valid = ol_utf8_valid(bytes, n);

        OL_TRY(append_valid(bytes, valid, out));
        bytes += valid;
        n -= valid;
        if (n > 0) {
            OL_TRY(ol_text_append(out, bytes, 1));
            bytes++;
            n--;
        }
    }
    return OL_OK;
}
