/* SPDX-License-Identifier: BSD-3-Clause */
/* What datasets and attributes hold: types, extents, filters, chunks, values of variable length. */
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "profile.h"

enum {
    TEXT_BYTES = 1 << 20,   /* most of a text of fixed length */
    CHUNK_BYTES = 64 << 20, /* most of a chunk                */
    CHUNK_ENTRIES = 64,     /* of a node of a tree of chunks  */
    MOST_LEVELS = 8,
    REFERENCE_BYTES = 8, /* an address */
    VARIABLE_BYTES = 16, /* length, address, number */
    COLLECTION_BYTES = 4096,
    OBJECT_HEAD = 16
};

static ol_status read_integer(const ol_profile *p, ol_profile_bytes m, ol_profile_type *out)
{
    const uint64_t size = NUMBER(m.at + 4, 4);

    if (m.n < 12 || (size != 1 && size != 2 && size != 4 && size != 8) ||
        NUMBER(m.at + 1, 3) & ~(uint64_t)9 || NUMBER(m.at + 8, 2) != 0 ||
        NUMBER(m.at + 10, 2) != 8 * size)
        return ol_profile_refuse(p, "has integers of an unknown kind");
    *out = (ol_profile_type){.kind = OL_PLAIN, .whole = true, .size = size, .used = 12};
    return OL_OK;
}

/* IEEE 754, 32 and 64 bits: what stands in a message from byte 8 on. */
static ol_status read_float(const ol_profile *p, ol_profile_bytes m, ol_profile_type *out)
{
    static const uint8_t single[] = {0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0};
    static const uint8_t twice[] = {0, 0, 64, 0, 52, 11, 0, 52, 255, 3, 0, 0};
    const uint64_t size = NUMBER(m.at + 4, 4);

    if (m.n < 20 || (size != 4 && size != 8) || (m.at[1] & ~1u) != 0x20 ||
        m.at[2] != 8 * size - 1 || m.at[3] != 0 ||
        memcmp(m.at + 8, size == 4 ? single : twice, sizeof single) != 0)
        return ol_profile_refuse(p, "has floats that are not of 32 or 64 bits");
    *out = (ol_profile_type){.kind = OL_PLAIN, .size = size, .used = 20};
    return OL_OK;
}

static ol_status read_text(const ol_profile *p, ol_profile_bytes m, ol_profile_type *out)
{
    const uint64_t size = NUMBER(m.at + 4, 4);

    if (size < 1 || size > TEXT_BYTES || (m.at[1] & 0xf) > 2 || m.at[1] >> 4 > 1 || m.at[2] ||
        m.at[3])
        return ol_profile_refuse(p, "has texts of an unknown kind");
    *out = (ol_profile_type){.kind = OL_PLAIN, .size = size, .used = 8};
    return OL_OK;
}

static ol_status read_reference(const ol_profile *p, ol_profile_bytes m, ol_profile_type *out)
{
    if (NUMBER(m.at + 1, 3) != 0 || NUMBER(m.at + 4, 4) != REFERENCE_BYTES)
        return ol_profile_refuse(p, "has references that do not lead to objects");
    *out = (ol_profile_type){.kind = OL_REFERENCE, .size = REFERENCE_BYTES, .used = 8};
    return OL_OK;
}

/* A type that holds no other. */
static ol_status read_simple(const ol_profile *p, ol_profile_bytes m, ol_profile_type *out)
{
    const unsigned version = m.n >= 8 ? m.at[0] >> 4 : 0;

    if (version < 1 || version > 3)
        return ol_profile_refuse(p, "has a type that is not whole");
    switch (m.at[0] & 0xf) {
    case 0:
        return read_integer(p, m, out);
    case 1:
        return read_float(p, m, out);
    case 3:
        return read_text(p, m, out);
    case 7:
        return read_reference(p, m, out);
    default:
        return ol_profile_refuse(p, "has a type that is not read");
    }
}

/* Bytes of a name with its NUL, padded where the version says so; 0 when it does not end. */
static size_t name_bytes(ol_profile_bytes m, size_t at, unsigned version)
{
    const size_t n = at < m.n ? strnlen((const char *)m.at + at, m.n - at) : 0;
    const size_t pad = version < 3 ? 7 : 0;

    return n == 0 || n == m.n - at || n > OL_PROFILE_NAME ? 0 : (n + 1 + pad) & ~pad;
}

/* The boolean of h5py: a byte of which 0 is FALSE and 1 is TRUE. */
static ol_status read_boolean(const ol_profile *p, ol_profile_bytes m, ol_profile_type *out)
{
    const unsigned version = m.at[0] >> 4;
    ol_profile_type base;
    size_t at, first, second;

    OL_TRY(read_simple(p, (ol_profile_bytes){m.at + 8, m.n - 8}, &base));
    at = 8 + base.used;
    first = name_bytes(m, at, version);
    second = first ? name_bytes(m, at + first, version) : 0;
    if (!base.whole || base.size != 1 || NUMBER(m.at + 1, 3) != 2 || NUMBER(m.at + 4, 4) != 1 ||
        !second || m.n - at - first < second || m.n - at - first - second < 2 ||
        strcmp((const char *)m.at + at, "FALSE") != 0 ||
        strcmp((const char *)m.at + at + first, "TRUE") != 0 ||
        memcmp(m.at + at + first + second, "\0\1", 2) != 0)
        return ol_profile_refuse(p, "has an enumeration that is not h5py's boolean");
    *out = base;
    out->used = at + first + second + 2;
    return OL_OK;
}

/* A reference and a number beside it, as dimension scales have. */
static ol_status read_record(const ol_profile *p, ol_profile_bytes m, ol_profile_type *out)
{
    const unsigned version = m.at[0] >> 4;
    const uint64_t size = NUMBER(m.at + 4, 4), members = NUMBER(m.at + 1, 3);
    size_t at = 8;

    for (uint64_t i = 0; i < members; i++) {
        const size_t name = name_bytes(m, at, version);
        const size_t place = version == 3 ? 1 : 4, more = version == 1 ? 28 : 0;
        ol_profile_type member;
        uint64_t from;

        if (members > 4 || size > 64 || !name || m.n - at < name + place + more + 8)
            return ol_profile_refuse(p, "has records of an unknown kind");
        from = NUMBER(m.at + at + name, (int)place);
        at += name + place + more;
        OL_TRY(read_simple(p, (ol_profile_bytes){m.at + at, m.n - at}, &member));
        if (member.kind == OL_RECORD || member.kind == OL_VARIABLE || from > size ||
            member.size > size - from)
            return ol_profile_refuse(p, "has records of an unknown kind");
        at += member.used;
    }
    if (size == 0 || members == 0)
        return ol_profile_refuse(p, "has records of an unknown kind");
    *out = (ol_profile_type){.kind = OL_RECORD, .size = size, .used = at};
    return OL_OK;
}

static ol_status read_variable(const ol_profile *p, ol_profile_bytes m, ol_profile_type *out)
{
    const bool text = (m.at[1] & 0xf) == 1;
    ol_profile_type base;

    OL_TRY(read_simple(p, (ol_profile_bytes){m.at + 8, m.n - 8}, &base));
    if ((m.at[1] & 0xf) > 1 || NUMBER(m.at + 4, 4) != VARIABLE_BYTES || base.kind == OL_RECORD ||
        base.kind == OL_VARIABLE || (text && base.size != 1) || (!text && base.size != 8))
        return ol_profile_refuse(p, "has values of variable length of an unknown kind");
    *out = (ol_profile_type){.kind = OL_VARIABLE,
                             .size = VARIABLE_BYTES,
                             .item = base.size,
                             .lists = !text && base.kind == OL_PLAIN,
                             .used = 8 + base.used};
    if (out->lists && base.whole)
        return ol_profile_refuse(p, "has lists that are not of float64");
    return OL_OK;
}

ol_status ol_profile_read_type(const ol_profile *p, ol_profile_bytes m, bool attribute,
                               ol_profile_type *out)
{
    if (m.n < 16)
        return read_simple(p, m, out);
    switch (m.at[0] >> 4 >= 1 && m.at[0] >> 4 <= 3 ? m.at[0] & 0xf : 0) {
    case 6:
        OL_TRY(read_record(p, m, out));
        break;
    case 8:
        OL_TRY(read_boolean(p, m, out));
        break;
    case 9:
        OL_TRY(read_variable(p, m, out));
        break;
    default:
        OL_TRY(read_simple(p, m, out));
    }
    if (!attribute && (out->kind == OL_REFERENCE || out->kind == OL_RECORD ||
                       (out->kind == OL_VARIABLE && out->item != 1 && !out->lists)))
        return ol_profile_refuse(p, "has a type that is not read");
    return OL_OK;
}

ol_status ol_profile_read_space(const ol_profile *p, ol_profile_bytes m, ol_profile_space *out)
{
    const unsigned version = m.n >= 4 ? m.at[0] : 0;
    const size_t head = version == 1 ? 8 : 4;

    *out = (ol_profile_space){.count = 1};
    if ((version != 1 && version != 2) || m.at[1] > OL_PROFILE_RANK || m.at[2] > 1 ||
        (version == 2 && m.at[3] > 1))
        return ol_profile_refuse(p, "has extents of an unknown kind");
    out->rank = m.at[1];
    if (m.n < head + (size_t)out->rank * 8 * (m.at[2] ? 2 : 1))
        return ol_profile_refuse(p, "has extents that are not whole");
    for (int i = 0; i < out->rank; i++) {
        out->dims[i] = NUMBER(m.at + head + 8 * i, 8);
        if (m.at[2] && NUMBER(m.at + head + 8 * (out->rank + i), 8) < out->dims[i])
            return ol_profile_refuse(p, "has extents beyond their limits");
        if (out->dims[i] > INT64_MAX ||
            __builtin_mul_overflow(out->count, out->dims[i], &out->count) || out->count > INT64_MAX)
            return ol_profile_refuse(p, "has more elements than can be counted");
    }
    return OL_OK;
}

ol_status ol_profile_read_pipeline(const ol_profile *p, ol_profile_bytes m,
                                   ol_profile_pipeline *out)
{
    const unsigned version = m.n >= 2 ? m.at[0] : 0;
    size_t at = version == 1 ? 8 : 2;

    *out = (ol_profile_pipeline){.n = m.n >= 2 ? m.at[1] : 0};
    if (version < 1 || version > 2 || out->n < 1 || out->n > OL_PROFILE_FILTERS)
        return ol_profile_refuse(p, "has filters that are not read");
    for (int i = 0; i < out->n; i++) {
        const size_t head = version == 1 ? 8 : 6;
        size_t name, values;

        if (at > m.n || m.n - at < head)
            return ol_profile_refuse(p, "has filters that are not whole");
        out->id[i] = (int)NUMBER(m.at + at, 2);
        name = version == 1 ? ((size_t)NUMBER(m.at + at + 2, 2) + 7) & ~(size_t)7 : 0;
        values = (size_t)NUMBER(m.at + at + head - 2, 2);
        at += head + name;
        if (out->id[i] < 1 || out->id[i] > 3 || at > m.n || 4 * values > m.n - at || values > 8)
            return ol_profile_refuse(p,
                                     "has a filter that is none of shuffle, deflate, Fletcher-32");
        for (int k = 0; k < i; k++)
            if (out->id[k] == out->id[i])
                return ol_profile_refuse(p, "has a filter twice");
        if (out->id[i] == 2)
            out->shuffled = values == 1 ? (uint32_t)NUMBER(m.at + at, 4) : 0;
        if (out->id[i] == 2 && out->shuffled == 0)
            return ol_profile_refuse(p, "has a filter that is told nonsense");
        if (out->id[i] == 1 && (values != 1 || NUMBER(m.at + at, 4) > 9))
            return ol_profile_refuse(p, "has a filter that is told nonsense");
        at += 4 * (values + (version == 1 ? values % 2 : 0));
    }
    return OL_OK;
}

/* A collection of values: bytes of each by its number, NOWHERE where there is none. */
struct heap {
    uint64_t address;
    size_t n;
    uint64_t *bytes;
};

static int compare_heaps(const void *a, const void *b)
{
    const struct heap *x = a, *y = b;

    return (x->address > y->address) - (x->address < y->address);
}

static void free_heap(void *heap)
{
    free(((struct heap *)heap)->bytes);
    free(heap);
}

void ol_profile_drop_heaps(ol_profile *p)
{
    tdestroy(p->heaps, free_heap);
    p->heaps = NULL;
}

static ol_status put_object(const ol_profile *p, struct heap *h, size_t number, uint64_t bytes)
{
    if (number >= h->n) {
        const size_t n = 2 * number + 16;
        uint64_t *grown = realloc(h->bytes, n * sizeof *grown);

        OL_CHECK(grown, OL_ENOMEM, "%s: no memory for a collection of %zu values", p->path, n);
        memset(grown + h->n, 0xff, (n - h->n) * sizeof *grown);
        h->bytes = grown;
        h->n = n;
    }
    if (h->bytes[number] != OL_PROFILE_NOWHERE)
        return ol_profile_refuse(p, "has a collection of values with a number twice");
    h->bytes[number] = bytes;
    return OL_OK;
}

static ol_status read_heap(const ol_profile *p, uint64_t address, struct heap *h)
{
    const uint8_t *at = ol_profile_at(p, address, OBJECT_HEAD);
    const uint64_t size = at ? NUMBER(at + 8, 8) : 0;
    uint64_t left = size - OBJECT_HEAD;

    if (!at || memcmp(at, "GCOL\1\0\0\0", 8) != 0 || size < COLLECTION_BYTES ||
        !ol_profile_at(p, address, size))
        return ol_profile_refuse(p, "has values where none are");
    at += OBJECT_HEAD;
    while (left >= OBJECT_HEAD) {
        const size_t number = (size_t)NUMBER(at, 2);
        const uint64_t bytes = NUMBER(at + 8, 8);
        const uint64_t whole = number ? OBJECT_HEAD + ((bytes + 7) & ~(uint64_t)7) : bytes;

        if (bytes > left || whole > left || whole < OBJECT_HEAD || (number == 0 && whole != left))
            return ol_profile_refuse(p, "has a collection of values that do not fit into it");
        if (number > 0)
            OL_TRY(put_object(p, h, number, bytes));
        at += whole;
        left -= whole;
    }
    return OL_OK;
}

static ol_status find_heap(ol_profile *p, uint64_t address, const struct heap **out)
{
    const struct heap key = {.address = address};
    struct heap *const *found = tfind(&key, &p->heaps, compare_heaps);
    struct heap *made = found ? NULL : calloc(1, sizeof *made);
    ol_status status = OL_OK;

    if (found) {
        *out = *found;
        return OL_OK;
    }
    if (made)
        made->address = address;
    if (!made || !tsearch(made, &p->heaps, compare_heaps)) {
        free(made);
        return ol_fail(OL_ENOMEM, "%s: no memory for its collections of values", p->path);
    }
    status = read_heap(p, address, made); /* the list owns it, whole or not */
    *out = made;
    return status;
}

static ol_status check_variable(ol_profile *p, const ol_profile_type *type, const uint8_t *at)
{
    const uint64_t length = NUMBER(at, 4), address = NUMBER(at + 4, 8), number = NUMBER(at + 12, 4);
    const uint64_t bytes = length * type->item;
    const struct heap *heap = NULL;

    if (address == 0)
        return length == 0 ? OL_OK : ol_profile_refuse(p, "has a value that is nowhere");
    OL_TRY(find_heap(p, address, &heap));
    if (number == 0 || number >= heap->n || heap->bytes[number] != bytes)
        return ol_profile_refuse(p, "has a value that is not in its collection");
    if (bytes > p->variable)
        return ol_profile_refuse(p, "has values that claim more than the file holds");
    p->variable -= bytes;
    return OL_OK;
}

ol_status ol_profile_check_values(ol_profile *p, const ol_profile_type *type, const uint8_t *at,
                                  uint64_t n)
{
    for (uint64_t i = 0; type->kind == OL_VARIABLE && i < n; i++)
        OL_TRY(check_variable(p, type, at + i * type->size));
    return OL_OK;
}

/* `bytes` of values stand in the file, which they do once. */
static ol_status take_stored(ol_profile *p, uint64_t bytes)
{
    if (bytes > p->stored)
        return ol_profile_refuse(p, "claims more than the file holds");
    p->stored -= bytes;
    return OL_OK;
}

/* A chunked dataset. */
struct chunks {
    const ol_profile_type *type;
    const ol_profile_space *space;
    const ol_profile_pipeline *pipeline;
    uint64_t bytes; /* of a chunk */
    uint64_t elements;
    uint64_t expected, met;
    uint32_t dims[OL_PROFILE_RANK];
    const uint8_t *last; /* place of the one before */
};

/* Bytes that deflated ones become, at most `most` and one. */
static ol_status inflated_bytes(const ol_profile *p, const uint8_t *at, uint64_t n, uint64_t most,
                                uint64_t *out)
{
    uint8_t buffer[1 << 14];
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)at, .avail_in = (uInt)n};
    int said;

    *out = 0;
    OL_CHECK(inflateInit(&z) == Z_OK, OL_ENOMEM, "%s: no memory to inflate", p->path);
    do {
        z.next_out = buffer;
        z.avail_out = sizeof buffer;
        said = inflate(&z, Z_NO_FLUSH);
        *out += sizeof buffer - z.avail_out;
    } while (said == Z_OK && *out <= most);
    inflateEnd(&z);
    return said == Z_STREAM_END || *out > most
               ? OL_OK
               : ol_profile_refuse(p, "has a chunk that is damaged");
}

/* The bytes of a chunk behind its filters, the last applied first. @param skipped  a bit for each */
static ol_status chunk_length(ol_profile *p, const struct chunks *c, const uint8_t *at, uint64_t n,
                              uint32_t skipped, uint64_t *out)
{
    *out = n;
    for (int i = c->pipeline->n; i-- > 0;) {
        if (skipped >> i & 1)
            continue;
        if (c->pipeline->id[i] == 3)
            *out = *out >= 4 ? *out - 4 : 0;
        if (c->pipeline->id[i] == 1) {
            OL_TRY(inflated_bytes(p, at, *out, c->bytes + 4, out));
            if (*out > p->inflated)
                return ol_profile_refuse(p, "inflates to far more than the file has");
            p->inflated -= *out;
        }
    }
    return OL_OK;
}

static ol_status check_chunk(ol_profile *p, struct chunks *c, const uint8_t *key, uint64_t address)
{
    const uint64_t n = NUMBER(key, 4);
    const uint32_t skipped = (uint32_t)NUMBER(key + 4, 4);
    const uint8_t *at = ol_profile_at(p, address, n);
    bool later = c->last == NULL, decided = c->last == NULL;
    uint64_t length = 0, valid;

    for (int i = 0; i < c->space->rank; i++) {
        const uint64_t place = NUMBER(key + 8 + 8 * i, 8);
        const uint64_t before = c->last ? NUMBER(c->last + 8 + 8 * i, 8) : 0;

        if (place >= c->space->dims[i] || place % c->dims[i] != 0)
            return ol_profile_refuse(p, "has a chunk outside of its extents");
        later = decided ? later : place > before;
        decided = decided || place != before;
    }
    if (!later || !decided || ++c->met > c->expected)
        return ol_profile_refuse(p, "has chunks that are not in order");
    if (!at || skipped >> c->pipeline->n != 0)
        return ol_profile_refuse(p, "has a chunk that is not in the file");
    c->last = key;
    OL_TRY(take_stored(p, n));
    OL_TRY(chunk_length(p, c, at, n, skipped, &length));
    if (length != c->bytes)
        return ol_profile_refuse(p, "has a chunk of another length");
    if (c->type->kind != OL_VARIABLE)
        return OL_OK;
    valid = c->space->dims[0] - NUMBER(key + 8, 8);
    return ol_profile_check_values(p, c->type, at, valid < c->elements ? valid : c->elements);
}

static ol_status walk_chunks(ol_profile *p, uint64_t address, int level, struct chunks *c)
{
    const uint8_t *at = ol_profile_at(p, address, 24);
    const size_t n = at ? (size_t)NUMBER(at + 6, 2) : 0;
    const size_t key = 8 + 8 * ((size_t)c->space->rank + 1);

    if (!at || memcmp(at, "TREE\1", 5) != 0 || n > CHUNK_ENTRIES || at[5] > MOST_LEVELS ||
        (level >= 0 && (at[5] != level || n == 0)) ||
        !ol_profile_at(p, address, 24 + n * (key + 8) + key))
        return ol_profile_refuse(p, "has a tree of chunks that does not hold together");
    for (size_t i = 0; i < n; i++) {
        const uint8_t *entry = at + 24 + i * (key + 8);
        const uint64_t child = NUMBER(entry + key, 8);

        OL_TRY(at[5] == 0 ? check_chunk(p, c, entry, child) : walk_chunks(p, child, at[5] - 1, c));
    }
    return OL_OK;
}

static ol_status check_chunked(ol_profile *p, ol_profile_bytes m, struct chunks *c)
{
    const int rank = c->space->rank;
    uint64_t tree;

    if (rank < 1 || m.n < 11 + 4 * ((size_t)rank + 1) || m.at[2] != rank + 1 ||
        NUMBER(m.at + 11 + 4 * rank, 4) != c->type->size)
        return ol_profile_refuse(p, "has chunks of another shape");
    c->bytes = c->type->size;
    c->elements = c->expected = 1;
    for (int i = 0; i < rank; i++) {
        const uint64_t dim = c->dims[i] = (uint32_t)NUMBER(m.at + 11 + 4 * i, 4);

        if (dim == 0 || dim > CHUNK_BYTES || dim * c->bytes > CHUNK_BYTES)
            return ol_profile_refuse(p, "has chunks of no size, or of more than 64 MiB");
        c->bytes *= dim;
        c->elements *= dim;
        c->expected *= c->space->dims[i] / dim + (c->space->dims[i] % dim != 0);
    }
    if (c->pipeline->shuffled != 0 && c->pipeline->shuffled != c->type->size)
        return ol_profile_refuse(p, "has a filter that is told nonsense");
    tree = NUMBER(m.at + 3, 8);
    if (tree != OL_PROFILE_NOWHERE)
        OL_TRY(walk_chunks(p, tree, -1, c));
    if (c->met != c->expected)
        return ol_profile_refuse(p, "lacks chunks of what it claims to hold");
    return OL_OK;
}

static ol_status check_contiguous(ol_profile *p, ol_profile_bytes m, const ol_profile_type *type,
                                  const ol_profile_space *space)
{
    const uint64_t address = m.n >= 18 ? NUMBER(m.at + 2, 8) : 0;
    uint64_t bytes;

    if (m.n < 18 || __builtin_mul_overflow(space->count, type->size, &bytes) ||
        (bytes > 0 && NUMBER(m.at + 10, 8) != bytes) ||
        (bytes > 0 && !ol_profile_at(p, address, bytes)))
        return ol_profile_refuse(p, "claims more than the file holds");
    if (bytes == 0)
        return OL_OK;
    OL_TRY(take_stored(p, bytes));
    return ol_profile_check_values(p, type, p->bytes + address, space->count);
}

ol_status ol_profile_check_layout(ol_profile *p, ol_profile_bytes m, const ol_profile_type *type,
                                  const ol_profile_space *space,
                                  const ol_profile_pipeline *pipeline)
{
    struct chunks c = {.type = type, .space = space, .pipeline = pipeline};
    const unsigned class = m.n >= 2 && m.at[0] == 3 ? m.at[1] : 0;

    if (type->kind == OL_VARIABLE && (space->rank > 1 || pipeline->n > 0))
        return ol_profile_refuse(p,
                                 "has values of variable length that are filtered or in a table");
    if (class == 1 && pipeline->n == 0)
        return check_contiguous(p, m, type, space);
    if (class == 2)
        return check_chunked(p, m, &c);
    return ol_profile_refuse(p, "keeps its values in a way that is not read");
}
