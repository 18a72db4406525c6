/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/progress.h
 * How far a stage is, told to people.
 *
 * On a terminal one live line, redrawn at most ten times a second; elsewhere (a batch log, a pipe)
 * plain lines, at most one every log_seconds, and always the last. Training shows
 *
 *     maml  120/400  loss 2.314 → 1.988  31.2 k tokens/s  2 min 10 s left
 *
 * where losses and the rate are running means over the last twenty steps or so, and the time left is
 * that at the rate of this start. Rank 0 speaks; on other ranks all of it does nothing. Local.
 */
#ifndef OUTERLOOP_RUN_PROGRESS_H
#define OUTERLOOP_RUN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ol_progress {
    const char *what;   /**< "maml", "maml, in context"; borrowed        */
    int64_t first;      /**< done before this start                      */
    int64_t last;       /**< done when all is done                       */
    double log_seconds; /**< least time between plain lines              */
    double started, spoken;
    double weight, weight_gain;          /**< of the running means, which start empty */
    double after, gain, tokens, seconds; /**< weighted sums                           */
} ol_progress;

/** Start at `first` of `last` pieces. */
ol_progress ol_progress_start(const char *what, int64_t first, int64_t last, double log_seconds);

/**
 * Meta-step number `done` is done.
 * @param before, after  mean query loss before and after adaptation, in nats; NaN where not known.
 *                       What is shown as before is after, and the mean gain where both are known
 */
void ol_progress_step(ol_progress *progress, int64_t done, double before, double after,
                      int64_t tokens, double seconds);

/** `done` pieces of work are done. */
void ol_progress_count(ol_progress *progress, int64_t done);

/** Remove the live line. */
void ol_progress_end(void);

#endif
