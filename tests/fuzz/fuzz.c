/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "outerloop/base/file.h"   /* PATH_MAX */
#include "outerloop/base/status.h" /* ol_status_message */

bool fuzz_accepted;
static char folder[PATH_MAX];

void fuzz_found(const char *what)
{
    fprintf(stderr, "found: %s (%s)\n", what, ol_status_message());
    abort();
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_folder(void)
{
    const char *place = getenv("TMPDIR");

    if (!place) /* a disk would be most of the time */
        place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%s/fuzz-XXXXXX", place);
    if (!mkdtemp(folder)) {
        perror(folder);
        exit(1);
    }
    atexit(remove_folder);
}

const char *fuzz_folder(const char *name, const uint8_t *data, size_t size)
{
    char path[PATH_MAX];
    FILE *file;

    if (!folder[0])
        make_folder();
    file = ol_path_format(path, "%s/%s", folder, name) == OL_OK ? fopen(path, "wb") : NULL;
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    return folder;
}
