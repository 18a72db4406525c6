/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file data/layout.h
 * Writing task folders in MetaICL's layout (data/task.h). Private to the room.
 *
 * Plain writes: who wants a folder whole or not at all writes it aside and renames it.
 */
#ifndef DATA_LAYOUT_H
#define DATA_LAYOUT_H

#include <jansson.h>

#include "outerloop/base/status.h" /* ol_status */
#include "outerloop/base/text.h"   /* ol_text   */

/** A row as a line. Errors: OL_ENOMEM. */
ol_status layout_append_row(ol_text *text, const char *task, const char *input, const char *output,
                            const char *const *options, int n_options);

/** Make ROOT/data/TASK and ROOT/config/tasks. Errors: OL_EIO. */
ol_status layout_make_folders(const char *root, const char *task);

/** Write ROOT/data/TASK/TASK_K_SEED_SPLIT.jsonl. Errors: OL_EIO. */
ol_status layout_write_rows(const char *root, const char *task, int k, int seed, const char *split,
                            const ol_text *text);

/** Write ROOT/config/tasks/TASK.json; without options when there are none. Errors: OL_EIO. */
ol_status layout_write_task(const char *root, const char *task, const char *type,
                            const char *const *options, int n_options);

/** Write a value, which is taken over, NULL included. Errors: OL_EIO, OL_ENOMEM. */
ol_status layout_write_json(const char *path, json_t *value);

#endif
