/* SPDX-License-Identifier: BSD-3-Clause */
#include "normal.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "outerloop/base/file.h" /* ol_utf8_valid */

/* Below U+0300, whose first byte is 0xCC, every text is in normal form C. */
static bool is_low(const char *bytes, size_t n)
{
    bool low = true;

    for (size_t i = 0; i < n; i++)
        low &= (uint8_t)bytes[i] < 0xCC;
    return low;
}

static ol_status append_valid(const char *bytes, size_t n, ol_text *out)
{
    utf8proc_uint8_t *normal;
    utf8proc_ssize_t size;
    ol_status status;

    if (is_low(bytes, n))
        return ol_text_append(out, bytes, n);
    size = utf8proc_map((const utf8proc_uint8_t *)bytes, (utf8proc_ssize_t)n, &normal,
                        UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    OL_CHECK(size >= 0, OL_ENOMEM, "no normal form of a text of %zu bytes: %s", n,
             utf8proc_errmsg(size));
    status = ol_text_append(out, (const char *)normal, (size_t)size);
    free(normal);
    return status;
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
