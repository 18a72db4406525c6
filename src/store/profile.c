/* SPDX-License-Identifier: BSD-3-Clause */
/* The walk over groups and object headers. */
#include "profile.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h" /* ol_utf8_valid, PATH_MAX */
#include "outerloop/base/size.h" /* OL_GROW */
#include "outerloop/base/text.h" /* ol_text_is_name */

enum {
    USER_BLOCK = 512,
    SUPERBLOCK_BYTES = 96,
    ENTRY_BYTES = 40, /* of a symbol table */
    NODE_HEAD = 24,
    HEADER_HEAD = 16,
    MESSAGE_HEAD = 8,
    MOST_DEPTH = 16,
    MOST_OBJECTS = 1 << 16,
    MOST_LEVELS = 8,
    MOST_PIECES = 1 << 10,
    MOST_ENTRIES = 1 << 10, /* half of those of a node */
    MESSAGE_SHARED = 2
};

static const uint64_t PLENTY = 64 << 20;

const uint8_t *ol_profile_at(const ol_profile *p, uint64_t address, uint64_t n)
{
    return address <= p->size && n <= p->size - address ? p->bytes + address : NULL;
}

ol_status ol_profile_refuse(const ol_profile *p, const char *what)
{
    return ol_fail(OL_EDATA,
                   "%s: %s: %s: the file is damaged, made to harm, or not of the plain HDF5 "
                   "that this program writes and reads",
                   p->path, p->object, what);
}

/* Names go into paths and messages: short, UTF-8, one line of plain letters. */
static bool is_name(const char *name, size_t most)
{
    const size_t n = strnlen(name, most);

    return n > 0 && n < most && n <= OL_PROFILE_NAME && ol_utf8_valid(name, n) == n &&
           ol_text_is_name(name);
}

static bool is_link_name(const char *name, size_t most)
{
    return is_name(name, most) && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static int compare_addresses(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Messages of object headers that describe a dataset, each at most once, by their numbers. */
enum { SPACE = 0x01, TYPE = 0x03, LAYOUT = 0x08, PIPELINE = 0x0b };
#define ONCE (1u << SPACE | 1u << TYPE | 1u << LAYOUT | 1u << PIPELINE)

/* Nothing, a comment, times of two kinds, and how a group was to grow. */
#define IGNORED (1u << 0x00 | 1u << 0x0d | 1u << 0x0e | 1u << 0x12 | 1u << 0x0a)

/* Each object has one name, so that no walk goes in circles. */
static ol_status meet(ol_profile *p, uint64_t address)
{
    uint64_t *key;
    void *node;

    if (++p->objects > MOST_OBJECTS)
        return ol_profile_refuse(p, "there are more objects than 65536");
    key = malloc(sizeof *key);
    OL_CHECK(key, OL_ENOMEM, "%s: no memory for a list of its objects", p->path);
    *key = address;
    node = tsearch(key, &p->seen, compare_addresses);
    if (!node || *(uint64_t **)node != key) {
        free(key);
        return node ? ol_profile_refuse(p, "has a second name")
                    : ol_fail(OL_ENOMEM, "%s: no memory for a list of its objects", p->path);
    }
    return OL_OK;
}

/* What the messages of an object header tell. */
struct object {
    uint32_t has; /* a bit for each number of a message that is there at most once */
    bool has_group, is_new;
    ol_profile_type type;
    ol_profile_space space;
    ol_profile_pipeline pipeline;
    ol_profile_bytes layout;
    uint32_t fill;           /* bytes of its fill value */
    int pieces;              /* of its header */
    uint64_t tree, heap;     /* of the members of a group */
    ol_profile_bytes *links; /* [n_links] in the header itself, *owned* */
    size_t n_links;
};

static bool has(const struct object *o, int message)
{
    return o->has >> message & 1;
}

static ol_status read_attribute(ol_profile *p, ol_profile_bytes m)
{
    const unsigned version = m.n >= 8 ? m.at[0] : 0;
    const size_t head = version == 3 ? 9 : 8, pad = version == 1 ? 7 : 0;
    ol_profile_type type;
    ol_profile_space space;
    size_t name, kind, extent, at;

    if (version < 1 || version > 3 || m.n < head || (version > 1 && m.at[1] != 0))
        return ol_profile_refuse(p, "has an attribute of an unknown kind");
    name = ((size_t)NUMBER(m.at + 2, 2) + pad) & ~pad;
    kind = ((size_t)NUMBER(m.at + 4, 2) + pad) & ~pad;
    extent = ((size_t)NUMBER(m.at + 6, 2) + pad) & ~pad;
    at = head + name;
    if (at + kind + extent > m.n || !is_name((const char *)m.at + head, name))
        return ol_profile_refuse(p, "has an attribute that is not whole");
    OL_TRY(ol_profile_read_type(p, (ol_profile_bytes){m.at + at, kind}, true, &type));
    at += kind;
    OL_TRY(ol_profile_read_space(p, (ol_profile_bytes){m.at + at, extent}, &space));
    at += extent;
    if (space.count > m.n || space.count * type.size > m.n - at)
        return ol_profile_refuse(p, "has an attribute that claims more than is there");
    return ol_profile_check_values(p, &type, m.at + at, space.count);
}

/* Fill values of versions 1 to 3, and the old message, which is a length and the bytes. */
static ol_status read_fill(const ol_profile *p, unsigned message, ol_profile_bytes m,
                           struct object *o)
{
    const unsigned version = m.at[0];
    size_t head = message == 4 ? 0 : version == 3 ? 2 : 4;
    bool given = message == 4 || version == 1;

    if (m.n < 8 || (message == 5 && (version < 1 || version > 3)))
        return ol_profile_refuse(p, "has a fill value of an unknown kind");
    if (!given)
        given = version == 2 ? m.at[3] != 0 : (m.at[1] & 0x20) != 0;
    if (!given)
        return OL_OK;
    o->fill = (uint32_t)NUMBER(m.at + head, 4);
    if (o->fill > m.n - head - 4)
        return ol_profile_refuse(p, "has a fill value that is not whole");
    return OL_OK;
}

static ol_status read_group(const ol_profile *p, ol_profile_bytes m, struct object *o)
{
    if (m.n < 16 || o->has_group)
        return ol_profile_refuse(p, "is a group of an unknown kind");
    o->has_group = true;
    o->tree = NUMBER(m.at, 8);
    o->heap = NUMBER(m.at + 8, 8);
    return OL_OK;
}

/* What a group of the newer kind says of its members: none in the order of their making. */
static ol_status read_new_group(const ol_profile *p, ol_profile_bytes m, struct object *o)
{
    if (m.n < 18 || m.at[0] != 0 || m.at[1] != 0 || o->has_group)
        return ol_profile_refuse(p, "is a group of an unknown kind");
    o->has_group = o->is_new = true;
    o->heap = NUMBER(m.at + 2, 8);
    o->tree = NUMBER(m.at + 10, 8);
    return OL_OK;
}

/* One message. Kinds that are not here belong to what is not read: shared and dense storage (15,
 * 21), drivers (20). */
static ol_status read_message(ol_profile *p, unsigned message, ol_profile_bytes m, struct object *o)
{
    const uint32_t bit = message < 32 ? UINT32_C(1) << message : 0;

    if (o->has & bit & ONCE)
        return ol_profile_refuse(p, "has a header with a part that is unknown or there twice");
    o->has |= bit;
    if (bit & IGNORED)
        return OL_OK;
    switch (message) {
    case SPACE:
        return ol_profile_read_space(p, m, &o->space);
    case TYPE:
        return ol_profile_read_type(p, m, false, &o->type);
    case 0x04:
    case 0x05:
        return m.n ? read_fill(p, message, m, o) : ol_profile_refuse(p, "has an empty fill value");
    case 0x02:
        return read_new_group(p, m, o);
    case 0x06:
        OL_TRY(OL_GROW(o->links, o->n_links, "members of a group"));
        o->links[o->n_links++] = m;
        return OL_OK;
    case 0x07:
        return ol_profile_refuse(p, "keeps its values in other files, which is not read");
    case LAYOUT:
        o->layout = m;
        return OL_OK;
    case PIPELINE:
        return ol_profile_read_pipeline(p, m, &o->pipeline);
    case 0x0c:
        return read_attribute(p, m);
    case 0x11:
        return read_group(p, m, o);
    default:
        return ol_profile_refuse(p, "has a header with a part that is unknown or there twice");
    }
}

/* A piece of a header, and those that it continues in. */
static ol_status read_messages(ol_profile *p, uint64_t address, uint64_t size, unsigned *left,
                               struct object *o)
{
    const uint8_t *at = ol_profile_at(p, address, size);

    if (!at || size % 8 != 0 || size > p->headers || ++o->pieces > MOST_PIECES)
        return ol_profile_refuse(p, "has a header that is not in the file");
    p->headers -= size;
    for (const uint8_t *end = at + size; at < end;) {
        const unsigned message = (unsigned)NUMBER(at, 2);
        const ol_profile_bytes m = {at + MESSAGE_HEAD, (size_t)NUMBER(at + 2, 2)};

        if (m.n % 8 != 0 || m.n > (size_t)(end - m.at) || at[4] & MESSAGE_SHARED || *left == 0)
            return ol_profile_refuse(p, "has a header whose parts do not fit");
        --*left;
        if (message != 0x10)
            OL_TRY(read_message(p, message, m, o));
        else if (m.n < 16)
            return ol_profile_refuse(p, "has a header that goes on nowhere");
        else
            OL_TRY(read_messages(p, NUMBER(m.at, 8), NUMBER(m.at + 8, 8), left, o));
        at = m.at + m.n;
    }
    return OL_OK;
}

static ol_status read_header(ol_profile *p, uint64_t address, struct object *o)
{
    const uint8_t *at = ol_profile_at(p, address, HEADER_HEAD);
    unsigned left;

    if (!at || at[0] != 1)
        return ol_profile_refuse(p, "has no header of version 1 where it should be");
    left = (unsigned)NUMBER(at + 2, 2);
    OL_TRY(read_messages(p, address + HEADER_HEAD, NUMBER(at + 8, 4), &left, o));
    if (left != 0)
        return ol_profile_refuse(p, "has a header with too few parts");
    return OL_OK;
}

/* Names of a group, and the last one met: they stand in order. */
struct group {
    const char *names;
    uint64_t size;
    const char *last;
    int depth;
};

static ol_status check_free_list(const ol_profile *p, const uint8_t *names, uint64_t size,
                                 uint64_t at)
{
    for (uint64_t steps = 0; at != 1 && at != OL_PROFILE_NOWHERE; steps++) {
        if (at > size || size - at < 16 || steps > size / 16 ||
            NUMBER(names + at + 8, 8) > size - at)
            return ol_profile_refuse(p, "has a heap whose free parts are not in it");
        at = NUMBER(names + at, 8);
    }
    return OL_OK;
}

static ol_status read_names(const ol_profile *p, uint64_t address, struct group *g)
{
    const uint8_t *at = ol_profile_at(p, address, 32), *names;

    if (!at || memcmp(at, "HEAP\0\0\0\0", 8) != 0)
        return ol_profile_refuse(p, "has no heap of names where it should be");
    g->size = NUMBER(at + 8, 8);
    names = ol_profile_at(p, NUMBER(at + 24, 8), g->size);
    if (!names || g->size == 0)
        return ol_profile_refuse(p, "has a heap of names that is not in the file");
    g->names = (const char *)names;
    return check_free_list(p, names, g->size, NUMBER(at + 16, 8));
}

static ol_status walk_object(ol_profile *p, uint64_t address, int depth, const uint8_t *entry);

/* A member by its name. @param entry  as in walk_object */
static ol_status walk_member(ol_profile *p, const char *name, uint64_t address, int depth,
                             const uint8_t *entry)
{
    const char *parent = p->object;
    char path[PATH_MAX];
    ol_status status;

    OL_TRY(ol_path_format(path, "%s%s%s", parent, parent[1] ? "/" : "", name));
    p->object = path;
    status = walk_object(p, address, depth + 1, entry);
    p->object = parent;
    return status;
}

static ol_status walk_entry(ol_profile *p, const uint8_t *entry, struct group *g)
{
    const uint64_t place = NUMBER(entry, 8);
    const char *name;

    if (place >= g->size || !is_link_name(g->names + place, g->size - place))
        return ol_profile_refuse(p, "has a member without a proper name");
    name = g->names + place;
    if (g->last && strcmp(g->last, name) >= 0)
        return ol_profile_refuse(p, "has members that are not in the order of their names");
    g->last = name;
    return walk_member(p, name, NUMBER(entry + 8, 8), g->depth, entry);
}

static ol_status walk_symbols(ol_profile *p, uint64_t address, struct group *g)
{
    const uint8_t *at = ol_profile_at(p, address, 8);
    const size_t n = at ? (size_t)NUMBER(at + 6, 2) : 0;

    if (!at || memcmp(at, "SNOD\1", 5) != 0 || n == 0 || n > 2 * p->leaf ||
        !ol_profile_at(p, address, 8 + n * ENTRY_BYTES))
        return ol_profile_refuse(p, "has members where none are");
    for (size_t i = 0; i < n; i++)
        OL_TRY(walk_entry(p, at + 8 + i * ENTRY_BYTES, g));
    return OL_OK;
}

/* @param level  of the node; -1 when any is fine, at the root of the tree */
static ol_status walk_tree(ol_profile *p, uint64_t address, int level, struct group *g)
{
    const uint8_t *at = ol_profile_at(p, address, NODE_HEAD);
    const size_t n = at ? (size_t)NUMBER(at + 6, 2) : 0;

    if (!at || memcmp(at, "TREE\0", 5) != 0 || n > 2 * p->internal || at[5] > MOST_LEVELS ||
        (level >= 0 && (at[5] != level || n == 0)) ||
        !ol_profile_at(p, address, NODE_HEAD + n * 16 + 8))
        return ol_profile_refuse(p, "has a tree of names that does not hold together");
    for (size_t i = 0; i < n; i++) {
        const uint64_t child = NUMBER(at + NODE_HEAD + 16 * i + 8, 8);

        if (NUMBER(at + NODE_HEAD + 16 * i, 8) >= g->size ||
            NUMBER(at + NODE_HEAD + 16 * i + 16, 8) >= g->size)
            return ol_profile_refuse(p, "has a tree of names that are not there");
        OL_TRY(at[5] == 0 ? walk_symbols(p, child, g) : walk_tree(p, child, at[5] - 1, g));
    }
    return OL_OK;
}

static ol_status walk_dataset(ol_profile *p, const struct object *o)
{
    static const ol_profile_pipeline none;

    if (!has(o, TYPE) || !has(o, SPACE) || !has(o, LAYOUT))
        return ol_profile_refuse(p, "is neither a group nor a dataset");
    if (o->fill != 0 && o->fill != o->type.size)
        return ol_profile_refuse(p, "has a fill value of another type");
    return ol_profile_check_layout(p, o->layout, &o->type, &o->space,
                                   has(o, PIPELINE) ? &o->pipeline : &none);
}

/* A link message: of hard links, the name and an address. */
ol_status ol_profile_walk_link(ol_profile *p, ol_profile_bytes m, int depth)
{
    const unsigned flags = m.n >= 2 ? m.at[1] : 0xff;
    char name[OL_PROFILE_NAME + 2] = "";
    size_t at = 2, length;

    if (flags & 0xe4 || m.at[0] != 1)
        return ol_profile_refuse(p, "has a member of an unknown kind");
    if (flags & 8 && (m.n < 3 || m.at[at++] != 0))
        return ol_profile_refuse(p, "has a link to another place, which is not followed");
    at += flags >> 4 & 1; /* its letters: UTF-8 all the same */
    if (m.n < at + (1u << (flags & 3)))
        return ol_profile_refuse(p, "has a member that is not whole");
    length = (size_t)NUMBER(m.at + at, 1 << (flags & 3));
    at += 1u << (flags & 3);
    if (at > m.n || length > OL_PROFILE_NAME || m.n - at < length + 8)
        return ol_profile_refuse(p, "has a member that is not whole");
    memcpy(name, m.at + at, length);
    if (strlen(name) != length || !is_link_name(name, sizeof name))
        return ol_profile_refuse(p, "has a member without a proper name");
    return walk_member(p, name, NUMBER(m.at + at + length, 8), depth, NULL);
}

static ol_status walk_new_group(ol_profile *p, const struct object *o, int depth)
{
    for (size_t i = 0; i < o->n_links; i++)
        OL_TRY(ol_profile_walk_link(p, o->links[i], depth));
    if (o->heap == OL_PROFILE_NOWHERE)
        return OL_OK;
    return ol_profile_walk_links(p, o->heap, o->tree, depth);
}

static ol_status walk_group(ol_profile *p, const struct object *o, int depth, const uint8_t *entry)
{
    const bool cached = entry && NUMBER(entry + 16, 4) == 1;
    struct group g = {.depth = depth};

    if (o->has & ONCE || (!o->is_new && o->n_links > 0))
        return ol_profile_refuse(p, "is two things at once");
    if (o->is_new) /* once of the first kind, as its entry may still say */
        return walk_new_group(p, o, depth);
    if (cached && (NUMBER(entry + 24, 8) != o->tree || NUMBER(entry + 32, 8) != o->heap))
        return ol_profile_refuse(p, "is two groups");
    OL_TRY(read_names(p, o->heap, &g));
    return walk_tree(p, o->tree, -1, &g);
}

/* An object. @param entry  of the symbol table that leads to it, or NULL */
static ol_status walk_object(ol_profile *p, uint64_t address, int depth, const uint8_t *entry)
{
    const uint64_t cached = entry ? NUMBER(entry + 16, 4) : 0;
    struct object o = {0};
    ol_status status;

    if (cached > 1)
        return ol_profile_refuse(p, "is a link to another place, which is not followed");
    if (depth > MOST_DEPTH)
        return ol_profile_refuse(p, "lies too deep");
    OL_TRY(meet(p, address));
    status = read_header(p, address, &o);
    if (status == OL_OK && o.has_group)
        status = walk_group(p, &o, depth, entry);
    else if (status == OL_OK)
        status = cached || o.n_links ? ol_profile_refuse(p, "is no group, as it was said to be")
                                     : walk_dataset(p, &o);
    free(o.links);
    return status;
}

/* Where the superblock is: behind a user block of 512 bytes, or first. */
static bool find_base(const uint8_t *bytes, uint64_t size, uint64_t *base)
{
    static const char SIGNATURE[] = "\211HDF\r\n\032\n";

    for (*base = 0; *base <= USER_BLOCK; *base += USER_BLOCK)
        if (size >= *base + SUPERBLOCK_BYTES && memcmp(bytes + *base, SIGNATURE, 8) == 0)
            return true;
    return false;
}

static ol_status check_superblock(ol_profile *p, uint64_t base)
{
    const uint8_t *at = p->bytes;

    if (at[8] != 0)
        return ol_profile_refuse(p, "was written in a newer format: write it with HDF5's earliest "
                                    "format, which is the default of most programs");
    if (at[9] != 0 || at[10] != 0 || at[12] != 0 || at[13] != 8 || at[14] != 8 ||
        NUMBER(at + 24, 8) != base || NUMBER(at + 32, 8) != OL_PROFILE_NOWHERE ||
        NUMBER(at + 48, 8) != OL_PROFILE_NOWHERE)
        return ol_profile_refuse(p, "its first block does not hold what it must");
    if (NUMBER(at + 40, 8) > p->size + base)
        return ol_fail(
            OL_EDATA, "%s: the HDF5 file is truncated (cut short): has %llu of %llu bytes", p->path,
            (unsigned long long)(p->size + base), (unsigned long long)NUMBER(at + 40, 8));
    p->leaf = (unsigned)NUMBER(at + 16, 2);
    p->internal = (unsigned)NUMBER(at + 18, 2);
    if (p->leaf < 1 || p->leaf > MOST_ENTRIES || p->internal < 1 || p->internal > MOST_ENTRIES)
        return ol_profile_refuse(p, "its first block does not hold what it must");
    return OL_OK;
}

ol_status ol_profile_check(const char *path, const uint8_t *bytes, uint64_t size)
{
    ol_profile p = {.path = path, .object = "/"};
    uint64_t base = 0;
    ol_status status;

    OL_CHECK(find_base(bytes, size, &base), OL_EDATA, "%s: is not an HDF5 file", path);
    p.bytes = bytes + base;
    p.size = p.stored = p.variable = p.headers = size - base;
    p.inflated = p.size > UINT64_MAX / 64 ? UINT64_MAX : PLENTY + 32 * p.size;
    status = check_superblock(&p, base);
    if (status == OL_OK)
        status = walk_object(&p, NUMBER(p.bytes + 64, 8), 0, p.bytes + 56);
    tdestroy(p.seen, free);
    ol_profile_drop_heaps(&p);
    return status;
}
