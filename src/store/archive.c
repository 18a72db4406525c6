/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/store/archive.h"

#include <stdlib.h>
#include <string.h>

#include "h5.h"

enum {
    MAX_RANK = 8,
    PLAIN_BYTES = 1024,   /* arrays up to this size are stored in one piece, without a checksum */
    CHUNK_BYTES = 1 << 20 /* HDF5's chunk cache holds one of these                              */
};

bool ol_archive_has(const ol_archive *archive, const char *object)
{
    OL_H5_AUTO id = H5Oopen(archive->file, object, H5P_DEFAULT);

    return id >= 0;
}

bool ol_archive_is_group(const ol_archive *archive, const char *object)
{
    OL_H5_AUTO id = H5Oopen(archive->file, object, H5P_DEFAULT);

    return id >= 0 && H5Iget_type(id) == H5I_GROUP;
}

/* Names in the making: strings one after the other, each with its NUL. */
struct names {
    ol_text packed;
    size_t n;
};

static herr_t add_name(struct names *names, const char *name)
{
    names->n++;
    return ol_text_append(&names->packed, name, strlen(name) + 1) == OL_OK ? 0 : -1;
}

static herr_t add_link(hid_t group, const char *name, const H5L_info_t *info, void *names)
{
    (void)group;
    (void)info;
    return add_name((struct names *)names, name);
}

static herr_t add_attribute(hid_t object, const char *name, const H5A_info_t *info, void *names)
{
    (void)object;
    (void)info;
    return add_name((struct names *)names, name);
}

static ol_status finish_names(const ol_archive *archive, const char *object, herr_t failed,
                              struct names *names, ol_strings *out)
{
    if (failed < 0) {
        ol_text_finish(&names->packed);
        return ol_h5_fail(OL_EDATA, archive->path, object, "cannot list the names in it");
    }
    return ol_h5_unpack(&names->packed, names->n, out);
}

ol_status ol_archive_children(const ol_archive *archive, const char *group, ol_strings *out)
{
    OL_H5_AUTO id = H5Gopen2(archive->file, group, H5P_DEFAULT);
    struct names names = {0};
    hsize_t from = 0;

    if (id < 0)
        return ol_h5_fail(OL_EDATA, archive->path, group, "no such group");
    return finish_names(archive, group,
                        H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, &from, add_link, &names), &names,
                        out);
}

ol_status ol_archive_attributes(const ol_archive *archive, const char *object, ol_strings *out)
{
    OL_H5_AUTO id = H5Oopen(archive->file, object, H5P_DEFAULT);
    struct names names = {0};
    hsize_t from = 0;

    if (id < 0)
        return ol_h5_fail(OL_EDATA, archive->path, object, "no such object");
    return finish_names(archive, object,
                        H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_INC, &from, add_attribute, &names),
                        &names, out);
}

/* An open dataset with its type and space. */
struct dataset {
    hid_t id, type, space;
};

static void close_dataset(struct dataset *set)
{
    ol_h5_drop(&set->space);
    ol_h5_drop(&set->type);
    ol_h5_drop(&set->id);
}

#define AUTO_DATASET __attribute__((cleanup(close_dataset))) struct dataset

static ol_status open_dataset(const ol_archive *archive, const char *object, struct dataset *set)
{
    set->id = H5Dopen2(archive->file, object, H5P_DEFAULT);
    if (set->id < 0 && !ol_archive_has(archive, object))
        return ol_fail(OL_EDATA, "%s: %s: the file has no such dataset", archive->path, object);
    if (set->id < 0)
        return ol_fail(OL_EDATA, "%s: %s: is not a dataset", archive->path, object);
    set->type = H5Dget_type(set->id);
    set->space = H5Dget_space(set->id);
    if (set->type < 0 || set->space < 0)
        return ol_h5_fail(OL_EDATA, archive->path, object, "cannot read what it holds");
    return OL_OK;
}

ol_status ol_archive_shape(const ol_archive *archive, const char *object, int max_rank,
                           int64_t *dims, int *rank)
{
    AUTO_DATASET set = {-1, -1, -1};
    hsize_t extents[H5S_MAX_RANK];

    OL_TRY(open_dataset(archive, object, &set));
    *rank = H5Sget_simple_extent_dims(set.space, extents, NULL);
    OL_CHECK(*rank >= 0 && *rank <= max_rank, OL_EDATA,
             "%s: %s: has %d dimensions, at most %d expected", archive->path, object, *rank,
             max_rank);
    for (int i = 0; i < *rank; i++)
        dims[i] = (int64_t)extents[i];
    return OL_OK;
}

ol_status ol_archive_count(const ol_archive *archive, const char *object, size_t *count)
{
    AUTO_DATASET set = {-1, -1, -1};

    OL_TRY(open_dataset(archive, object, &set));
    *count = (size_t)H5Sget_simple_extent_npoints(set.space);
    return OL_OK;
}

static ol_status read_array(const ol_archive *archive, const char *object, hid_t memory_type,
                            size_t count, void *out)
{
    AUTO_DATASET set = {-1, -1, -1};
    H5T_class_t class;
    hssize_t stored;

    OL_TRY(open_dataset(archive, object, &set));
    class = H5Tget_class(set.type);
    stored = H5Sget_simple_extent_npoints(set.space);
    OL_CHECK(class == H5T_INTEGER || class == H5T_ENUM ||
                 (class == H5T_FLOAT && H5Tget_class(memory_type) == H5T_FLOAT),
             OL_EDATA, "%s: %s: does not hold %s", archive->path, object,
             H5Tget_class(memory_type) == H5T_FLOAT ? "numbers" : "integers");
    OL_CHECK(stored >= 0 && (size_t)stored == count, OL_EDATA,
             "%s: %s: has %lld elements, %zu expected", archive->path, object, (long long)stored,
             count);
    if (count > 0 && H5Dread(set.id, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        return ol_h5_fail(OL_EDATA, archive->path, object, "cannot read, the file is damaged");
    return OL_OK;
}

ol_status ol_archive_read_f32(const ol_archive *archive, const char *object, size_t count,
                              float *out)
{
    return read_array(archive, object, H5T_NATIVE_FLOAT, count, out);
}

ol_status ol_archive_read_f64(const ol_archive *archive, const char *object, size_t count,
                              double *out)
{
    return read_array(archive, object, H5T_NATIVE_DOUBLE, count, out);
}

ol_status ol_archive_read_i32(const ol_archive *archive, const char *object, size_t count,
                              int32_t *out)
{
    return read_array(archive, object, H5T_NATIVE_INT32, count, out);
}

ol_status ol_archive_read_i64(const ol_archive *archive, const char *object, size_t count,
                              int64_t *out)
{
    return read_array(archive, object, H5T_NATIVE_INT64, count, out);
}

ol_status ol_archive_read_u8(const ol_archive *archive, const char *object, size_t count,
                             uint8_t *out)
{
    return read_array(archive, object, H5T_NATIVE_UINT8, count, out);
}

static herr_t read_all(hid_t dataset, hid_t type, void *buffer)
{
    return H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer);
}

ol_status ol_archive_read_strings(const ol_archive *archive, const char *object, ol_strings *out)
{
    AUTO_DATASET set = {-1, -1, -1};

    OL_TRY(open_dataset(archive, object, &set));
    return ol_h5_read_strings(archive, object, set.id, set.type, set.space, read_all, out);
}

static bool is_name(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
        if (*c < ' ' || *c == 0x7f)
            return false;
    return true;
}

ol_status ol_archive_read_names(const ol_archive *archive, const char *object, ol_strings *out)
{
    OL_TRY(ol_archive_read_strings(archive, object, out));
    for (size_t i = 0; i < out->n; i++)
        if (!is_name(out->items[i])) {
            ol_strings_finish(out);
            return ol_fail(OL_EDATA, "%s: %s: row %zu holds control characters, which no name does",
                           archive->path, object, i);
        }
    return OL_OK;
}

void ol_lists_finish(ol_lists *lists)
{
    if (!lists)
        return;
    free(lists->values);
    free(lists->first);
    *lists = (ol_lists){0};
}

/* Put n lists as HDF5 gives them one behind the other. */
static ol_status pack_lists(const ol_archive *archive, const char *object, const hvl_t *rows,
                            size_t n, ol_lists *out)
{
    size_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += rows[i].len;
    *out = (ol_lists){.values = malloc((total + 1) * sizeof *out->values),
                      .first = malloc((n + 1) * sizeof *out->first),
                      .n = n};
    if (!out->values || !out->first) {
        ol_lists_finish(out);
        return ol_fail(OL_ENOMEM, "%s: %s: no memory for %zu numbers", archive->path, object,
                       total);
    }
    out->first[0] = 0;
    for (size_t i = 0; i < n; i++) {
        if (rows[i].len > 0)
            memcpy(out->values + out->first[i], rows[i].p, rows[i].len * sizeof *out->values);
        out->first[i + 1] = out->first[i] + rows[i].len;
    }
    return OL_OK;
}

ol_status ol_archive_read_lists(const ol_archive *archive, const char *object, ol_lists *out)
{
    AUTO_DATASET set = {-1, -1, -1};
    OL_H5_AUTO memory = H5Tvlen_create(H5T_NATIVE_DOUBLE);
    hssize_t n;
    hvl_t *rows;
    ol_status status;

    *out = (ol_lists){0};
    OL_TRY(open_dataset(archive, object, &set));
    n = H5Sget_simple_extent_npoints(set.space);
    OL_CHECK(H5Tget_class(set.type) == H5T_VLEN && n >= 0, OL_EDATA, "%s: %s: does not hold lists",
             archive->path, object);
    rows = calloc((size_t)n + 1, sizeof *rows);
    OL_CHECK(rows, OL_ENOMEM, "%s: %s: no memory for %lld lists", archive->path, object,
             (long long)n);
    if (n > 0 && read_all(set.id, memory, rows) < 0) {
        free(rows);
        return ol_h5_fail(OL_EDATA, archive->path, object, "cannot read the lists");
    }
    status = pack_lists(archive, object, rows, (size_t)n, out);
    if (n > 0)
        H5Dvlen_reclaim(memory, set.space, H5P_DEFAULT, rows);
    free(rows);
    return status;
}

ol_status ol_archive_read_text(const ol_archive *archive, const char *object, char **out)
{
    ol_strings texts = {0};

    OL_TRY(ol_archive_read_strings(archive, object, &texts));
    *out = texts.n == 1 ? strdup(texts.items[0]) : NULL;
    if (!*out && texts.n == 1) {
        ol_strings_finish(&texts);
        return ol_fail(OL_ENOMEM, "%s: %s: no memory for the text", archive->path, object);
    }
    if (!*out) {
        const size_t n = texts.n;

        ol_strings_finish(&texts);
        return ol_fail(OL_EDATA, "%s: %s: holds %zu texts, one expected", archive->path, object, n);
    }
    ol_strings_finish(&texts);
    return OL_OK;
}

/* Chunks of at most CHUNK_BYTES: the leading extents are halved until they fit. */
static void choose_chunk(int rank, const hsize_t *dims, size_t element, hsize_t *chunk)
{
    hsize_t bytes = element;

    for (int i = 0; i < rank; i++) {
        chunk[i] = dims[i];
        bytes *= dims[i];
    }
    for (int i = 0; i < rank; i++)
        while (bytes > CHUNK_BYTES && chunk[i] > 1) {
            bytes /= chunk[i];
            chunk[i] = (chunk[i] + 1) / 2;
            bytes *= chunk[i];
        }
}

/* How a dataset is laid out: checksummed chunks, unless it is tiny or a scalar. */
static hid_t creation_properties(int rank, const hsize_t *dims, size_t element)
{
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[MAX_RANK], count = 1;

    H5Pset_obj_track_times(properties, false); /* equal contents make equal files */
    H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER);
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    if (count * element > PLAIN_BYTES && rank > 0) {
        choose_chunk(rank, dims, element, chunk);
        H5Pset_chunk(properties, rank, chunk);
        H5Pset_fletcher32(properties);
    }
    return properties;
}

static ol_status write_array(ol_archive *archive, const char *object, hid_t file_type,
                             hid_t memory_type, int rank, const int64_t *dims, const void *data)
{
    hsize_t extents[MAX_RANK];
    OL_H5_AUTO link = ol_h5_making_groups();
    OL_H5_AUTO space = -1;
    OL_H5_AUTO properties = -1;
    OL_H5_AUTO set = -1;

    OL_CHECK(rank >= 0 && rank <= MAX_RANK, OL_EIO, "%s: %s: %d dimensions, at most %d are written",
             archive->path, object, rank, MAX_RANK);
    for (int i = 0; i < rank; i++)
        extents[i] = (hsize_t)dims[i];
    space = rank > 0 ? H5Screate_simple(rank, extents, NULL) : H5Screate(H5S_SCALAR);
    properties = creation_properties(rank, extents, H5Tget_size(file_type));
    set = H5Dcreate2(archive->file, object, file_type, space, link, properties, H5P_DEFAULT);
    OL_TRY_H5(set, archive, object, "cannot create the dataset");
    if (H5Sget_simple_extent_npoints(space) > 0)
        OL_TRY_H5(H5Dwrite(set, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), archive, object,
                  "cannot write");
    return OL_OK;
}

ol_status ol_archive_write_f32(ol_archive *archive, const char *object, int rank,
                               const int64_t *dims, const float *data)
{
    return write_array(archive, object, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, rank, dims, data);
}

ol_status ol_archive_write_f64(ol_archive *archive, const char *object, int rank,
                               const int64_t *dims, const double *data)
{
    return write_array(archive, object, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, rank, dims, data);
}

ol_status ol_archive_write_i32(ol_archive *archive, const char *object, int rank,
                               const int64_t *dims, const int32_t *data)
{
    return write_array(archive, object, H5T_STD_I32LE, H5T_NATIVE_INT32, rank, dims, data);
}

ol_status ol_archive_write_i64(ol_archive *archive, const char *object, int rank,
                               const int64_t *dims, const int64_t *data)
{
    return write_array(archive, object, H5T_STD_I64LE, H5T_NATIVE_INT64, rank, dims, data);
}

ol_status ol_archive_write_u8(ol_archive *archive, const char *object, int rank,
                              const int64_t *dims, const uint8_t *data)
{
    return write_array(archive, object, H5T_STD_U8LE, H5T_NATIVE_UINT8, rank, dims, data);
}

ol_status ol_archive_write_text(ol_archive *archive, const char *object, const char *text)
{
    const size_t size = strlen(text);
    OL_H5_AUTO type = ol_h5_string_type(size ? size : 1);

    OL_CHECK(ol_h5_is_utf8(text), OL_EDATA, "%s: %s: the text is not UTF-8", archive->path, object);
    return write_array(archive, object, type, type, 0, NULL, text);
}

ol_status ol_archive_make_group(ol_archive *archive, const char *group)
{
    OL_H5_AUTO link = ol_h5_making_groups();
    OL_H5_AUTO id = -1;

    if (ol_archive_is_group(archive, group))
        return OL_OK;
    id = H5Gcreate2(archive->file, group, link, H5P_DEFAULT, H5P_DEFAULT);
    OL_TRY_H5(id, archive, group, "cannot create the group");
    return OL_OK;
}
