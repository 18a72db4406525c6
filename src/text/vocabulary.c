/* SPDX-License-Identifier: BSD-3-Clause */
#include "vocabulary.h"

#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "outerloop/base/file.h" /* ol_read_file */

enum { MOST_IDS = 1 << 24 }; /* a damaged id must not cost all memory */

static ol_status check_there(const char *folder, const char *vocab, const char *merges)
{
    const char *lacking = !ol_path_exists(vocab)    ? "vocab.json"
                          : !ol_path_exists(merges) ? "merges.txt"
                                                    : NULL;

    OL_CHECK(!lacking, OL_EDATA,
             "%s: has no %s; a tokenizer is a folder with GPT-2's vocab.json and merges.txt",
             folder, lacking);
    return OL_OK;
}

static ol_status read_json(const char *path, json_t **out)
{
    char *text;
    size_t size;
    json_error_t error;

    OL_TRY(ol_read_file(path, &text, &size));
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    free(text);
    OL_CHECK(*out, OL_EDATA, "%s:%d: not JSON: %s; copy the tokenizer's vocab.json again", path,
             error.line, error.text);
    return OL_OK;
}

static ol_status check_ids(const char *path, json_t *vocab, int *V)
{
    const char *token;
    json_t *id;

    OL_CHECK(json_is_object(vocab) && json_object_size(vocab) > 0, OL_EDATA,
             "%s: holds no object of tokens and ids; is it a GPT-2 vocab.json?", path);
    *V = 0;
    json_object_foreach(vocab, token, id)
    {
        OL_CHECK(json_is_integer(id) && json_integer_value(id) >= 0 &&
                     json_integer_value(id) < MOST_IDS,
                 OL_EDATA, "%s: token \"%s\" has no id of 0 to %d", path, token, MOST_IDS - 1);
        if (json_integer_value(id) >= *V)
            *V = (int)json_integer_value(id) + 1;
    }
    return OL_OK;
}

static ol_status place_token(vocabulary *v, const char *path, const char *token, int id)
{
    bool spelt;

    OL_CHECK(v->start[id] == UINT32_MAX, OL_EDATA,
             "%s: id %d is given twice, the second time to \"%s\"", path, id, token);
    v->start[id] = (uint32_t)v->pool.size;
    OL_TRY(bytes_read(token, strlen(token), &v->pool, &spelt));
    /* A special token may use characters outside the byte alphabet; it stands for itself. */
    if (!spelt)
        OL_TRY(ol_text_append(&v->pool, token, strlen(token)));
    v->end[id] = (uint32_t)v->pool.size;
    if (spelt && v->end[id] - v->start[id] == 1)
        v->byte_id[(uint8_t)v->pool.data[v->start[id]]] = id;
    return OL_OK;
}

static ol_status place_tokens(vocabulary *v, const char *path, json_t *vocab)
{
    const char *token;
    json_t *id;

    OL_TRY(check_ids(path, vocab, &v->V));
    v->start = malloc((size_t)v->V * sizeof *v->start);
    v->end = malloc((size_t)v->V * sizeof *v->end);
    OL_CHECK(v->start && v->end, OL_ENOMEM, "%s: no memory for %d tokens", path, v->V);
    memset(v->start, 0xff, (size_t)v->V * sizeof *v->start);
    memset(v->byte_id, 0xff, sizeof v->byte_id);
    json_object_foreach(vocab, token, id)
        OL_TRY(place_token(v, path, token, (int)json_integer_value(id)));
    for (int byte = 0; byte < BYTES; byte++)
        OL_CHECK(v->byte_id[byte] >= 0, OL_EDATA,
                 "%s: has no token for byte 0x%02X; a byte-level vocabulary needs all 256", path,
                 (unsigned)byte);
    return OL_OK;
}

/* Room for every line of merges.txt at most half full. */
static ol_status make_table(vocabulary *v, const char *path, const char *text, size_t size)
{
    size_t lines = 1;

    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    v->slots = 64;
    while (v->slots < 2 * lines)
        v->slots *= 2;
    v->merges = malloc(v->slots * sizeof *v->merges);
    OL_CHECK(v->merges, OL_ENOMEM, "%s: no memory for %zu merges", path, lines);
    memset(v->merges, 0xff, v->slots * sizeof *v->merges);
    return OL_OK;
}

static ol_status look_up(const char *path, int line, json_t *vocab, const char *token, int32_t *id)
{
    const json_t *found = json_object_get(vocab, token);

    OL_CHECK(found, OL_EDATA,
             "%s:%d: \"%s\" is not in vocab.json beside it; the two files are of different "
             "tokenizers, or one is damaged",
             path, line, token);
    *id = (int32_t)json_integer_value(found);
    return OL_OK;
}

/* One line "LEFT RIGHT", ended by a NUL in place. */
static ol_status place_merge(vocabulary *v, const char *path, int line, char *text, json_t *vocab,
                             ol_text *joined)
{
    char *space = strchr(text, ' ');
    int32_t left = -1, right = -1, result = -1;
    merge *slot;

    OL_CHECK(space && space > text && space[1] && !strchr(space + 1, ' '), OL_EDATA,
             "%s:%d: a merge is two tokens with one space between, not \"%.60s\"", path, line,
             text);
    *space = '\0';
    joined->size = 0;
    OL_TRY(ol_text_format(joined, "%s%s", text, space + 1));
    OL_TRY(look_up(path, line, vocab, text, &left));
    OL_TRY(look_up(path, line, vocab, space + 1, &right));
    OL_TRY(look_up(path, line, vocab, joined->data, &result));
    slot = merge_find(v, left, right);
    OL_CHECK(slot->left < 0, OL_EDATA, "%s:%d: \"%s %s\" stands on an earlier line too", path, line,
             text, space + 1);
    *slot = (merge){.left = left, .right = right, .rank = line, .result = result};
    return OL_OK;
}

static ol_status place_merges(vocabulary *v, const char *path, char *text, size_t size,
                              json_t *vocab, ol_text *joined)
{
    const size_t valid = ol_utf8_valid(text, size);
    int line = 1;

    OL_TRY(make_table(v, path, text, size));
    for (char *at = text; at < text + size; line++) {
        char *end = memchr(at, '\n', (size_t)(text + size - at));

        if (!end)
            end = text + size;
        OL_CHECK(end <= text + valid && !memchr(at, '\0', (size_t)(end - at)), OL_EDATA,
                 "%s:%d: not UTF-8 text; copy the tokenizer's merges.txt again", path, line);
        *end = '\0';
        if (end > at && end[-1] == '\r')
            end[-1] = '\0';
        if (line > 1 || strncmp(at, "#version", strlen("#version")) != 0)
            OL_TRY(place_merge(v, path, line, at, vocab, joined));
        at = end + 1;
    }
    return OL_OK;
}

static ol_status read_merges(vocabulary *v, const char *path, json_t *vocab)
{
    char *text;
    size_t size;
    ol_text joined = {0};
    ol_status status;

    OL_TRY(ol_read_file(path, &text, &size));
    status = place_merges(v, path, text, size, vocab, &joined);
    ol_text_finish(&joined);
    free(text);
    return status;
}

ol_status vocabulary_read(vocabulary *v, const char *folder)
{
    char vocab_path[PATH_MAX], merges_path[PATH_MAX];
    json_t *vocab;
    ol_status status;

    OL_TRY(ol_path_format(vocab_path, "%s/vocab.json", folder));
    OL_TRY(ol_path_format(merges_path, "%s/merges.txt", folder));
    OL_TRY(check_there(folder, vocab_path, merges_path));
    OL_TRY(read_json(vocab_path, &vocab));
    status = place_tokens(v, vocab_path, vocab);
    if (status == OL_OK)
        status = read_merges(v, merges_path, vocab);
    json_decref(vocab);
    return status;
}

void vocabulary_finish(vocabulary *v)
{
    ol_text_finish(&v->pool);
    free(v->start);
    free(v->end);
    free(v->merges);
    *v = (vocabulary){0};
}
