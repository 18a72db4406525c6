/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this room share: HDF5 handles that close themselves, and errors as messages. */
#ifndef STORE_H5_H
#define STORE_H5_H

#include <hdf5.h>
#include <stdbool.h>

#include "outerloop/base/status.h"
#include "outerloop/base/text.h" /* ol_text */
#include "outerloop/store/archive.h"

struct ol_archive {
    hid_t file;
    bool writes;
    int failed; /* errno of the first write that failed, or 0 */
    char *path;
};

/* A handle that is closed when it goes out of scope, so that early return is always safe. Negative
   ones are left alone. */
#define OL_H5_AUTO OL_AUTO(ol_h5_drop) hid_t
void ol_h5_drop(hid_t *id);

/* Sets "path: object: what: HDF5's innermost reason"; object may be NULL. Returns `code`. */
ol_status ol_h5_fail(ol_status code, const char *path, const char *object, const char *what);

/* The same for an archive: the code is what it was opened for. */
ol_status ol_h5_fail_in(const ol_archive *archive, const char *object, const char *what);

/* Return to the caller when an HDF5 call (or a handle from one) is negative. */
#define OL_TRY_H5(expr, archive, object, what)                                                     \
    do {                                                                                           \
        if ((expr) < 0)                                                                            \
            return ol_h5_fail_in((archive), (object), (what));                                     \
    } while (0)

/* What a file must pass before HDF5 reads it in this process; archive.h tells the whole defence. One
   that passed and was not written to since passes again at once. Errors: OL_EDATA, OL_ENOMEM. */
ol_status ol_admit(const char *path);

/* Remember that this process itself has just written and closed the file. */
void ol_admit_own(const char *path);

enum ol_h5_mode {
    OL_H5_READ,   /* without asking whether it may be (ol_admit): in a child that finds that out  */
    OL_H5_CHANGE, /* what is there: in a child only, for HDF5 does not survive a failed write     */
    OL_H5_CREATE
};

/* @param block  bytes at the beginning of a file that is made which are its owner's (512 or a power
   of two above; 0 for none): HDF5 leaves them alone */
ol_status ol_h5_open(const char *path, enum ol_h5_mode mode, size_t block, ol_archive **out);

/* Make a file access property list write by way of disk.c; negative on failure. @param failed  set
   to the errno of the first call that fails; borrowed until the file is closed */
herr_t ol_disk_use(hid_t properties, int *failed);

/* Property list that makes the groups on the way to an object. */
hid_t ol_h5_making_groups(void);

/* The type of numbers as they stand in memory. Borrowed. */
hid_t ol_h5_native(ol_number kind);

/* A string type of `size` bytes (0 = variable length), UTF-8, padded with NULs. */
hid_t ol_h5_string_type(size_t size);

/* True when all of `text` is UTF-8. */
bool ol_h5_is_utf8(const char *text);

/* Turns the strings in `packed`, which end in a NUL each, into an ol_strings. */
ol_status ol_h5_unpack(const ol_text *packed, ol_strings *out);

/* Set an attribute of n UTF-8 strings (variable length); n = 0 makes it a scalar of one. */
ol_status ol_h5_set_strings(ol_archive *archive, const char *object, const char *name, size_t n,
                            const char *const *values);

#endif
