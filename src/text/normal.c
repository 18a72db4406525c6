/* SPDX-License-Identifier: BSD-3-Clause */
#include "normal.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "outerloop/base/file.h" /* ol_utf8_valid */

/* Characters below U+0300, whose first byte is less than this, are their own normal form and
 * compose with nothing before them; those from there on may compose with the one before. */
enum { HIGH = 0xCC };

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

static ol_status append_high(const char *bytes, size_t n, ol_text *out)
{
    utf8proc_uint8_t *normal;
    const utf8proc_ssize_t size = utf8proc_map((const utf8proc_uint8_t *)bytes, (utf8proc_ssize_t)n,
                                               &normal, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    ol_status status;

    OL_CHECK(size >= 0, OL_ENOMEM, "no normal form of a text of %zu bytes: %s", n,
             utf8proc_errmsg(size));
    status = ol_text_append(out, (const char *)normal, (size_t)size);
    free(normal);
    return status;
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
