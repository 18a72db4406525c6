/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "outerloop/base/limits.h" /* ol_limits_describe */

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define FENCE 64u
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define FENCE 0u
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define ALIGN 64u
#define HUGE_PAGE ((size_t)2 << 20)

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN + FENCE;
}

ol_arena ol_arena_dry(const char *name)
{
    return (ol_arena){.name = name, .size = SIZE_MAX};
}

/* What is short is mostly a limit of the process, not the machine: it is named. */
static ol_status refuse(const char *name, size_t bytes)
{
    char limits[256];

    ol_limits_describe(limits);
    return ol_fail(
        OL_ENOMEM,
        "no memory for the %s: %.1f MiB asked for; the limits of this process: %s. Raise "
        "them (ulimit, sbatch --mem-per-cpu), or use a smaller model or batch",
        name, (double)bytes / (1u << 20), limits);
}

ol_status ol_arena_init(ol_arena *arena, const char *name, size_t bytes)
{
    const size_t size = bytes < ALIGN ? ALIGN : rounded(bytes);
    const size_t align = bytes < HUGE_PAGE ? ALIGN : HUGE_PAGE;

    *arena = (ol_arena){.name = name};
    arena->base =
        bytes > SIZE_MAX / 2 ? NULL : aligned_alloc(align, (size + align - 1) / align * align);
    if (!arena->base)
        return refuse(name, bytes);
#ifdef MADV_HUGEPAGE
    if (align == HUGE_PAGE) /* matrices then miss fewer translations; without, all is well too */
        (void)madvise(arena->base, size, MADV_HUGEPAGE);
#endif
    arena->size = size;
    POISON(arena->base, size);
    return OL_OK;
}

void ol_arena_finish(ol_arena *arena)
{
    if (!arena || !arena->base)
        return;
    UNPOISON(arena->base, arena->size);
    free(arena->base);
    *arena = (ol_arena){0};
}

/* A layout takes more than was counted for it. Going on would write over what lies behind. */
__attribute__((noreturn, cold)) static void end_overdrawn(const ol_arena *arena, size_t bytes)
{
    fprintf(stderr,
            "outerloop: bug: the arena for the %s has %zu of %zu bytes left and is asked for %zu\n",
            arena->name ? arena->name : "(no name)", arena->size - arena->used, arena->size, bytes);
    abort();
}

void *ol_arena_take(ol_arena *arena, size_t bytes)
{
    const size_t at = arena->used;

    if (bytes > SIZE_MAX / 4 || rounded(bytes) > arena->size - at)
        end_overdrawn(arena, bytes);
    arena->used += rounded(bytes);
    if (arena->used > arena->peak)
        arena->peak = arena->used;
    if (ol_arena_is_dry(arena))
        return NULL;
    UNPOISON(arena->base + at, bytes);
    return arena->base + at;
}

ol_mark ol_arena_mark(const ol_arena *arena)
{
    return arena->used;
}

void ol_arena_rewind(ol_arena *arena, ol_mark mark)
{
    assert(mark <= arena->used);
    if (!ol_arena_is_dry(arena)) {
#ifndef NDEBUG
        UNPOISON(arena->base + mark, arena->used - mark);
        memset(arena->base + mark, 0xff, arena->used - mark);
#endif
        POISON(arena->base + mark, arena->used - mark);
    }
    arena->used = mark;
}
