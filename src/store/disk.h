/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How files that are created or changed reach the disk: an HDF5 file driver that never fails a write.
 *
 * HDF5 does not survive a failed write: the file stays half open inside the library, later calls
 * fail and the program crashes at exit. A full disk must not end a run, so HDF5 never hears of it:
 * after a failure what it writes is thrown away, it closes the file in peace, and the failure is
 * told then. It may want to read back what was thrown away, of its metadata; so that is kept in
 * HDF5's own cache until the file is closed (ol_disk_use).
 *
 * No locks are taken by this driver. Local.
 */
#ifndef STORE_DISK_H
#define STORE_DISK_H

#include <hdf5.h>
#include <stdint.h>

#include "outerloop/base/status.h"

typedef struct ol_disk {
    char *path;
    int failed;    /* errno of the first call that failed, or 0 */
    uint64_t size; /* of the file as HDF5 sees it               */
} ol_disk;

/* @param out *owned by the caller* (ol_disk_destroy). Errors: OL_ENOMEM. */
ol_status ol_disk_create(const char *path, ol_disk **out);

/* Accepts NULL. */
void ol_disk_destroy(ol_disk *disk);

/* Make a file access property list use the driver; negative on failure. `disk` is borrowed until
   the file is closed. */
herr_t ol_disk_use(hid_t properties, ol_disk *disk);

/* After HDF5 has closed the file: was all of it written? Errors: OL_EIO. */
ol_status ol_disk_status(const ol_disk *disk);

#endif
