/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes of archives. */
#include <stdlib.h>
#include <string.h>

#include "h5.h"

/* An open attribute with its type and space. */
struct attribute {
    hid_t id, type, space;
    hssize_t count;
};

static void close_attribute(struct attribute *attribute)
{
    ol_h5_drop(&attribute->space);
    ol_h5_drop(&attribute->type);
    ol_h5_drop(&attribute->id);
}

#define AUTO_ATTRIBUTE __attribute__((cleanup(close_attribute))) struct attribute

static ol_status open_attribute(const ol_archive *archive, const char *object, const char *name,
                                struct attribute *attribute)
{
    attribute->id = H5Aopen_by_name(archive->file, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute->id < 0)
        return ol_fail(OL_EDATA, "%s: %s: %s \"%s\"", archive->path, object,
                       ol_archive_has(archive, object) ? "has no attribute"
                                                       : "no such object, looking for its",
                       name);
    attribute->type = H5Aget_type(attribute->id);
    attribute->space = H5Aget_space(attribute->id);
    attribute->count = H5Sget_simple_extent_npoints(attribute->space);
    if (attribute->type < 0 || attribute->count < 0)
        return ol_h5_fail(OL_EDATA, archive->path, object, "cannot read an attribute");
    return OL_OK;
}

bool ol_archive_has_attribute(const ol_archive *archive, const char *object, const char *name)
{
    return H5Aexists_by_name(archive->file, object, name, H5P_DEFAULT) > 0;
}

static ol_status get_numbers(const ol_archive *archive, const char *object, const char *name,
                             hid_t memory_type, size_t count, void *out)
{
    AUTO_ATTRIBUTE attribute = {-1, -1, -1, 0};
    const bool floats = H5Tget_class(memory_type) == H5T_FLOAT;
    H5T_class_t class;

    OL_TRY(open_attribute(archive, object, name, &attribute));
    class = H5Tget_class(attribute.type);
    OL_CHECK(class == H5T_INTEGER || class == H5T_ENUM || (class == H5T_FLOAT && floats), OL_EDATA,
             "%s: %s: attribute \"%s\" is not %s", archive->path, object, name,
             floats ? "a number" : "an integer");
    OL_CHECK((size_t)attribute.count == count, OL_EDATA,
             "%s: %s: attribute \"%s\" has %lld values, %zu expected", archive->path, object, name,
             (long long)attribute.count, count);
    if (count > 0 && H5Aread(attribute.id, memory_type, out) < 0)
        return ol_h5_fail(OL_EDATA, archive->path, object, name);
    return OL_OK;
}

ol_status ol_archive_get_i64(const ol_archive *archive, const char *object, const char *name,
                             int64_t *out)
{
    return get_numbers(archive, object, name, H5T_NATIVE_INT64, 1, out);
}

ol_status ol_archive_get_f64(const ol_archive *archive, const char *object, const char *name,
                             double *out)
{
    return get_numbers(archive, object, name, H5T_NATIVE_DOUBLE, 1, out);
}

ol_status ol_archive_get_f64s(const ol_archive *archive, const char *object, const char *name,
                              size_t count, double *out)
{
    return get_numbers(archive, object, name, H5T_NATIVE_DOUBLE, count, out);
}

static herr_t read_attribute(hid_t attribute, hid_t type, void *buffer)
{
    return H5Aread(attribute, type, buffer);
}

ol_status ol_archive_get_text(const ol_archive *archive, const char *object, const char *name,
                              char **out)
{
    AUTO_ATTRIBUTE attribute = {-1, -1, -1, 0};
    ol_strings texts = {0};
    ol_status status = OL_OK;

    OL_TRY(open_attribute(archive, object, name, &attribute));
    OL_CHECK(H5Tget_class(attribute.type) == H5T_STRING && attribute.count == 1, OL_EDATA,
             "%s: %s: attribute \"%s\" is not a text", archive->path, object, name);
    OL_TRY(ol_h5_read_strings(archive, object, attribute.id, attribute.type, attribute.space,
                              read_attribute, &texts));
    *out = strdup(texts.items[0]);
    if (!*out)
        status = ol_fail(OL_ENOMEM, "%s: %s: no memory for attribute \"%s\"", archive->path, object,
                         name);
    ol_strings_finish(&texts);
    return status;
}

/* Numbers of an attribute as text: one bare, several in brackets. */
static ol_status show_numbers(const ol_archive *archive, const char *object, const char *name,
                              const struct attribute *attribute, ol_text *text)
{
    const bool floats = H5Tget_class(attribute->type) == H5T_FLOAT;
    const size_t n = (size_t)attribute->count;
    union {
        int64_t i;
        double f;
    } *values = calloc(n + 1, sizeof *values);
    ol_status status;

    OL_CHECK(values, OL_ENOMEM, "%s: %s: no memory for attribute \"%s\"", archive->path, object,
             name);
    status = get_numbers(archive, object, name, floats ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64, n,
                         values);
    if (status == OL_OK && n != 1)
        status = ol_text_append(text, "[", 1);
    for (size_t k = 0; k < n && status == OL_OK; k++) {
        const char *comma = k ? ", " : "";

        status = floats ? ol_text_format(text, "%s%.17g", comma, values[k].f)
                        : ol_text_format(text, "%s%lld", comma, (long long)values[k].i);
    }
    if (status == OL_OK && n != 1)
        status = ol_text_append(text, "]", 1);
    free(values);
    return status;
}

static ol_status show_strings(const ol_archive *archive, const char *object,
                              const struct attribute *attribute, ol_text *text)
{
    ol_strings texts = {0};
    ol_status status;

    OL_TRY(ol_h5_read_strings(archive, object, attribute->id, attribute->type, attribute->space,
                              read_attribute, &texts));
    status = ol_text_append(text, "", 0);
    for (size_t k = 0; k < texts.n && status == OL_OK; k++)
        status = ol_text_format(text, "%s%s", k ? ", " : "", texts.items[k]);
    ol_strings_finish(&texts);
    return status;
}

ol_status ol_archive_show(const ol_archive *archive, const char *object, const char *name,
                          char **out)
{
    AUTO_ATTRIBUTE attribute = {-1, -1, -1, 0};
    ol_text text = {0};
    H5T_class_t class;
    ol_status status;

    OL_TRY(open_attribute(archive, object, name, &attribute));
    class = H5Tget_class(attribute.type);
    if (class == H5T_STRING)
        status = show_strings(archive, object, &attribute, &text);
    else if (class == H5T_INTEGER || class == H5T_FLOAT || class == H5T_ENUM)
        status = show_numbers(archive, object, name, &attribute, &text);
    else
        status = ol_text_format(&text, "(%lld references or records)", (long long)attribute.count);
    if (status != OL_OK) {
        ol_text_finish(&text);
        return status;
    }
    *out = text.data;
    return OL_OK;
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

ol_status ol_archive_set_f64s(ol_archive *archive, const char *object, const char *name,
                              size_t count, const double *values)
{
    const hsize_t n = count;

    return set_attribute(archive, object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &n, values);
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
