/* SPDX-License-Identifier: BSD-3-Clause */
/* What archives hold: datasets and attributes, read by the same few functions. */
#include <stdlib.h>
#include <string.h>

#include "h5.h"
#include "outerloop/base/size.h" /* ol_allocate */
#include "outerloop/base/text.h" /* ol_text_is_name */

/* A dataset, or an attribute of an object, with its type and space. */
typedef struct item {
    const ol_archive *archive;
    const char *object, *attribute; /* attribute NULL: a dataset */
    hid_t id, type, space;
    size_t count; /* elements */
} item;

static void close_item(item *it)
{
    ol_h5_drop(&it->space);
    ol_h5_drop(&it->type);
    ol_h5_drop(&it->id);
}

#define AUTO_ITEM OL_AUTO(close_item) item

static item item_of(const ol_archive *archive, const char *object, const char *attribute)
{
    return (item){archive, object, attribute, -1, -1, -1, 0};
}

/* Errors: OL_EDATA: the object is not there, lacks the attribute, or is a group. */
static ol_status open_item(item *it)
{
    const ol_archive *archive = it->archive;
    hssize_t count;

    it->id = it->attribute ? H5Aopen_by_name(archive->file, it->object, it->attribute, H5P_DEFAULT,
                                             H5P_DEFAULT)
                           : H5Dopen2(archive->file, it->object, H5P_DEFAULT);
    OL_CHECK(it->id >= 0 || !it->attribute, OL_EDATA, "%s: %s: %s \"%s\"", archive->path,
             it->object,
             ol_archive_has(archive, it->object) ? "has no attribute"
                                                 : "no such object, looking for its",
             it->attribute);
    OL_CHECK(it->id >= 0, OL_EDATA, "%s: %s: %s", archive->path, it->object,
             ol_archive_has(archive, it->object) ? "is not a dataset"
                                                 : "the file has no such dataset");
    it->type = it->attribute ? H5Aget_type(it->id) : H5Dget_type(it->id);
    it->space = it->attribute ? H5Aget_space(it->id) : H5Dget_space(it->id);
    count = it->space < 0 ? -1 : H5Sget_simple_extent_npoints(it->space);
    if (it->type < 0 || count < 0)
        return ol_h5_fail(OL_EDATA, archive->path, it->object, "cannot read what it holds");
    it->count = (size_t)count;
    return OL_OK;
}

/* All elements. @param what  the message begins with when they cannot be read */
static ol_status read_item(const item *it, hid_t type, void *buffer, const char *what)
{
    const herr_t failed = it->count == 0 ? 0
                          : it->attribute
                              ? H5Aread(it->id, type, buffer)
                              : H5Dread(it->id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer);

    return failed < 0 ? ol_h5_fail(OL_EDATA, it->archive->path, it->object, what) : OL_OK;
}

static ol_status read_numbers(const ol_archive *archive, const char *object, const char *attribute,
                              hid_t type, size_t count, void *out)
{
    AUTO_ITEM it = item_of(archive, object, attribute);
    const bool floats = H5Tget_class(type) == H5T_FLOAT;
    H5T_class_t class;
    bool fits;

    OL_TRY(open_item(&it));
    class = H5Tget_class(it.type);
    fits = class == H5T_INTEGER || class == H5T_ENUM || (class == H5T_FLOAT && floats);
    OL_CHECK(fits || attribute, OL_EDATA, "%s: %s: does not hold %s", archive->path, object,
             floats ? "numbers" : "integers");
    OL_CHECK(fits, OL_EDATA, "%s: %s: attribute \"%s\" is not %s", archive->path, object, attribute,
             floats ? "a number" : "an integer");
    OL_CHECK(it.count == count || attribute, OL_EDATA, "%s: %s: has %zu elements, %zu expected",
             archive->path, object, it.count, count);
    OL_CHECK(it.count == count, OL_EDATA, "%s: %s: attribute \"%s\" has %zu values, %zu expected",
             archive->path, object, attribute, it.count, count);
    return read_item(&it, type, out, attribute ? attribute : "cannot read, the file is damaged");
}

hid_t ol_h5_native(ol_number kind)
{
    const hid_t native[] = {[OL_NUMBER_F32] = H5T_NATIVE_FLOAT,
                            [OL_NUMBER_F64] = H5T_NATIVE_DOUBLE,
                            [OL_NUMBER_I32] = H5T_NATIVE_INT32,
                            [OL_NUMBER_I64] = H5T_NATIVE_INT64,
                            [OL_NUMBER_U8] = H5T_NATIVE_UINT8};

    return native[kind];
}

ol_status ol_archive_read_numbers(const ol_archive *archive, const char *object, ol_number kind,
                                  size_t count, void *out)
{
    return read_numbers(archive, object, NULL, ol_h5_native(kind), count, out);
}

ol_status ol_archive_get_i64(const ol_archive *archive, const char *object, const char *name,
                             int64_t *out)
{
    return read_numbers(archive, object, name, H5T_NATIVE_INT64, 1, out);
}

ol_status ol_archive_get_f64(const ol_archive *archive, const char *object, const char *name,
                             double *out)
{
    return read_numbers(archive, object, name, H5T_NATIVE_DOUBLE, 1, out);
}

ol_status ol_archive_get_f64s(const ol_archive *archive, const char *object, const char *name,
                              size_t count, double *out)
{
    return read_numbers(archive, object, name, H5T_NATIVE_DOUBLE, count, out);
}

ol_status ol_archive_count(const ol_archive *archive, const char *object, size_t *count)
{
    AUTO_ITEM it = item_of(archive, object, NULL);

    OL_TRY(open_item(&it));
    *count = it.count;
    return OL_OK;
}

/* --- texts ----------------------------------------------------------------------------------- */

/* Append the strings of a buffer one after the other, each with its NUL. */
static ol_status pack(const item *it, const char *buffer, bool variable, size_t size, ol_text *out)
{
    const bool spaces = H5Tget_strpad(it->type) == H5T_STR_SPACEPAD;

    for (size_t i = 0; i < it->count; i++) {
        const char *text =
            variable ? ((const char *const *)(const void *)buffer)[i] : buffer + i * size;
        size_t length = variable ? strlen(text ? text : "") : strnlen(text, size);

        while (spaces && !variable && length > 0 && text[length - 1] == ' ')
            length--;
        OL_TRY(ol_text_append(out, text ? text : "", length));
        OL_TRY(ol_text_append(out, "", 1));
    }
    return OL_OK;
}

static ol_status read_strings(const item *it, ol_strings *out)
{
    const bool variable = H5Tis_variable_str(it->type) > 0;
    const size_t size = variable ? sizeof(char *) : H5Tget_size(it->type);
    OL_AUTO_FREE char *buffer = NULL;
    OL_AUTO_TEXT packed = {0};
    ol_status status;

    OL_CHECK(H5Tget_class(it->type) == H5T_STRING, OL_EDATA, "%s: %s: does not hold text",
             it->archive->path, it->object);
    OL_TRY(ol_allocate(it->count, size, it->object, (void **)&buffer));
    OL_TRY(read_item(it, it->type, buffer, "cannot read the text"));
    status = pack(it, buffer, variable, size, &packed);
    if (variable && it->count > 0)
        H5Dvlen_reclaim(it->type, it->space, H5P_DEFAULT, buffer);
    OL_TRY(status);
    return ol_h5_unpack(&packed, out);
}

ol_status ol_archive_read_strings(const ol_archive *archive, const char *object, ol_strings *out)
{
    AUTO_ITEM it = item_of(archive, object, NULL);

    OL_TRY(open_item(&it));
    return read_strings(&it, out);
}

static ol_status read_text(const ol_archive *archive, const char *object, const char *attribute,
                           char **out)
{
    AUTO_ITEM it = item_of(archive, object, attribute);
    OL_AUTO_STRINGS texts = {0};

    OL_TRY(open_item(&it));
    OL_CHECK(!attribute || (H5Tget_class(it.type) == H5T_STRING && it.count == 1), OL_EDATA,
             "%s: %s: attribute \"%s\" is not a text", archive->path, object, attribute);
    OL_TRY(read_strings(&it, &texts));
    OL_CHECK(texts.n == 1, OL_EDATA, "%s: %s: holds %zu texts, one expected", archive->path, object,
             texts.n);
    *out = strdup(texts.items[0]);
    OL_CHECK(*out, OL_ENOMEM, "%s: %s: no memory for the text", archive->path, object);
    return OL_OK;
}

ol_status ol_archive_read_text(const ol_archive *archive, const char *object, char **out)
{
    return read_text(archive, object, NULL, out);
}

ol_status ol_archive_get_text(const ol_archive *archive, const char *object, const char *name,
                              char **out)
{
    return read_text(archive, object, name, out);
}

ol_status ol_archive_read_names(const ol_archive *archive, const char *object, ol_strings *out)
{
    OL_TRY(ol_archive_read_strings(archive, object, out));
    for (size_t i = 0; i < out->n; i++)
        if (!ol_text_is_name(out->items[i])) {
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

/* --- lists ----------------------------------------------------------------------------------- */

/* Put n lists as HDF5 gives them one behind the other. */
static ol_status pack_lists(const char *object, const hvl_t *rows, size_t n, ol_lists *out)
{
    size_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += rows[i].len;
    out->n = n;
    OL_TRY(ol_allocate(total, sizeof *out->values, object, (void **)&out->values));
    OL_TRY(ol_allocate(n + 1, sizeof *out->first, object, (void **)&out->first));
    for (size_t i = 0; i < n; i++) {
        if (rows[i].len > 0)
            memcpy(out->values + out->first[i], rows[i].p, rows[i].len * sizeof *out->values);
        out->first[i + 1] = out->first[i] + rows[i].len;
    }
    return OL_OK;
}

ol_status ol_archive_read_lists(const ol_archive *archive, const char *object, ol_lists *out)
{
    AUTO_ITEM it = item_of(archive, object, NULL);
    OL_H5_AUTO memory = H5Tvlen_create(H5T_NATIVE_DOUBLE);
    OL_AUTO_FREE hvl_t *rows = NULL;
    ol_status status;

    *out = (ol_lists){0};
    OL_TRY(open_item(&it));
    OL_CHECK(H5Tget_class(it.type) == H5T_VLEN, OL_EDATA, "%s: %s: does not hold lists",
             archive->path, object);
    OL_TRY(ol_allocate(it.count, sizeof *rows, object, (void **)&rows));
    OL_TRY(read_item(&it, memory, rows, "cannot read the lists"));
    status = pack_lists(object, rows, it.count, out);
    if (it.count > 0)
        H5Dvlen_reclaim(memory, it.space, H5P_DEFAULT, rows);
    if (status != OL_OK)
        ol_lists_finish(out);
    return status;
}

/* --- attributes for people ------------------------------------------------------------------- */

/* Numbers of an attribute: one bare, several in brackets. */
static ol_status show_numbers(const item *it, ol_text *text)
{
    const bool floats = H5Tget_class(it->type) == H5T_FLOAT;
    OL_AUTO_FREE void *values = NULL;

    OL_TRY(ol_allocate(it->count, sizeof(double), it->attribute, &values));
    OL_TRY(read_item(it, floats ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64, values, it->attribute));
    OL_TRY(ol_text_format(text, "%s", it->count != 1 ? "[" : ""));
    for (size_t k = 0; k < it->count; k++) {
        OL_TRY(ol_text_format(text, "%s", k ? ", " : ""));
        OL_TRY(floats ? ol_text_real(text, ((const double *)values)[k])
                      : ol_text_format(text, "%lld", (long long)((const int64_t *)values)[k]));
    }
    return ol_text_format(text, "%s", it->count != 1 ? "]" : "");
}

static ol_status show_strings(const item *it, ol_text *text)
{
    OL_AUTO_STRINGS texts = {0};

    OL_TRY(read_strings(it, &texts));
    OL_TRY(ol_text_append(text, "", 0));
    for (size_t k = 0; k < texts.n; k++)
        OL_TRY(ol_text_format(text, "%s%s", k ? ", " : "", texts.items[k]));
    return OL_OK;
}

ol_status ol_archive_show(const ol_archive *archive, const char *object, const char *name,
                          char **out)
{
    AUTO_ITEM it = item_of(archive, object, name);
    OL_AUTO_TEXT text = {0};
    H5T_class_t class;

    OL_TRY(open_item(&it));
    class = H5Tget_class(it.type);
    if (class == H5T_STRING)
        OL_TRY(show_strings(&it, &text));
    else if (class == H5T_INTEGER || class == H5T_FLOAT || class == H5T_ENUM)
        OL_TRY(show_numbers(&it, &text));
    else
        OL_TRY(ol_text_format(&text, "(%zu references or records)", it.count));
    *out = text.data;
    text = (ol_text){0};
    return OL_OK;
}
