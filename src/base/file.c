/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ol_status ol_path_format(char path[PATH_MAX], const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(path, PATH_MAX, format, args);
    va_end(args);
    OL_CHECK(n >= 0 && n < PATH_MAX, OL_EUSAGE, "path too long (over %d bytes): %.80s...",
             PATH_MAX - 1, path);
    return OL_OK;
}

bool ol_path_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

bool ol_path_is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

ol_status ol_path_folder(const char *path, char folder[PATH_MAX])
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return ol_path_format(folder, ".");
    return ol_path_format(folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

void ol_path_trim(char *path)
{
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = '\0';
}

/* Make the folders on the way to a path, and itself; or only try, and the first one that could be made
   goes at once: permissions say nothing to root, or on file systems of the kernel's. */
static ol_status make_folders(const char *path, bool tries)
{
    char part[PATH_MAX];

    OL_TRY(ol_path_format(part, "%s", path));
    for (char *slash = part + 1;; slash++) {
        const char held = *slash;
        bool made;
        int failed;

        if (held != '/' && held != '\0')
            continue;
        *slash = '\0';
        made = mkdir(part, 0777) == 0;
        failed = errno;
        OL_CHECK(made || ol_path_is_folder(part), OL_EIO, "%s: cannot make the folder: %s", part,
                 strerror(failed));
        if (made && tries)
            rmdir(part); /* what is below it can then be made too */
        *slash = held;
        if (held == '\0' || (made && tries))
            return OL_OK;
    }
}

ol_status ol_make_folders(const char *path)
{
    return make_folders(path, false);
}

ol_status ol_check_folders(const char *path)
{
    return make_folders(path, true);
}

ol_status ol_each_file(const char *folder, const char *pattern,
                       ol_status (*visit)(void *payload, const char *path), void *payload)
{
    DIR *dir = opendir(folder);
    ol_status status = OL_OK;

    if (!dir && errno == ENOENT)
        return OL_OK;
    OL_CHECK(dir, OL_EIO, "%s: cannot list the folder: %s", folder, strerror(errno));
    for (struct dirent *entry; status == OL_OK && (entry = readdir(dir));) {
        char path[PATH_MAX];

        if (fnmatch(pattern, entry->d_name, 0) != 0)
            continue;
        status = ol_path_format(path, "%s/%s", folder, entry->d_name);
        if (status == OL_OK)
            status = visit(payload, path);
    }
    closedir(dir);
    return status;
}

/* What is no file, in words; NULL for a file. */
static const char *strange_kind(const struct stat *st)
{
    return S_ISREG(st->st_mode)   ? NULL
           : S_ISDIR(st->st_mode) ? "folder"
           : S_ISLNK(st->st_mode) ? "link"
                                  : "pipe or a device";
}

ol_status ol_open_input(const char *path, int *fd, struct stat *st)
{
    int opened = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    const char *what = NULL;

    *fd = -1;
    OL_CHECK(opened >= 0, OL_EDATA, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(opened, st) != 0)
        what = "cannot be looked at";
    else if (S_ISDIR(st->st_mode))
        what = "is a folder, not a file";
    else if (!S_ISREG(st->st_mode))
        what = "is a pipe or a device, not a file: only regular files are read";
    if (what) {
        close(opened);
        return ol_fail(OL_EDATA, "%s: %s", path, what);
    }
    *fd = opened;
    return OL_OK;
}

ol_status ol_open_own(const char *path, int flags, int *fd)
{
    struct stat st;
    const int opened =
        open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666); /* never waits */
    const int failed = opened < 0 ? errno : 0;
    const bool known = (failed ? lstat(path, &st) : fstat(opened, &st)) == 0;
    const char *kind = known ? strange_kind(&st) : NULL;

    *fd = kind ? -1 : opened;
    if (kind && !failed)
        close(opened);
    OL_CHECK(!kind, OL_EIO, "%s: is a %s, where this program keeps a file of its own: remove it",
             path, kind);
    OL_CHECK(!failed, OL_EIO, "%s: cannot write there: %s", path, strerror(failed));
    return OL_OK;
}

ol_status ol_stat_input(const char *path, struct stat *st)
{
    int fd;

    OL_TRY(ol_open_input(path, &fd, st));
    close(fd);
    return OL_OK;
}

/* Room for the file as it is, and for one byte more, which tells whether it grew meanwhile. */
static ol_status read_stream(FILE *in, const char *path, size_t expected, size_t most, char **text,
                             size_t *size)
{
    size_t room = expected + 2, used = 0;
    char *buffer = malloc(room);

    while (buffer) {
        used += fread(buffer + used, 1, room - used, in);
        if (used < room || used > most)
            break;
        room *= 2;
        char *grown = realloc(buffer, room);
        if (!grown)
            free(buffer);
        buffer = grown;
    }
    OL_CHECK(buffer, OL_ENOMEM, "%s: no memory to read the file (%zu bytes)", path, room);
    if (ferror(in) || used > most) {
        const char *reason = used > most ? "it grows while it is read" : strerror(errno);

        free(buffer);
        return ol_fail(OL_EDATA, "%s: cannot read: %s", path, reason);
    }
    buffer[used] = '\0';
    *text = buffer;
    *size = used;
    return OL_OK;
}

ol_status ol_read_file_within(const char *path, size_t most, char **text, size_t *size)
{
    struct stat st;
    FILE *in;
    size_t grown;
    int fd;
    ol_status status;

    OL_TRY(ol_open_input(path, &fd, &st));
    grown = 2 * (size_t)st.st_size + OL_SETTINGS_BYTES; /* /proc has files without an end */
    if ((uint64_t)st.st_size > most) {
        close(fd);
        return ol_fail(OL_EDATA, "%s: has %lld bytes; one of its kind has at most %zu", path,
                       (long long)st.st_size, most);
    }
    in = fdopen(fd, "rb");
    if (!in) {
        close(fd);
        return ol_fail(OL_ENOMEM, "%s: no memory to read the file", path);
    }
    status = read_stream(in, path, (size_t)st.st_size, most < grown ? most : grown, text, size);
    fclose(in);
    return status;
}

bool ol_stat_is_hollow(const struct stat *st)
{
    static const uint64_t fine = 16 << 20, times = 8;
    const uint64_t held = (uint64_t)st->st_blocks * 512;

    return held > 0 && (uint64_t)st->st_size > fine + times * held;
}

ol_status ol_read_file(const char *path, char **text, size_t *size)
{
    return ol_read_file_within(path, SIZE_MAX / 4, text, size);
}

/* Without it a power cut can lose the new name of a file that is itself safe. */
static void sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    int fd;

    if (ol_path_folder(path, folder) != OL_OK)
        return;
    fd = open(folder, O_RDONLY | O_DIRECTORY);
    if (fd >= 0) {
        fsync(fd); /* some file systems refuse to sync a folder; the rename stands all the same */
        close(fd);
    }
}

ol_status ol_check_output(const char *path)
{
    char folder[PATH_MAX];
    struct stat st;
    const char *kind;

    if (stat(path, &st) != 0) {
        OL_TRY(ol_path_folder(path, folder));
        OL_CHECK(ol_path_is_folder(folder), OL_EIO, "%s: there is no folder %s", path, folder);
        return OL_OK;
    }
    kind = strange_kind(&st);
    OL_CHECK(!kind, OL_EIO, "%s: is a %s, and what is written would take its place: name a file",
             path, kind);
    return OL_OK;
}

ol_status ol_commit_file(const char *from, const char *to)
{
    int fd, failed;

    OL_TRY(ol_check_output(to));
    fd = open(from, O_RDONLY);
    OL_CHECK(fd >= 0, OL_EIO, "%s: cannot open to sync it: %s", from, strerror(errno));
    failed = fsync(fd) != 0 ? errno : 0;
    close(fd);
    OL_CHECK(!failed, OL_EIO, "%s: cannot sync to disk: %s", from, strerror(failed));
    OL_CHECK(rename(from, to) == 0, OL_EIO, "%s: cannot rename to %s: %s", from, to,
             strerror(errno));
    sync_folder_of(to);
    return OL_OK;
}

ol_status ol_commit_aside(ol_status made, const char *aside, const char *to)
{
    const ol_status status = made == OL_OK ? ol_commit_file(aside, to) : made;

    if (status != OL_OK)
        unlink(aside);
    return status;
}

ol_status ol_write_file(const char *path, const char *text, size_t size)
{
    char aside[PATH_MAX];
    FILE *out;
    int failed = 0;
    ol_status status = OL_OK;

    OL_TRY(ol_check_output(path));
    OL_TRY(ol_path_format(aside, "%s.tmp-%ld", path, (long)getpid()));
    out = fopen(aside, "wb");
    OL_CHECK(out, OL_EIO, "%s: cannot write: %s", aside, strerror(errno));
    if (fwrite(text, 1, size, out) != size)
        failed = errno;
    if (fclose(out) != 0 && !failed)
        failed = errno;
    if (failed)
        status = ol_fail(OL_EIO, "%s: cannot write: %s", aside, strerror(failed));
    return ol_commit_aside(status, aside, path);
}

/* Bytes of the code point at s, 0 when it is not valid UTF-8. */
static size_t code_point_size(const unsigned char *s, size_t left)
{
    const unsigned char a = s[0];
    const size_t n = a < 0x80 ? 1 : a < 0xC2 ? 0 : a < 0xE0 ? 2 : a < 0xF0 ? 3 : a < 0xF5 ? 4 : 0;

    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((a == 0xE0 && s[1] < 0xA0) || (a == 0xED && s[1] > 0x9F) || (a == 0xF0 && s[1] < 0x90) ||
        (a == 0xF4 && s[1] > 0x8F))
        return 0;
    return n;
}

size_t ol_utf8_valid(const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t at = 0;

    while (at < size) {
        const size_t n = code_point_size(s + at, size - at);

        if (n == 0)
            break;
        at += n;
    }
    return at;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

bool ol_remove_all(const char *path)
{
    return nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT;
}
