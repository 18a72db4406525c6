/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file data/lines.h
 * What the readers of task files share: lines of JSON, their fields, and lists of strings out of
 * them. Private to the room.
 */
#ifndef DATA_LINES_H
#define DATA_LINES_H

#include <jansson.h>

#include "outerloop/data/task.h" /* ol_row */

/** Where a fault is: OL_EDATA with "path:line: " before the message. */
#define CHECK_LINE(cond, format, ...)                                                              \
    OL_CHECK(cond, OL_EDATA, "%s:%d: " format, path, line, ##__VA_ARGS__)

/**
 * Read all rows of a user's own file, .tsv or .jsonl (data/make.h). Either every row has options,
 * its output among them, or none has.
 * @param out  owned by the caller, ol_rows_finish; zero on error
 * Errors: OL_EDATA with file and line, OL_ENOMEM.
 */
ol_status source_read(const char *path, ol_rows *out);

/** Is the line UTF-8, without a byte order mark? */
ol_status line_check(const char *path, int line, const char *text, size_t n);

/** The line as JSON. @param out owned by the caller (json_decref) */
ol_status line_json(const char *path, int line, const char *text, size_t n, json_t **out);

/** A string of an object. @param needs  what a row needs, for the message; @param out owned by the
 *  caller (free) */
ol_status line_text(const char *path, int line, const json_t *object, const char *field,
                    const char *needs, char **out);

/** The options of a row, none where `options` is NULL. */
ol_status line_options(const char *path, int line, const json_t *options, ol_row *row);

/** Copy a JSON list of strings, each checked by the caller to be one. @param out owned by the
 *  caller, names_free, also after an error; NULL when empty. Errors: OL_ENOMEM naming `path`. */
ol_status names_copy(const char *path, const json_t *list, char ***out, int *n);

/** Accepts NULL. */
void names_free(char **names, int n);

/** Is the text among these? */
bool names_have(char *const *names, int n, const char *text);

/** Is one of them not empty? ol_row_is_labelled of any options. */
bool names_label(char *const *names, int n);

#endif
