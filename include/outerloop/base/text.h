/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/text.h
 * Growing text, columns and lines of a terminal, and the nearest known name for a misspelt one.
 * Text is UTF-8, and a letter takes one column. Local.
 */
#ifndef OUTERLOOP_BASE_TEXT_H
#define OUTERLOOP_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "outerloop/base/status.h" /* ol_status */

/** Bytes that grow; `data` always ends in a NUL that `size` does not count, or is NULL when
 *  nothing was ever added. Start from a zero struct. */
typedef struct ol_text {
    char *data;
    size_t size;
    size_t capacity;
} ol_text;

/** Append n bytes. Errors: OL_ENOMEM. */
ol_status ol_text_append(ol_text *text, const char *bytes, size_t n);

/** Append as printf writes. Errors: OL_ENOMEM. */
ol_status ol_text_format(ol_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Append the shortest decimals that read back to the same bits. Errors: OL_ENOMEM. */
ol_status ol_text_real(ol_text *text, double x);

/** Make a text fit for a terminal: control characters (of ASCII but line ends and tabs, and those of
 *  Latin-1 as UTF-8) become '?'. What files say can then not move the cursor, set titles or lie. */
void ol_text_plain(char *text, size_t n);

/** May it name something that is told and written in lines: a job, a task, a path? False where it
 *  holds one of those control characters, a line end or a tab. */
bool ol_text_is_name(const char *text);

/** Bytes of the white space (Unicode's White_Space) that bytes[0..n-1] begin with, or where `end`
 *  end in: of one character, 0 without. */
size_t ol_text_space(const char *bytes, size_t n, bool end);

/**
 * The lines of a text that ends in a NUL, one a call:
 *
 *     for (const char *at = text, *line; (line = ol_text_line(&at, &n));)
 *
 * @param at  where the next line begins; may be NULL, which has none
 * @param n   bytes of the line, its end left out
 * @return the line, borrowed; NULL behind the last
 */
const char *ol_text_line(const char **at, size_t *n);

/** Columns that a text takes. */
int ol_text_columns(const char *text);

/** Bytes of the first `columns` letters, or of all where there are fewer. */
int ol_text_fit(const char *text, int columns);

/** Append a cell of exactly `width` columns: filled with blanks on its right (`left`) or left, or
 *  with "…" for its middle, so that names that begin alike can still be told apart.
 *  Errors: OL_ENOMEM. */
ol_status ol_text_cell(ol_text *text, const char *cell, int width, bool left);

/** Append words and a line's end, broken between words so that no line is wider than `width`
 *  (0: never broken). Lines after the first begin with `indent` blanks; the first counts as if it
 *  had as many columns before it. Errors: OL_ENOMEM. */
ol_status ol_text_wrap(ol_text *text, const char *words, int indent, int width);

/** Free the bytes. Accepts NULL and a zero text. */
void ol_text_finish(ol_text *text);
#define OL_AUTO_TEXT OL_AUTO(ol_text_finish) ol_text

/** Letters to insert, drop, replace or swap with their neighbour to make `b` of `a`. Of words over
 *  64 letters only the beginnings count. */
size_t ol_text_distance(const char *a, const char *b);

/** The name of names[0..n-1] with the least distance to `word`, or NULL when none is near
 *  (more than half of the letters differ). Borrowed from `names`. */
const char *ol_text_nearest(const char *word, const char *const *names, size_t n);

/** What stands behind a word that is none of these names: ` (did you mean "NAME"?)` of the nearest one,
 *  "" where none is near. @return text */
enum { OL_TEXT_MEANT = 256 };
const char *ol_text_meant(const char *word, const char *const *names, size_t n,
                          char text[OL_TEXT_MEANT]);

#endif
