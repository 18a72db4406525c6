/* SPDX-License-Identifier: BSD-3-Clause */
/* Links of large groups of the newer kind: a fractal heap that holds link messages, and a B-tree of
   version 2 whose records say where in the heap each one is. */
#include <string.h>

#include "profile.h"

enum {
    HEAP_BYTES = 146,
    ID_BYTES = 7, /* a byte of flags, four of the place, two of the length */
    PLACE_BYTES = 4,
    RECORD_BYTES = 4 + ID_BYTES, /* a hash before it */
    BLOCK_HEAD = 13 + PLACE_BYTES,
    TREE_BYTES = 38,
    NODE_HEAD = 6,
    NODE_REST = 10, /* with its checksum */
    MOST_DEPTH = 6,
    MOST_ROWS = 64
};

/* A doubling table: rows of `width` blocks, of `start` bytes in the first two rows, and of twice as
 * many in each one after. Blocks up to `direct` bytes hold objects, larger ones are tables. */
struct heap {
    uint64_t address, start, direct, root;
    unsigned width, rows; /* of the root, 0 when it is a block of objects */
};

static bool is_power(uint64_t n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

static ol_status read_heap(const ol_profile *p, uint64_t address, struct heap *h)
{
    const uint8_t *at = ol_profile_at(p, address, HEAP_BYTES);

    if (!at || memcmp(at, "FRHP\0", 5) != 0)
        return ol_profile_refuse(p, "has no heap of links where it should be");
    *h = (struct heap){.address = address,
                       .start = NUMBER(at + 112, 8),
                       .direct = NUMBER(at + 120, 8),
                       .root = NUMBER(at + 132, 8),
                       .width = (unsigned)NUMBER(at + 110, 2),
                       .rows = (unsigned)NUMBER(at + 140, 2)};
    if (NUMBER(at + 5, 2) != ID_BYTES || NUMBER(at + 7, 2) != 0 || at[9] & 1 ||
        NUMBER(at + 22, 8) != OL_PROFILE_NOWHERE || NUMBER(at + 86, 8) != 0 ||
        NUMBER(at + 102, 8) != 0 || NUMBER(at + 128, 2) != 8 * PLACE_BYTES || !is_power(h->width) ||
        h->width > 64 || !is_power(h->start) || !is_power(h->direct) || h->start < 64 ||
        h->direct < h->start || h->direct > 1 << 20 || h->rows > MOST_ROWS ||
        NUMBER(at + 10, 4) > h->direct)
        return ol_profile_refuse(p, "has a heap of links of an unknown kind");
    return OL_OK;
}

static unsigned bits_of(uint64_t power)
{
    return (unsigned)__builtin_ctzll(power);
}

/* A block of objects: its n bytes at the heap's place `from`. */
static ol_status open_block(const ol_profile *p, const struct heap *h, uint64_t address,
                            uint64_t from, uint64_t n, const uint8_t **out)
{
    const uint8_t *at = ol_profile_at(p, address, n);

    if (!at || memcmp(at, "FHDB\0", 5) != 0 || NUMBER(at + 5, 8) != h->address ||
        NUMBER(at + 13, PLACE_BYTES) != from)
        return ol_profile_refuse(p, "has a heap of links that does not hold together");
    *out = at;
    return OL_OK;
}

/* An object in a table of blocks, or in a table of that. Tables in tables are of fewer rows. */
static ol_status find_in_table(const ol_profile *p, const struct heap *h, uint64_t address,
                               uint64_t from, unsigned rows, uint64_t place, uint64_t length,
                               const uint8_t **out)
{
    const unsigned direct_rows = bits_of(h->direct) - bits_of(h->start) + 2;
    const uint8_t *at = ol_profile_at(p, address, BLOCK_HEAD + (uint64_t)rows * h->width * 8);
    uint64_t begin = from, size = h->start;
    unsigned row = 0, column;

    if (!at || memcmp(at, "FHIB\0", 5) != 0 || NUMBER(at + 5, 8) != h->address ||
        NUMBER(at + 13, PLACE_BYTES) != from)
        return ol_profile_refuse(p, "has a heap of links that does not hold together");
    while (row < rows && place - begin >= size * h->width) {
        begin += size * h->width;
        size <<= row++ > 0;
    }
    if (row == rows || size > UINT32_MAX)
        return ol_profile_refuse(p, "has a link that is not in its heap");
    column = (unsigned)((place - begin) / size);
    begin += column * size;
    address = NUMBER(at + BLOCK_HEAD + 8 * (row * h->width + column), 8);
    if (row >= direct_rows)
        return find_in_table(p, h, address, begin, bits_of(size) - bits_of(h->start * h->width) + 1,
                             place, length, out);
    OL_TRY(open_block(p, h, address, begin, size, out));
    if (place - begin < BLOCK_HEAD || length > size - (place - begin))
        return ol_profile_refuse(p, "has a link that is not in its heap");
    *out += place - begin;
    return OL_OK;
}

static ol_status walk_record(ol_profile *p, const struct heap *h, const uint8_t *id, int depth)
{
    const uint64_t place = NUMBER(id + 1, PLACE_BYTES), length = NUMBER(id + 1 + PLACE_BYTES, 2);
    const uint8_t *at = NULL;

    if (id[0] != 0)
        return ol_profile_refuse(p, "has a link that is kept in an unknown way");
    if (h->rows > 0) {
        OL_TRY(find_in_table(p, h, h->root, 0, h->rows, place, length, &at));
    } else {
        OL_TRY(open_block(p, h, h->root, 0, h->start, &at));
        if (place < BLOCK_HEAD || place > h->start || length > h->start - place)
            return ol_profile_refuse(p, "has a link that is not in its heap");
        at += place;
    }
    return ol_profile_walk_link(p, (ol_profile_bytes){at, (size_t)length}, depth);
}

/* A B-tree: how its nodes are laid out. */
struct tree {
    uint64_t node;
    int level;
    int count_bytes;               /* that the records of a leaf take to count */
    int sum_bytes[MOST_DEPTH + 1]; /* and those below a node of a level        */
    uint64_t most[MOST_DEPTH + 1]; /* records of a node                        */
};

/* Bytes that numbers up to `most` take. */
static int bytes_for(uint64_t most)
{
    return (63 - __builtin_clzll(most)) / 8 + 1;
}

static int pointer_bytes(const struct tree *t, int level)
{
    return 8 + t->count_bytes + (level > 1 ? t->sum_bytes[level - 1] : 0);
}

/* The sizes follow from that of a node, as the format has it. */
static ol_status lay_out(const ol_profile *p, struct tree *t)
{
    uint64_t sum;

    if (t->node < 64 || t->node > 1 << 16 || t->level > MOST_DEPTH)
        return ol_profile_refuse(p, "has a tree of links of an unknown kind");
    sum = t->most[0] = (t->node - NODE_REST) / RECORD_BYTES;
    t->count_bytes = bytes_for(sum);
    for (int level = 1; level <= t->level; level++) {
        const uint64_t pointer = (uint64_t)pointer_bytes(t, level);

        t->most[level] = (t->node - NODE_REST - pointer) / (RECORD_BYTES + pointer);
        if (t->most[level] < 1 || sum > UINT64_MAX >> 20)
            return ol_profile_refuse(p, "has a tree of links of an unknown kind");
        sum = (t->most[level] + 1) * sum + t->most[level];
        t->sum_bytes[level] = bytes_for(sum);
    }
    return OL_OK;
}

static ol_status walk_node(ol_profile *p, const struct tree *t, const struct heap *h,
                           uint64_t address, int level, uint64_t n, int depth)
{
    const uint8_t *at = ol_profile_at(p, address, t->node);
    const int pointer = pointer_bytes(t, level);

    if (!at || memcmp(at, level ? "BTIN\0\5" : "BTLF\0\5", 6) != 0 || n < 1 || n > t->most[level])
        return ol_profile_refuse(p, "has a tree of links that does not hold together");
    at += NODE_HEAD;
    for (uint64_t i = 0; i < n; i++)
        OL_TRY(walk_record(p, h, at + i * RECORD_BYTES + 4, depth));
    at += n * RECORD_BYTES;
    for (uint64_t i = 0; level > 0 && i <= n; i++, at += pointer)
        OL_TRY(walk_node(p, t, h, NUMBER(at, 8), level - 1, NUMBER(at + 8, t->count_bytes), depth));
    return OL_OK;
}

ol_status ol_profile_walk_links(ol_profile *p, uint64_t heap, uint64_t tree, int depth)
{
    const uint8_t *at = ol_profile_at(p, tree, TREE_BYTES);
    struct tree t = {0};
    struct heap h;

    OL_TRY(read_heap(p, heap, &h));
    if (!at || memcmp(at, "BTHD\0\5", 6) != 0 || NUMBER(at + 10, 2) != RECORD_BYTES)
        return ol_profile_refuse(p, "has no tree of links where it should be");
    t.node = NUMBER(at + 6, 4);
    t.level = (int)NUMBER(at + 12, 2);
    OL_TRY(lay_out(p, &t));
    if (NUMBER(at + 24, 2) == 0)
        return OL_OK;
    return walk_node(p, &t, &h, NUMBER(at + 16, 8), t.level, NUMBER(at + 24, 2), depth);
}
