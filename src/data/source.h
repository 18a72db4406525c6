/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file data/source.h
 * Rows of a user's own file, .tsv or .jsonl (data/make.h). Private to the room.
 */
#ifndef DATA_SOURCE_H
#define DATA_SOURCE_H

#include "outerloop/data/task.h" /* ol_rows */

/**
 * Read all rows. Either every row has options, its output among them, or none has.
 * @param out  owned by the caller, ol_rows_finish; zero on error
 * Errors: OL_EDATA with file and line, OL_ENOMEM.
 */
ol_status source_read(const char *path, ol_rows *out);

#endif
