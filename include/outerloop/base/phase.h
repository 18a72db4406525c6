/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/phase.h
 * Where the seconds go: one stopwatch a process, which is always in exactly one phase.
 *
 * Entering a phase ends the time of the one before, so phases never overlap, and their sum is the time
 * since the stopwatch was last read: what is in no other phase is OL_PHASE_OTHER. Work that calls other
 * work has the time that the other does not count as its own.
 *
 *     const ol_phase was = ol_phase_enter(OL_PHASE_FORWARD);
 *     ...
 *     ol_phase_leave(was);
 *
 * Whoever returns early leaves its phase on; the next to leave one mends that.
 *
 * Off, which is how a process begins, a hook is one test of a variable. Nothing that is computed
 * depends on the stopwatch. Local, cannot fail; one thread, that which walks models and communicates.
 */
#ifndef OUTERLOOP_BASE_PHASE_H
#define OUTERLOOP_BASE_PHASE_H

#include <stdbool.h>
#include <stdint.h>

/** What a process is at. */
typedef enum ol_phase {
    OL_PHASE_OTHER,     /**< nothing below: copies, norms, records in memory                     */
    OL_PHASE_DRAW,      /**< drawing episodes, and foretelling what they cost                    */
    OL_PHASE_MEASURE,   /**< losses without derivatives: of the query before the inner loop      */
    OL_PHASE_FORWARD,   /**< forward walks of gradients                                          */
    OL_PHASE_BACKWARD,  /**< backward walks of gradients                                         */
    OL_PHASE_RECOMPUTE, /**< both again, where a Hessian-vector product found nothing kept       */
    OL_PHASE_PRODUCT,   /**< tangents of both: the Hessian-vector product itself                 */
    OL_PHASE_INNER,     /**< inner optimizer: its steps, forward and back                        */
    OL_PHASE_OUTER,     /**< outer optimizer                                                     */
    OL_PHASE_SUM,       /**< adding what episodes contribute, over ranks                         */
    OL_PHASE_WAIT,      /**< for other ranks, until all are where they agree                     */
    OL_PHASE_SAVE,      /**< checkpoints                                                         */
    OL_PHASE_METRICS,   /**< rows, digests, progress                                             */
    OL_PHASES
} ol_phase;

/** A short name of each, for tables and files: [OL_PHASES]. */
extern const char *const ol_phase_names[OL_PHASES];

/** Seconds in each phase, and how often it was entered. */
typedef struct ol_phase_times {
    double seconds[OL_PHASES];
    int64_t calls[OL_PHASES];
} ol_phase_times;

/** Let it run: from zero, in OL_PHASE_OTHER. */
void ol_phase_start(void);

/** Stop it; hooks do nothing again. */
void ol_phase_stop(void);

/** What it has since it was started or last read; it runs on from zero, in the phase it is in. All 0
 *  when it is stopped. */
ol_phase_times ol_phase_read(void);

/** True while it runs. */
extern bool ol_phase_runs;

/** The hooks with the stopwatch running; called by those below. */
ol_phase ol_phase_change(ol_phase to, bool counts);

/** Be in that phase from here on. @return the phase until now, to go back to */
static inline ol_phase ol_phase_enter(ol_phase phase)
{
    return ol_phase_runs ? ol_phase_change(phase, true) : OL_PHASE_OTHER;
}

/** Go back to a phase. */
static inline void ol_phase_leave(ol_phase was)
{
    if (ol_phase_runs)
        ol_phase_change(was, false);
}

#endif
