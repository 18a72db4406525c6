/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "normal.h"               /* normal_append       */
#include "outerloop/base/file.h"  /* ol_path_format      */
#include "outerloop/base/size.h"  /* OL_ALLOCATE         */
#include "outerloop/text/split.h" /* ol_splitter         */
#include "tokenizer_json.h"       /* tokenizer_json_read */

/* A piece and its ids, kept where its hash points to; a later piece replaces it. */
enum { CACHED_BYTES = 30, CACHED_IDS = 8, CACHE_SLOTS = 1 << 15 };

typedef struct cached {
    uint8_t n, n_ids; /* n = 0: free */
    char bytes[CACHED_BYTES];
    int32_t ids[CACHED_IDS];
} cached;

_Static_assert(sizeof(cached) == 64, "a cached piece fills one cache line");

/* Tokens of one piece while neighbours merge: a list in arrays of one block, in the order of the
 * text. */
typedef struct symbols {
    int32_t *id;
    int32_t *rank;         /* of the merge with the next one; NO_RANK without */
    uint32_t *next, *prev; /* positions; n and UINT32_MAX at the ends         */
    uint64_t *heap;        /* rank << 32 | position, least first; may be stale */
    size_t capacity;
    size_t heap_n;
} symbols;

struct ol_tokenizer {
    tokenizer_parts parts;
    cached *cache; /* [CACHE_SLOTS]                           */
    symbols work;
    ol_text normalized; /* a text's normal form while it is encoded */
};

static ol_status grow_tokens(ol_tokens *tokens, size_t more)
{
    const size_t need = tokens->n + more;

    if (need > tokens->capacity) {
        const size_t capacity = 2 * need + 64;
        int32_t *ids = realloc(tokens->ids, capacity * sizeof *ids);

        OL_CHECK(ids, OL_ENOMEM, "no memory for %zu tokens", need);
        tokens->ids = ids;
        tokens->capacity = capacity;
    }
    return OL_OK;
}

ol_status ol_tokens_append(ol_tokens *tokens, const int32_t *ids, size_t n)
{
    OL_TRY(grow_tokens(tokens, n));
    if (n > 0)
        memcpy(tokens->ids + tokens->n, ids, n * sizeof *ids);
    tokens->n += n;
    return OL_OK;
}

void ol_tokens_finish(ol_tokens *tokens)
{
    if (!tokens)
        return;
    free(tokens->ids);
    *tokens = (ol_tokens){0};
}

/* A tokenizer of these parts, which it takes over. */
static ol_status make_tokenizer(tokenizer_parts *parts, const char *name, ol_tokenizer **out)
{
    OL_AUTO(ol_tokenizer_drop) ol_tokenizer *t = NULL;

    OL_TRY(OL_ALLOCATE(t, 1, name));
    OL_TRY(OL_ALLOCATE(t->cache, CACHE_SLOTS, name));
    t->parts = *parts;
    *parts = (tokenizer_parts){0};
    return OL_GIVE(out, t);
}

/* Of GPT-2's vocab.json and merges.txt, called by those names in messages. */
static ol_status make_of_pair(const char *name, const char *vocab_name, const char *vocab,
                              size_t vocab_size, const char *merges_name, char *merges,
                              size_t merges_size, ol_tokenizer **out)
{
    AUTO_PARTS parts = {0};

    OL_TRY(vocabulary_parse(&parts.vocabulary, vocab_name, vocab, vocab_size, merges_name, merges,
                            merges_size));
    OL_TRY(ol_splitter_create(&parts.splitter));
    OL_TRY(ol_splitter_add(parts.splitter, name, OL_GPT2_PATTERN));
    return make_tokenizer(&parts, name, out);
}

ol_status ol_tokenizer_load(const char *folder, ol_tokenizer **out)
{
    char path[PATH_MAX], second[PATH_MAX];
    OL_AUTO_FREE char *text = NULL, *merges = NULL;
    size_t size, merges_size;

    *out = NULL;
    OL_TRY(ol_path_format(path, "%s/tokenizer.json", folder));
    if (ol_path_exists(path)) {
        OL_TRY(ol_read_file_within(path, VOCABULARY_BYTES, &text, &size));
        return ol_tokenizer_parse(path, text, size, out);
    }
    OL_TRY(ol_path_format(path, "%s/vocab.json", folder));
    OL_TRY(ol_path_format(second, "%s/merges.txt", folder));
    OL_CHECK(ol_path_exists(path) && ol_path_exists(second), OL_EDATA,
             "%s: has no tokenizer.json and no %s; a tokenizer is a folder with Hugging Face's "
             "tokenizer.json, or with GPT-2's vocab.json and merges.txt",
             folder, ol_path_exists(path) ? "merges.txt" : "vocab.json");
    OL_TRY(ol_read_file_within(path, VOCABULARY_BYTES, &text, &size));
    OL_TRY(ol_read_file_within(second, VOCABULARY_BYTES, &merges, &merges_size));
    return make_of_pair(folder, path, text, size, second, merges, merges_size, out);
}

ol_status ol_tokenizer_parse(const char *name, const char *text, size_t size, ol_tokenizer **out)
{
    AUTO_PARTS parts = {0};
    json_auto_t *root = NULL;

    *out = NULL;
    OL_TRY(vocabulary_parse_json(name, text, size, &root));
    OL_TRY(tokenizer_json_read(&parts, name, root));
    return make_tokenizer(&parts, name, out);
}

ol_status ol_tokenizer_parse_pair(const char *name, const char *vocab, size_t vocab_size,
                                  char *merges, size_t merges_size, ol_tokenizer **out)
{
    char vocab_name[PATH_MAX], merges_name[PATH_MAX];

    *out = NULL;
    OL_TRY(ol_path_format(vocab_name, "%s: vocab.json", name));
    OL_TRY(ol_path_format(merges_name, "%s: merges.txt", name));
    return make_of_pair(name, vocab_name, vocab, vocab_size, merges_name, merges, merges_size, out);
}

void ol_tokenizer_destroy(ol_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    tokenizer_parts_finish(&tokenizer->parts);
    ol_text_finish(&tokenizer->normalized);
    free(tokenizer->cache);
    free(tokenizer->work.heap);
    free(tokenizer);
}

int ol_tokenizer_size(const ol_tokenizer *tokenizer)
{
    return tokenizer->parts.vocabulary.V;
}

/* Room for n symbols, whatever they are: one block, the heap first. */
static ol_status reserve_symbols(symbols *w, size_t n)
{
    /* n - 1 pairs at first, and each of at most n - 1 merges adds two */
    const size_t capacity = 2 * n, heap = 3 * capacity;

    if (n <= w->capacity)
        return OL_OK;
    free(w->heap);
    *w = (symbols){.heap = malloc(heap * sizeof *w->heap + 4 * capacity * sizeof *w->id)};
    OL_CHECK(w->heap, OL_ENOMEM, "no memory to tokenize a piece of %zu bytes", n);
    w->capacity = capacity;
    w->id = (int32_t *)(w->heap + heap);
    w->rank = w->id + capacity;
    w->next = (uint32_t *)(w->rank + capacity);
    w->prev = w->next + capacity;
    return OL_OK;
}

static int32_t rank_of(const vocabulary *v, int32_t left, int32_t right)
{
    const merge *found = merge_find(v, left, right);

    return found->left >= 0 ? found->rank : NO_RANK;
}

static void heap_push(symbols *w, size_t position)
{
    uint64_t *heap = w->heap;
    const uint64_t key = (uint64_t)w->rank[position] << 32 | position;
    size_t at = w->heap_n++;

    for (; at > 0 && heap[(at - 1) / 2] > key; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = key;
}

static uint64_t heap_pop(symbols *w)
{
    uint64_t *heap = w->heap;
    const uint64_t top = heap[0], last = heap[--w->heap_n];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= w->heap_n)
            break;
        if (child + 1 < w->heap_n && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= last)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

/* Rank the symbol at `position` with the next one, and queue it when they merge. */
static void queue_pair(const vocabulary *v, symbols *w, size_t n, size_t position)
{
    const size_t next = w->next[position];

    w->rank[position] = next < n ? rank_of(v, w->id[position], w->id[next]) : NO_RANK;
    if (w->rank[position] != NO_RANK)
        heap_push(w, position);
}

/* Tokens of a piece, in place in w->id; returns how many are left. O(n log n): of the pairs that wait
 * in the heap one whose rank is no longer that of its position is stale and skipped. */
static size_t merge_all(const vocabulary *v, symbols *w, size_t n)
{
    size_t kept = 0;

    w->heap_n = 0;
    for (size_t i = 0; i < n; i++) {
        w->next[i] = (uint32_t)(i + 1);
        w->prev[i] = (uint32_t)(i - 1); /* wraps to UINT32_MAX at the first */
    }
    for (size_t i = 0; i < n; i++)
        queue_pair(v, w, n, i);
    while (w->heap_n > 0) {
        const uint64_t top = heap_pop(w);
        const size_t at = (uint32_t)top, gone = w->next[at];

        if (w->rank[at] != (int32_t)(top >> 32))
            continue;
        w->id[at] = merge_find(v, w->id[at], w->id[gone])->result;
        w->rank[gone] = NO_RANK;
        w->next[at] = w->next[gone];
        if (w->next[at] < n)
            w->prev[w->next[at]] = (uint32_t)at;
        queue_pair(v, w, n, at);
        if (w->prev[at] != UINT32_MAX)
            queue_pair(v, w, n, w->prev[at]);
    }
    for (size_t i = 0; i < n; i = w->next[i])
        w->id[kept++] = w->id[i];
    return kept;
}

static ol_status encode_piece(ol_tokenizer *t, const char *bytes, size_t n, size_t *n_ids)
{
    const vocabulary *v = &t->parts.vocabulary;
    const int32_t whole = vocabulary_whole(v, bytes, n);
    symbols *w = &t->work;
    size_t kept = 0;

    OL_CHECK(n < UINT32_MAX / 2, OL_EDATA, "a piece of text has %zu bytes without a break", n);
    OL_TRY(reserve_symbols(w, n));
    if (whole >= 0) {
        w->id[0] = whole;
        *n_ids = 1;
        return OL_OK;
    }
    for (size_t i = 0; i < n; i++) {
        const uint8_t byte = (uint8_t)bytes[i];

        if (v->fuse_unknown && v->unknown[byte] && i > 0 && v->unknown[(uint8_t)bytes[i - 1]])
            continue;
        w->id[kept] = v->byte_id[byte];
        kept += w->id[kept] >= 0;
    }
    *n_ids = merge_all(v, w, kept);
    return OL_OK;
}

static size_t cache_slot(const char *bytes, size_t n)
{
    uint64_t word[4] = {0}, hash = n;

    memcpy(word, bytes, n);
    for (int i = 0; i < 4; i++) {
        hash = (hash ^ word[i]) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
    }
    return (size_t)hash & (CACHE_SLOTS - 1);
}

static ol_status append_piece(ol_tokenizer *t, const char *bytes, size_t n, ol_tokens *out)
{
    cached *slot = n <= CACHED_BYTES ? &t->cache[cache_slot(bytes, n)] : NULL;
    size_t n_ids = 0;

    if (slot && slot->n == n && memcmp(slot->bytes, bytes, n) == 0)
        return ol_tokens_append(out, slot->ids, slot->n_ids);
    OL_TRY(encode_piece(t, bytes, n, &n_ids));
    if (slot && n_ids <= CACHED_IDS) {
        slot->n = (uint8_t)n;
        slot->n_ids = (uint8_t)n_ids;
        memcpy(slot->bytes, bytes, n);
        memcpy(slot->ids, t->work.id, n_ids * sizeof *slot->ids);
    }
    return ol_tokens_append(out, t->work.id, n_ids);
}

/* Split a text and encode its pieces. */
static ol_status encode_text(ol_tokenizer *t, const char *bytes, size_t n, ol_tokens *out)
{
    size_t length;

    ol_splitter_start(t->parts.splitter, bytes, n);
    for (const char *at = bytes;; at += length) {
        OL_TRY(ol_splitter_next(t->parts.splitter, &length));
        if (length == 0)
            return OL_OK;
        OL_TRY(append_piece(t, at, length, out));
    }
}

/* What becomes of the text between added tokens. */
typedef ol_status (*encoder)(ol_tokenizer *, const char *, size_t, ol_tokens *);

/* Encode a text in which the tokens of `set` are found first. */
static ol_status encode_around(ol_tokenizer *t, const added_set *set, encoder between,
                               const char *bytes, size_t n, ol_tokens *out)
{
    added_match match;
    size_t done = 0;

    for (size_t at = 0; added_find(set, bytes, n, at, done, &match); at = match.next) {
        if (done < match.from)
            OL_TRY(between(t, bytes + done, match.from - done, out));
        OL_TRY(ol_tokens_append(out, &match.id, 1));
        done = match.to;
    }
    return done < n ? between(t, bytes + done, n - done, out) : OL_OK;
}

static ol_status encode_normal(ol_tokenizer *t, const char *bytes, size_t n, ol_tokens *out)
{
    if (t->parts.nfc) {
        t->normalized.size = 0;
        OL_TRY(normal_append(bytes, n, &t->normalized));
        bytes = t->normalized.data;
        n = t->normalized.size;
    }
    return encode_around(t, &t->parts.normal, encode_text, bytes, n, out);
}

ol_status ol_tokenizer_encode(ol_tokenizer *tokenizer, const char *bytes, size_t n, ol_tokens *out)
{
    return encode_around(tokenizer, &tokenizer->parts.raw, encode_normal, bytes, n, out);
}

bool ol_tokenizer_splits_newlines(const ol_tokenizer *tokenizer, const char *text)
{
    const tokenizer_parts *parts = &tokenizer->parts;
    const unsigned char first = (unsigned char)text[0];

    return ol_splitter_is_gpt2(parts->splitter) && first > ' ' && first <= '~' &&
           !parts->raw.starts['\n'] && !parts->raw.starts[first] && !parts->normal.starts['\n'] &&
           !parts->normal.starts[first];
}

ol_status ol_tokenizer_decode(const ol_tokenizer *tokenizer, const int32_t *ids, size_t n,
                              ol_text *out)
{
    const vocabulary *v = &tokenizer->parts.vocabulary;

    for (size_t i = 0; i < n; i++) {
        const int32_t id = ids[i];

        OL_CHECK(id >= 0 && id < v->V && v->start[id] != UINT32_MAX, OL_EDATA,
                 "token %d is not in the vocabulary (%d ids)", id, v->V);
        OL_TRY(ol_text_append(out, v->pool.data + v->start[id], v->end[id] - v->start[id]));
    }
    return OL_OK;
}
