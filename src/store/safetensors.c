/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/store/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outerloop/base/file.h" /* ol_path_format, ol_read_file */

enum { LENGTH_BYTES = 8, MOST_FILES = 4096 };

static const size_t MOST_HEADER = 100000000; /* bytes, as the format's own library has it */

/* A mapped file. */
typedef struct mapped {
    char path[PATH_MAX];
    void *base;
    size_t size;
} mapped;

struct ol_safetensors {
    mapped *files; /* [n_files] */
    size_t n_files;
    ol_safetensor *tensors; /* [n], sorted by name when all are there; names are owned */
    size_t n, room;
};

static ol_status map_file(const char *path, mapped *out)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    bool usable;

    OL_CHECK(fd >= 0, OL_EDATA, "%s: cannot open: %s", path, strerror(errno));
    usable = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > LENGTH_BYTES;
    if (usable) {
        out->size = (size_t)st.st_size;
        out->base = mmap(NULL, out->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (out->base == MAP_FAILED)
            out->base = NULL;
    }
    close(fd);
    OL_CHECK(usable, OL_EDATA, "%s: no regular file with a header", path);
    OL_CHECK(out->base, OL_ENOMEM, "%s: cannot map %zu bytes: %s", path, out->size,
             strerror(errno));
    snprintf(out->path, sizeof out->path, "%s", path);
    return OL_OK;
}

static size_t bytes_of(ol_stored type)
{
    return type == OL_STORED_F32 ? 4 : 2;
}

static ol_status read_type(const char *path, const char *name, const json_t *entry, ol_stored *out)
{
    static const char *const words[] = {
        [OL_STORED_F32] = "F32", [OL_STORED_F16] = "F16", [OL_STORED_BF16] = "BF16"};
    const char *word = json_string_value(json_object_get(entry, "dtype"));

    for (size_t i = 0; word && i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0) {
            *out = (ol_stored)i;
            return OL_OK;
        }
    return ol_fail(OL_EDATA, "%s: %s: dtype %s; F32, F16 and BF16 are read", path, name,
                   word ? word : "missing");
}

static ol_status read_shape(const char *path, const char *name, const json_t *entry,
                            ol_safetensor *t)
{
    const json_t *shape = json_object_get(entry, "shape"), *dim;
    size_t i;

    OL_CHECK(json_is_array(shape) && json_array_size(shape) <= OL_SAFETENSORS_RANK, OL_EDATA,
             "%s: %s: shape must be a list of at most %d numbers", path, name, OL_SAFETENSORS_RANK);
    t->rank = (int)json_array_size(shape);
    t->count = 1;
    json_array_foreach(shape, i, dim)
    {
        OL_CHECK(json_is_integer(dim) && json_integer_value(dim) >= 0, OL_EDATA,
                 "%s: %s: shape[%zu] is no whole number", path, name, i);
        t->dims[i] = json_integer_value(dim);
        OL_CHECK(!__builtin_mul_overflow(t->count, (size_t)t->dims[i], &t->count) &&
                     t->count <= SIZE_MAX / 8,
                 OL_EDATA, "%s: %s: its shape has more values than any file", path, name);
    }
    return OL_OK;
}

/* Where the data are, within `size` bytes from `data` on. */
static ol_status read_place(const char *path, const char *name, const json_t *entry,
                            const char *data, size_t size, ol_safetensor *t)
{
    const json_t *at = json_object_get(entry, "data_offsets");
    const json_t *from = json_array_get(at, 0), *to = json_array_get(at, 1);
    const json_int_t begin = json_integer_value(from), end = json_integer_value(to);

    OL_CHECK(json_array_size(at) == 2 && json_is_integer(from) && json_is_integer(to) &&
                 begin >= 0 && end >= begin && (uint64_t)end <= size,
             OL_EDATA, "%s: %s: data_offsets do not lie within the file's %zu bytes of data", path,
             name, size);
    OL_CHECK((size_t)(end - begin) == t->count * bytes_of(t->type), OL_EDATA,
             "%s: %s: %lld bytes of data for %zu values", path, name, (long long)(end - begin),
             t->count);
    t->data = data + begin;
    return OL_OK;
}

static ol_status add(ol_safetensors *s, const ol_safetensor *tensor)
{
    if (s->n == s->room) {
        const size_t room = s->room ? 2 * s->room : 256;
        ol_safetensor *grown = realloc(s->tensors, room * sizeof *grown);

        OL_CHECK(grown, OL_ENOMEM, "no memory for a list of %zu tensors", room);
        s->tensors = grown;
        s->room = room;
    }
    s->tensors[s->n] = *tensor;
    s->tensors[s->n].name = strdup(tensor->name);
    OL_CHECK(s->tensors[s->n].name, OL_ENOMEM, "no memory for the name of a tensor");
    s->n++;
    return OL_OK;
}

static int by_place(const void *a, const void *b)
{
    const ol_safetensor *x = a, *y = b;

    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return (x->count > y->count) - (x->count < y->count);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ol_safetensor *)a)->name, ((const ol_safetensor *)b)->name);
}

/* The tensors from `first` on, of one file, must fill its data: none overlaps, nothing is left. */
static ol_status check_places(ol_safetensors *s, size_t first, const char *path, const char *data,
                              size_t size)
{
    const char *end = data;

    qsort(s->tensors + first, s->n - first, sizeof *s->tensors, by_place);
    for (size_t i = first; i < s->n; i++) {
        const ol_safetensor *t = &s->tensors[i];

        OL_CHECK((const char *)t->data == end, OL_EDATA, "%s: %s: its data %s those before it",
                 path, t->name, (const char *)t->data < end ? "overlap" : "leave a gap after");
        end += t->count * bytes_of(t->type);
    }
    OL_CHECK(end == data + size, OL_EDATA, "%s: %zu bytes at its end belong to no tensor", path,
             (size_t)(data + size - end));
    return OL_OK;
}

static ol_status read_entries(ol_safetensors *s, const mapped *file, json_t *header,
                              const char *data, size_t size)
{
    const size_t first = s->n;
    const char *name;
    json_t *entry;

    json_object_foreach(header, name, entry)
    {
        ol_safetensor t = {.name = name};

        if (strcmp(name, "__metadata__") == 0)
            continue;
        OL_TRY(read_type(file->path, name, entry, &t.type));
        OL_TRY(read_shape(file->path, name, entry, &t));
        OL_TRY(read_place(file->path, name, entry, data, size, &t));
        OL_TRY(add(s, &t));
    }
    return check_places(s, first, file->path, data, size);
}

static ol_status read_header(ol_safetensors *s, const mapped *file)
{
    const unsigned char *bytes = file->base;
    const size_t left = file->size - LENGTH_BYTES;
    uint64_t length = 0;
    json_error_t error;
    json_t *header;
    ol_status status;

    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        length = length << 8 | bytes[i];
    OL_CHECK(length > 0 && length <= left && length <= MOST_HEADER, OL_EDATA,
             "%s: a header of %llu bytes in a file of %zu", file->path, (unsigned long long)length,
             file->size);
    header = json_loadb((const char *)bytes + LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES,
                        &error);
    OL_CHECK(header, OL_EDATA, "%s: its header: %s", file->path, error.text);
    status = json_is_object(header)
                 ? read_entries(s, file, header, (const char *)bytes + LENGTH_BYTES + length,
                                left - (size_t)length)
                 : ol_fail(OL_EDATA, "%s: its header is no object", file->path);
    json_decref(header);
    return status;
}

static ol_status open_file(ol_safetensors *s, const char *path)
{
    mapped *grown = realloc(s->files, (s->n_files + 1) * sizeof *grown);

    OL_CHECK(grown, OL_ENOMEM, "no memory to open %s", path);
    s->files = grown;
    grown[s->n_files] = (mapped){.base = NULL};
    OL_TRY(map_file(path, &grown[s->n_files]));
    s->n_files++;
    return read_header(s, &s->files[s->n_files - 1]);
}

static bool is_open(const ol_safetensors *s, const char *path)
{
    for (size_t i = 0; i < s->n_files; i++)
        if (strcmp(s->files[i].path, path) == 0)
            return true;
    return false;
}

/* Open every file that the index names; each must lie in the folder itself. */
static ol_status open_shards(ol_safetensors *s, const char *folder, const char *index,
                             const json_t *map)
{
    const char *tensor;
    json_t *file;

    OL_CHECK(json_is_object(map) && json_object_size(map) > 0, OL_EDATA,
             "%s: weight_map is missing or empty", index);
    json_object_foreach((json_t *)map, tensor, file)
    {
        const char *name = json_string_value(file);
        char path[PATH_MAX];

        OL_CHECK(name && name[0] != '.' && !strchr(name, '/'), OL_EDATA,
                 "%s: weight_map of %s is no name of a file beside it", index, tensor);
        OL_TRY(ol_path_format(path, "%s/%s", folder, name));
        if (is_open(s, path))
            continue;
        OL_CHECK(s->n_files < MOST_FILES, OL_EDATA, "%s: more than %d files", index, MOST_FILES);
        OL_TRY(open_file(s, path));
    }
    return OL_OK;
}

static ol_status open_index(ol_safetensors *s, const char *folder, const char *path)
{
    json_error_t error;
    char *text = NULL;
    size_t size;
    json_t *index;
    ol_status status;

    OL_TRY(ol_read_file(path, &text, &size));
    index = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    free(text);
    OL_CHECK(index, OL_EDATA, "%s:%d: %s", path, error.line, error.text);
    status = open_shards(s, folder, path, json_object_get(index, "weight_map"));
    json_decref(index);
    return status;
}

static ol_status open_all(ol_safetensors *s, const char *folder, const char *name)
{
    char path[PATH_MAX], index[PATH_MAX];

    OL_TRY(ol_path_format(path, "%s/%s.safetensors", folder, name));
    OL_TRY(ol_path_format(index, "%s.index.json", path));
    OL_TRY(!ol_path_exists(path) && ol_path_exists(index) ? open_index(s, folder, index)
                                                          : open_file(s, path));
    qsort(s->tensors, s->n, sizeof *s->tensors, by_name);
    for (size_t i = 1; i < s->n; i++)
        OL_CHECK(strcmp(s->tensors[i - 1].name, s->tensors[i].name) != 0, OL_EDATA,
                 "%s: %s stands in two files", folder, s->tensors[i].name);
    return OL_OK;
}

ol_status ol_safetensors_open(const char *folder, const char *name, ol_safetensors **out)
{
    ol_safetensors *s = calloc(1, sizeof *s);
    ol_status status;

    *out = NULL;
    OL_CHECK(s, OL_ENOMEM, "no memory to open %s", folder);
    status = open_all(s, folder, name);
    if (status != OL_OK) {
        ol_safetensors_close(s);
        return status;
    }
    *out = s;
    return OL_OK;
}

void ol_safetensors_close(ol_safetensors *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        free((char *)(uintptr_t)s->tensors[i].name);
    for (size_t i = 0; i < s->n_files; i++)
        munmap(s->files[i].base, s->files[i].size);
    free(s->tensors);
    free(s->files);
    free(s);
}

size_t ol_safetensors_count(const ol_safetensors *s)
{
    return s->n;
}

const ol_safetensor *ol_safetensors_at(const ol_safetensors *s, size_t i)
{
    return &s->tensors[i];
}

const ol_safetensor *ol_safetensors_find(const ol_safetensors *s, const char *name)
{
    const ol_safetensor key = {.name = name};

    return s->n > 0 ? bsearch(&key, s->tensors, s->n, sizeof *s->tensors, by_name) : NULL;
}

/* IEEE half precision: sign, 5 bits of exponent, 10 of fraction. */
static float from_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16, fraction = half & 0x3ffu;
    const uint32_t exponent = half >> 10 & 0x1fu;
    uint32_t bits;
    float value;

    if (exponent == 0) { /* zero or subnormal: fraction · 2^-24, exact */
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    bits = sign | (exponent == 0x1fu ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void ol_safetensor_read(const ol_safetensor *t, size_t at, size_t n, float *out)
{
    const char *from = (const char *)t->data + at * bytes_of(t->type);

    if (t->type == OL_STORED_F32) {
        memcpy(out, from, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        uint32_t bits;

        memcpy(&half, from + 2 * i, sizeof half);
        bits = (uint32_t)half << 16;
        if (t->type == OL_STORED_F16)
            out[i] = from_half(half);
        else
            memcpy(&out[i], &bits, sizeof bits);
    }
}
