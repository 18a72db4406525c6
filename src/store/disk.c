/* SPDX-License-Identifier: BSD-3-Clause */
#include "disk.h"

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
    H5FD_t head; /* must be first */
    ol_disk *disk;
    haddr_t eoa; /* end of what HDF5 has allocated */
    int fd;
    dev_t device; /* tells HDF5 whether two files are one */
    ino_t inode;
};

ol_status ol_disk_create(const char *path, bool creates, ol_disk **out)
{
    ol_disk *disk = calloc(1, sizeof *disk);

    if (disk)
        disk->path = strdup(path);
    if (!disk || !disk->path) {
        free(disk);
        return ol_fail(OL_ENOMEM, "%s: no memory to open the file", path);
    }
    disk->creates = creates;
    *out = disk;
    return OL_OK;
}

void ol_disk_destroy(ol_disk *disk)
{
    if (disk) {
        for (size_t i = 0; i < disk->n; i++)
            free(disk->pages[i].bytes);
        free(disk->pages);
        free(disk->path);
        free(disk);
    }
}

/* Where the page of that number is, or would be. */
static size_t page_place(const ol_disk *disk, uint64_t number)
{
    size_t low = 0, high = disk->n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (disk->pages[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static unsigned char *find_page(const ol_disk *disk, uint64_t number)
{
    const size_t at = page_place(disk, number);

    return at < disk->n && disk->pages[at].number == number ? disk->pages[at].bytes : NULL;
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

/* The page of that number in memory, loaded from the file when it is new; NULL without memory. */
static unsigned char *take_page(ol_disk *disk, int fd, uint64_t number)
{
    const size_t at = page_place(disk, number);
    unsigned char *bytes;

    if (at < disk->n && disk->pages[at].number == number)
        return disk->pages[at].bytes;
    if (disk->n == disk->room) {
        const size_t room = disk->room ? 2 * disk->room : 64;
        ol_page *pages = realloc(disk->pages, room * sizeof *pages);

        if (!pages)
            return NULL;
        disk->pages = pages;
        disk->room = room;
    }
    bytes = malloc(OL_PAGE_BYTES);
    if (!bytes || !read_file(fd, number * OL_PAGE_BYTES, OL_PAGE_BYTES, bytes)) {
        free(bytes);
        return NULL;
    }
    memmove(disk->pages + at + 1, disk->pages + at, (disk->n - at) * sizeof *disk->pages);
    disk->pages[at] = (ol_page){number, bytes};
    disk->n++;
    return bytes;
}

static bool collect(ol_disk *disk, int fd, uint64_t at, size_t size, const unsigned char *from)
{
    while (size > 0) {
        const size_t start = (size_t)(at % OL_PAGE_BYTES), left = OL_PAGE_BYTES - start;
        const size_t n = size < left ? size : left;
        unsigned char *page = take_page(disk, fd, at / OL_PAGE_BYTES);

        if (!page)
            return false;
        memcpy(page + start, from, n);
        from += n;
        at += n;
        size -= n;
    }
    return true;
}

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t properties, haddr_t maxaddr)
{
    ol_disk *const *info = H5Pget_driver_info(properties);
    int mode = O_CLOEXEC;
    struct view *view;
    struct stat st;

    (void)maxaddr;
    view = info ? calloc(1, sizeof *view) : NULL;
    if (!view)
        return NULL;
    view->disk = *info;
    mode |= view->disk->creates && (flags & H5F_ACC_RDWR) ? O_RDWR : O_RDONLY;
    mode |= (flags & H5F_ACC_CREAT ? O_CREAT : 0) | (flags & H5F_ACC_TRUNC ? O_TRUNC : 0);
    view->fd = open(name, mode, 0666);
    if (view->fd < 0 || fstat(view->fd, &st) != 0) {
        view->disk->failed = errno;
        if (view->fd >= 0)
            close(view->fd);
        free(view);
        return NULL;
    }
    view->disk->failed = 0; /* HDF5 may have tried to open a file that was not there yet */
    view->disk->size = (uint64_t)st.st_size;
    view->device = st.st_dev;
    view->inode = st.st_ino;
    return &view->head;
}

static herr_t driver_close(H5FD_t *file)
{
    struct view *view = (struct view *)(void *)file;

    if (close(view->fd) != 0 && view->disk->creates && !view->disk->failed)
        view->disk->failed = errno; /* a network file system may tell only now */
    free(view);
    return 0;
}

static int driver_compare(const H5FD_t *first, const H5FD_t *second)
{
    const struct view *a = (const struct view *)(const void *)first;
    const struct view *b = (const struct view *)(const void *)second;

    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return (a->inode > b->inode) - (a->inode < b->inode);
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
    return ((const struct view *)(const void *)file)->disk->size;
}

static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t size,
                          void *buffer)
{
    const struct view *view = (const struct view *)(void *)file;
    unsigned char *to = buffer;

    (void)type;
    (void)transfer;
    if (!read_file(view->fd, at, size, to))
        return -1;
    for (uint64_t done = 0; done < size && view->disk->n > 0;) {
        const size_t start = (size_t)((at + done) % OL_PAGE_BYTES), left = OL_PAGE_BYTES - start;
        const size_t n = size - done < left ? (size_t)(size - done) : left;
        const unsigned char *page = find_page(view->disk, (at + done) / OL_PAGE_BYTES);

        if (page)
            memcpy(to + done, page + start, n);
        done += n;
    }
    return 0;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t size,
                           const void *buffer)
{
    const struct view *view = (const struct view *)(void *)file;
    ol_disk *disk = view->disk;

    (void)transfer;
    if (at + size > disk->size)
        disk->size = at + size;
    if (disk->creates && !disk->failed) {
        if (write_file(view->fd, at, size, buffer))
            return 0;
        disk->failed = errno;
    }
    if (disk->creates && type == H5FD_MEM_DRAW)
        return 0; /* the file is lost already */
    return collect(disk, view->fd, at, size, buffer) ? 0 : -1;
}

/* HDF5 ends a file where its allocation ends. */
static herr_t driver_truncate(H5FD_t *file, hid_t transfer, hbool_t closing)
{
    const struct view *view = (const struct view *)(void *)file;
    ol_disk *disk = view->disk;

    (void)transfer;
    (void)closing;
    if (view->eoa == disk->size)
        return 0;
    disk->size = view->eoa;
    if (disk->creates && !disk->failed && ftruncate(view->fd, (off_t)disk->size) != 0)
        disk->failed = errno;
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
    .fapl_size = sizeof(ol_disk *),
    .open = driver_open,
    .close = driver_close,
    .cmp = driver_compare,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

herr_t ol_disk_use(hid_t properties, ol_disk *disk)
{
    static hid_t id = -1;

    if (id < 0)
        id = H5FDregister(&driver);
    return id < 0 ? -1 : H5Pset_driver(properties, id, (const void *)&disk);
}

/* Put what lies in [from, to) of page i on disk. */
static bool put_page(const ol_disk *disk, int fd, size_t i, uint64_t from, uint64_t to)
{
    const uint64_t at = disk->pages[i].number * OL_PAGE_BYTES, end = at + OL_PAGE_BYTES;

    if (from < at)
        from = at;
    if (to > end)
        to = end;
    return from >= to ||
           write_file(fd, from, (size_t)(to - from), disk->pages[i].bytes + (from - at));
}

/* Growth first, in order; then what changes in place, the first page last. */
static bool put_pages(const ol_disk *disk, int fd, uint64_t old_size)
{
    const uint64_t changed = old_size < disk->size ? old_size : disk->size;

    for (size_t i = 0; i < disk->n; i++)
        if (!put_page(disk, fd, i, changed, disk->size))
            return false;
    if (old_size < disk->size && ftruncate(fd, (off_t)disk->size) != 0)
        return false;
    for (size_t i = disk->n; i-- > 0;)
        if (!put_page(disk, fd, i, 0, changed))
            return false;
    return old_size <= disk->size || ftruncate(fd, (off_t)disk->size) == 0;
}

ol_status ol_disk_apply(ol_disk *disk)
{
    struct stat st;
    int fd, reason;

    OL_CHECK(!disk->failed, OL_EIO, "%s: cannot write: %s", disk->path, strerror(disk->failed));
    if (disk->creates || disk->n == 0)
        return OL_OK;
    fd = open(disk->path, O_WRONLY | O_CLOEXEC);
    OL_CHECK(fd >= 0, OL_EIO, "%s: cannot write: %s", disk->path, strerror(errno));
    reason = fstat(fd, &st) == 0 && put_pages(disk, fd, (uint64_t)st.st_size) ? 0 : errno;
    if (close(fd) != 0 && !reason)
        reason = errno;
    OL_CHECK(!reason, OL_EIO, "%s: cannot write: %s", disk->path, strerror(reason));
    return OL_OK;
}
