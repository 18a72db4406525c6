/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/gemm.h
 * The one door to BLAS: every matrix product of the program goes through here. Those of float32 are
 * made in bfloat16 where products.h is told so; those with a short side are made without BLAS where
 * the processor has AVX-512. Which they are follows from the shape alone, and the threads of BLAS.
 *
 * Matrices are row-major; ld is the distance between rows, so a block of columns of a wider matrix
 * is a matrix too. All calls count their floating-point operations, for benchmarks.
 * Local, allocates nothing, cannot fail, once ol_gemm_reserve has taken what the library needs.
 */
#ifndef OUTERLOOP_KERNEL_GEMM_H
#define OUTERLOOP_KERNEL_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "outerloop/base/real.h"   /* ol_real */
#include "outerloop/base/status.h" /* ol_status */

/** A matrix operand: its reals and the distance between its rows. */
typedef struct ol_mat {
    const ol_real *at;
    int ld;
} ol_mat;

/** A matrix that is written. */
typedef struct ol_mat_out {
    ol_real *at;
    int ld;
} ol_mat_out;

/** c [m,n] = α a b + β c      with a [m,k], b [k,n]. With β = 0 c need not be initialised. */
void ol_gemm_nn(int m, int n, int k, ol_real alpha, ol_mat a, ol_mat b, ol_real beta, ol_mat_out c);

/** c [m,n] = α a bᵀ + β c     with a [m,k], b [n,k]. */
void ol_gemm_nt(int m, int n, int k, ol_real alpha, ol_mat a, ol_mat b, ol_real beta, ol_mat_out c);

/** c [m,n] = α aᵀ b + β c     with a [k,m], b [k,n]. */
void ol_gemm_tn(int m, int n, int k, ol_real alpha, ol_mat a, ol_mat b, ol_real beta, ol_mat_out c);

/**
 * c [m,n] = α a b + β c with b [k,n] (turned: [n,k], its transpose is meant) of bfloat16, made in
 * bfloat16.
 * @return false when products are not made so (products.h), or this one is not; nothing was done then
 */
bool ol_gemm_with_bf16(bool turned, int m, int n, int k, ol_real alpha, ol_mat a, const uint16_t *b,
                       int ldb, ol_real beta, ol_mat_out c);

/** Floating-point operations of all products of this precision so far, 2·m·n·k each. */
double ol_gemm_flops(void);

/** Those of them that were made in bfloat16. */
double ol_gemm_flops_bf16(void);

/** Use that many threads of BLAS, and of what makes other products, in this process from now on. */
void ol_gemm_threads(int threads);

/**
 * Have the library take its buffers now, 128 MiB of addresses a thread, of which it fills little.
 * Without the room it would ask for them for ever, on one rank, while the others wait.
 * Errors: OL_ENOMEM with what is needed and the limits; nothing was then asked of the library.
 */
ol_status ol_gemm_reserve(int threads);

/** The BLAS library, its version and the kind of core it chose, for records. Borrowed. */
const char *ol_gemm_library(void);

#endif
