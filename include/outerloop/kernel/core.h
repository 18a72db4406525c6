/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/core.h
 * Does the BLAS library use what this processor can do?
 *
 * OpenBLAS makes products for a kind of core: the one that it takes the processor for, or that
 * OPENBLAS_CORETYPE names. One with narrower vectors than the processor has gives right results at a
 * fraction of the rate, and nothing else tells. x86-64 alone; elsewhere nothing is known. Local.
 */
#ifndef OUTERLOOP_KERNEL_CORE_H
#define OUTERLOOP_KERNEL_CORE_H

enum { OL_CORE_TEXT = 320 }; /**< bytes that hold the words below */

/**
 * How many times faster, about, products could be.
 * @param library  as ol_gemm_library has it
 * @param words    the reason and the fix as a sentence for people; "" when it is 1
 * @return 1 when nothing is lost, or nothing known; 2 for AVX2 where there is AVX-512, and so on
 */
int ol_core_slowed(const char *library, char words[OL_CORE_TEXT]);

#endif
