/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/auto.h
 * Variables that clean up after themselves, so that every early return is safe:
 *
 *     OL_AUTO(ol_strings_finish) ol_strings names = {0};
 *     OL_AUTO_FREE char *text = NULL;
 *
 *     OL_TRY(ol_archive_children(archive, group, &names));
 *
 * They must have a value where they are declared. One that is handed on is set to NULL first.
 */
#ifndef OUTERLOOP_BASE_AUTO_H
#define OUTERLOOP_BASE_AUTO_H

#include <stdlib.h>
#include <string.h>

/** `finish(&variable)` is called when the variable goes out of scope. */
#define OL_AUTO(finish) __attribute__((cleanup(finish)))

/** A pointer that is freed when it goes out of scope. */
#define OL_AUTO_FREE OL_AUTO(ol_auto_free)

static inline void ol_auto_free(void *variable)
{
    void *memory;

    memcpy(&memory, variable, sizeof memory);
    free(memory);
}

#endif
