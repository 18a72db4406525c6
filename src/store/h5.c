/* SPDX-License-Identifier: BSD-3-Clause */
#include "h5.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outerloop/base/file.h" /* ol_utf8_valid */
#include "outerloop/base/size.h" /* OL_ALLOCATE */

#define HAS_FILE_LOCKING                                                                           \
    ((H5_VERS_MINOR == 10 && H5_VERS_RELEASE >= 7) ||                                              \
     (H5_VERS_MINOR == 12 && H5_VERS_RELEASE >= 1) || H5_VERS_MINOR > 12)

void ol_h5_drop(hid_t *id)
{
    if (*id >= 0)
        H5Idec_ref(*id);
}

static herr_t keep_innermost(unsigned n, const H5E_error2_t *error, void *text)
{
    if (n == 0 && error->desc)
        snprintf((char *)text, 256, ": %s", error->desc);
    return 0;
}

/* ": reason" of the failure that HDF5 just reported, or "". */
static void reason_of(char text[256])
{
    text[0] = '\0';
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, text);
}

ol_status ol_h5_fail(ol_status code, const char *path, const char *object, const char *what)
{
    char reason[256];

    reason_of(reason);
    return object ? ol_fail(code, "%s: %s: %s%s", path, object, what, reason)
                  : ol_fail(code, "%s: %s%s", path, what, reason);
}

ol_status ol_h5_fail_in(const ol_archive *archive, const char *object, const char *what)
{
    return ol_h5_fail(archive->writes ? OL_EIO : OL_EDATA, archive->path, object, what);
}

/* How every file is opened: readable by old programs, without locks, and closed whole even where a
   handle to something in it was forgotten. */
static hid_t access_properties(ol_archive *archive)
{
    const hid_t properties = H5Pcreate(H5P_FILE_ACCESS);

    if (properties < 0 ||
        H5Pset_libver_bounds(properties, H5F_LIBVER_EARLIEST, H5F_LIBVER_V110) < 0 ||
        H5Pset_fclose_degree(properties, H5F_CLOSE_STRONG) < 0 ||
        (archive->writes && ol_disk_use(properties, &archive->failed) < 0))
        return -1;
#if HAS_FILE_LOCKING
    H5Pset_file_locking(properties, false, true);
#endif
    return properties;
}

/* Messages come from ol_h5_fail; HDF5's own print of its error stack is turned off. */
static void prepare_library(void)
{
#if !HAS_FILE_LOCKING
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0);
#endif
    H5open();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);                    /* no filters from elsewhere */
    if (H5Lis_registered(H5L_TYPE_EXTERNAL) > 0) /* no links into other files */
        H5Lunregister(H5L_TYPE_EXTERNAL);
}

/* Why a file that is there could not be opened, said so that a person knows what to do. */
static ol_status fail_to_open(const char *path)
{
    char reason[256];

    reason_of(reason);
    if (strstr(reason, "truncated file"))
        return ol_fail(OL_EDATA, "%s: the HDF5 file is truncated (cut short)%s", path, reason);
    if (strstr(reason, "signature not found"))
        return ol_fail(OL_EDATA, "%s: is not an HDF5 file", path);
    return ol_fail(OL_EDATA, "%s: cannot open the HDF5 file%s", path, reason);
}

static ol_status open_handle(ol_archive *archive, enum ol_h5_mode mode, size_t block)
{
    const char *path = archive->path;
    OL_H5_AUTO properties = -1;
    OL_H5_AUTO creation = -1;

    prepare_library();
    properties = access_properties(archive);
    creation = H5Pcreate(H5P_FILE_CREATE);
    if (properties < 0 || creation < 0 || H5Pset_userblock(creation, block) < 0)
        return ol_h5_fail_in(archive, NULL, "cannot prepare HDF5");
    if (mode == OL_H5_CREATE)
        archive->file = H5Fcreate(path, H5F_ACC_TRUNC, creation, properties);
    else
        archive->file =
            H5Fopen(path, mode == OL_H5_CHANGE ? H5F_ACC_RDWR : H5F_ACC_RDONLY, properties);
    if (archive->file >= 0)
        return OL_OK;
    if (mode != OL_H5_CREATE)
        return fail_to_open(path);
    return archive->failed
               ? ol_fail(OL_EIO, "%s: cannot create: %s", path, strerror(archive->failed))
               : ol_h5_fail(OL_EIO, path, NULL, "cannot create the file");
}

static void free_archive(ol_archive **archive)
{
    if (*archive)
        free((*archive)->path);
    free(*archive);
}

ol_status ol_h5_open(const char *path, enum ol_h5_mode mode, size_t block, ol_archive **out)
{
    OL_AUTO(free_archive) ol_archive *archive = NULL;

    *out = NULL;
    OL_TRY(OL_ALLOCATE(archive, 1, "archives"));
    *archive = (ol_archive){.path = strdup(path), .writes = mode != OL_H5_READ};
    OL_CHECK(archive->path, OL_ENOMEM, "%s: no memory to open the file", path);
    OL_TRY(open_handle(archive, mode, block));
    return OL_GIVE(out, archive);
}

ol_status ol_archive_open(const char *path, ol_archive **out)
{
    *out = NULL;
    OL_TRY(ol_admit(path));
    return ol_h5_open(path, OL_H5_READ, 0, out);
}

ol_status ol_archive_create(const char *path, ol_archive **out)
{
    return ol_h5_open(path, OL_H5_CREATE, 0, out);
}

ol_status ol_archive_close(ol_archive *archive)
{
    ol_status status = OL_OK;

    if (!archive)
        return OL_OK;
    if (H5Fclose(archive->file) < 0)
        status = ol_h5_fail_in(archive, NULL, "cannot close the file");
    else if (archive->failed)
        status = ol_fail(OL_EIO, "%s: cannot write: %s", archive->path, strerror(archive->failed));
    free_archive(&archive);
    return status;
}

ol_status ol_archive_make(const char *path,
                          ol_status (*fill)(const void *payload, ol_archive *file),
                          const void *payload)
{
    char aside[PATH_MAX];
    ol_archive *file;
    ol_status status, closed;

    OL_TRY(ol_path_format(aside, "%s.tmp-%ld", path, (long)getpid()));
    OL_TRY(ol_archive_create(aside, &file));
    status = fill(payload, file);
    closed = ol_archive_close(file);
    return ol_commit_aside(status == OL_OK ? closed : status, aside, path);
}

const char *ol_store_library(void)
{
    static char text[48];
    unsigned major, minor, release;

    if (H5get_libversion(&major, &minor, &release) < 0)
        return "HDF5 of unknown version";
    snprintf(text, sizeof text, "HDF5 %u.%u.%u", major, minor, release);
    return text;
}

const char *ol_archive_path(const ol_archive *archive)
{
    return archive->path;
}

hid_t ol_h5_making_groups(void)
{
    const hid_t link = H5Pcreate(H5P_LINK_CREATE);

    H5Pset_create_intermediate_group(link, 1);
    H5Pset_char_encoding(link, H5T_CSET_UTF8);
    return link;
}

hid_t ol_h5_string_type(size_t size)
{
    const hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, size ? size : H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    if (size)
        H5Tset_strpad(type, H5T_STR_NULLPAD);
    return type;
}

bool ol_h5_is_utf8(const char *text)
{
    const size_t size = strlen(text);

    return ol_utf8_valid(text, size) == size;
}

ol_status ol_h5_unpack(const ol_text *packed, ol_strings *out)
{
    size_t n = 0, head;
    char *block;

    for (size_t i = 0; i < packed->size; i++)
        n += packed->data[i] == '\0';
    head = n * sizeof(char *);
    block = malloc(head + packed->size + 1);
    *out = (ol_strings){0};
    OL_CHECK(block, OL_ENOMEM, "no memory for %zu strings (%zu bytes)", n, head + packed->size);
    if (packed->size)
        memcpy(block + head, packed->data, packed->size);
    out->items = (char **)(void *)block;
    out->n = n;
    block += head;
    for (size_t i = 0; i < n; i++) {
        out->items[i] = block;
        block += strlen(block) + 1;
    }
    return OL_OK;
}

void ol_strings_finish(ol_strings *strings)
{
    if (strings) {
        free(strings->items);
        *strings = (ol_strings){0};
    }
}
