/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file direct.h (private to kernel)
 * Products of matrices that are read where they stand.
 *
 *   (1) c = α a b + β c        with a [m,k], b [k,n], each as it is or turned
 *
 * A BLAS library copies both factors into an order of its own first. That pays where the left one is too
 * long to stay near while the panels of b pass, or stands crosswise; small matrices, and flat ones (a few
 * rows against a vocabulary), lose most to the copies and the call. Here a tile of c is summed in registers, elements of a
 * broadcast against whole vectors of b. Only what does not stand in vectors is copied: a turned b, and
 * the last columns where they fill none.
 *
 * Sums run over k in its order, in pieces of at most DEEP. Local, allocates nothing.
 */
#ifndef OUTERLOOP_KERNEL_DIRECT_H
#define OUTERLOOP_KERNEL_DIRECT_H

#include "outerloop/kernel/gemm.h" /* ol_mat */

/* Factors of (1): what they are and how they stand. */
typedef struct ol_direct_factors {
    ol_mat a, b;
    bool a_turned, b_turned; /* a stands as [k,m], b as [n,k] */
} ol_direct_factors;

/* Is it faster so than by that many threads of BLAS? By its shape alone, as bits must not depend on
 * more. False where the program was built for a processor without AVX-512. */
bool ol_direct_gains(const ol_direct_factors *f, int threads, int m, int n, int k);

/* (1). */
void ol_direct_multiply(const ol_direct_factors *f, int m, int n, int k, ol_real alpha,
                        ol_real beta, ol_mat_out c);

#endif
