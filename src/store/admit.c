/* SPDX-License-Identifier: BSD-3-Clause */
#include "h5.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "outerloop/base/child.h"
#include "outerloop/base/file.h" /* ol_stat_input */
#include "profile.h"
#include "tensor_file.h" /* ol_map_file */

enum { REMEMBERED = 8, LEAST_BYTES = 96 };

/* What a child may use, for a file of no size, and more for each byte. Computing is what a hostile
 * file makes long; waiting is what a slow disk does. */
static const double CPU_SECONDS = 1,
                    CPU_BYTES = 100e6; /* a second, and for each of these one more */
static const double SECONDS = 60, BYTES = 2e6;
static const size_t MEMORY = (size_t)256 << 20;

/* A file as it was. */
struct known {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written;
};

static struct known known[REMEMBERED];
static unsigned n_known;

static struct known as_it_is(const struct stat *st)
{
    return (struct known){st->st_dev, st->st_ino, st->st_size, st->st_mtim};
}

static bool is_known(const struct stat *st)
{
    for (unsigned i = 0; i < REMEMBERED; i++)
        if (known[i].inode == st->st_ino && known[i].device == st->st_dev &&
            known[i].size == st->st_size && known[i].written.tv_sec == st->st_mtim.tv_sec &&
            known[i].written.tv_nsec == st->st_mtim.tv_nsec)
            return true;
    return false;
}

static void remember(const struct stat *st)
{
    if (!is_known(st))
        known[n_known++ % REMEMBERED] = as_it_is(st);
}

void ol_admit_own(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
        remember(&st);
}

static ol_status check_size(const char *path, const struct stat *st)
{
    OL_CHECK(st->st_size >= LEAST_BYTES, OL_EDATA, "%s: is not an HDF5 file", path);
    OL_CHECK(!ol_stat_is_hollow(st), OL_EDATA,
             "%s: claims %lld bytes and is almost all holes: it is not read", path,
             (long long)st->st_size);
    return OL_OK;
}

static ol_status check_bytes(const char *path)
{
    ol_mapped map = {0};
    ol_status status;

    OL_TRY(ol_map_file(path, LEAST_BYTES - 1, &map));
    status = ol_profile_check(path, map.base, map.size);
    ol_unmap_file(&map);
    return status;
}

/* A dataset of any type. Its checksums are compared as it is read. */
static ol_status read_dataset(const ol_archive *archive, const char *object)
{
    OL_H5_AUTO set = H5Dopen2(archive->file, object, H5P_DEFAULT);
    OL_H5_AUTO stored = set < 0 ? -1 : H5Dget_type(set);
    OL_H5_AUTO type = stored < 0 ? -1 : H5Tget_native_type(stored, H5T_DIR_DEFAULT);
    OL_H5_AUTO space = set < 0 ? -1 : H5Dget_space(set);
    OL_AUTO_FREE void *data = NULL;
    hssize_t n;
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
    return failed < 0
               ? ol_h5_fail(OL_EDATA, archive->path, object, "cannot read, the file is damaged")
               : OL_OK;
}

static ol_status read_attributes(const ol_archive *archive, const char *object)
{
    OL_AUTO_STRINGS names = {0};

    OL_TRY(ol_archive_attributes(archive, object, &names));
    for (size_t i = 0; i < names.n; i++) {
        OL_AUTO_FREE char *value = NULL;

        OL_TRY(ol_archive_show(archive, object, names.items[i], &value));
    }
    return OL_OK;
}

/* An object, and all below it. */
static ol_status read_object(const ol_archive *archive, const char *object)
{
    OL_AUTO_STRINGS names = {0};

    OL_TRY(read_attributes(archive, object));
    if (!ol_archive_is_group(archive, object))
        return read_dataset(archive, object);
    OL_TRY(ol_archive_children(archive, object, &names));
    for (size_t i = 0; i < names.n; i++) {
        char member[PATH_MAX];

        OL_TRY(ol_path_format(member, "%s%s%s", object, object[1] ? "/" : "", names.items[i]));
        OL_TRY(read_object(archive, member));
    }
    return OL_OK;
}

/* In the child: our own check, then the library's reading of everything. Once it has the file, no
 * other can be opened. */
static ol_status read_there(void *payload, void *answer)
{
    const char *path = payload;
    ol_archive *archive = NULL;

    (void)answer;
    OL_TRY(check_bytes(path));
    OL_TRY(ol_h5_open(path, OL_H5_READ, 0, &archive));
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 0});
    OL_TRY(read_object(archive, "/"));
    return ol_archive_close(archive);
}

ol_status ol_admit(const char *path)
{
    struct stat st;
    ol_child_limits limits;

    OL_TRY(ol_stat_input(path, &st));
    if (is_known(&st))
        return OL_OK;
    OL_TRY(check_size(path, &st));
    limits = (ol_child_limits){.seconds = SECONDS + (double)st.st_size / BYTES,
                               .cpu = CPU_SECONDS + (double)st.st_size / CPU_BYTES,
                               .memory = MEMORY + (size_t)st.st_size};
    OL_TRY(ol_child_run(read_there, (void *)(uintptr_t)path, limits, path, NULL, 0));
    if (time(NULL) - st.st_mtim.tv_sec > 2) /* else it may change, and not look so */
        remember(&st);
    return OL_OK;
}
