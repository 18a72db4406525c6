/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/store/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_GROW */
#include "tensor_file.h"

enum { LENGTH_BYTES = 8, MOST_FILES = 4096 };

static const size_t MOST_HEADER = 100000000; /* bytes, as the format's own library has it */

struct ol_safetensors {
    ol_mapped *files; /* [n_files] */
    size_t n_files;
    ol_tensor_list tensors;
    ol_stored_list list;
};

static ol_status read_type(const char *path, const char *name, const json_t *entry,
                           ol_stored_type *out)
{
    const char *word = json_string_value(json_object_get(entry, "dtype"));

    OL_CHECK(word && ol_stored_named(word, out) && ol_stored_block(*out) == 1, OL_EDATA,
             "%s: %s: dtype %s is none of safetensors", path, name, word ? word : "missing");
    return OL_OK;
}

static ol_status read_shape(const char *path, const char *name, const json_t *entry, ol_stored *t)
{
    const json_t *shape = json_object_get(entry, "shape"), *dim;
    size_t i;

    OL_CHECK(json_is_array(shape) && json_array_size(shape) <= OL_STORED_RANK, OL_EDATA,
             "%s: %s: shape must be a list of at most %d numbers", path, name, OL_STORED_RANK);
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
                            const char *data, size_t size, ol_stored *t)
{
    const json_t *at = json_object_get(entry, "data_offsets");
    const json_t *from = json_array_get(at, 0), *to = json_array_get(at, 1);
    const json_int_t begin = json_integer_value(from), end = json_integer_value(to);
    size_t bytes = 0;

    OL_CHECK(json_array_size(at) == 2 && json_is_integer(from) && json_is_integer(to) &&
                 begin >= 0 && end >= begin && (uint64_t)end <= size,
             OL_EDATA, "%s: %s: data_offsets do not lie within the file's %zu bytes of data", path,
             name, size);
    OL_CHECK(ol_stored_bytes(t->type, t->count, &bytes) && (size_t)(end - begin) == bytes, OL_EDATA,
             "%s: %s: %lld bytes of data for %zu values", path, name, (long long)(end - begin),
             t->count);
    t->data = data + begin;
    return OL_OK;
}

static ol_status read_entries(ol_safetensors *s, const ol_mapped *file, json_t *header,
                              const char *data, size_t size)
{
    const size_t first = s->tensors.n;
    const char *name;
    json_t *entry;

    json_object_foreach(header, name, entry)
    {
        ol_stored t = {.name = name};

        if (strcmp(name, "__metadata__") == 0)
            continue;
        OL_TRY(read_type(file->path, name, entry, &t.type));
        OL_TRY(read_shape(file->path, name, entry, &t));
        OL_TRY(read_place(file->path, name, entry, data, size, &t));
        OL_TRY(ol_tensor_list_add(&s->tensors, &t));
    }
    return ol_tensor_list_check(&s->tensors, first, file->path, data, size, 1);
}

static ol_status read_header(ol_safetensors *s, const ol_mapped *file)
{
    const unsigned char *bytes = file->base;
    const size_t left = file->size - LENGTH_BYTES;
    const uint64_t length = ol_little_number(bytes, LENGTH_BYTES);
    json_error_t error;
    json_auto_t *header = NULL;

    OL_CHECK(length > 0 && length <= left && length <= MOST_HEADER, OL_EDATA,
             "%s: a header of %llu bytes in a file of %zu", file->path, (unsigned long long)length,
             file->size);
    header = json_loadb((const char *)bytes + LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES,
                        &error);
    OL_CHECK(header, OL_EDATA, "%s: its header: %s", file->path, error.text);
    OL_CHECK(json_is_object(header), OL_EDATA, "%s: its header is no object", file->path);
    return read_entries(s, file, header, (const char *)bytes + LENGTH_BYTES + length,
                        left - (size_t)length);
}

static ol_status open_file(ol_safetensors *s, const char *path)
{
    OL_TRY(OL_GROW(s->files, s->n_files, "files"));
    s->files[s->n_files] = (ol_mapped){.base = NULL};
    OL_TRY(ol_map_file(path, LENGTH_BYTES, &s->files[s->n_files]));
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
    OL_AUTO_FREE char *text = NULL;
    json_auto_t *index = NULL;
    size_t size;

    OL_TRY(ol_read_file_within(path, OL_SETTINGS_BYTES, &text, &size));
    index = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    OL_CHECK(index, OL_EDATA, "%s:%d: %s", path, error.line, error.text);
    return open_shards(s, folder, path, json_object_get(index, "weight_map"));
}

ol_status ol_safetensors_open(const char *folder, const char *name, ol_safetensors **out)
{
    OL_AUTO(ol_safetensors_drop) ol_safetensors *s = calloc(1, sizeof *s);
    char path[PATH_MAX], index[PATH_MAX];

    *out = NULL;
    OL_CHECK(s, OL_ENOMEM, "no memory to open %s", folder);
    OL_TRY(ol_path_format(path, "%s/%s.safetensors", folder, name));
    OL_TRY(ol_path_format(index, "%s.index.json", path));
    OL_TRY(!ol_path_exists(path) && ol_path_exists(index) ? open_index(s, folder, index)
                                                          : open_file(s, path));
    OL_TRY(ol_tensor_list_sort(&s->tensors, folder));
    s->list = (ol_stored_list){s->tensors.items, s->tensors.n};
    return OL_GIVE(out, s);
}

void ol_safetensors_close(ol_safetensors *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_files; i++)
        ol_unmap_file(&s->files[i]);
    ol_tensor_list_finish(&s->tensors);
    free(s->files);
    free(s);
}

const ol_stored_list *ol_safetensors_list(const ol_safetensors *s)
{
    return &s->list;
}
