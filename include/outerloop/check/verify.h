/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/check/verify.h
 * Recompute a meta-step that another program computed, and compare every quantity.
 *
 * A verification file holds a model, θ, the shared moments, tasks as ragged batches, and what one
 * meta-step must make of them: losses, each task's Δ, the outer gradient's norm, θ and the moments
 * after the outer update. Its tasks are spread over the ranks as a run spreads episodes.
 *
 * Relative error of b against the file's a: ‖a-b‖/‖a‖ over all parameters (for losses: over all
 * tasks and inner steps). Tolerance: f64 1e-9; f32 ten times the file's float32_error, at least
 * 1e-5; none where products are made in bfloat16, which is there to be measured. When the expected vector is 0 the absolute error counts.
 */
#ifndef OUTERLOOP_CHECK_VERIFY_H
#define OUTERLOOP_CHECK_VERIFY_H

#include "outerloop/base/real.h" /* ol_verify_file exists in both precisions */
#include "outerloop/comm/comm.h" /* ol_comm */

/**
 * Verify one file; rank 0 prints a line per quantity on standard output. Collective.
 * Errors: OL_EDATA, the message naming the file and what is missing or torn in it; OL_ECHECK when a
 * quantity is past the tolerance.
 */
ol_status ol_verify_file(ol_comm *comm, const char *path);

#endif
