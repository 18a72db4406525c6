/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/inspect.h
 * What a path of ours holds, as text for a terminal.
 *
 * Understood are the folder of a run, of an arm or of a comparison with arms, a checkpoint, a
 * metrics file, and the files of `verify` and `prompts`. Files are opened to read and without
 * locks: looking at a run never disturbs it. Local.
 */
#ifndef OUTERLOOP_RUN_INSPECT_H
#define OUTERLOOP_RUN_INSPECT_H

#include <stdbool.h>

#include "outerloop/base/text.h" /* ol_text */

/**
 * Describe `path`.
 * @param check  also read everything: the digest of every tensor of checkpoints, the checksum of
 *               every chunk of the others. What does not hold is named in the text and counted.
 * @param out    appended to; of use on OL_OK and OL_ECHECK
 * Errors: OL_EDATA when nothing is there, when it is not ours, or (without `check`) when the one
 * file asked for cannot be opened; OL_ECHECK when damage was found; OL_ENOMEM.
 */
ol_status ol_inspect(const char *path, bool check, ol_text *out);

#endif
