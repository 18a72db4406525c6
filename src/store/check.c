/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/store/check.h"

#include <stdlib.h>
#include <string.h>

#include "outerloop/base/digest.h" /* ol_digest_sha256 */
#include "outerloop/base/file.h"   /* PATH_MAX */
#include "h5.h"

static ol_status read_dataset(const ol_archive *archive, const char *object, hid_t set)
{
    OL_H5_AUTO stored = set < 0 ? -1 : H5Dget_type(set);
    OL_H5_AUTO type = stored < 0 ? -1 : H5Tget_native_type(stored, H5T_DIR_DEFAULT);
    OL_H5_AUTO space = set < 0 ? -1 : H5Dget_space(set);
    hssize_t n;
    void *data;
    herr_t failed;

    if (type < 0 || space < 0)
        return ol_h5_fail(OL_EDATA, archive->path, object, "cannot be opened");
    n = H5Sget_simple_extent_npoints(space);
    if (n <= 0)
        return OL_OK;
    data = calloc((size_t)n, H5Tget_size(type));
    OL_CHECK(data, OL_ENOMEM, "%s: %s: no memory for %lld elements", archive->path, object,
             (long long)n);
    failed = H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    if (failed >= 0 && H5Tdetect_class(type, H5T_VLEN) + H5Tis_variable_str(type) > 0)
        failed = H5Dvlen_reclaim(type, space, H5P_DEFAULT, data);
    free(data);
    if (failed < 0)
        return ol_h5_fail(OL_EDATA, archive->path, object, "cannot read, the file is damaged");
    return OL_OK;
}

/* As one of those that a check counts. */
static ol_status check_dataset(const ol_archive *archive, const char *object, int *datasets)
{
    OL_H5_AUTO set = H5Dopen2(archive->file, object, H5P_DEFAULT);

    OL_TRY(read_dataset(archive, object, set));
    ++*datasets;
    return OL_OK;
}

static ol_status read_attributes(const ol_archive *archive, const char *object)
{
    ol_strings names = {0};
    ol_status status = ol_archive_attributes(archive, object, &names);

    for (size_t i = 0; i < names.n && status == OL_OK; i++) {
        char *value = NULL;

        status = ol_archive_show(archive, object, names.items[i], &value);
        free(value);
    }
    ol_strings_finish(&names);
    return status;
}

/* The job's text is sealed by a digest that other programs can compare too. */
static ol_status check_job(const ol_archive *archive)
{
    char *text = NULL, *sealed = NULL, digest[OL_SHA256_TEXT] = "";
    ol_status status;

    if (!ol_archive_has(archive, "job") || !ol_archive_has_attribute(archive, "/", "job_sha256"))
        return OL_OK;
    status = ol_archive_read_text(archive, "job", &text);
    if (status == OL_OK)
        status = ol_archive_get_text(archive, "/", "job_sha256", &sealed);
    if (status == OL_OK)
        ol_digest_sha256(text, strlen(text), digest);
    if (status == OL_OK && strcmp(digest, sealed) != 0)
        status = ol_fail(OL_EDATA, "%s: job: was altered: it has not the digest in job_sha256",
                         archive->path);
    free(text);
    free(sealed);
    return status;
}

/* @param datasets  NULL to read alone, attributes too; else counts what is checked */
static ol_status walk_group(const ol_archive *archive, const char *group, int *datasets)
{
    ol_strings names = {0};
    ol_status status;

    if (!datasets)
        OL_TRY(read_attributes(archive, group));
    OL_TRY(ol_archive_children(archive, group, &names));
    status = OL_OK;
    for (size_t i = 0; i < names.n && status == OL_OK; i++) {
        char object[PATH_MAX];
        status = ol_path_format(object, "%s%s%s", group, group[1] ? "/" : "", names.items[i]);
        if (status == OL_OK && ol_archive_is_group(archive, object)) {
            status = walk_group(archive, object, datasets);
        } else if (status == OL_OK && datasets) {
            status = check_dataset(archive, object, datasets);
        } else if (status == OL_OK) {
            OL_H5_AUTO set = H5Dopen2(archive->file, object, H5P_DEFAULT);

            status = read_dataset(archive, object, set);
            if (status == OL_OK)
                status = read_attributes(archive, object);
        }
    }
    ol_strings_finish(&names);
    return status;
}

ol_status ol_archive_check(const ol_archive *archive, int *datasets)
{
    *datasets = 0;
    OL_TRY(walk_group(archive, "/", datasets));
    return check_job(archive);
}

ol_status ol_h5_read_everything(const ol_archive *archive)
{
    return walk_group(archive, "/", NULL);
}
