/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done to metrics.h5, as work of a child (ol_child_run). */
#ifndef STORE_METRICS_FILE_H
#define STORE_METRICS_FILE_H

#include <sys/types.h> /* off_t */

#include "journal.h"
#include "outerloop/base/digest.h" /* OL_DIGEST_TEXT */

enum { OL_MOST_TABLES = 16 };

/* Lines of the journal that the file has not. */
typedef struct ol_update {
    const char *path;  /* of the file that is gone on with; NULL: a new one, of all lines */
    const char *aside; /* where the result is put                                         */
    const char *journal;
    const ol_table_spec *const *specs; /* [n] */
    int n;
    int fd; /* of the journal: its bytes from .. to-1, the first of them of line `line` */
    off_t from, to;
    int64_t line;
} ol_update;

/* Errors: OL_EDATA, OL_EIO, OL_ENOMEM. @param update  an ol_update; no answer */
ol_status ol_metrics_update(void *update, void *answer);

/* A file beside its journal. */
typedef struct ol_examination {
    const char *path;
    const ol_table_spec *const *specs; /* [n] */
    int n;
    const ol_lines *lines;
    const char
        *recovered; /* where rows that the journal has not are put, as lines; NULL: nowhere */
} ol_examination;

typedef struct ol_finding {
    bool compared;                /* its columns are those of the tables             */
    char differs[512];            /* the first difference, or ""                     */
    bool sound[OL_MOST_TABLES];   /* the digest of the table's rows holds            */
    int64_t rows[OL_MOST_TABLES]; /* of the file                                     */
    int64_t more;                 /* rows that the journal has not                   */
    char run_id[128], created[64];
} ol_finding;

/* Read all of the file. Errors: OL_EDATA when it cannot be read, OL_ENOMEM.
   @param examination  an ol_examination; answer: an ol_finding */
ol_status ol_metrics_examine(void *examination, void *answer);

#endif
