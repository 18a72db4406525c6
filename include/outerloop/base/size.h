/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/size.h
 * Counts times sizes, checked: numbers that a file tells are multiplied here before anything of
 * that size is asked for. Local, cannot fail otherwise.
 */
#ifndef OUTERLOOP_BASE_SIZE_H
#define OUTERLOOP_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>

#include "outerloop/base/status.h" /* ol_status */

/** *product = a · b. @return false, the product unchanged, when it is more than a size_t counts */
bool ol_size_multiply(size_t a, size_t b, size_t *product);

/**
 * Memory for `count` elements of `size` bytes each, zeros; for no elements too.
 * @param out   *owned by the caller* (free); NULL on failure
 * @param what  what they are, "scores of runs/a/metrics.h5": for the message
 * Errors: OL_ENOMEM, when memory does not suffice and when the product is more than a size_t counts.
 */
ol_status ol_allocate(size_t count, size_t size, const char *what, void **out);

/** The same for `out`, by what it points to. */
#define OL_ALLOCATE(out, count, what)                                                              \
    ol_allocate((size_t)(count), sizeof *(out), what, (void **)&(out))

/**
 * Room for one more element behind the `n` there are: as much again wherever n is a power of two, so
 * that nobody need keep the room in mind.
 * @param items  address of the pointer to them, which starts as NULL; unchanged on failure
 * Errors: OL_ENOMEM, as in ol_allocate.
 */
ol_status ol_grow(void *items, size_t n, size_t size, const char *what);

/** The same of `items`, by what it points to. */
#define OL_GROW(items, n, what) ol_grow(&(items), (size_t)(n), sizeof *(items), what)

#endif
