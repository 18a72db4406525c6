/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/store/archive.h"

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

/* Names one after the other, each with its NUL. */
static herr_t add_name(ol_text *names, const char *name)
{
    return ol_text_append(names, name, strlen(name) + 1) == OL_OK ? 0 : -1;
}

static herr_t add_link(hid_t group, const char *name, const H5L_info_t *info, void *names)
{
    (void)group;
    (void)info;
    return add_name(names, name);
}

static herr_t add_attribute(hid_t object, const char *name, const H5A_info_t *info, void *names)
{
    (void)object;
    (void)info;
    return add_name(names, name);
}

static ol_status list_names(const ol_archive *archive, const char *object, bool attributes,
                            ol_strings *out)
{
    OL_H5_AUTO id = H5Oopen(archive->file, object, H5P_DEFAULT);
    OL_AUTO_TEXT names = {0};
    hsize_t from = 0;
    herr_t failed;

    if (id < 0 || (!attributes && H5Iget_type(id) != H5I_GROUP))
        return ol_h5_fail(OL_EDATA, archive->path, object,
                          attributes ? "no such object" : "no such group");
    failed = attributes ? H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_INC, &from, add_attribute, &names)
                        : H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, &from, add_link, &names);
    if (failed < 0)
        return ol_h5_fail(OL_EDATA, archive->path, object, "cannot list the names in it");
    return ol_h5_unpack(&names, out);
}

ol_status ol_archive_children(const ol_archive *archive, const char *group, ol_strings *out)
{
    return list_names(archive, group, false, out);
}

ol_status ol_archive_attributes(const ol_archive *archive, const char *object, ol_strings *out)
{
    return list_names(archive, object, true, out);
}

/* --- writing --------------------------------------------------------------------------------- */

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

ol_status ol_archive_write_numbers(ol_archive *archive, const char *object, ol_number kind,
                                   int rank, const int64_t *dims, const void *data)
{
    const hid_t little[] = {[OL_NUMBER_F32] = H5T_IEEE_F32LE,
                            [OL_NUMBER_F64] = H5T_IEEE_F64LE,
                            [OL_NUMBER_I32] = H5T_STD_I32LE,
                            [OL_NUMBER_I64] = H5T_STD_I64LE,
                            [OL_NUMBER_U8] = H5T_STD_U8LE};

    return write_array(archive, object, little[kind], ol_h5_native(kind), rank, dims, data);
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

/* --- attributes ------------------------------------------------------------------------------ */

bool ol_archive_has_attribute(const ol_archive *archive, const char *object, const char *name)
{
    return H5Aexists_by_name(archive->file, object, name, H5P_DEFAULT) > 0;
}

/* Create an attribute anew. A space of rank 0 is a scalar. */
static ol_status set_attribute(ol_archive *archive, const char *object, const char *name,
                               hid_t file_type, hid_t memory_type, const hsize_t *count,
                               const void *values)
{
    OL_H5_AUTO space = count ? H5Screate_simple(1, count, NULL) : H5Screate(H5S_SCALAR);
    OL_H5_AUTO id = -1;

    if (ol_archive_has_attribute(archive, object, name))
        OL_TRY_H5(H5Adelete_by_name(archive->file, object, name, H5P_DEFAULT), archive, object,
                  "cannot replace an attribute");
    id = H5Acreate_by_name(archive->file, object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT,
                           H5P_DEFAULT);
    OL_TRY_H5(id, archive, object, "cannot create an attribute");
    OL_TRY_H5(H5Awrite(id, memory_type, values), archive, object, "cannot write an attribute");
    return OL_OK;
}

ol_status ol_archive_set_i64(ol_archive *archive, const char *object, const char *name,
                             int64_t value)
{
    return set_attribute(archive, object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, NULL, &value);
}

ol_status ol_archive_set_f64(ol_archive *archive, const char *object, const char *name,
                             double value)
{
    return set_attribute(archive, object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, NULL, &value);
}

ol_status ol_h5_set_strings(ol_archive *archive, const char *object, const char *name, size_t n,
                            const char *const *values)
{
    OL_H5_AUTO type = ol_h5_string_type(0);
    const hsize_t count = n;

    for (size_t k = 0; k < (n ? n : 1); k++)
        OL_CHECK(ol_h5_is_utf8(values[k]), OL_EDATA, "%s: %s: attribute \"%s\" is not UTF-8",
                 archive->path, object, name);
    return set_attribute(archive, object, name, type, type, n ? &count : NULL, values);
}

ol_status ol_archive_set_text(ol_archive *archive, const char *object, const char *name,
                              const char *value)
{
    return ol_h5_set_strings(archive, object, name, 0, &value);
}
