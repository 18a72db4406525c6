/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file data/names.h
 * Lists of strings out of JSON. Private to the room.
 */
#ifndef DATA_NAMES_H
#define DATA_NAMES_H

#include <jansson.h>

#include "outerloop/base/status.h" /* ol_status */

/** Copy a JSON list of strings, each checked by the caller to be one. @param out owned by the
 *  caller, names_free, also after an error; NULL when empty. Errors: OL_ENOMEM naming `path`. */
ol_status names_copy(const char *path, const json_t *list, char ***out, int *n);

/** Accepts NULL. */
void names_free(char **names, int n);

#endif
