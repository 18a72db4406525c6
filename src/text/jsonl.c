/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/text/jsonl.h"

#include <stdbool.h>
#include <stdlib.h>
#include <jansson.h>

#include "outerloop/base/file.h" /* ol_utf8_valid */

/* Bytes of the longest beginning of a character that bytes[0..n-1] begin with, at least 1. */
static size_t broken_run(const char *bytes, size_t n)
{
    size_t length = 1;

    for (; length < 4 && length < n; length++) {
        /* It goes on while some last byte or two would make the character whole. */
        char whole[4] = {bytes[0], '\x80', '\x80', '\x80'};
        bool begins = false;

        for (size_t i = 1; i <= length; i++)
            whole[i] = bytes[i];
        for (size_t end = length + 1; end <= 4 && !begins; end++)
            begins = ol_utf8_valid(whole, end) == end;
        if (!begins)
            break;
    }
    return length;
}

/* Append bytes as UTF-8, U+FFFD for what is none. */
static ol_status append_readable(const char *bytes, size_t n, ol_text *out)
{
    while (n > 0) {
        const size_t valid = ol_utf8_valid(bytes, n);
        const size_t broken = valid < n ? broken_run(bytes + valid, n - valid) : 0;

        OL_TRY(ol_text_append(out, bytes, valid));
        if (broken > 0)
            OL_TRY(ol_text_append(out, "\xEF\xBF\xBD", 3));
        bytes += valid + broken;
        n -= valid + broken;
    }
    return OL_OK;
}

static ol_status append_line(const ol_tokens *ids, const ol_text *decoded, ol_text *out)
{
    json_auto_t *text = json_stringn(decoded->data ? decoded->data : "", decoded->size);
    OL_AUTO_FREE char *quoted = text ? json_dumps(text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;

    OL_CHECK(quoted, OL_ENOMEM, "no memory for a text of %zu bytes", decoded->size);
    OL_TRY(ol_text_format(out, "{\"ids\": ["));
    for (size_t i = 0; i < ids->n; i++)
        OL_TRY(ol_text_format(out, "%s%d", i > 0 ? ", " : "", (int)ids->ids[i]));
    return ol_text_format(out, "], \"decoded\": %s}\n", quoted);
}

static ol_status encode_line(ol_tokenizer *tokenizer, const json_t *text, ol_text *out)
{
    OL_AUTO_TOKENS ids = {0};
    OL_AUTO_TEXT bytes = {0}, decoded = {0};

    OL_TRY(ol_tokenizer_encode(tokenizer, json_string_value(text), json_string_length(text), &ids));
    OL_TRY(ol_tokenizer_decode(tokenizer, ids.ids, ids.n, &bytes));
    OL_TRY(append_readable(bytes.data, bytes.size, &decoded));
    return append_line(&ids, &decoded, out);
}

ol_status ol_jsonl_tokens(ol_tokenizer *tokenizer, const char *line, size_t n, ol_text *out)
{
    json_error_t error;
    json_auto_t *root = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    const json_t *text = json_object_get(root, "text");

    OL_CHECK(root, OL_EDATA, "%s%s", n > 0 ? "not JSON: " : "the line is empty; remove it",
             n > 0 ? error.text : "");
    OL_CHECK(json_is_string(text), OL_EDATA,
             "has no \"text\"; a line is an object, {\"text\": \"...\"}");
    return encode_line(tokenizer, text, out);
}
