/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/arena.h
 * Memory by lifetime: one block, cut from the front, given back by rewinding.
 *
 *     +-----------------+------------------+-------------------------------+
 *     | taken, marked   | taken since mark | free                          |
 *     +-----------------+------------------+-------------------------------+
 *     base              mark               used                        size
 *
 * A layout is written once, as a function that takes blocks from an arena, and run twice: on a dry
 * arena, which only counts, and on a real one, which places. So the bytes that a job needs are
 * known before it starts, and ol_arena_init is the only place of the numeric rooms that can lack
 * memory. Taking more than was counted is a bug of ours: in every build, release included, it says
 * which arena lacked how much and aborts, rather than write over what lies behind.
 *
 * Every block starts on a 64-byte boundary. With AddressSanitizer, blocks are fenced by poisoned
 * zones and rewound memory is poisoned; builds without NDEBUG fill rewound memory with 0xff bytes,
 * which read as NaN.
 *
 * Local, not thread-safe: one arena belongs to one thread.
 */
#ifndef OUTERLOOP_BASE_ARENA_H
#define OUTERLOOP_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "outerloop/base/status.h" /* ol_status */

typedef struct ol_arena {
    const char *name; /**< for messages; borrowed                           */
    char *base;       /**< NULL when dry                                    */
    size_t size;      /**< bytes; SIZE_MAX when dry                         */
    size_t used;      /**< bytes taken at present                           */
    size_t peak;      /**< most bytes ever taken: what a dry run is read for */
} ol_arena;

typedef size_t ol_mark;

/** An arena that counts and places nothing: blocks taken from it are NULL. */
ol_arena ol_arena_dry(const char *name);

/**
 * Allocate `bytes` for a real arena. The pages are touched lazily.
 * Errors: OL_ENOMEM with name and byte count; the arena is then zero and may be finished.
 */
ol_status ol_arena_init(ol_arena *arena, const char *name, size_t bytes);

/** Free the block. Accepts NULL, a zero arena and a dry one. */
void ol_arena_finish(ol_arena *arena);

/** Take `bytes` (0 allowed): an uninitialised block, borrowed from the arena until the rewind.
 *  Aborts when fewer are left. */
void *ol_arena_take(ol_arena *arena, size_t bytes);

/** Where the arena stands, for ol_arena_rewind. */
ol_mark ol_arena_mark(const ol_arena *arena);

/** Give back all that was taken since `mark`. */
void ol_arena_rewind(ol_arena *arena, ol_mark mark);

static inline bool ol_arena_is_dry(const ol_arena *arena)
{
    return !arena->base;
}

#endif
