/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/store/table.h
 * metrics.h5: tables that grow while a run works, and that any HDF5 program opens.
 *
 * A table is a group of 1-d columns of equal length, extendible and chunked. Its first column is the
 * index: a dimension scale attached to the others, and the axis of the default plot (NXdata). It is
 * written last, so its length is the number of whole rows at any instant. Each column says what it
 * is: `units`, `long_name`, `description`. In Python a table is one line:
 *
 *     pd.DataFrame({k: (c.asstr() if h5py.check_string_dtype(c.dtype) else c)[...]
 *                   for k, c in g.items()})
 *
 * Rows are buffered by ol_tables_append and written by ol_tables_flush: open, append, close, without
 * file locks. So the file is closed, and whole, at all times but these; a reader never stops a run.
 * Rows that cannot be written (disk full, folder gone) stay buffered for the next flush.
 *
 * A reader that opens the file in the very middle of an append may be refused; it tries again.
 *
 * Lists and texts of variable length live in heaps of HDF5's, of which every flush that has such
 * rows begins a new one: 4 KiB at least, without a checksum. Tables that grow by a few rows a flush
 * should have texts of fixed width and no lists.
 *
 * A table is described once, as a constant; the same description serves metrics.jsonl (journal.h):
 *
 *     static const ol_column step_columns[] = {
 *         {"step", OL_COLUMN_I64, 0, "1", "meta-step", "number of the meta-step, from 1"},
 *         {"loss", OL_COLUMN_F64, 0, "nat", "query loss", "mean query loss after adaptation"},
 *         {"digest", OL_COLUMN_TEXT, 32, "1", "digest of θ", "XXH3-128 of the parameters"},
 *     };
 *     static const ol_table_spec train_step = {.path = "train/step", .title = "Meta-steps",
 *         .columns = step_columns, .n = 3, .signal = "loss"};
 *
 *     ol_cell row[] = {{.i = 1}, {.f = 5.25}, {.text = digest}};
 *     OL_TRY(ol_tables_append(tables, 0, row));
 *
 * Local: rank 0 only.
 */
#ifndef OUTERLOOP_STORE_TABLE_H
#define OUTERLOOP_STORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/status.h" /* ol_status */

typedef enum ol_column_type {
    OL_COLUMN_I64,  /**< cell.i                                                          */
    OL_COLUMN_F64,  /**< cell.f; NaN where there is nothing to say                       */
    OL_COLUMN_TEXT, /**< cell.text, UTF-8; NULL is ""                                    */
    OL_COLUMN_LIST, /**< cell.list: f64 values, as many as the row has (variable length) */
} ol_column_type;

typedef struct ol_column {
    const char *name; /**< [a-z0-9_]+, not "table"                                              */
    ol_column_type type;
    int width;         /**< text: bytes of a fixed-length string, longer ones are cut between code
                            points (the journal keeps them whole); 0 = variable length. Otherwise 0 */
    const char *units; /**< "nat", "s", "token/s", "1" for counts and names                     */
    const char *long_name;
    const char *description;
} ol_column;

/** A table: borrowed constants that outlive the ol_tables. */
typedef struct ol_table_spec {
    const char *path;         /**< "group/name": two levels, each [a-z0-9_]+                    */
    const char *title;        /**< a few words                                                  */
    const char *description;  /**< what a row is; NULL = title                                  */
    const ol_column *columns; /**< [n]; columns[0] is the index and OL_COLUMN_I64               */
    int n;
    const char *signal;           /**< the numeric column to plot by default; NULL = no plot    */
    const char *const *auxiliary; /**< more columns on that plot, ends in NULL; NULL = none     */
} ol_table_spec;

/** One value of a row; which member counts is the column's type. Pointers are borrowed for the
 *  call. */
typedef union ol_cell {
    int64_t i;
    double f;
    const char *text;
    struct {
        const double *values;
        size_t n;
    } list;
} ol_cell;

/** What the root of the file says about the run. Strings are borrowed for the call; NULL is "". */
typedef struct ol_run_record {
    const char *version;      /**< of this program                                        */
    const char *git_commit;   /**< it was built from; "unknown" outside a repository      */
    const char *run_id;       /**< the same over restarts                                 */
    const char *host;         /**< of rank 0                                              */
    const char *slurm_job_id; /**< "" outside SLURM                                       */
    const char *blas;         /**< library, core type                                     */
    const char *mpi;          /**< library version                                        */
    const char *job;          /**< the resolved job file; also the dataset `job`          */
    int64_t seed, restart_count, ranks, threads;
} ol_run_record;

typedef struct ol_tables ol_tables;

/**
 * Create the file with all tables empty. Its root holds creator, version, schema, schema_version,
 * created, job_sha256 and what `record` says.
 * @param specs  [n], borrowed, as are the tables they point to
 * @param out    *owned by the caller* (ol_tables_destroy)
 * Errors: OL_EIO, OL_ENOMEM.
 */
ol_status ol_tables_create(const char *path, const ol_table_spec *const *specs, int n,
                           const ol_run_record *record, ol_tables **out);

/**
 * Open an existing file to append to it. Columns left longer than their index by an append that
 * was killed are cut to it. The root's restart_count, ranks, threads, host, slurm_job_id, blas, mpi
 * and version become those of `record`; the rest stays (NULL: everything stays).
 * Errors: OL_EDATA when the file is missing, unreadable or has other tables (ol_journal_rebuild
 * remakes a lost one), OL_EIO, OL_ENOMEM.
 */
ol_status ol_tables_open(const char *path, const ol_table_spec *const *specs, int n,
                         const ol_run_record *record, ol_tables **out);

/** Buffer one row of table number `table`. @param cells  [columns], copied. Errors: OL_ENOMEM. */
ol_status ol_tables_append(ol_tables *tables, int table, const ol_cell *cells);

/**
 * Write the buffered rows. True when all of them are in the file. Otherwise they stay buffered and
 * the reason is logged as a warning, the first time only (and again after a success): metrics never
 * stop a run. ol_status_message has the reason.
 */
bool ol_tables_flush(ol_tables *tables);

/** Whole rows of a table, those in the buffer included. */
int64_t ol_tables_rows(const ol_tables *tables, int table);

/** Count the leading rows whose index is at most `last`: what to keep of a table that is ordered by
 *  its index. Looks at the file only. Errors: OL_EDATA. */
ol_status ol_tables_rows_through(const ol_tables *tables, int table, int64_t last, int64_t *rows);

/**
 * Keep the first `rows` rows of a table and forget the rest, buffered ones included: what a resumed
 * run will write again. More than there are is OL_EDATA. Errors: OL_EDATA, OL_EIO.
 */
ol_status ol_tables_truncate(ol_tables *tables, int table, int64_t rows);

/** Flush and free. False when rows were lost (logged). Accepts NULL. */
bool ol_tables_destroy(ol_tables *tables);

#endif
