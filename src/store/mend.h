/* SPDX-License-Identifier: BSD-3-Clause */
/* The journal and metrics.h5 side by side: metrics.h5 made from the journal, what is wrong with the
   two, and one journal out of both. What HDF5 does is work of a child (ol_child_run). */
#ifndef STORE_MEND_H
#define STORE_MEND_H

#include "journal.h"
#include "outerloop/base/child.h"
#include "outerloop/base/file.h" /* PATH_MAX */

/* Both files, and the tables in them. */
typedef struct ol_table_files {
    char path[PATH_MAX];               /* metrics.h5                 */
    char journal[PATH_MAX];            /* X.jsonl for X.h5           */
    const ol_table_spec *const *specs; /* [n], borrowed              */
    int n;                             /* at most OL_MOST_TABLES     */
} ol_table_files;

ol_status ol_table_files_init(const char *path, const ol_table_spec *const *specs, int n,
                              ol_table_files *out);

/* What work on a metrics.h5 or a journal of so many bytes may use. */
ol_child_limits ol_metrics_limits(int64_t bytes);

/* A metrics.h5 to be made from the journal. */
typedef struct ol_making {
    const ol_table_files *files;
    const char *aside; /* where it is put                                                      */
    int64_t had, rows; /* of the journal's rows, those that metrics.h5 has; 0: it is made anew */
} ol_making;

/* @param making  an ol_making; no answer. Errors: OL_EDATA, OL_EIO, OL_ENOMEM. */
ol_status ol_metrics_make(void *making, void *answer);

/* A metrics.h5 to be read and compared with its journal. */
typedef struct ol_examination {
    const ol_table_files *files;
    const ol_lines *lines;
    const char *recovered; /* where rows that the journal has not are put, as lines; or NULL */
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

/* Start from zeros, the first three set. */
typedef struct ol_mend {
    const ol_table_files *files;
    const char *run_id; /* a file that bears another is another run's; NULL: any will do        */
    ol_tables_report *report;
    ol_lines lines;       /* of the journal; then of both, in the order to be written          */
    ol_lines recovered;   /* of metrics.h5: what the journal lacks                             */
    ol_run_record record; /* of the first line, or as given                                    */
    json_t *json;         /* that it is borrowed from; or NULL                                 */
    ol_finding finding;
    char now[32];
    bool journal_bad, metrics_bad, metrics_there;
} ol_mend;

/* Read both. What is wrong goes to report->broken. @param recover  take rows from metrics.h5 */
ol_status ol_mend_read(ol_mend *mend, bool recover);

/* Put `lines` and `record` together. @param lost  [n] rows that neither file has; NULL */
ol_status ol_mend_join(ol_mend *mend, const ol_run_record *record, int64_t *lost);

/* Tell in the report where the first table ends. */
void ol_mend_end(const ol_mend *mend);

/* Keep bad files under another name, and write the journal. metrics.h5 is gone then. */
ol_status ol_mend_write(const ol_mend *mend);

void ol_mend_finish(ol_mend *mend);

#endif
