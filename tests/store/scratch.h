/* SPDX-License-Identifier: BSD-3-Clause */
/* A folder of its own for each test program, removed at the end. */
#ifndef TESTS_STORE_SCRATCH_H
#define TESTS_STORE_SCRATCH_H

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch_folder[PATH_MAX];

/* Path of a file in the folder; one of 8 buffers in turn. */
static const char *scratch_path(const char *name)
{
    static char paths[8][PATH_MAX];
    static int next;
    char *path = paths[next++ % 8];

    snprintf(path, PATH_MAX, "%.2000s/%s", scratch_folder, name);
    return path;
}

static int scratch_setup(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(scratch_folder, sizeof scratch_folder, "%.2000s/outerloop-test-XXXXXX",
             tmp ? tmp : P_tmpdir);
    return mkdtemp(scratch_folder) ? 0 : -1;
}

/* Removes a folder and what is in it, two levels deep. */
static void scratch_remove(const char *folder)
{
    DIR *dir = opendir(folder);

    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[PATH_MAX];

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%.2000s/%.255s", folder, entry->d_name);
        if (unlink(path) != 0)
            scratch_remove(path);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

static int scratch_teardown(void **state)
{
    (void)state;
    scratch_remove(scratch_folder);
    return 0;
}

#endif
