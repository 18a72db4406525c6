/* SPDX-License-Identifier: BSD-3-Clause */
#include "vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "outerloop/base/file.h" /* ol_read_file */

enum { MOST_IDS = 1 << 21 /* a damaged id must not cost all memory */ };

ol_status vocabulary_parse_json(const char *path, const char *text, size_t size, json_t **out)
{
    json_error_t error;

    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    OL_CHECK(*out, OL_EDATA, "%s:%d: not JSON: %s; copy the tokenizer's file again", path,
             error.line, error.text);
    return OL_OK;
}

static ol_status check_ids(const char *path, json_t *vocab, int *V)
{
    const char *token;
    json_t *id;

    OL_CHECK(json_is_object(vocab) && json_object_size(vocab) > 0, OL_EDATA,
             "%s: holds no object of tokens and ids; is it a byte-level BPE vocabulary?", path);
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

/* Append the bytes of a token to the pool.
 * @param spelt  it is in the byte alphabet, as all tokens are that text can become */
static ol_status pool_token(vocabulary *v, const char *token, int id, bool *spelt)
{
    OL_CHECK(v->pool.size + strlen(token) < UINT32_MAX, OL_EDATA, "tokens of more than 4 GiB");
    v->start[id] = (uint32_t)v->pool.size;
    OL_TRY(bytes_read(token, strlen(token), &v->pool, spelt));
    /* A special token may use characters outside the byte alphabet; it stands for itself. */
    if (!*spelt)
        OL_TRY(ol_text_append(&v->pool, token, strlen(token)));
    v->end[id] = (uint32_t)v->pool.size;
    return OL_OK;
}

static ol_status place_token(vocabulary *v, const char *path, const char *token, int id)
{
    bool spelt;

    OL_CHECK(v->start[id] == UINT32_MAX, OL_EDATA,
             "%s: id %d is given twice, the second time to \"%s\"", path, id, token);
    OL_TRY(pool_token(v, token, id, &spelt));
    if (spelt && v->end[id] - v->start[id] == 1)
        v->byte_id[(uint8_t)v->pool.data[v->start[id]]] = id;
    return OL_OK;
}

/* Make ids up to V - 1 possible. */
static ol_status reserve_ids(vocabulary *v, const char *path, int V)
{
    uint32_t *start = realloc(v->start, (size_t)V * sizeof *start), *end;

    OL_CHECK(start, OL_ENOMEM, "%s: no memory for %d tokens", path, V);
    v->start = start;
    end = realloc(v->end, (size_t)V * sizeof *end);
    OL_CHECK(end, OL_ENOMEM, "%s: no memory for %d tokens", path, V);
    v->end = end;
    memset(v->start + v->V, 0xff, (size_t)(V - v->V) * sizeof *v->start);
    memset(v->end + v->V, 0xff, (size_t)(V - v->V) * sizeof *v->end);
    v->V = V;
    return OL_OK;
}

ol_status vocabulary_place(vocabulary *v, const char *path, json_t *vocab)
{
    const char *token;
    json_t *id;
    int V = 0;

    OL_TRY(check_ids(path, vocab, &V));
    OL_TRY(reserve_ids(v, path, V));
    memset(v->byte_id, 0xff, sizeof v->byte_id);
    json_object_foreach(vocab, token, id)
        OL_TRY(place_token(v, path, token, (int)json_integer_value(id)));
    return OL_OK;
}

int vocabulary_lacks(const vocabulary *v)
{
    int byte = 0;

    while (byte < BYTES && v->byte_id[byte] >= 0)
        byte++;
    return byte;
}

ol_status vocabulary_add(vocabulary *v, const char *path, json_t *vocab, const char *token,
                         const char *decoded, int64_t id)
{
    const json_t *there = json_object_get(vocab, token);
    bool spelt;

    OL_CHECK(id >= 0 && id < MOST_IDS, OL_EDATA, "%s: token \"%s\" has no id of 0 to %d", path,
             token, MOST_IDS - 1);
    OL_CHECK(!there || json_integer_value(there) == id, OL_EDATA,
             "%s: \"%s\" has id %lld there, and id %lld in the model's vocabulary", path, token,
             (long long)id, (long long)json_integer_value(there));
    if (there)
        return OL_OK;
    if (id >= v->V)
        OL_TRY(reserve_ids(v, path, (int)id + 1));
    OL_CHECK(v->start[id] == UINT32_MAX, OL_EDATA,
             "%s: id %lld is given twice, the second time to \"%s\"", path, (long long)id, token);
    return pool_token(v, decoded, (int)id, &spelt);
}

ol_status vocabulary_start_merges(vocabulary *v, const char *path, size_t n)
{
    v->slots = 64;
    while (v->slots < 2 * n)
        v->slots *= 2;
    v->merges = malloc(v->slots * sizeof *v->merges);
    OL_CHECK(v->merges, OL_ENOMEM, "%s: no memory for %zu merges", path, n);
    memset(v->merges, 0xff, v->slots * sizeof *v->merges);
    return OL_OK;
}

static void name_place(char name[PATH_MAX + 40], merge_place place)
{
    snprintf(name, PATH_MAX + 40, place.in_json ? "%s: model.merges[%d]" : "%s:%d", place.path,
             place.number);
}

static ol_status look_up(merge_place place, json_t *vocab, const char *token, int32_t *id)
{
    const json_t *found = json_object_get(vocab, token);
    char name[PATH_MAX + 40];

    if (!found) {
        name_place(name, place);
        return ol_fail(OL_EDATA, "%s: \"%s\" is not in %s; %s", name, token,
                       place.in_json ? "model.vocab" : "vocab.json beside it",
                       place.in_json
                           ? "the file is damaged"
                           : "the two files are of different tokenizers, or one is damaged");
    }
    *id = (int32_t)json_integer_value(found);
    return OL_OK;
}

ol_status vocabulary_merge(vocabulary *v, merge_place place, const char *left, const char *right,
                           json_t *vocab, ol_text *joined)
{
    int32_t left_id = -1, right_id = -1, result = -1;
    char name[PATH_MAX + 40];
    merge *slot;

    joined->size = 0;
    OL_TRY(ol_text_append(joined, left, strlen(left)));
    OL_TRY(ol_text_append(joined, right, strlen(right)));
    OL_TRY(look_up(place, vocab, left, &left_id));
    OL_TRY(look_up(place, vocab, right, &right_id));
    OL_TRY(look_up(place, vocab, joined->data, &result));
    slot = merge_find(v, left_id, right_id);
    if (slot->left >= 0) {
        name_place(name, place);
        return ol_fail(OL_EDATA, "%s: \"%s %s\" stands %s too", name, left, right,
                       place.in_json ? "earlier" : "on an earlier line");
    }
    *slot = (merge){.left = left_id, .right = right_id, .rank = place.number, .result = result};
    return OL_OK;
}

/* One line "LEFT RIGHT", cut at its space in place. */
static ol_status place_merge(vocabulary *v, const char *path, int line, char *text, json_t *vocab,
                             ol_text *joined)
{
    char *space = strchr(text, ' ');

    OL_CHECK(space && space > text && space[1] && !strchr(space + 1, ' '), OL_EDATA,
             "%s:%d: a merge is two tokens with one space between, not \"%.60s\"", path, line,
             text);
    *space = '\0';
    return vocabulary_merge(v, (merge_place){.path = path, .number = line}, text, space + 1, vocab,
                            joined);
}

static ol_status place_merges(vocabulary *v, const char *path, char *text, size_t size,
                              json_t *vocab, ol_text *joined)
{
    const size_t valid = ol_utf8_valid(text, size);
    size_t lines = 1;
    int line = 1;

    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    OL_TRY(vocabulary_start_merges(v, path, lines));
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

ol_status vocabulary_parse(vocabulary *v, const char *vocab_path, const char *vocab_text,
                           size_t vocab_size, const char *merges_path, char *merges_text,
                           size_t merges_size)
{
    OL_AUTO_TEXT joined = {0};
    json_auto_t *vocab = NULL;

    OL_TRY(vocabulary_parse_json(vocab_path, vocab_text, vocab_size, &vocab));
    OL_TRY(vocabulary_place(v, vocab_path, vocab));
    OL_CHECK(vocabulary_lacks(v) == BYTES, OL_EDATA,
             "%s: has no token for byte 0x%02X; a byte-level vocabulary needs all 256", vocab_path,
             (unsigned)vocabulary_lacks(v));
    return place_merges(v, merges_path, merges_text, merges_size, vocab, &joined);
}

static size_t whole_slot(const vocabulary *v, const char *bytes, size_t n)
{
    uint64_t hash = n;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (uint8_t)bytes[i]) * 0x9E3779B97F4A7C15u;
    return (size_t)(hash >> 32) & (v->whole_slots - 1);
}

/* The slot of the token with these bytes, or the free one where it would stand. */
static int32_t *whole_find(const vocabulary *v, const char *bytes, size_t n)
{
    size_t slot = whole_slot(v, bytes, n);

    for (;; slot = (slot + 1) & (v->whole_slots - 1)) {
        const int32_t id = v->whole[slot];

        if (id < 0 ||
            (v->end[id] - v->start[id] == n && memcmp(v->pool.data + v->start[id], bytes, n) == 0))
            return &v->whole[slot];
    }
}

ol_status vocabulary_index(vocabulary *v, const char *path, json_t *vocab)
{
    const char *token;
    json_t *value;
    OL_AUTO_TEXT bytes = {0};
    bool spelt = true;

    v->whole_slots = 64;
    while (v->whole_slots < 2 * json_object_size(vocab))
        v->whole_slots *= 2;
    v->whole = malloc(v->whole_slots * sizeof *v->whole);
    OL_CHECK(v->whole, OL_ENOMEM, "%s: no memory for %zu tokens", path, v->whole_slots);
    memset(v->whole, 0xff, v->whole_slots * sizeof *v->whole);
    json_object_foreach(vocab, token, value)
    {
        bytes.size = 0;
        OL_TRY(bytes_read(token, strlen(token), &bytes, &spelt));
        if (!spelt || bytes.size == 0)
            continue;
        *whole_find(v, bytes.data, bytes.size) = (int32_t)json_integer_value(value);
        v->longest = bytes.size > v->longest ? bytes.size : v->longest;
    }
    return OL_OK;
}

int32_t vocabulary_whole(const vocabulary *v, const char *bytes, size_t n)
{
    return v->whole && n <= v->longest ? *whole_find(v, bytes, n) : -1;
}

void vocabulary_finish(vocabulary *v)
{
    ol_text_finish(&v->pool);
    free(v->start);
    free(v->end);
    free(v->merges);
    free(v->whole);
    *v = (vocabulary){0};
}
