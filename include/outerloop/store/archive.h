/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/store/archive.h
 * An HDF5 file as named arrays and attributes.
 *
 * A path names an object from the root: "params/wte.weight", "/tasks/0/support/tokens". Slashes
 * separate groups; dots belong to names. Writing makes the groups in between.
 *
 * Numbers are converted on reading, as HDF5 does it: a float64 dataset can be read as float, an
 * int32 one as int64. On disk they are little-endian standard types, so that any HDF5 program on
 * any machine reads them. Arrays above 1 KiB are chunked and carry a Fletcher-32 checksum: a byte
 * that changes on disk is an error when it is read, not a wrong number.
 *
 * Files are written with format bounds (earliest, v110), which HDF5 1.8 and every viewer read, and
 * without file locks: a program that looks at a file never stops the one that writes it.
 *
 * Files from strangers. Checkpoints, metrics, verification and prompts files come from anywhere, and
 * HDF5 reads out of bounds, follows links into other files and never ends on files that are made for
 * it. So this is the one way in, and a file passes these in turn (ol_archive_open) before the library
 * sees it in this process:
 *
 *   1. it is a regular file (no pipe, device or folder is waited for), not almost all holes;
 *   2. every byte of its structure is checked by our own reader against a narrow profile of HDF5,
 *      whose table is in src/store/profile.h: no links but hard ones and each object once, no values
 *      in other files, no types and filters but ours, no claim beyond what the file has;
 *   3. the library opens it and reads every dataset and attribute once.
 *
 * 2 and 3 are done by a child with limits: 1 s of computing and one more for each 100 MB, 256 MiB of
 * memory and the file's size, a minute of waiting and more for large files, no further file. What
 * crashes or does not end there is an error here. A file that passed is taken again without asking
 * while its size and time stay; so is a checkpoint that this process wrote. Within this process the
 * library loads no filters and knows no external links.
 *
 * The seal of a checkpoint and the digests in it have no key: whoever alters a file can seal it
 * again. They tell of accidents, and are no defence; sealed files pass all of this too. A file that
 * someone changes while it is read is not defended against.
 *
 * A damaged dataset therefore shows when the file is opened. Cost: one more pass over the file; for a
 * small one some milliseconds.
 *
 * Errors of all functions, unless said otherwise: OL_EDATA when reading fails (a missing file, one
 * that is not HDF5 or is cut short, a missing object, another shape or type), OL_EIO when writing
 * does, OL_ENOMEM. The message names the file and the object. Local: one process and one thread
 * use an archive.
 */
#ifndef OUTERLOOP_STORE_ARCHIVE_H
#define OUTERLOOP_STORE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */

typedef struct ol_archive ol_archive;

/** Names or texts read from a file: n strings in one block. Zero is empty. */
typedef struct ol_strings {
    char **items; /**< [n], each ends in a NUL */
    size_t n;
} ol_strings;

/** Free the strings. Accepts NULL and a zero struct. */
void ol_strings_finish(ol_strings *strings);
#define OL_AUTO_STRINGS OL_AUTO(ol_strings_finish) ol_strings

/** "HDF5 1.10.8": the library loaded, which may be newer than the headers. Borrowed. */
const char *ol_store_library(void);

/* Life of a file. */

/** Open an existing file to read, when it passes what is told above. @param out *owned by the caller* (ol_archive_close). */
ol_status ol_archive_open(const char *path, ol_archive **out);

/** Create a file to write, in place of any that is there. @param out *owned by the caller*. */
ol_status ol_archive_create(const char *path, ol_archive **out);

/** Make a file of what `fill` puts into it: written aside, synced and renamed, so that a file of that
 *  name is whole or not there. Errors: OL_EIO, those of `fill`. */
ol_status ol_archive_make(const char *path,
                          ol_status (*fill)(const void *payload, ol_archive *file),
                          const void *payload);

/** Close and free. Only after OL_OK is a written file whole. Accepts NULL. */
ol_status ol_archive_close(ol_archive *archive);

/** One that is read: closed where its name ends. */
OL_DROPS(ol_archive, ol_archive_close)
#define OL_AUTO_ARCHIVE OL_AUTO(ol_archive_drop) ol_archive

/** The path it was opened with. Borrowed. */
const char *ol_archive_path(const ol_archive *archive);

/* What is in it. */

/** True when there is an object (group or dataset) of that path. */
bool ol_archive_has(const ol_archive *archive, const char *object);

/** True when there is a group of that path. */
bool ol_archive_is_group(const ol_archive *archive, const char *object);

/** Names of the members of a group in name order. @param out *owned by the caller*. */
ol_status ol_archive_children(const ol_archive *archive, const char *group, ol_strings *out);

/** Names of the attributes of an object in name order. @param out *owned by the caller*. */
ol_status ol_archive_attributes(const ol_archive *archive, const char *object, ol_strings *out);

/** Elements of a dataset, the product of its extents. */
ol_status ol_archive_count(const ol_archive *archive, const char *object, size_t *count);

/** Numbers as they stand in memory. */
typedef enum ol_number {
    OL_NUMBER_F32,
    OL_NUMBER_F64,
    OL_NUMBER_I32,
    OL_NUMBER_I64,
    OL_NUMBER_U8
} ol_number;

/** Which of them a pointer points to. */
/* clang-format off */
#define OL_NUMBER(pointer) \
    _Generic(*(pointer), float: OL_NUMBER_F32, double: OL_NUMBER_F64, int32_t: OL_NUMBER_I32, \
             int64_t: OL_NUMBER_I64, uint8_t: OL_NUMBER_U8)
/* clang-format on */

/** Read exactly `count` elements, row-major, any shape; another count is OL_EDATA. @param out [count] */
ol_status ol_archive_read_numbers(const ol_archive *archive, const char *object, ol_number kind,
                                  size_t count, void *out);

/** The same, of the kind that `out` points to. */
#define ol_archive_read(archive, object, count, out)                                               \
    ol_archive_read_numbers(archive, object, OL_NUMBER(out), count, out)

/** Read a dataset of strings, fixed or variable, of any shape. @param out *owned by the caller*. */
ol_status ol_archive_read_strings(const ol_archive *archive, const char *object, ol_strings *out);

/** The same of names of tasks, learners and the like: without control characters, or OL_EDATA. */
ol_status ol_archive_read_names(const ol_archive *archive, const char *object, ol_strings *out);

/** Lists of numbers, one a row: those of row i are values[first[i]] .. values[first[i+1]-1]. */
typedef struct ol_lists {
    double *values;
    size_t *first; /**< [n+1] */
    size_t n;
} ol_lists;

/** Free the lists. Accepts NULL and a zero struct. */
void ol_lists_finish(ol_lists *lists);

/** Read a dataset of lists of variable length. @param out *owned by the caller*. */
ol_status ol_archive_read_lists(const ol_archive *archive, const char *object, ol_lists *out);

/** Read a scalar string dataset. @param out *owned by the caller* (free). */
ol_status ol_archive_read_text(const ol_archive *archive, const char *object, char **out);

/** Write an array of rank 0 (a scalar) to 8; the object must not exist yet. @param dims [rank] */
ol_status ol_archive_write_numbers(ol_archive *archive, const char *object, ol_number kind,
                                   int rank, const int64_t *dims, const void *data);

/** The same, of the kind that `data` points to. */
#define ol_archive_write(archive, object, rank, dims, data)                                        \
    ol_archive_write_numbers(archive, object, OL_NUMBER(data), rank, dims, data)

/** Write a text as a scalar UTF-8 string dataset. Errors also: OL_EDATA when it is not UTF-8. */
ol_status ol_archive_write_text(ol_archive *archive, const char *object, const char *text);

/** Make a group and its parents; fine when it is there. */
ol_status ol_archive_make_group(ol_archive *archive, const char *group);

/* Attributes. "/" is the root. Setting one that exists replaces it. */

bool ol_archive_has_attribute(const ol_archive *archive, const char *object, const char *name);

/** Read an integer: stored as any integer, or as the boolean enumeration of h5py. */
ol_status ol_archive_get_i64(const ol_archive *archive, const char *object, const char *name,
                             int64_t *out);

/** Read a number: stored as any float or integer. */
ol_status ol_archive_get_f64(const ol_archive *archive, const char *object, const char *name,
                             double *out);

/** Read exactly `count` numbers of an array attribute. */
ol_status ol_archive_get_f64s(const ol_archive *archive, const char *object, const char *name,
                              size_t count, double *out);

/** Read a string, fixed or variable, UTF-8 or ASCII. @param out *owned by the caller* (free). */
ol_status ol_archive_get_text(const ol_archive *archive, const char *object, const char *name,
                              char **out);

/** Any attribute as text for people: numbers with all digits, arrays in brackets, others by type.
 *  @param out *owned by the caller* (free). */
ol_status ol_archive_show(const ol_archive *archive, const char *object, const char *name,
                          char **out);

ol_status ol_archive_set_i64(ol_archive *archive, const char *object, const char *name,
                             int64_t value);
ol_status ol_archive_set_f64(ol_archive *archive, const char *object, const char *name,
                             double value);

/** Write a UTF-8 string. Errors also: OL_EDATA when it is not UTF-8. */
ol_status ol_archive_set_text(ol_archive *archive, const char *object, const char *name,
                              const char *value);

#endif
