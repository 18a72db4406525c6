/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/store/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_ALLOCATE */
#include "tensor_file.h"

enum {
    HEADER_BYTES = 24, /* magic, version, two counts                                 */
    LEAST_VALUE = 13,  /* bytes of a key and its value: length, type, one byte       */
    LEAST_TENSOR = 33, /* of a tensor: length, a letter, rank, a dimension, type, place; less 1 */
    MOST_NAME = 128,   /* bytes of a tensor's name                                   */
    MOST_DIMS = 4,
    DEEPEST = 4, /* lists in lists                                             */
    MOST_ALIGNMENT = 1 << 20
};

/* Types of values, by their numbers in files. */
typedef enum kind { U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, LIST, U64, I64, F64, KINDS } kind;

static const size_t kind_bytes[KINDS] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/* What is left of a file that is read from front to back. */
typedef struct cursor {
    const char *path;
    const uint8_t *at;
    size_t left;
} cursor;

/* A key and where its value stands. */
typedef struct entry {
    ol_gguf_text key;
    uint32_t type;
    cursor value;
} entry;

struct ol_gguf {
    ol_mapped map;
    entry *entries; /* [n_entries] sorted by key */
    size_t n_entries;
    ol_tensor_list tensors;
    ol_stored_list list;
};

bool ol_gguf_is_one(const char *path)
{
    ol_mapped map = {.base = NULL};
    const bool is_one =
        ol_map_file(path, HEADER_BYTES - 1, &map) == OL_OK && memcmp(map.base, "GGUF", 4) == 0;

    ol_unmap_file(&map);
    return is_one;
}

/* The next n bytes. */
static ol_status take(cursor *c, size_t n, const uint8_t **out)
{
    OL_CHECK(n <= c->left, OL_EDATA,
             "%s: cut short, or not what it says: %zu bytes are wanted "
             "where %zu are left",
             c->path, n, c->left);
    *out = c->at;
    c->at += n;
    c->left -= n;
    return OL_OK;
}

static ol_status take_number(cursor *c, size_t bytes, uint64_t *out)
{
    const uint8_t *at = NULL;

    OL_TRY(take(c, bytes, &at));
    *out = ol_little_number(at, bytes);
    return OL_OK;
}

static ol_status take_text(cursor *c, ol_gguf_text *out)
{
    const uint8_t *at = NULL;
    uint64_t n = 0;

    OL_TRY(take_number(c, 8, &n));
    OL_TRY(take(c, (size_t)n, &at));
    *out = (ol_gguf_text){(const char *)at, (size_t)n};
    return OL_OK;
}

static ol_status skip_value(cursor *c, uint32_t type, int depth);

/* A list: the type of its items, their number, the items. */
static ol_status take_list(cursor *c, uint32_t *type, uint64_t *n)
{
    uint64_t word = 0;

    OL_TRY(take_number(c, 4, &word));
    *type = (uint32_t)word;
    OL_TRY(take_number(c, 8, n));
    OL_CHECK(*type < KINDS, OL_EDATA, "%s: a list of values of an unknown type %u", c->path, *type);
    return OL_OK;
}

static ol_status skip_list(cursor *c, int depth)
{
    const uint8_t *at = NULL;
    uint32_t type = 0;
    uint64_t n = 0;
    size_t bytes = 0;

    OL_CHECK(depth < DEEPEST, OL_EDATA, "%s: more than %d lists in each other", c->path, DEEPEST);
    OL_TRY(take_list(c, &type, &n));
    if (kind_bytes[type] > 0) {
        OL_CHECK(!__builtin_mul_overflow((size_t)n, kind_bytes[type], &bytes), OL_EDATA,
                 "%s: a list of %llu values", c->path, (unsigned long long)n);
        return take(c, bytes, &at);
    }
    for (uint64_t i = 0; i < n; i++)
        OL_TRY(skip_value(c, type, depth + 1));
    return OL_OK;
}

static ol_status skip_value(cursor *c, uint32_t type, int depth)
{
    const uint8_t *at = NULL;
    ol_gguf_text text;

    OL_CHECK(type < KINDS, OL_EDATA, "%s: a value of an unknown type %u", c->path, type);
    return type == TEXT   ? take_text(c, &text)
           : type == LIST ? skip_list(c, depth)
                          : take(c, kind_bytes[type], &at);
}

static int compare_texts(ol_gguf_text a, ol_gguf_text b)
{
    const int order = memcmp(a.bytes, b.bytes, a.n < b.n ? a.n : b.n);

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int by_key(const void *a, const void *b)
{
    return compare_texts(((const entry *)a)->key, ((const entry *)b)->key);
}

static ol_status read_entries(ol_gguf *f, cursor *c, uint64_t n)
{
    OL_CHECK(n <= c->left / LEAST_VALUE, OL_EDATA, "%s: says that it has %llu values, in %zu bytes",
             c->path, (unsigned long long)n, c->left);
    OL_TRY(OL_ALLOCATE(f->entries, n, "values"));
    for (; f->n_entries < n; f->n_entries++) {
        entry *e = &f->entries[f->n_entries];
        uint64_t type = 0;

        OL_TRY(take_text(c, &e->key));
        OL_TRY(take_number(c, 4, &type));
        e->type = (uint32_t)type;
        e->value = *c;
        OL_TRY(skip_value(c, e->type, 0));
    }
    qsort(f->entries, f->n_entries, sizeof *f->entries, by_key);
    for (size_t i = 1; i < f->n_entries; i++)
        OL_CHECK(by_key(&f->entries[i - 1], &f->entries[i]) != 0, OL_EDATA,
                 "%s: the key \"%.*s\" stands twice", c->path,
                 (int)(f->entries[i].key.n < 100 ? f->entries[i].key.n : 100),
                 f->entries[i].key.bytes);
    return OL_OK;
}

/* Types by their numbers in files; NULL: no type has it. */
static const char *const type_words[] = {
    "F32",     "F16",    "Q4_0",    "Q4_1",  NULL,     NULL,    "Q5_0",  "Q5_1",
    "Q8_0",    "Q8_1",   "Q2_K",    "Q3_K",  "Q4_K",   "Q5_K",  "Q6_K",  "Q8_K",
    "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS",
    "I8",      "I16",    "I32",     "I64",   "F64",    "IQ1_M", "BF16",  NULL,
    NULL,      NULL,     "TQ1_0",   "TQ2_0", NULL,     NULL,    NULL,    "MXFP4"};

static ol_status read_type(const char *path, const char *name, uint64_t number, ol_stored_type *out)
{
    const size_t n = sizeof type_words / sizeof *type_words;
    char word[24];

    snprintf(word, sizeof word, "number %u", (unsigned)number);
    if (number < n && type_words[number])
        snprintf(word, sizeof word, "%s", type_words[number]);
    OL_CHECK(
        ol_stored_named(word, out) && ol_stored_is_read(*out), OL_EDATA,
        "%s: %s: its type %s is not read; F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K "
        "and Q6_K are",
        path, name, word);
    return OL_OK;
}

static ol_status read_name(cursor *c, char name[MOST_NAME])
{
    ol_gguf_text text = {0};

    OL_TRY(take_text(c, &text));
    OL_CHECK(text.n > 0 && text.n < MOST_NAME && !memchr(text.bytes, '\0', text.n), OL_EDATA,
             "%s: the name of a tensor has %zu bytes, or a NUL among them", c->path, text.n);
    snprintf(name, MOST_NAME, "%.*s", (int)text.n, text.bytes);
    return OL_OK;
}

static ol_status read_shape(cursor *c, const char *name, ol_stored *t)
{
    uint64_t rank = 0, dim = 0;

    OL_TRY(take_number(c, 4, &rank));
    OL_CHECK(rank > 0 && rank <= MOST_DIMS, OL_EDATA, "%s: %s: %llu dimensions; 1 to %d are read",
             c->path, name, (unsigned long long)rank, MOST_DIMS);
    t->rank = (int)rank;
    t->count = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        OL_TRY(take_number(c, 8, &dim));
        OL_CHECK(dim > 0 && dim <= INT64_MAX &&
                     !__builtin_mul_overflow(t->count, (size_t)dim, &t->count) &&
                     t->count <= SIZE_MAX / 8,
                 OL_EDATA,
                 "%s: %s: a dimension of %llu: its shape has no values, or more than any file",
                 c->path, name, (unsigned long long)dim);
        t->dims[d] = (int64_t)dim;
    }
    return OL_OK;
}

/* Places are relative to the data, which begin after all the tensors' entries: `data` is the offset
 * for now. */
static ol_status read_tensor(cursor *c, ol_stored *t, char name[MOST_NAME])
{
    uint64_t type = 0, at = 0;

    *t = (ol_stored){.name = name};
    OL_TRY(read_name(c, name));
    OL_TRY(read_shape(c, name, t));
    OL_TRY(take_number(c, 4, &type));
    OL_TRY(read_type(c->path, name, type, &t->type));
    OL_CHECK((size_t)t->dims[t->rank - 1] % ol_stored_block(t->type) == 0, OL_EDATA,
             "%s: %s: rows of %lld values are no whole blocks of %s", c->path, name,
             (long long)t->dims[t->rank - 1], ol_stored_word(t->type));
    OL_TRY(take_number(c, 8, &at));
    t->data = (const void *)(uintptr_t)at;
    return OL_OK;
}

static ol_status place_tensor(const char *path, ol_stored *t, const uint8_t *data, size_t size)
{
    const uintptr_t at = (uintptr_t)t->data;
    size_t bytes = 0;

    OL_CHECK(ol_stored_bytes(t->type, t->count, &bytes) && at <= size && bytes <= size - at,
             OL_EDATA,
             "%s: %s: its data do not lie within the file's %zu bytes of data; is it cut short?",
             path, t->name, size);
    t->data = data + at;
    return OL_OK;
}

/* From the last entry to the data. */
static ol_status skip_padding(cursor *c, const ol_gguf *f, size_t alignment)
{
    const size_t at = f->map.size - c->left, data = (at + alignment - 1) / alignment * alignment;

    if (data > f->map.size) { /* of a file without tensors, padding may be left out */
        OL_CHECK(f->tensors.n == 0, OL_EDATA, "%s: cut short before its data", c->path);
        c->left = 0;
        return OL_OK;
    }
    c->at += data - at;
    c->left -= data - at;
    return OL_OK;
}

static ol_status read_tensors(ol_gguf *f, cursor *c, uint64_t n, size_t alignment)
{
    char name[MOST_NAME];
    ol_stored t;

    OL_CHECK(n <= c->left / LEAST_TENSOR, OL_EDATA,
             "%s: says that it has %llu tensors, in %zu bytes", c->path, (unsigned long long)n,
             c->left);
    for (uint64_t i = 0; i < n; i++) {
        OL_TRY(read_tensor(c, &t, name));
        OL_TRY(ol_tensor_list_add(&f->tensors, &t));
    }
    OL_TRY(skip_padding(c, f, alignment));
    for (size_t i = 0; i < f->tensors.n; i++)
        OL_TRY(place_tensor(c->path, &f->tensors.items[i], c->at, c->left));
    OL_TRY(ol_tensor_list_check(&f->tensors, 0, c->path, (const char *)c->at, c->left, alignment));
    OL_TRY(ol_tensor_list_sort(&f->tensors, c->path));
    f->list = (ol_stored_list){f->tensors.items, f->tensors.n};
    return OL_OK;
}

static ol_status read_alignment(const ol_gguf *f, size_t *out)
{
    int64_t value = 32;

    if (ol_gguf_has(f, "general.alignment"))
        OL_TRY(ol_gguf_get_i64(f, "general.alignment", &value));
    OL_CHECK(value > 0 && value <= MOST_ALIGNMENT && (value & (value - 1)) == 0, OL_EDATA,
             "%s: general.alignment is %lld; a power of two of at most %d is wanted", f->map.path,
             (long long)value, MOST_ALIGNMENT);
    *out = (size_t)value;
    return OL_OK;
}

static ol_status read_file(ol_gguf *f)
{
    cursor c = {f->map.path, f->map.base, f->map.size};
    uint64_t magic = 0, version = 0, tensors = 0, values = 0;
    size_t alignment = 0;

    OL_TRY(take_number(&c, 4, &magic));
    OL_TRY(take_number(&c, 4, &version));
    OL_CHECK(magic == 0x46554747u, OL_EDATA, "%s: is no GGUF file", c.path);
    OL_CHECK(version == 2 || version == 3, OL_EDATA, "%s: GGUF version %llu%s; 2 and 3 are read",
             c.path, (unsigned long long)version,
             (version & 0xffff) == 0 ? " (a big-endian file?)" : "");
    OL_TRY(take_number(&c, 8, &tensors));
    OL_TRY(take_number(&c, 8, &values));
    OL_TRY(read_entries(f, &c, values));
    OL_TRY(read_alignment(f, &alignment));
    return read_tensors(f, &c, tensors, alignment);
}

ol_status ol_gguf_open(const char *path, ol_gguf **out)
{
    OL_AUTO(ol_gguf_drop) ol_gguf *f = calloc(1, sizeof *f);

    *out = NULL;
    OL_CHECK(f, OL_ENOMEM, "no memory to open %s", path);
    OL_TRY(ol_map_file(path, HEADER_BYTES - 1, &f->map));
    OL_TRY(read_file(f));
    return OL_GIVE(out, f);
}

void ol_gguf_close(ol_gguf *f)
{
    if (!f)
        return;
    ol_unmap_file(&f->map);
    ol_tensor_list_finish(&f->tensors);
    free(f->entries);
    free(f);
}

const char *ol_gguf_path(const ol_gguf *f)
{
    return f->map.path;
}

const ol_stored_list *ol_gguf_tensors(const ol_gguf *f)
{
    return &f->list;
}

static const entry *find(const ol_gguf *f, const char *key)
{
    const entry wanted = {.key = {key, strlen(key)}};

    return f->n_entries == 0 ? NULL
                             : bsearch(&wanted, f->entries, f->n_entries, sizeof wanted, by_key);
}

bool ol_gguf_has(const ol_gguf *f, const char *key)
{
    return find(f, key) != NULL;
}

/* The entry, which must be there. */
static ol_status need(const ol_gguf *f, const char *key, const entry **out)
{
    *out = find(f, key);
    OL_CHECK(*out, OL_EDATA, "%s: %s is missing", f->map.path, key);
    return OL_OK;
}

static bool is_whole(uint32_t type)
{
    return type != F32 && type != F64 && type != TEXT && type != LIST;
}

/* A whole number of some type. @return false when it is more than an int64_t holds */
static bool whole_at(const uint8_t *at, uint32_t type, int64_t *out)
{
    const size_t bytes = kind_bytes[type];
    const uint64_t bits = ol_little_number(at, bytes);
    const bool has_sign = type == I8 || type == I16 || type == I32 || type == I64;
    const unsigned unused = (unsigned)(64 - 8 * bytes);

    *out = has_sign ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
    return has_sign || bits <= INT64_MAX;
}

ol_status ol_gguf_get_i64(const ol_gguf *f, const char *key, int64_t *out)
{
    const entry *e = NULL;

    OL_TRY(need(f, key, &e));
    OL_CHECK(is_whole(e->type) && whole_at(e->value.at, e->type, out), OL_EDATA,
             "%s: %s is no whole number", f->map.path, key);
    return OL_OK;
}

ol_status ol_gguf_get_f64(const ol_gguf *f, const char *key, double *out)
{
    const entry *e = NULL;
    int64_t whole = 0;
    float single;

    OL_TRY(need(f, key, &e));
    if (e->type == F32) {
        memcpy(&single, e->value.at, sizeof single);
        *out = (double)single;
    } else if (e->type == F64) {
        memcpy(out, e->value.at, sizeof *out);
    } else {
        OL_TRY(ol_gguf_get_i64(f, key, &whole));
        *out = (double)whole;
    }
    return OL_OK;
}

ol_status ol_gguf_get_text(const ol_gguf *f, const char *key, ol_gguf_text *out)
{
    const entry *e = NULL;
    cursor c;

    OL_TRY(need(f, key, &e));
    OL_CHECK(e->type == TEXT, OL_EDATA, "%s: %s is no string", f->map.path, key);
    c = e->value;
    return take_text(&c, out);
}

/* The start of a list; its items were checked when the file was opened. */
static ol_status open_list(const ol_gguf *f, const char *key, cursor *c, uint32_t *type, size_t *n)
{
    const entry *e = NULL;
    uint64_t count = 0;

    OL_TRY(need(f, key, &e));
    OL_CHECK(e->type == LIST, OL_EDATA, "%s: %s is no list", f->map.path, key);
    *c = e->value;
    OL_TRY(take_list(c, type, &count));
    *n = (size_t)count;
    return OL_OK;
}

ol_status ol_gguf_get_texts(const ol_gguf *f, const char *key, ol_gguf_text **out, size_t *n)
{
    uint32_t type = 0;
    cursor c;

    *out = NULL;
    OL_TRY(open_list(f, key, &c, &type, n));
    OL_CHECK(type == TEXT || *n == 0, OL_EDATA, "%s: %s is no list of strings", f->map.path, key);
    OL_TRY(OL_ALLOCATE(*out, *n, "strings"));
    for (size_t i = 0; i < *n; i++)
        OL_TRY(take_text(&c, &(*out)[i]));
    return OL_OK;
}

ol_status ol_gguf_get_i64s(const ol_gguf *f, const char *key, int64_t **out, size_t *n)
{
    uint32_t type = 0;
    cursor c;

    *out = NULL;
    OL_TRY(open_list(f, key, &c, &type, n));
    OL_CHECK(is_whole(type) || *n == 0, OL_EDATA, "%s: %s is no list of whole numbers", f->map.path,
             key);
    OL_TRY(OL_ALLOCATE(*out, *n, "numbers"));
    for (size_t i = 0; i < *n; i++)
        OL_CHECK(whole_at(c.at + i * kind_bytes[type], type, &(*out)[i]), OL_EDATA,
                 "%s: %s: number %zu is out of range", f->map.path, key, i);
    return OL_OK;
}
