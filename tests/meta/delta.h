/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file delta.h
 * Δ of an episode in the precision that delta.c is compiled for, as doubles.
 */
#ifndef TESTS_META_DELTA_H
#define TESTS_META_DELTA_H

#include <stddef.h>
#include <stdint.h>

#ifdef OL_F64
#define delta_of delta_of_f64
#define delta_start delta_start_f64
#endif

/** An episode with AdamW inner steps on a model as it is when training starts. */
typedef struct delta_case {
    uint32_t seed; /**< of parameters and prompts                                       */
    int moments;   /**< ol_moments                                                      */
    int steps;     /**< K                                                               */
    int before;    /**< plain AdamW steps on other prompts before it; 0: empty moments  */
    double lr, eps_root;
} delta_case;

/* θ, m and v that the episode starts from: *start is malloc'd, 3P floats. Returns P. */
size_t delta_start(const delta_case *c, float **start);

/* Run the episode. Returns P; *delta is malloc'd, NULL on failure. */
size_t delta_of(const delta_case *c, const float *start, double **delta);

#endif
