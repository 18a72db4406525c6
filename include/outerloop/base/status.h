/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/status.h
 * How a function that can fail says so.
 *
 * It returns an ol_status: OL_OK or a negative code. The message for a person is set once, where
 * the fault is found, with ol_fail or OL_CHECK: one line that says what failed, where, and what to
 * do about it. Callers pass the code on with OL_TRY and never replace the message.
 *
 * The message belongs to the calling thread. Local, allocates nothing.
 */
#ifndef OUTERLOOP_BASE_STATUS_H
#define OUTERLOOP_BASE_STATUS_H

#include <stdlib.h>
#include <string.h>

typedef enum ol_status {
    OL_OK = 0,
    OL_EUSAGE = -1,     /**< the command line or the job file is wrong                    */
    OL_EDATA = -2,      /**< an input file is missing, torn, or does not hold what it must */
    OL_EIO = -3,        /**< the file system refused to write, sync or rename             */
    OL_ENOMEM = -4,     /**< not enough memory; the message has the name and byte count   */
    OL_ENONFINITE = -5, /**< a loss or a gradient is NaN or infinite                      */
    OL_ECHECK = -6,     /**< everything ran, and the check asked for did not hold         */
    OL_EMPI = -7,       /**< an MPI call failed                                           */
    OL_ESTOPPED = -8,   /**< asked to stop: everything is saved, the job can be requeued  */
} ol_status;

/**
 * Record a message and return its code, so that a fault reads `return ol_fail(OL_EDATA, ...)`.
 * The message holds at most 4095 bytes; a longer one is cut.
 */
ol_status ol_fail(ol_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** The last message of this thread, "" when there was none. Borrowed until the next ol_fail. */
const char *ol_status_message(void);

/** Add a place to the trace of the present failure. OL_TRY does; nobody else needs to. */
void ol_status_frame(const char *file, int line, const char *function);

/** The places a failure passed through, one a line, for a debug log. Borrowed like the message. */
const char *ol_status_trace(void);

/** Return a failure of `expr` to the caller. */
#define OL_TRY(expr)                                                                               \
    do {                                                                                           \
        const ol_status ol_try_status_ = (expr);                                                   \
        if (ol_try_status_ != OL_OK) {                                                             \
            ol_status_frame(__FILE__, __LINE__, __func__);                                         \
            return ol_try_status_;                                                                 \
        }                                                                                          \
    } while (0)

/** Return `code` with a message unless `cond` holds: for mistakes of the user, always on. */
#define OL_CHECK(cond, code, ...)                                                                  \
    do {                                                                                           \
        if (!(cond))                                                                               \
            return ol_fail((code), __VA_ARGS__);                                                   \
    } while (0)

/** Of a variable: drop(&name) is called where the name ends, so that OL_TRY may leave from anywhere
 *  before. Types have a word for it where they are declared: OL_AUTO_TEXT, OL_AUTO_JOB, ... */
#define OL_AUTO(drop) __attribute__((cleanup(drop)))

/** The same for memory: OL_AUTO_FREE char *path = ...; */
#define OL_AUTO_FREE OL_AUTO(ol_status_free)
static inline void ol_status_free(void *pointer)
{
    void *memory;

    memcpy(&memory, pointer, sizeof memory);
    free(memory);
}

/** The same for what a function of its own frees: OL_DROPS(ol_job, ol_job_destroy) makes ol_job_drop
 *  for OL_AUTO. */
#define OL_DROPS(type, destroy)                                                                    \
    static inline void type##_drop(type **at)                                                      \
    {                                                                                              \
        destroy(*at);                                                                              \
    }

/** Give the caller what an OL_AUTO variable holds, which is zero then: `return OL_GIVE(out, made);` */
#define OL_GIVE(out, made) (*(out) = (made), memset(&(made), 0, sizeof(made)), OL_OK)

#endif
