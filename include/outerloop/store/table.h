/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/store/table.h
 * metrics.jsonl and metrics.h5: tables that grow while a run works.
 *
 * The journal, metrics.jsonl, is the truth: each row is one line, appended by one write(2), with a
 * sum of its own and its numbers in the table and in the file, so that a line that was altered or
 * is gone is known. It can be followed with tail -f and survives a kill at any instant:
 *
 *     {"table":"train/step","step":1,"loss":5.25,"digest":"0123...","nth":0,"line":2,"sum":"90d1..."}
 *
 * Numbers have all their digits; NaN is null and the infinities are "inf" and "-inf", since JSON
 * has neither; bytes that are not UTF-8 become U+FFFD. The first line has what is said of the run.
 *
 * metrics.h5 is made from it, and opens in any HDF5 program. A table is a group of 1-d columns of
 * equal length, extendible and chunked. Its first column is the index: a dimension scale attached
 * to the others, and the axis of the default plot (NXdata). Each column says what it is: `units`,
 * `long_name`, `description`. `rows` of the group has how many rows there are and a digest of them.
 * In Python a table is one line:
 *
 *     pd.DataFrame({k: (c.asstr() if h5py.check_string_dtype(c.dtype) else c)[...]
 *                   for k, c in g.items()})
 *
 * HDF5 works on a copy, in a child process (child.h), which then takes the place of the file: it is
 * whole at any instant, whatever is killed, whoever reads it, however full the disk is, and what
 * HDF5 makes of a damaged file never reaches the run. A file that cannot be added to is made again.
 * The two files mend each other: rows that the journal has lost come back from
 * metrics.h5, table by table, where the digest of the table's rows holds.
 *
 * A table is described once, as a constant:
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
 * All paths are those of the metrics.h5; the journal has the same name but for its end, .jsonl.
 * Local: rank 0 only.
 */
#ifndef OUTERLOOP_STORE_TABLE_H
#define OUTERLOOP_STORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/text.h" /* ol_text, ol_status */

typedef enum ol_column_type {
    OL_COLUMN_I64,  /**< cell.i                                                          */
    OL_COLUMN_F64,  /**< cell.f; NaN where there is nothing to say                       */
    OL_COLUMN_TEXT, /**< cell.text, UTF-8; NULL is ""                                    */
    OL_COLUMN_LIST, /**< cell.list: f64 values, as many as the row has (variable length) */
} ol_column_type;

typedef struct ol_column {
    const char *name; /**< [a-z0-9_]+, not "table", "nth", "line" or "sum"                    */
    ol_column_type type;
    int width;         /**< text: bytes of a fixed-length string, longer ones are cut between code
                            points; 0 = variable length. Otherwise 0 */
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
    const char *created;      /**< UTC; NULL = now                                        */
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
 * Begin both files, in place of any that are there. The root of metrics.h5 holds creator, version,
 * schema, schema_version, created, job_sha256 and what `record` says.
 * @param specs  [n], borrowed, as are the tables they point to
 * @param out    *owned by the caller* (ol_tables_destroy)
 * Errors: OL_EIO, OL_ENOMEM: of the journal. A metrics.h5 that cannot be written is logged.
 */
ol_status ol_tables_create(const char *path, const ol_table_spec *const *specs, int n,
                           const ol_run_record *record, ol_tables **out);

/**
 * Mend both files and go on with them. What was wrong is logged, what is lost too. The root's
 * restart_count, ranks, threads, host, slurm_job_id, blas, mpi and version become those of `record`;
 * the rest stays. metrics.h5 is made anew.
 * @param run_id  of the run, where its checkpoints tell: a file that bears another is another run's, and
 *                counts as damaged; or NULL
 * @param last  [n] of each table the leading rows are kept whose index is at most that
 * @param lost  [n] set to rows of the tables that neither file has; NULL = not wanted
 * Errors: OL_EIO, OL_ENOMEM.
 */
ol_status ol_tables_open(const char *path, const ol_table_spec *const *specs, int n,
                         const ol_run_record *record, const char *run_id, const int64_t *last,
                         int64_t *lost, ol_tables **out);

/**
 * Add one row to the journal. A row that cannot be written is kept in memory and written later, and
 * the reason is logged as a warning, once: metrics never stop a run.
 * @param cells  [columns]. Errors: OL_ENOMEM.
 */
ol_status ol_tables_append(ol_tables *tables, int table, const ol_cell *cells);

/** Bring metrics.h5 up to the journal, and put the journal back where it was removed. True when
 *  both have all rows; otherwise the reason is logged as a warning, once (and again after a
 *  success). Cost: a copy of the file, and the journal is read. */
bool ol_tables_flush(ol_tables *tables);

/** The same where it is due: a second after it was last done, later where it takes long (a
 *  hundredth of the time at most), or where it failed. False when it was not due. */
bool ol_tables_flush_if_due(ol_tables *tables);

/** Put the journal on disk (fsync). What fails is logged. */
void ol_tables_sync(ol_tables *tables);

/** Rows of a table. */
int64_t ol_tables_rows(const ol_tables *tables, int table);

/** Call visit(payload, row, cells) of each row of a table, as the journal has them; cells are lent.
 *  Errors: OL_EDATA, OL_ENOMEM, those of visit. */
typedef ol_status ol_tables_visit(void *payload, int64_t row, const ol_cell *cells);
ol_status ol_tables_read(ol_tables *tables, int table, ol_tables_visit *visit, void *payload);

/** Forget the rows behind those that `last` keeps (ol_tables_open). Errors: OL_EIO, OL_ENOMEM. */
ol_status ol_tables_cut(ol_tables *tables, const int64_t *last);

/** Flush, put on disk, and free. Errors: OL_EIO, which says what is missing of the files and how it
 *  is had. Accepts NULL. */
ol_status ol_tables_destroy(ol_tables *tables);

/** What was found of two files. Start from zeros. */
typedef struct ol_tables_report {
    ol_text broken; /**< a line each: what was wrong, with file and line, table, rows or column */
    ol_text notes;  /**< a line each: what is no damage, or was done about it                  */
    int64_t rows;   /**< of the journal                                                        */
    int64_t lost;   /**< rows that neither file has, where they were put together              */
    int64_t last;   /**< index of the last row of the journal's first table; -1 without any    */
    bool journal;   /**< the journal is there, and whole                                       */
    bool metrics;   /**< so is metrics.h5; the journal may have more rows                      */
} ol_tables_report;

void ol_tables_report_finish(ol_tables_report *report);

/** The text of the job in the journal's first line; NULL when it has none, or no such line.
 *  @param job  *owned by the caller* (free). Errors: OL_ENOMEM. */
ol_status ol_tables_job(const char *path, char **job);

/**
 * Read all of both files and compare them. Nothing is changed.
 * @param specs   [n]; n = 0: metrics.h5 is read, and not compared
 * @param run_id  as for ol_tables_open
 * Errors: OL_ENOMEM. Cost: both files, and the journal's size in memory.
 */
ol_status ol_tables_check(const char *path, const ol_table_spec *const *specs, int n,
                          const char *run_id, ol_tables_report *report);

/**
 * Mend the journal and make metrics.h5 anew; files that were damaged stay, under a name that is
 * told.
 * @param record  used where no file tells better
 * @param run_id  as for ol_tables_open
 * Errors: OL_EDATA (there is neither file), OL_EIO, OL_ENOMEM.
 */
ol_status ol_tables_rebuild(const char *path, const ol_table_spec *const *specs, int n,
                            const ol_run_record *record, const char *run_id,
                            ol_tables_report *report);

#endif
