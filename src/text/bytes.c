/* SPDX-License-Identifier: BSD-3-Clause */
#include "bytes.h"

static bool prints(int byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
}

void bytes_in_id_order(uint8_t order[BYTES])
{
    int at = 0;

    for (int wanted = 1; wanted >= 0; wanted--)
        for (int byte = 0; byte < BYTES; byte++)
            if (prints(byte) == (wanted == 1))
                order[at++] = (uint8_t)byte;
}

/* Code point of each byte, all below U+0200: one or two bytes of UTF-8. */
static void code_points(uint16_t of[BYTES])
{
    uint16_t next = 256;

    for (int byte = 0; byte < BYTES; byte++)
        of[byte] = prints(byte) ? (uint16_t)byte : next++;
}

ol_status bytes_spell(const char *bytes, size_t n, ol_text *out)
{
    uint16_t of[BYTES];

    code_points(of);
    for (size_t i = 0; i < n; i++) {
        const unsigned c = of[(uint8_t)bytes[i]];
        const char two[2] = {(char)(c < 0x80 ? c : 0xC0 | c >> 6), (char)(0x80 | (c & 0x3F))};

        OL_TRY(ol_text_append(out, two, c < 0x80 ? 1 : 2));
    }
    return OL_OK;
}

ol_status bytes_read(const char *spelling, size_t n, ol_text *out, bool *spelt)
{
    const size_t start = out->size;
    uint16_t of[BYTES];
    int16_t byte_of[2 * BYTES];

    code_points(of);
    for (int c = 0; c < 2 * BYTES; c++)
        byte_of[c] = -1;
    for (int byte = 0; byte < BYTES; byte++)
        byte_of[of[byte]] = (int16_t)byte;
    *spelt = true;
    for (size_t i = 0; i < n && *spelt; i++) {
        unsigned c = (uint8_t)spelling[i];

        if (c >= 0x80) {
            const unsigned low = i + 1 < n ? (uint8_t)spelling[i + 1] : 0;

            c = (c & 0xE0) == 0xC0 && (low & 0xC0) == 0x80 ? (c & 0x1F) << 6 | (low & 0x3F)
                                                           : 2 * BYTES;
            i++;
        }
        *spelt = c < 2 * BYTES && byte_of[c] >= 0;
        if (*spelt)
            OL_TRY(ol_text_append(out, &(char){(char)byte_of[c]}, 1));
    }
    if (!*spelt)
        out->size = start;
    return OL_OK;
}
