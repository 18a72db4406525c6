/* SPDX-License-Identifier: BSD-3-Clause */
#include "column.h"

#include <assert.h>
#include <hdf5_hl.h> /* H5DS: dimension scales */
#include <stdlib.h>
#include <string.h>

enum { CHUNK_ROWS = 512, NAME_BYTES = 256 };

static void name_column(const ol_table_spec *spec, int c, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "%s/%s", spec->path, spec->columns[c].name);
}

/* @param disk  as it is stored; otherwise in memory. @param more  bytes that a text of fixed width has
   for its NUL */
static hid_t type_of(const ol_column *column, bool disk, size_t more)
{
    switch (column->type) {
    case OL_COLUMN_I64:
        return H5Tcopy(disk ? H5T_STD_I64LE : H5T_NATIVE_INT64);
    case OL_COLUMN_F64:
        return H5Tcopy(disk ? H5T_IEEE_F64LE : H5T_NATIVE_DOUBLE);
    case OL_COLUMN_TEXT:
        return ol_h5_string_type(column->width > 0 ? (size_t)column->width + more : 0);
    default:
        return H5Tvlen_create(disk ? H5T_IEEE_F64LE : H5T_NATIVE_DOUBLE);
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
    OL_H5_AUTO type = type_of(column, true, 0);
    OL_H5_AUTO set = -1;

    assert(*column->units && *column->long_name && *column->description);
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
    OL_TRY(ol_archive_set_text(archive, parent, "title", parent));
    OL_TRY(ol_archive_set_text(archive, parent, "description",
                               "Tables, one a group: their titles say of what"));
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

/* Open a column and check that it is what the table says. @param rows  its length */
static ol_status open_column(const ol_archive *archive, const ol_table_spec *spec, int c,
                             hid_t *set, int64_t *rows)
{
    char name[NAME_BYTES];
    OL_H5_AUTO expected = type_of(&spec->columns[c], true, 0);
    OL_H5_AUTO type = -1;
    OL_H5_AUTO space = -1;
    hsize_t length = 0;

    name_column(spec, c, name);
    *set = H5Dopen2(archive->file, name, H5P_DEFAULT);
    OL_CHECK(*set >= 0, OL_EUSAGE,
             "%s: %s: the file has no such column; another version of this program wrote it",
             archive->path, name);
    type = H5Dget_type(*set);
    OL_CHECK(H5Tequal(type, expected) > 0, OL_EUSAGE,
             "%s: %s: the column is of another type; another version of this program wrote it",
             archive->path, name);
    space = H5Dget_space(*set);
    OL_CHECK(H5Sget_simple_extent_ndims(space) == 1, OL_EDATA, "%s: %s: is not a column",
             archive->path, name);
    H5Sget_simple_extent_dims(space, &length, NULL);
    *rows = (int64_t)length;
    return OL_OK;
}

ol_status ol_columns_rows(const ol_archive *archive, const ol_table_spec *spec, int64_t *rows)
{
    for (int c = 0; c < spec->n; c++) {
        OL_H5_AUTO set = -1;
        int64_t length = 0;

        OL_TRY(open_column(archive, spec, c, &set, &length));
        if (c == 0)
            *rows = length;
        OL_CHECK(length == *rows, OL_EDATA, "%s: %s/%s: has %lld rows, its index %lld",
                 archive->path, spec->path, spec->columns[c].name, (long long)length,
                 (long long)*rows);
    }
    return OL_OK;
}

/* One column of n rows as HDF5 wants it in memory. */
static void fill(const ol_table_spec *spec, const ol_cell *cells, size_t n, int c, size_t size,
                 char *to)
{
    const ol_column *column = &spec->columns[c];

    for (size_t r = 0; r < n; r++, to += size) {
        const ol_cell *cell = &cells[r * (size_t)spec->n + (size_t)c];

        if (column->type == OL_COLUMN_TEXT && column->width > 0) {
            memcpy(to, cell->text, strnlen(cell->text, size));
        } else if (column->type == OL_COLUMN_LIST) {
            const hvl_t list = {cell->list.n, (void *)cell->list.values};

            memcpy(to, &list, sizeof list);
        } else {
            memcpy(to, cell, size); /* i, f, or the pointer to the text */
        }
    }
}

/* The same the other way: lists and texts stay in the buffer. */
static void take(const ol_table_spec *spec, char *from, size_t n, int c, size_t size,
                 ol_cell *cells)
{
    const ol_column *column = &spec->columns[c];

    for (size_t r = 0; r < n; r++, from += size) {
        ol_cell *cell = &cells[r * (size_t)spec->n + (size_t)c];

        if (column->type == OL_COLUMN_TEXT && column->width > 0) {
            cell->text = from;
        } else if (column->type == OL_COLUMN_LIST) {
            const hvl_t *list = (const hvl_t *)(const void *)from;

            cell->list.values = list->p;
            cell->list.n = list->len;
        } else {
            memcpy(cell, from, size);
        }
    }
}

/* n rows of an open column, from row `at` on; negative on failure. */
static hid_t rows_of(hid_t set, int64_t at, size_t n)
{
    const hsize_t start = (hsize_t)at, count = n;
    hid_t space = H5Dget_space(set);

    if (space >= 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &count, NULL) < 0) {
        H5Sclose(space);
        space = -1;
    }
    return space;
}

static ol_status write_column(ol_archive *archive, const ol_table_spec *spec, const ol_cell *cells,
                              size_t n, int c, int64_t at, void *buffer)
{
    const hsize_t count = n, extent = (hsize_t)at + count;
    char name[NAME_BYTES];
    OL_H5_AUTO type = type_of(&spec->columns[c], false, 0);
    OL_H5_AUTO memory = H5Screate_simple(1, &count, NULL);
    OL_H5_AUTO space = -1;
    OL_H5_AUTO set = -1;

    name_column(spec, c, name);
    fill(spec, cells, n, c, H5Tget_size(type), buffer);
    set = H5Dopen2(archive->file, name, H5P_DEFAULT);
    OL_TRY_H5(set, archive, name, "cannot open the column");
    OL_TRY_H5(H5Dset_extent(set, &extent), archive, name, "cannot extend the column");
    space = rows_of(set, at, n);
    OL_TRY_H5(space, archive, name, "cannot select its new rows");
    OL_TRY_H5(H5Dwrite(set, type, memory, space, H5P_DEFAULT, buffer), archive, name,
              "cannot write its new rows");
    return OL_OK;
}

/* Bytes of a row in the widest column, with the NUL of a text. */
static size_t widest(const ol_table_spec *spec)
{
    size_t most = sizeof(hvl_t);

    for (int c = 0; c < spec->n; c++)
        if ((size_t)spec->columns[c].width + 1 > most)
            most = (size_t)spec->columns[c].width + 1;
    return most;
}

ol_status ol_columns_write(ol_archive *archive, const ol_table_spec *spec, const ol_cell *cells,
                           size_t n, int64_t at)
{
    for (int c = spec->n; c-- > 0 && n > 0;) { /* the index last */
        OL_AUTO_FREE void *buffer = calloc(n, widest(spec));

        OL_CHECK(buffer, OL_ENOMEM, "%s: no memory to write %zu rows", archive->path, n);
        OL_TRY(write_column(archive, spec, cells, n, c, at, buffer));
    }
    return OL_OK;
}

static ol_status read_column(const ol_archive *archive, const ol_table_spec *spec, int c,
                             int64_t at, size_t n, char *buffer, ol_cell *cells)
{
    const hsize_t count = n;
    char name[NAME_BYTES];
    OL_H5_AUTO type = type_of(&spec->columns[c], false, 1);
    OL_H5_AUTO memory = H5Screate_simple(1, &count, NULL);
    OL_H5_AUTO space = -1;
    OL_H5_AUTO set = -1;

    name_column(spec, c, name);
    set = H5Dopen2(archive->file, name, H5P_DEFAULT);
    OL_TRY_H5(set, archive, name, "cannot open the column");
    space = rows_of(set, at, n);
    if (space < 0 || H5Dread(set, type, memory, space, H5P_DEFAULT, buffer) < 0)
        return ol_h5_fail(OL_EDATA, archive->path, name, "cannot read, the file is damaged");
    take(spec, buffer, n, c, H5Tget_size(type), cells);
    return OL_OK;
}

static void reclaim(const ol_table_spec *spec, char *buffer, size_t n)
{
    const hsize_t count = n;
    OL_H5_AUTO memory = H5Screate_simple(1, &count, NULL);

    for (int c = 0; c < spec->n; c++)
        if (is_variable(&spec->columns[c])) {
            OL_H5_AUTO type = type_of(&spec->columns[c], false, 1);

            H5Dvlen_reclaim(type, memory, H5P_DEFAULT, buffer + n * widest(spec) * (size_t)c);
        }
}

static ol_status read_block(const ol_archive *archive, const ol_table_spec *spec, int64_t at,
                            size_t n, ol_columns_visit *visit, void *payload)
{
    const size_t column = n * widest(spec);
    char *buffer = calloc((size_t)spec->n, column);
    ol_cell *cells = calloc(n * (size_t)spec->n, sizeof *cells);
    ol_status status = buffer && cells ? OL_OK
                                       : ol_fail(OL_ENOMEM, "%s: %s: no memory to read %zu rows",
                                                 archive->path, spec->path, n);

    for (int c = 0; c < spec->n && status == OL_OK; c++)
        status = read_column(archive, spec, c, at, n, buffer + column * (size_t)c, cells);
    for (size_t r = 0; r < n && status == OL_OK; r++)
        status = visit(payload, at + (int64_t)r, cells + r * (size_t)spec->n);
    if (buffer)
        reclaim(spec, buffer, n);
    free(cells);
    free(buffer);
    return status;
}

ol_status ol_columns_read(const ol_archive *archive, const ol_table_spec *spec, int64_t rows,
                          ol_columns_visit *visit, void *payload)
{
    for (int64_t at = 0; at < rows; at += OL_BLOCK_ROWS) {
        const int64_t left = rows - at;

        OL_TRY(read_block(archive, spec, at, left < OL_BLOCK_ROWS ? (size_t)left : OL_BLOCK_ROWS,
                          visit, payload));
    }
    return OL_OK;
}
