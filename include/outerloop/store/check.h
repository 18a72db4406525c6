/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/store/check.h
 * Is all of a file readable? HDF5 compares a checksum when it reads a chunk, not before: a damaged
 * file opens, and fails where the damage is. Texts and lists of variable length have none; those of
 * metrics files are held by ol_tables_check (table.h), the job's text by job_sha256.
 */
#ifndef OUTERLOOP_STORE_CHECK_H
#define OUTERLOOP_STORE_CHECK_H

#include "outerloop/store/archive.h" /* ol_archive */

/**
 * Read every dataset, of any type, and keep nothing: every checksum is then compared.
 * @param datasets  how many were read; on error, how many before it
 * Errors: OL_EDATA naming the first dataset that cannot be read, OL_ENOMEM. Local.
 * Cost: one pass over the file; memory of its largest dataset.
 */
ol_status ol_archive_check(const ol_archive *archive, int *datasets);

#endif
