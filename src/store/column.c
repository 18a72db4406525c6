/* SPDX-License-Identifier: BSD-3-Clause */
#include "column.h"

#include <assert.h>
#include <hdf5_hl.h> /* H5DS: dimension scales */
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "outerloop/base/file.h"

enum { CHUNK_ROWS = 512, NAME_BYTES = 256 };

static void name_column(const ol_table_spec *spec, int c, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "%s/%s", spec->path, spec->columns[c].name);
}

static hid_t type_on_disk(const ol_column *column)
{
    switch (column->type) {
    case OL_COLUMN_I64:
        return H5Tcopy(H5T_STD_I64LE);
    case OL_COLUMN_F64:
        return H5Tcopy(H5T_IEEE_F64LE);
    case OL_COLUMN_TEXT:
        return ol_h5_string_type((size_t)column->width);
    default:
        return H5Tvlen_create(H5T_IEEE_F64LE);
    }
}

static hid_t type_in_memory(const ol_column *column)
{
    switch (column->type) {
    case OL_COLUMN_I64:
        return H5Tcopy(H5T_NATIVE_INT64);
    case OL_COLUMN_F64:
        return H5Tcopy(H5T_NATIVE_DOUBLE);
    case OL_COLUMN_TEXT:
        return ol_h5_string_type((size_t)column->width);
    default:
        return H5Tvlen_create(H5T_NATIVE_DOUBLE);
    }
}

static bool is_variable(const ol_column *column)
{
    return column->type == OL_COLUMN_LIST || (column->type == OL_COLUMN_TEXT && column->width == 0);
}

static ol_status create_column(ol_archive *archive, const ol_table_spec *spec, int c)
{
    const ol_column *column = &spec->columns[c];
    const hsize_t none = 0, endless = H5S_UNLIMITED, chunk = CHUNK_ROWS;
    char name[NAME_BYTES];
    OL_H5_AUTO link = ol_h5_making_groups();
    OL_H5_AUTO properties = H5Pcreate(H5P_DATASET_CREATE);
    OL_H5_AUTO space = H5Screate_simple(1, &none, &endless);
    OL_H5_AUTO type = type_on_disk(column);
    OL_H5_AUTO set = -1;

    name_column(spec, c, name);
    H5Pset_chunk(properties, 1, &chunk);
    if (!is_variable(column)) /* HDF5 cannot filter values of variable length */
        H5Pset_fletcher32(properties);
    set = H5Dcreate2(archive->file, name, type, space, link, properties, H5P_DEFAULT);
    OL_TRY_H5(set, archive, name, "cannot create the column");
    OL_TRY(ol_archive_set_text(archive, name, "units", column->units));
    OL_TRY(ol_archive_set_text(archive, name, "long_name", column->long_name));
    return ol_archive_set_text(archive, name, "description", column->description);
}

/* The index column becomes the scale of all others. */
static ol_status attach_index(ol_archive *archive, const ol_table_spec *spec)
{
    char name[NAME_BYTES];
    OL_H5_AUTO index = -1;

    name_column(spec, 0, name);
    index = H5Dopen2(archive->file, name, H5P_DEFAULT);
    OL_TRY_H5(H5DSset_scale(index, spec->columns[0].name), archive, name,
              "cannot make it a dimension scale");
    for (int c = 1; c < spec->n; c++) {
        OL_H5_AUTO column = -1;

        name_column(spec, c, name);
        column = H5Dopen2(archive->file, name, H5P_DEFAULT);
        OL_TRY_H5(H5DSattach_scale(column, index, 0), archive, name, "cannot attach its scale");
        OL_TRY_H5(H5DSset_label(column, 0, spec->columns[0].name), archive, name,
                  "cannot label its dimension");
    }
    return OL_OK;
}

/* What NeXus viewers plot when the group is opened. */
static ol_status describe_plot(ol_archive *archive, const ol_table_spec *spec)
{
    size_t n = 0;

    if (!spec->signal)
        return ol_archive_set_text(archive, spec->path, "NX_class", "NXcollection");
    while (spec->auxiliary && spec->auxiliary[n])
        n++;
    OL_TRY(ol_archive_set_text(archive, spec->path, "NX_class", "NXdata"));
    OL_TRY(ol_archive_set_text(archive, spec->path, "signal", spec->signal));
    if (n > 0)
        OL_TRY(ol_h5_set_strings(archive, spec->path, "auxiliary_signals", n, spec->auxiliary));
    return ol_h5_set_strings(archive, spec->path, "axes", 1, &spec->columns[0].name);
}

/* The group above a table: an entry whose default is its first table with a plot. */
static ol_status describe_parent(ol_archive *archive, const ol_table_spec *spec)
{
    const char *slash = strchr(spec->path, '/');
    char parent[NAME_BYTES];

    assert(slash && strlen(spec->path) < NAME_BYTES);
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - spec->path), spec->path);
    OL_TRY(ol_archive_set_text(archive, parent, "NX_class", "NXentry"));
    if (spec->signal && !ol_archive_has_attribute(archive, parent, "default"))
        OL_TRY(ol_archive_set_text(archive, parent, "default", slash + 1));
    if (spec->signal && !ol_archive_has_attribute(archive, "/", "default"))
        OL_TRY(ol_archive_set_text(archive, "/", "default", parent));
    return OL_OK;
}

ol_status ol_columns_create(ol_archive *archive, const ol_table_spec *spec)
{
    assert(spec->n >= 1 && spec->columns[0].type == OL_COLUMN_I64);
    for (int c = 0; c < spec->n; c++)
        OL_TRY(create_column(archive, spec, c));
    OL_TRY(attach_index(archive, spec));
    OL_TRY(ol_archive_set_text(archive, spec->path, "title", spec->title));
    OL_TRY(ol_archive_set_text(archive, spec->path, "description",
                               spec->description ? spec->description : spec->title));
    OL_TRY(describe_plot(archive, spec));
    return describe_parent(archive, spec);
}

static ol_status column_length(hid_t set, const ol_archive *archive, const char *name,
                               int64_t *rows)
{
    OL_H5_AUTO space = H5Dget_space(set);
    hsize_t length = 0;

    OL_CHECK(H5Sget_simple_extent_ndims(space) == 1, OL_EDATA, "%s: %s: is not a column",
             archive->path, name);
    H5Sget_simple_extent_dims(space, &length, NULL);
    *rows = (int64_t)length;
    return OL_OK;
}

/* Open a column, check its type, and cut it to `rows`; the index (c = 0) says how many they are. */
static ol_status check_column(ol_archive *archive, const ol_table_spec *spec, int c, int64_t *rows)
{
    char name[NAME_BYTES];
    OL_H5_AUTO expected = type_on_disk(&spec->columns[c]);
    OL_H5_AUTO set = -1;
    OL_H5_AUTO type = -1;
    int64_t length = 0;

    name_column(spec, c, name);
    set = H5Dopen2(archive->file, name, H5P_DEFAULT);
    OL_CHECK(set >= 0, OL_EDATA,
             "%s: %s: the file has no such column; another version of this program wrote it",
             archive->path, name);
    type = H5Dget_type(set);
    OL_CHECK(H5Tequal(type, expected) > 0, OL_EDATA,
             "%s: %s: the column is of another type; another version of this program wrote it",
             archive->path, name);
    OL_TRY(column_length(set, archive, name, &length));
    if (c == 0)
        *rows = length;
    OL_CHECK(length >= *rows, OL_EDATA, "%s: %s: has %lld rows, its index %lld", archive->path,
             name, (long long)length, (long long)*rows);
    if (length > *rows) {
        const hsize_t extent = (hsize_t)*rows;

        OL_TRY_H5(H5Dset_extent(set, &extent), archive, name, "cannot cut it to its index");
        if (is_variable(&spec->columns[c]))
            OL_TRY(ol_chain_cut(archive, name, set, *rows));
    }
    return OL_OK;
}

ol_status ol_columns_open(ol_archive *archive, const ol_table_spec *spec, int64_t *rows)
{
    for (int c = 0; c < spec->n; c++)
        OL_TRY(check_column(archive, spec, c, rows));
    return OL_OK;
}

/* One column of the rows as HDF5 wants it in memory. */
static void fill(const ol_row_list *rows, int c, size_t size, void *buffer)
{
    const ol_column *column = &rows->spec->columns[c];

    for (size_t r = 0; r < rows->n; r++) {
        const ol_cell *cell = &rows->cells[r * (size_t)rows->spec->n + (size_t)c];
        char *to = (char *)buffer + r * size;

        if (column->type == OL_COLUMN_TEXT && column->width > 0) {
            const size_t length = strnlen(cell->text, size);

            memcpy(to, cell->text, ol_utf8_valid(cell->text, length)); /* never half a letter */
        } else if (column->type == OL_COLUMN_LIST) {
            const hvl_t list = {cell->list.n, (void *)cell->list.values};

            memcpy(to, &list, sizeof list);
        } else {
            memcpy(to, cell, size); /* i, f, or the pointer to the text */
        }
    }
}

static ol_status write_column(ol_archive *archive, const ol_row_list *rows, int c, int64_t at,
                              void *buffer)
{
    const hsize_t start = (hsize_t)at, count = rows->n, extent = start + count;
    char name[NAME_BYTES];
    OL_H5_AUTO type = type_in_memory(&rows->spec->columns[c]);
    OL_H5_AUTO memory = H5Screate_simple(1, &count, NULL);
    OL_H5_AUTO space = -1;
    OL_H5_AUTO set = -1;

    name_column(rows->spec, c, name);
    fill(rows, c, H5Tget_size(type), buffer);
    set = H5Dopen2(archive->file, name, H5P_DEFAULT);
    OL_TRY_H5(set, archive, name, "cannot open the column");
    OL_TRY_H5(H5Dset_extent(set, &extent), archive, name, "cannot extend the column");
    space = H5Dget_space(set);
    OL_TRY_H5(H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &count, NULL), archive, name,
              "cannot select its new rows");
    OL_TRY_H5(H5Dwrite(set, type, memory, space, H5P_DEFAULT, buffer), archive, name,
              "cannot write its new rows");
    return is_variable(&rows->spec->columns[c])
               ? ol_chain_extend(archive, name, set, at, rows->n, buffer)
               : OL_OK;
}

ol_status ol_columns_write(ol_archive *archive, const ol_row_list *rows, int64_t at)
{
    size_t widest = sizeof(hvl_t);

    for (int c = 0; c < rows->spec->n; c++)
        if ((size_t)rows->spec->columns[c].width > widest)
            widest = (size_t)rows->spec->columns[c].width;
    for (int k = 1; k <= rows->spec->n && rows->n > 0; k++) {
        void *buffer = calloc(rows->n, widest);
        ol_status status;

        OL_CHECK(buffer, OL_ENOMEM, "%s: no memory to write %zu rows", archive->path, rows->n);
        status = write_column(archive, rows, k % rows->spec->n, at, buffer); /* the index last */
        free(buffer);
        OL_TRY(status);
    }
    return OL_OK;
}

ol_status ol_columns_cut(ol_archive *archive, const ol_table_spec *spec, int64_t rows)
{
    const hsize_t extent = (hsize_t)rows;

    for (int c = 0; c < spec->n; c++) {
        char name[NAME_BYTES];
        OL_H5_AUTO set = -1;

        name_column(spec, c, name);
        set = H5Dopen2(archive->file, name, H5P_DEFAULT);
        OL_TRY_H5(set, archive, name, "cannot open the column");
        OL_TRY_H5(H5Dset_extent(set, &extent), archive, name, "cannot shorten the column");
        if (is_variable(&spec->columns[c]))
            OL_TRY(ol_chain_cut(archive, name, set, rows));
    }
    return OL_OK;
}
