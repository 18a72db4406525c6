/* SPDX-License-Identifier: BSD-3-Clause */
/* The journal and metrics.h5 side by side: what is wrong with them, and one journal out of both. */
#ifndef STORE_MEND_H
#define STORE_MEND_H

#include "metrics_file.h"
#include "outerloop/base/child.h"
#include "outerloop/base/file.h" /* PATH_MAX */

/* Start from zeros. */
typedef struct ol_mend {
    ol_lines lines;     /* of the journal                                                  */
    ol_lines recovered; /* of metrics.h5: what the journal lacks                           */
    ol_line *rows;      /* [n] of both, in the order that they are to be written           */
    size_t n;
    ol_run_record record; /* of the first line, or as given                                */
    json_t *json;         /* that it is borrowed from; or NULL                             */
    ol_finding finding;
    char now[32];
    bool journal_bad, metrics_bad, metrics_there;
} ol_mend;

/* "X.h5" -> "X.jsonl". */
ol_status ol_journal_path(const char *metrics, char path[PATH_MAX]);

/* What work on a metrics.h5, and on so many bytes of its journal, may use. */
ol_child_limits ol_metrics_limits(const char *path, off_t bytes);

/* Read both. What is wrong goes to report->broken. @param recover  take rows from metrics.h5 */
ol_status ol_mend_read(const char *path, const ol_table_spec *const *specs, int n, bool recover,
                       ol_tables_report *report, ol_mend *mend);

/* Put `rows` and `record` together. @param lost  [n] rows that neither file has; NULL */
ol_status ol_mend_join(const char *path, const ol_table_spec *const *specs, int n,
                       const ol_run_record *record, int64_t *lost, ol_tables_report *report,
                       ol_mend *mend);

/* Keep bad files under another name, and write the journal. metrics.h5 is gone then. */
ol_status ol_mend_write(const char *path, const ol_mend *mend, ol_tables_report *report);

void ol_mend_finish(ol_mend *mend);

/* Move a file out of the way: to PATH.damaged-1, or the next number that is free. */
ol_status ol_set_aside(const char *path, ol_text *notes);

#endif
