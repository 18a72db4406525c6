/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/child.h
 * Work in a forked process with limits, where a crash or a hang reaches nobody else.
 *
 * The child has a copy of all memory, so that it can read whatever its parent can; what it writes
 * there is lost. It says how it ended, and up to `answer` bytes, through a pipe. Its output goes
 * nowhere, it has no signal handlers of its parent's and takes no notice of requests to stop, and it
 * leaves without running exit handlers.
 *
 * Use it for what a library does with a file that may be damaged or hostile. Not for work on memory
 * that a network card may have taken (what MPI sends and receives): some drivers hide it from
 * children. The child calls no MPI and starts no threads.
 */
#ifndef OUTERLOOP_BASE_CHILD_H
#define OUTERLOOP_BASE_CHILD_H

#include <stddef.h>

#include "outerloop/base/status.h" /* ol_status */

/** What a child may use. */
typedef struct ol_child_limits {
    double seconds; /**< wall time; then it is killed                                          */
    double cpu;     /**< seconds of computing, rounded up; then likewise: less than wall time where
                          a file system may be slow. 0 = as many                                 */
    size_t memory;  /**< bytes beyond what the parent has mapped; 0 = no limit. Not held in
                          builds with AddressSanitizer, which maps terabytes                     */
} ol_child_limits;

/** What is done in the child. @param answer  [size given to ol_child_run] zeros, to be filled in */
typedef ol_status (*ol_child_work)(void *payload, void *answer);

/**
 * Run work(payload, answer) in a child and wait for it.
 * @param subject  what the work is about, a path: begins the message when the child does not end well
 * @param answer   NULL, or [size] bytes set as the child left them; untouched unless OL_OK
 * Errors: those of the work with their messages; OL_EDATA when it crashed, ran out of time or out of
 * memory (which is said); OL_ENOMEM when no process can be made.
 * Cost: a fork (some 0.1 ms for each GiB the parent has) and, as a rule, one wake-up.
 */
ol_status ol_child_run(ol_child_work work, void *payload, ol_child_limits limits,
                       const char *subject, void *answer, size_t size);

#endif
