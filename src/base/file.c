/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
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

ol_status ol_make_folders(const char *path)
{
    char part[PATH_MAX];

    OL_TRY(ol_path_format(part, "%s", path));
    for (char *slash = part + 1;; slash++) {
        const char held = *slash;

        if (held != '/' && held != '\0')
            continue;
        *slash = '\0';
        OL_CHECK(mkdir(part, 0777) == 0 || ol_path_is_folder(part), OL_EIO,
                 "%s: cannot make the folder: %s", part, strerror(errno));
        *slash = held;
        if (held == '\0')
            return OL_OK;
    }
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

static ol_status read_stream(FILE *in, const char *path, char **text, size_t *size)
{
    size_t room = 1 << 16, used = 0;
    char *buffer = malloc(room);

    while (buffer) {
        used += fread(buffer + used, 1, room - used, in);
        if (used < room)
            break;
        room *= 2;
        char *grown = realloc(buffer, room);
        if (!grown)
            free(buffer);
        buffer = grown;
    }
    OL_CHECK(buffer, OL_ENOMEM, "%s: no memory to read the file (%zu bytes)", path, room);
    if (ferror(in)) {
        free(buffer);
        return ol_fail(OL_EDATA, "%s: cannot read: %s", path, strerror(errno));
    }
    buffer[used] = '\0';
    *text = buffer;
    *size = used;
    return OL_OK;
}

ol_status ol_read_file(const char *path, char **text, size_t *size)
{
    FILE *in = fopen(path, "rb");
    ol_status status;

    OL_CHECK(in, OL_EDATA, "%s: cannot open: %s", path, strerror(errno));
    status = read_stream(in, path, text, size);
    fclose(in);
    return status;
}

/* Without it a power cut can lose the new name of a file that is itself safe. */
static void sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    char *slash;
    int fd;

    snprintf(folder, sizeof folder, "%s", path);
    slash = strrchr(folder, '/');
    if (slash == folder)
        slash[1] = '\0';
    else if (slash)
        *slash = '\0';
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY);
    if (fd >= 0) {
        fsync(fd); /* some file systems refuse to sync a folder; the rename stands all the same */
        close(fd);
    }
}

ol_status ol_commit_file(const char *from, const char *to)
{
    const int fd = open(from, O_RDONLY);
    int failed;

    OL_CHECK(fd >= 0, OL_EIO, "%s: cannot open to sync it: %s", from, strerror(errno));
    failed = fsync(fd) != 0 ? errno : 0;
    close(fd);
    OL_CHECK(!failed, OL_EIO, "%s: cannot sync to disk: %s", from, strerror(failed));
    OL_CHECK(rename(from, to) == 0, OL_EIO, "%s: cannot rename to %s: %s", from, to,
             strerror(errno));
    sync_folder_of(to);
    return OL_OK;
}

ol_status ol_write_file(const char *path, const char *text, size_t size)
{
    char aside[PATH_MAX];
    FILE *out;
    int failed = 0;
    ol_status status;

    OL_TRY(ol_path_format(aside, "%s.tmp-%ld", path, (long)getpid()));
    out = fopen(aside, "wb");
    OL_CHECK(out, OL_EIO, "%s: cannot write: %s", aside, strerror(errno));
    if (fwrite(text, 1, size, out) != size)
        failed = errno;
    if (fclose(out) != 0 && !failed)
        failed = errno;
    status = failed ? ol_fail(OL_EIO, "%s: cannot write: %s", aside, strerror(failed))
                    : ol_commit_file(aside, path);
    if (status != OL_OK)
        unlink(aside);
    return status;
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
