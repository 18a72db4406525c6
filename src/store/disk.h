/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How files that are written reach the disk: an HDF5 file driver that never fails a write.
 *
 * HDF5 does not survive a failed write: the file stays half open inside the library, later calls
 * fail and the program crashes at exit. A full disk must not end a run, so HDF5 never hears of it.
 *
 *   created files    are written through; after a failure, raw data is thrown away and metadata
 *                    kept in memory, so that HDF5 closes the file in peace, and the failure is
 *                    told then.
 *   changed files    are not touched while HDF5 works: its writes are collected in memory as pages
 *                    (what it changes, not the whole file) and put on disk after it has closed the
 *                    file, growth first, then changes, the first page last. A full disk shows while
 *                    the file only grows, and the old contents stay valid.
 *
 * No locks are taken by this driver. Local.
 */
#ifndef STORE_DISK_H
#define STORE_DISK_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "outerloop/base/status.h"

enum { OL_PAGE_BYTES = 4096 };

/* A page in memory. */
typedef struct ol_page {
    uint64_t number; /* its first byte is number · OL_PAGE_BYTES */
    unsigned char *bytes;
} ol_page;

typedef struct ol_disk {
    char *path;
    bool creates;   /* written through; otherwise collected        */
    int failed;     /* errno of the first write that failed, or 0  */
    uint64_t size;  /* of the file as HDF5 sees it                 */
    ol_page *pages; /* [n], by number                              */
    size_t n, room;
} ol_disk;

/* @param out *owned by the caller* (ol_disk_destroy). Errors: OL_ENOMEM. */
ol_status ol_disk_create(const char *path, bool creates, ol_disk **out);

/* Accepts NULL. */
void ol_disk_destroy(ol_disk *disk);

/* Make a file access property list use the driver; negative on failure. `disk` is borrowed until
   the file is closed. */
herr_t ol_disk_use(hid_t properties, ol_disk *disk);

/* After HDF5 has closed the file: put the collected pages on disk, or tell of the failed write.
   It may be called again after a failure of collected pages. Errors: OL_EIO. */
ol_status ol_disk_apply(ol_disk *disk);

#endif
