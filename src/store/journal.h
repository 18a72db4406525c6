/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of metrics.jsonl: made, sealed, read back, and what is wrong with them.

       {"table":"train/step","step":1,"loss":5.25,"nth":0,"line":2,"sum":"90d1..."}
        \_____________ body ____________________/

   The body is the row's own: the same row has the same bytes, wherever it comes from, so that a row
   of metrics.h5 is compared with its line as text. `nth` numbers the rows of a table from 0, `line`
   those of the file from 1: a line that is gone is missed, and it is known of what. `sum` is the
   first half of XXH3-128 over all that stands before it.

   The first line is of no table: {"table":"run","version":...} says what the root of metrics.h5
   does. Files of before there were sums have none in any line; they are read as they are. */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include <jansson.h>

#include "outerloop/base/text.h" /* ol_text */
#include "outerloop/store/table.h"

enum {
    OL_LINE_RUN = -1, /* the table of the first line */
    OL_MOST_TABLES = 16
};

typedef struct ol_line {
    const char *body; /* borrowed from the ol_lines, ends where `length` says */
    size_t length;
    int table;
    int64_t nth;
} ol_line;

/* The sound lines of a file, in order. */
typedef struct ol_lines {
    char *text;
    ol_line *items; /* [n]; the one of OL_LINE_RUN is not among them */
    size_t n;
    ol_line run;    /* length 0: the file has none that is sound */
    ol_text faults; /* "path:line: what is wrong", a line each */
    int n_faults;
    bool there;    /* the file is       */
    bool unsealed; /* of before there were sums */
} ol_lines;

/* Members of the first line and attributes of the root: a text, or a whole number. */
typedef struct ol_record_member {
    const char *name;
    size_t offset;
    bool text;
} ol_record_member;

extern const ol_record_member ol_record_members[]; /* ends in a name that is NULL */
const char **ol_record_text(const ol_run_record *record, const ol_record_member *member);
int64_t *ol_record_number(const ol_run_record *record, const ol_record_member *member);

/* Append the body of a row, or of what the first line says. Texts are cut to the column's width,
   bytes that are not UTF-8 become U+FFFD. Errors: OL_ENOMEM. */
ol_status ol_line_format(const ol_table_spec *spec, const ol_cell *cells, ol_text *out);
ol_status ol_line_format_run(const ol_run_record *record, ol_text *out);

/* End the line whose body begins at `start` of the text. Errors: OL_ENOMEM. */
ol_status ol_line_seal(ol_text *text, size_t start, int64_t nth, int64_t line);

/* Read a file, and name what is wrong with it. One that is not there has no lines; a last line
   without its end is one that a kill tore, and left out. @param lines *owned by the caller*
   (ol_lines_finish). Errors: OL_ENOMEM, OL_EDATA (cannot be read at all). */
ol_status ol_lines_read(const char *path, const ol_table_spec *const *specs, int n,
                        ol_lines *lines);

/* The same of text at hand, which is taken. */
ol_status ol_lines_parse(char *text, size_t size, const char *path,
                         const ol_table_spec *const *specs, int n, ol_lines *lines);

/* Append a line, whose body is borrowed. Errors: OL_ENOMEM. */
ol_status ol_lines_add(ol_lines *lines, ol_line line);

/* Format all bodies anew: another version may have had other columns. Lines that are no rows are
   left out, and faults. Errors: OL_ENOMEM. */
ol_status ol_lines_renew(ol_lines *lines, const char *path, const ol_table_spec *const *specs);

void ol_lines_finish(ol_lines *lines);

/* A line as cells. What an older version's line lacks is NaN, "", 0 or empty.
   @param json  *owned by the caller* (ol_line_release); texts are borrowed from it
   Errors: OL_EDATA, OL_ENOMEM. */
ol_status ol_line_cells(const ol_line *line, const ol_table_spec *spec, ol_cell *cells,
                        json_t **json);
void ol_line_release(const ol_table_spec *spec, ol_cell *cells, json_t *json);

/* The index of a row: the first value of its body, after {"table":"PATH","NAME": */
int64_t ol_line_index(const ol_line *line, const ol_table_spec *spec);

/* The first line as a record, whose strings are borrowed from *json (json_decref). */
ol_status ol_line_record(const ol_line *line, ol_run_record *record, json_t **json);

#endif
