/* SPDX-License-Identifier: BSD-3-Clause */
#include "chain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/digest.h" /* ol_digest */

static const char attribute[] = "seal";
enum { SEAL_BYTES = 64 };

/* What the attribute says. */
typedef struct link {
    int64_t rows;
    char digest[OL_DIGEST_TEXT];
} link;

static const link start = {0, "00000000000000000000000000000000"};

/* (1) over n more values. */
static ol_status add_values(link *l, bool text, size_t n, const void *values)
{
    ol_text bytes = {0};
    ol_status status = OL_OK;

    for (size_t i = 0; i < n && status == OL_OK; i++) {
        const char *words = text ? ((char *const *)values)[i] : NULL;
        const hvl_t none = {0}, *list = text ? &none : (const hvl_t *)values + i;

        bytes.size = 0;
        status = ol_text_append(&bytes, l->digest, OL_DIGEST_TEXT - 1);
        if (status == OL_OK && words)
            status = ol_text_append(&bytes, words, strlen(words));
        if (status == OL_OK && list->len > 0)
            status = ol_text_append(&bytes, list->p, list->len * sizeof(double));
        if (status == OL_OK)
            ol_digest(bytes.data, bytes.size, l->digest);
    }
    l->rows += (int64_t)n;
    ol_text_finish(&bytes);
    return status;
}

static bool holds_text(hid_t set)
{
    OL_H5_AUTO type = H5Dget_type(set);

    return H5Tget_class(type) == H5T_STRING;
}

static ol_status read_link(const ol_archive *archive, const char *name, hid_t set, link *l)
{
    OL_H5_AUTO seal = H5Aopen(set, attribute, H5P_DEFAULT);
    OL_H5_AUTO type = ol_h5_string_type(SEAL_BYTES);
    char text[SEAL_BYTES + 1] = "";

    if (seal < 0 || H5Aread(seal, type, text) < 0)
        return ol_h5_fail(OL_EDATA, archive->path, name, "cannot read its seal");
    *l = start;
    OL_CHECK(sscanf(text, "%" SCNd64 " %32s", &l->rows, l->digest) == 2 && l->rows >= 0, OL_EDATA,
             "%s: %s: was altered: its seal is none", archive->path, name);
    return OL_OK;
}

static ol_status write_link(ol_archive *archive, const char *name, hid_t set, const link *l)
{
    OL_H5_AUTO type = ol_h5_string_type(SEAL_BYTES);
    OL_H5_AUTO space = H5Screate(H5S_SCALAR);
    OL_H5_AUTO seal = -1;
    char text[SEAL_BYTES] = "";

    snprintf(text, sizeof text, "%" PRId64 " %s", l->rows, l->digest);
    seal = H5Aexists(set, attribute) > 0
               ? H5Aopen(set, attribute, H5P_DEFAULT)
               : H5Acreate2(set, attribute, type, space, H5P_DEFAULT, H5P_DEFAULT);
    OL_TRY_H5(seal, archive, name, "cannot seal the column");
    OL_TRY_H5(H5Awrite(seal, type, text), archive, name, "cannot seal the column");
    return OL_OK;
}

/* The chain over the first n rows of the file. */
static ol_status read_chain(const ol_archive *archive, const char *name, hid_t set, size_t n,
                            link *l)
{
    const bool text = holds_text(set);
    const hsize_t from = 0, count = n;
    OL_H5_AUTO type = text ? ol_h5_string_type(0) : H5Tvlen_create(H5T_NATIVE_DOUBLE);
    OL_H5_AUTO memory = H5Screate_simple(1, &count, NULL);
    OL_H5_AUTO space = H5Dget_space(set);
    void *values;
    ol_status status;

    *l = start;
    if (n == 0)
        return OL_OK;
    values = calloc(n, sizeof(hvl_t));
    OL_CHECK(values, OL_ENOMEM, "%s: %s: no memory for %zu rows", archive->path, name, n);
    if (H5Sselect_hyperslab(space, H5S_SELECT_SET, &from, NULL, &count, NULL) < 0 ||
        H5Dread(set, type, memory, space, H5P_DEFAULT, values) < 0) {
        free(values);
        return ol_h5_fail(OL_EDATA, archive->path, name, "cannot read, the file is damaged");
    }
    status = add_values(l, text, n, values);
    H5Dvlen_reclaim(type, memory, H5P_DEFAULT, values);
    free(values);
    return status;
}

ol_status ol_chain_extend(ol_archive *archive, const char *name, hid_t set, int64_t at, size_t n,
                          const void *values)
{
    link l = start;

    if (at > 0)
        OL_TRY(read_link(archive, name, set, &l));
    if (l.rows != at)
        OL_TRY(read_chain(archive, name, set, (size_t)at, &l));
    OL_TRY(add_values(&l, holds_text(set), n, values));
    return write_link(archive, name, set, &l);
}

ol_status ol_chain_cut(ol_archive *archive, const char *name, hid_t set, int64_t rows)
{
    link l;

    OL_TRY(read_chain(archive, name, set, (size_t)rows, &l));
    return write_link(archive, name, set, &l);
}

ol_status ol_chain_check(const ol_archive *archive, const char *name, hid_t set)
{
    link sealed, found;
    hsize_t rows = 0;
    OL_H5_AUTO space = H5Dget_space(set);

    if (H5Aexists(set, attribute) <= 0)
        return OL_OK;
    OL_TRY(read_link(archive, name, set, &sealed));
    H5Sget_simple_extent_dims(space, &rows, NULL);
    OL_CHECK(sealed.rows <= (int64_t)rows, OL_EDATA, "%s: %s: %lld rows are sealed, %lld are there",
             archive->path, name, (long long)sealed.rows, (long long)rows);
    OL_TRY(read_chain(archive, name, set, (size_t)sealed.rows, &found));
    OL_CHECK(strcmp(found.digest, sealed.digest) == 0, OL_EDATA,
             "%s: %s: was altered: its rows have not the digest that they were sealed with",
             archive->path, name);
    return OL_OK;
}
