/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How files that are created or changed reach the disk: an HDF5 file driver that never fails a write.
 *
 * HDF5 does not survive a failed write: the file stays half open inside the library, later calls
 * fail and the program crashes at exit. A full disk must not end a run, so HDF5 never hears of it:
 * after a failure what it writes is thrown away, it closes the file in peace, and the failure is
 * told then (ol_archive_close). It may want to read back what was thrown away, of its metadata; so
 * that is kept in HDF5's own cache until the file is closed. No locks are taken.
 */
#include "h5.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

/* HDF5's view of an open file. */
struct view {
    H5FD_t head;   /* must be first */
    haddr_t eoa;   /* end of what HDF5 has allocated */
    uint64_t size; /* of the file as HDF5 sees it    */
    int fd;
    int *failed; /* errno of the first call that failed */
};

/* Remember why a call failed, unless an earlier one did. */
static void note(const struct view *view, bool fine)
{
    if (!fine && !*view->failed)
        *view->failed = errno;
}

/* Read all of [at, at+size) there is; zeros past the end. False on a read error. */
static bool read_file(int fd, uint64_t at, size_t size, unsigned char *to)
{
    while (size > 0) {
        const ssize_t n = pread(fd, to, size, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0) {
            memset(to, 0, size);
            return true;
        }
        to += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}

static bool write_file(int fd, uint64_t at, size_t size, const unsigned char *from)
{
    while (size > 0) {
        const ssize_t n = pwrite(fd, from, size, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return false;
        }
        from += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t properties, haddr_t maxaddr)
{
    int *const *info = H5Pget_driver_info(properties);
    const int mode = (flags & H5F_ACC_CREAT ? O_CREAT : 0) | (flags & H5F_ACC_TRUNC ? O_TRUNC : 0);
    struct view *view;
    struct stat st;

    (void)maxaddr;
    view = info ? calloc(1, sizeof *view) : NULL;
    if (!view)
        return NULL;
    view->failed = *info;
    *view->failed = 0; /* HDF5 may have tried to open a file that was not there yet */
    view->fd = open(name, mode | O_CLOEXEC | O_RDWR, 0666);
    if (view->fd < 0 || fstat(view->fd, &st) != 0) {
        note(view, false);
        if (view->fd >= 0)
            close(view->fd);
        free(view);
        return NULL;
    }
    view->size = (uint64_t)st.st_size;
    return &view->head;
}

static herr_t driver_close(H5FD_t *file)
{
    struct view *view = (struct view *)(void *)file;

    note(view, close(view->fd) == 0); /* a network file system may tell only now */
    free(view);
    return 0;
}

static herr_t driver_query(const H5FD_t *file, unsigned long *flags)
{
    (void)file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct view *)(const void *)file)->eoa;
}

static herr_t driver_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t eoa)
{
    (void)type;
    ((struct view *)(void *)file)->eoa = eoa;
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const struct view *)(const void *)file)->size;
}

static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t size,
                          void *buffer)
{
    const struct view *view = (const struct view *)(void *)file;

    (void)type;
    (void)transfer;
    return read_file(view->fd, at, size, buffer) ? 0 : -1;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t size,
                           const void *buffer)
{
    struct view *view = (struct view *)(void *)file;

    (void)type;
    (void)transfer;
    if (at + size > view->size)
        view->size = at + size;
    note(view, *view->failed || write_file(view->fd, at, size, buffer));
    return 0;
}

/* HDF5 ends a file where its allocation ends. */
static herr_t driver_truncate(H5FD_t *file, hid_t transfer, hbool_t closing)
{
    struct view *view = (struct view *)(void *)file;

    (void)transfer;
    (void)closing;
    if (view->eoa == view->size)
        return 0;
    view->size = view->eoa;
    note(view, *view->failed || ftruncate(view->fd, (off_t)view->size) == 0);
    return 0;
}

static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = 514, /* for drivers that are not registered with its makers */
#endif
    .name = "outerloop",
    .maxaddr = ((haddr_t)1 << 62) - 1,
    .fc_degree = H5F_CLOSE_WEAK,
    .fapl_size = sizeof(int *),
    .open = driver_open,
    .close = driver_close,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

/* Metadata stay in the cache until the file is closed: a few kilobytes for each dataset. */
static herr_t keep_metadata(hid_t properties)
{
    H5AC_cache_config_t config = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};

    if (H5Pget_mdc_config(properties, &config) < 0)
        return -1;
    config.set_initial_size = true;
    config.initial_size = config.max_size = config.min_size = (size_t)64 << 20;
    config.incr_mode = H5C_incr__off;
    config.decr_mode = H5C_decr__off;
    config.flash_incr_mode = H5C_flash_incr__off;
    return H5Pset_mdc_config(properties, &config);
}

herr_t ol_disk_use(hid_t properties, int *failed)
{
    static hid_t id = -1;

    if (id < 0)
        id = H5FDregister(&driver);
    if (id < 0 || keep_metadata(properties) < 0)
        return -1;
    return H5Pset_driver(properties, id, (const void *)&failed);
}
