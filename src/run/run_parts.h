/* SPDX-License-Identifier: BSD-3-Clause */
/* A job run once, as the files of `run` share it. */
#ifndef RUN_RUN_PARTS_H
#define RUN_RUN_PARTS_H

#include "outerloop/comm/comm.h" /* ol_comm */
#include "score_book.h"

/* All stages of a job with its own seed. Collective.
 * book: what was scored is added on rank 0, that of earlier starts too.
 * Errors: as ol_run_job. */
ol_status ol_run_once(ol_comm *comm, const char *path, const char *const *sets, size_t n_sets,
                      bool resume, bool *work_started, score_book *book);

#endif
