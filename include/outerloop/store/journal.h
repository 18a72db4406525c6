/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/store/journal.h
 * metrics.jsonl: the rows of the metric tables as lines of JSON, each appended by one write.
 *
 *     {"table":"train/step","step":1,"loss":5.25,"digest":"0123..."}
 *
 * It can be followed with tail -f, survives a kill at any instant (a line torn by one is cut off
 * when the journal is opened again), and can rebuild metrics.h5. Numbers have all their digits;
 * NaN is null and the infinities are "inf" and "-inf", since JSON has neither. Texts are whole,
 * also where the table cuts them; bytes that are not UTF-8 become U+FFFD.
 *
 * Tables are described as in table.h. Local: rank 0 only.
 */
#ifndef OUTERLOOP_STORE_JOURNAL_H
#define OUTERLOOP_STORE_JOURNAL_H

#include "outerloop/store/table.h" /* ol_table_spec, ol_cell, ol_run_record */

typedef struct ol_journal ol_journal;

/**
 * Open the file to append, creating it when it is missing.
 * @param specs  [n], borrowed
 * @param out    *owned by the caller* (ol_journal_destroy)
 * Errors: OL_EIO, OL_ENOMEM.
 */
ol_status ol_journal_open(const char *path, const ol_table_spec *const *specs, int n,
                          ol_journal **out);

/**
 * Append one row with one write(2). True when it is there; otherwise the row is kept and written
 * before the next one, and the reason is logged as a warning the first time: metrics never stop a
 * run.
 */
bool ol_journal_append(ol_journal *journal, int table, const ol_cell *cells);

/** Close. False when rows were lost (logged). Accepts NULL. */
bool ol_journal_destroy(ol_journal *journal);

/**
 * Keep the first rows[t] lines of each table t and drop the later ones, so that a resumed run does
 * not double back; a missing file is fine. The new file replaces the old one at once or not at all.
 * Call it before ol_journal_open. @param rows  [n]
 * Errors: OL_EDATA (a line is not a row of these tables: file and line named), OL_EIO, OL_ENOMEM.
 */
ol_status ol_journal_truncate(const char *path, const ol_table_spec *const *specs, int n,
                              const int64_t *rows);

/**
 * Make a new metrics file from the journal, in place of any that is there; it is built aside and
 * renamed. A last line without its end is left out. @param record  as for ol_tables_create
 * Errors: OL_EDATA (file and line named), OL_EIO, OL_ENOMEM; the old metrics file is then unharmed.
 */
ol_status ol_journal_rebuild(const char *path, const char *metrics_path,
                             const ol_table_spec *const *specs, int n, const ol_run_record *record);

#endif
