/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/kernel/rate.h
 * How fast this core multiplies matrices: what other rates are compared with, and times foretold
 * from. Local.
 */
#ifndef OUTERLOOP_KERNEL_RATE_H
#define OUTERLOOP_KERNEL_RATE_H

#include "outerloop/base/real.h"   /* the precision of what follows */
#include "outerloop/base/status.h" /* ol_status */

/** Of that rate an episode reaches about so much, all of its work counted as products: for plans. */
#define OL_RATE_REACHED 0.6

/**
 * Best rate of a square product of 768, with the threads in use.
 * @param reps    products timed, at least 1; the best counts
 * @param gflops  10⁹ flop/s
 * Errors: OL_ENOMEM. Cost: 0.9 Gflop and a little each.
 */
ol_status ol_gemm_rate(int reps, double *gflops);

/**
 * Mean rate of square products of 384 over a stretch of time: what this thread gets of its
 * processor just now, where others want it too. To be compared with itself, at another time.
 * @param seconds  of the stretch; a few of the system's time slices, say 0.02
 * Errors: OL_ENOMEM. Cost: the seconds, one product more, and 1.7 MiB (f32).
 */
ol_status ol_gemm_pace(double seconds, double *gflops);

#endif
