/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/file.h
 * Paths, whole files and folders. Every message names the path and the reason. Local.
 */
#ifndef OUTERLOOP_BASE_FILE_H
#define OUTERLOOP_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <limits.h>
#include <sys/stat.h>

#include "outerloop/base/status.h" /* ol_status */

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

/** printf into a path buffer of PATH_MAX bytes. Errors: OL_EUSAGE when it does not fit. */
ol_status ol_path_format(char path[PATH_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** The folder that a path is in, "." when it names none. Errors: OL_EUSAGE. */
ol_status ol_path_folder(const char *path, char folder[PATH_MAX]);

/** Take the slashes at the end of a path away, in place, so that something can be put behind it. */
void ol_path_trim(char *path);

/** True when something (a file or a folder) is there. */
bool ol_path_exists(const char *path);

/** True when a folder is there. */
bool ol_path_is_folder(const char *path);

/** Make a folder and its parents; fine when it is there. Errors: OL_EIO. */
ol_status ol_make_folders(const char *path);

/** Remove a file, or a folder with all that is in it. False when something is left, for errno. */
bool ol_remove_all(const char *path);

/** Call `visit` for each entry of a folder whose name matches `pattern` (fnmatch), until one fails; a
 *  folder that is not there has none. Errors: OL_EIO, those of `visit`. */
ol_status ol_each_file(const char *folder, const char *pattern,
                       ol_status (*visit)(void *payload, const char *path), void *payload);

/**
 * Open a file that is to be read: a regular one. A pipe, a device or a folder is refused at once and
 * never waited for.
 * @param fd  *owned by the caller* (close), closes on exec
 * @param st  set to what fstat says
 * Errors: OL_EDATA.
 */
ol_status ol_open_input(const char *path, int *fd, struct stat *st);

/**
 * Open a file that is kept under a fixed name in a folder whose contents may come from anywhere, as
 * run.lock and log.txt are. What is no file is refused at once: a link would lead what is written to
 * somebody's file elsewhere, a pipe would be waited for.
 * @param flags  of open(2), O_WRONLY or O_RDWR and what else is wanted
 * @param fd     *owned by the caller* (close), closes on exec; -1 after an error
 * Errors: OL_EIO.
 */
ol_status ol_open_own(const char *path, int flags, int *fd);

/** As ol_open_input without keeping it open: may this be read as a file, and how long is it? */
ol_status ol_stat_input(const char *path, struct stat *st);

/** Is a file almost all holes, so that it claims bytes that it does not have? */
bool ol_stat_is_hollow(const struct stat *st);

/**
 * Read a whole file of at most `most` bytes, as a person's settings or a model's description are:
 * a longer one is refused before it is read. The rest is as in ol_read_file.
 */
ol_status ol_read_file_within(const char *path, size_t most, char **text, size_t *size);

/** What a file of settings (a job, config.json, a task's options) may have. */
enum { OL_SETTINGS_BYTES = 16 << 20 };

/** Would ol_make_folders be let? Of the folders that are missing the first is made and removed at
 *  once. Errors: OL_EIO in its words. */
ol_status ol_check_folders(const char *path);

/**
 * Read a whole file; it may grow meanwhile, by as much as it has and a little more. @param text *owned by the caller* (free), ends in a NUL that `size` does not
 * count. Errors: OL_EDATA when it cannot be read, OL_ENOMEM.
 */
ol_status ol_read_file(const char *path, char **text, size_t *size);

/** May a file take that name? A folder, a pipe or a device is never replaced, as `/dev/null` would be
 *  for root; and the folder that it will be in has to be there. Errors: OL_EIO. */
ol_status ol_check_output(const char *path);

/** Write a whole file aside, sync it, rename it over `path`, and sync the folder: the old file or
 *  the new one is there at any instant, never a part. Errors: OL_EIO, the old file unharmed. */
ol_status ol_write_file(const char *path, const char *text, size_t size);

/** Sync an existing file to disk, rename it to `to` and sync the folder. Errors: OL_EIO, those of
 *  ol_check_output. */
ol_status ol_commit_file(const char *from, const char *to);

/** What a file that was written aside comes to: where `made` says that it is whole it takes the name
 *  `to` (ol_commit_file), else it is removed. Errors: `made`, those of ol_commit_file. */
ol_status ol_commit_aside(ol_status made, const char *aside, const char *to);

/** Length of the valid UTF-8 prefix of text[0..size-1]; equals size when all of it is valid
 *  (overlong forms, surrogates and code points above U+10FFFF are not). */
size_t ol_utf8_valid(const char *text, size_t size);

#endif
