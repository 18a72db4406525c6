/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file delta.h
 * Δ of the episode of world.h in the precision that delta.c is compiled for, as doubles.
 */
#ifndef TESTS_META_DELTA_H
#define TESTS_META_DELTA_H

#include <stddef.h>

#ifdef OL_F64
#define delta_of delta_of_f64
#endif

/* AdamW inner steps from the shared moments. Returns P; *delta is malloc'd, NULL on failure. */
size_t delta_of(int steps, double **delta);

#endif
