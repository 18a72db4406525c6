/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/report/inspect.h
 * What a path of ours holds, as text for a terminal.
 *
 * Understood are the folder of a run, of an arm or of a comparison with arms, a checkpoint, a
 * metrics file, and the files of `verify` and `prompts`. Files are opened to read and without
 * locks: looking at a run never disturbs it. Local.
 */
#ifndef OUTERLOOP_REPORT_INSPECT_H
#define OUTERLOOP_REPORT_INSPECT_H

#include "outerloop/base/text.h" /* ol_text */

typedef enum ol_inspect_how {
    OL_INSPECT_LOOK,
    OL_INSPECT_CHECK,   /**< also read everything: the digest of every tensor of checkpoints, the
                             sum of every line of journals, every row of metrics files against them.
                             What does not hold is named in the text and counted               */
    OL_INSPECT_REBUILD, /**< first mend the journals of a run folder and make its metrics files
                             anew (ol_tables_rebuild); not while the run is at work            */
} ol_inspect_how;

/**
 * Describe `path`. A metrics file is first read whole by a child process, so that a damaged one
 * crashes nobody.
 * @param out  appended to; of use on OL_OK and OL_ECHECK
 * Errors: OL_EDATA when nothing is there, when it is not ours, or (without a check) when the one
 * file asked for cannot be opened; OL_ECHECK when damage was found, or rows are lost to a rebuild;
 * OL_EIO when one fails; OL_ENOMEM.
 */
ol_status ol_inspect(const char *path, ol_inspect_how how, ol_text *out);

#endif
