/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/base/real.h
 * The number type of the mathematics, chosen when a file is compiled.
 *
 * The numeric rooms (kernel, model, optim, meta) and a few files of run are compiled twice: as f32,
 * the product, and as f64, for `--precision f64` and the derivative tests. Both live in one
 * program: in the f64 pass every function that precision.h lists gets the suffix _f64.
 */
#ifndef OUTERLOOP_BASE_REAL_H
#define OUTERLOOP_BASE_REAL_H

#include "outerloop/base/arena.h"
#include "outerloop/base/precision.h"

#ifdef OL_F64
typedef double ol_real;
#else
typedef float ol_real;
#endif

/** `count` uninitialised reals of an arena. */
static inline ol_real *ol_arena_reals(ol_arena *arena, size_t count)
{
    return (ol_real *)ol_arena_take(arena, count * sizeof(ol_real));
}

#endif
