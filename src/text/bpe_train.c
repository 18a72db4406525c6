/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/text/bpe_train.h"

#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "bytes.h"
#include "outerloop/base/file.h"  /* ol_write_file */
#include "outerloop/base/size.h"  /* OL_ALLOCATE   */
#include "outerloop/base/text.h"  /* ol_text       */
#include "outerloop/text/split.h" /* ol_splitter   */

/* A distinct piece: symbols[at .. at+n-1], n shrinks as its symbols merge. */
typedef struct word {
    size_t at;
    const char *bytes; /* in the training text */
    uint32_t n, n_bytes;
    int64_t count;
} word;

/* How often two neighbours stand together, a slot of a hash table; left is -1 in a free one. */
typedef struct pair {
    int32_t left, right;
    int64_t count;
} pair;

typedef struct trainer {
    void *seen;   /* the words by their bytes: a tree of tsearch, which owns them */
    word **words; /* [n_words] */
    size_t n_words;
    int32_t *symbols;
    pair *pairs; /* [pair_slots], at most half full */
    size_t pair_slots, n_pairs;
    pair *chosen; /* [vocab - BYTES] the merges, strongest first */
    int n_chosen;
} trainer;

static int by_bytes(const void *a, const void *b)
{
    const word *x = a, *y = b;

    return x->n_bytes != y->n_bytes ? (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes)
                                    : memcmp(x->bytes, y->bytes, x->n_bytes);
}

/* Count a piece once more, or for the first time. */
static ol_status count_word(trainer *t, const char *bytes, size_t n)
{
    word key = {.bytes = bytes, .n_bytes = (uint32_t)n};
    word **found = tsearch(&key, &t->seen, by_bytes);

    OL_CHECK(found, OL_ENOMEM, "no memory for the pieces of a training text");
    if (*found == &key) {
        *found = NULL; /* where memory ends here, the tree keeps no address of this call */
        OL_TRY(OL_GROW(t->words, t->n_words, "pieces of training text"));
        OL_TRY(OL_ALLOCATE(*found, 1, "pieces of training text"));
        **found = key;
        t->words[t->n_words++] = *found;
    }
    (*found)->count++;
    return OL_OK;
}

static ol_status count_words(trainer *t, ol_splitter *splitter, const char *bytes, size_t n)
{
    size_t length;

    ol_splitter_start(splitter, bytes, n);
    for (const char *at = bytes;; at += length) {
        OL_TRY(ol_splitter_next(splitter, &length));
        if (length == 0)
            return OL_OK;
        OL_TRY(count_word(t, at, length));
    }
}

static ol_status spell_words(trainer *t)
{
    uint8_t order[BYTES];
    int32_t id_of[BYTES];
    size_t total = 0;

    bytes_in_id_order(order);
    for (int id = 0; id < BYTES; id++)
        id_of[order[id]] = id;
    for (size_t i = 0; i < t->n_words; i++)
        total += t->words[i]->n_bytes;
    t->symbols = malloc((total + 1) * sizeof *t->symbols);
    OL_CHECK(t->symbols, OL_ENOMEM, "no memory for %zu bytes of training text", total);
    total = 0;
    for (size_t i = 0; i < t->n_words; i++) {
        word *w = t->words[i];

        w->at = total;
        w->n = w->n_bytes;
        for (uint32_t j = 0; j < w->n; j++)
            t->symbols[total++] = id_of[(uint8_t)w->bytes[j]];
    }
    return OL_OK;
}

static pair *find_pair(const trainer *t, int32_t left, int32_t right)
{
    const uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t slot = (size_t)((key * 0x9E3779B97F4A7C15u) >> 20) & (t->pair_slots - 1);

    while (t->pairs[slot].left >= 0 &&
           (t->pairs[slot].left != left || t->pairs[slot].right != right))
        slot = (slot + 1) & (t->pair_slots - 1);
    return &t->pairs[slot];
}

static ol_status grow_pairs(trainer *t)
{
    const trainer old = *t;

    t->pair_slots = old.pair_slots ? 4 * old.pair_slots : 1 << 14;
    t->pairs = malloc(t->pair_slots * sizeof *t->pairs);
    if (!t->pairs) {
        t->pairs = old.pairs;
        return ol_fail(OL_ENOMEM, "no memory for %zu pairs of tokens", t->pair_slots);
    }
    memset(t->pairs, 0xff, t->pair_slots * sizeof *t->pairs);
    for (size_t i = 0; i < old.pair_slots; i++)
        if (old.pairs[i].left >= 0)
            *find_pair(t, old.pairs[i].left, old.pairs[i].right) = old.pairs[i];
    free(old.pairs);
    return OL_OK;
}

/* Add sign * count to every pair of neighbours of a word. */
static ol_status count_pairs(trainer *t, const word *w, int sign)
{
    const int32_t *s = t->symbols + w->at;

    for (uint32_t i = 0; i + 1 < w->n; i++) {
        pair *p;

        if (2 * (t->n_pairs + 1) > t->pair_slots)
            OL_TRY(grow_pairs(t));
        p = find_pair(t, s[i], s[i + 1]);
        if (p->left < 0) {
            *p = (pair){.left = s[i], .right = s[i + 1]};
            t->n_pairs++;
        }
        p->count += sign * w->count;
    }
    return OL_OK;
}

static const pair *most_frequent(const trainer *t)
{
    const pair *best = NULL;

    for (size_t i = 0; i < t->pair_slots; i++) {
        const pair *p = &t->pairs[i];

        if (p->left < 0 || (best && p->count < best->count))
            continue;
        if (!best || p->count > best->count || p->left < best->left ||
            (p->left == best->left && p->right < best->right))
            best = p;
    }
    return best;
}

static bool has_pair(const int32_t *s, uint32_t n, int32_t left, int32_t right)
{
    for (uint32_t i = 0; i + 1 < n; i++)
        if (s[i] == left && s[i + 1] == right)
            return true;
    return false;
}

/* Join left and right into `result` wherever they are neighbours, and recount those words. */
static ol_status apply_merge(trainer *t, int32_t left, int32_t right, int32_t result)
{
    for (size_t i = 0; i < t->n_words; i++) {
        word *w = t->words[i];
        int32_t *s = t->symbols + w->at;
        uint32_t kept = 0;

        if (!has_pair(s, w->n, left, right))
            continue;
        OL_TRY(count_pairs(t, w, -1));
        for (uint32_t j = 0; j < w->n; j++) {
            const bool joined = j + 1 < w->n && s[j] == left && s[j + 1] == right;

            s[kept++] = joined ? result : s[j];
            j += joined;
        }
        w->n = kept;
        OL_TRY(count_pairs(t, w, 1));
    }
    return OL_OK;
}

static ol_status choose_merges(trainer *t, size_t n, int vocab)
{
    t->chosen = calloc((size_t)(vocab - BYTES) + 1, sizeof *t->chosen);
    OL_CHECK(t->chosen, OL_ENOMEM, "no memory for a vocabulary of %d", vocab);
    OL_TRY(grow_pairs(t));
    for (size_t i = 0; i < t->n_words; i++)
        OL_TRY(count_pairs(t, t->words[i], 1));
    while (t->n_chosen < vocab - BYTES) {
        const pair *best = most_frequent(t);

        OL_CHECK(best && best->count >= 2, OL_EDATA,
                 "a text of %zu bytes gives a vocabulary of %d tokens at most, not %d: no further "
                 "pair occurs twice; ask for fewer or give more text",
                 n, BYTES + t->n_chosen, vocab);
        t->chosen[t->n_chosen] = *best;
        OL_TRY(apply_merge(t, t->chosen[t->n_chosen].left, t->chosen[t->n_chosen].right,
                           BYTES + t->n_chosen));
        t->n_chosen++;
    }
    return OL_OK;
}

static ol_status train(trainer *t, const char *bytes, size_t n, int vocab)
{
    OL_AUTO(ol_splitter_drop) ol_splitter *splitter = NULL;

    OL_TRY(ol_splitter_create(&splitter));
    OL_TRY(ol_splitter_add(splitter, "GPT-2", OL_GPT2_PATTERN));
    OL_TRY(count_words(t, splitter, bytes, n));
    OL_TRY(spell_words(t));
    return choose_merges(t, n, vocab);
}

/* Printable spelling of a token, merges followed down to bytes. */
static ol_status spell_token(const trainer *t, int32_t id, const uint8_t order[BYTES], ol_text *out)
{
    if (id < BYTES)
        return bytes_spell((const char *)&order[id], 1, out);
    OL_TRY(spell_token(t, t->chosen[id - BYTES].left, order, out));
    return spell_token(t, t->chosen[id - BYTES].right, order, out);
}

static ol_status write_vocab(const trainer *t, const uint8_t order[BYTES], ol_text *json)
{
    json_auto_t *vocab = json_object();
    OL_AUTO_FREE char *dump = NULL;
    OL_AUTO_TEXT token = {0};

    for (int id = 0; id < BYTES + t->n_chosen; id++) {
        token.size = 0;
        OL_TRY(spell_token(t, id, order, &token));
        OL_CHECK(json_object_set_new(vocab, token.data, json_integer(id)) == 0, OL_ENOMEM,
                 "no memory for a vocabulary");
    }
    dump = json_dumps(vocab, JSON_PRESERVE_ORDER);
    OL_CHECK(dump, OL_ENOMEM, "no memory for a vocabulary");
    return ol_text_format(json, "%s\n", dump);
}

static ol_status write_merges(const trainer *t, const uint8_t order[BYTES], ol_text *merges)
{
    OL_TRY(ol_text_format(merges, "#version: 0.2\n"));
    for (int i = 0; i < t->n_chosen; i++) {
        OL_TRY(spell_token(t, t->chosen[i].left, order, merges));
        OL_TRY(ol_text_append(merges, " ", 1));
        OL_TRY(spell_token(t, t->chosen[i].right, order, merges));
        OL_TRY(ol_text_append(merges, "\n", 1));
    }
    return OL_OK;
}

static ol_status write_folder(const trainer *t, const char *folder)
{
    char path[PATH_MAX];
    uint8_t order[BYTES];
    OL_AUTO_TEXT json = {0}, merges = {0};

    bytes_in_id_order(order);
    OL_TRY(write_vocab(t, order, &json));
    OL_TRY(write_merges(t, order, &merges));
    OL_TRY(ol_make_folders(folder));
    OL_TRY(ol_path_format(path, "%s/vocab.json", folder));
    OL_TRY(ol_write_file(path, json.data, json.size));
    OL_TRY(ol_path_format(path, "%s/merges.txt", folder));
    return ol_write_file(path, merges.data, merges.size);
}

static void finish(trainer *t)
{
    tdestroy(t->seen, free);
    free(t->words);
    free(t->symbols);
    free(t->pairs);
    free(t->chosen);
}

ol_status ol_tokenizer_train(const char *bytes, size_t n, int vocab, const char *folder)
{
    OL_AUTO(finish) trainer t = {0};

    OL_CHECK(vocab >= BYTES, OL_EUSAGE,
             "a byte-level vocabulary has at least %d tokens, one a byte; %d is too few", BYTES,
             vocab);
    OL_TRY(train(&t, bytes, n, vocab));
    return write_folder(&t, folder);
}
