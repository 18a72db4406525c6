/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/check/gradcheck.h
 * Is the gradient that training follows the gradient of what it should be? A job's own model and
 * episodes, in float64, against differences of the whole inner loop.
 *
 * With Δ of an episode (meta/learner.h) and q(θ) what its learner minimises there,
 *
 *   | learner                  | q(θ), the moments being data                                       |
 *   |--------------------------|--------------------------------------------------------------------|
 *   | maml, meta-sgd, order 2  | query loss after all inner steps from θ (and from the rates)       |
 *   | the same, order 1        | query loss at θ_K + D(θ' - θ): inner gradients held as they are,   |
 *   |                          | D the decay of the inner steps. That is all that order 1 claims    |
 *   | metaicl, multitask       | mean loss of support and query prompts at θ                        |
 *   | reptile                  | none: θ - θ_K is the gradient of nothing. It is not checked        |
 *
 * every tensor T is moved along random directions u of elements ±1, so that Δ·u is of the size of
 * ‖Δ_T‖ whatever the size of T:
 *
 *   (1) error = |Δ·u - dq/du| / ‖Δ_T‖        dq/du by differences with a known error (src/check/difference.h)
 *   (2) it holds when  |Δ·u - dq/du| <= 1e-6 ‖Δ_T‖ + the error of dq/du
 *       and is decided when that error is below 1e-3 ‖Δ_T‖
 *
 * and then all tensors together. Tensors whose gradient is nothing (a bias of the keys) are held
 * against 1e-8 ‖Δ‖ instead. The floors are far above float64's rounding and far below what any
 * mistake leaves. Local, one process.
 *
 * Cost: some ten to thirty evaluations of q a direction.
 */
#ifndef OUTERLOOP_CHECK_GRADCHECK_H
#define OUTERLOOP_CHECK_GRADCHECK_H

#include <stdio.h>

#include "outerloop/comm/comm.h"  /* ol_comm */
#include "outerloop/meta/outer.h" /* ol_learner_spec, ol_outer_spec */

/** How much is checked. */
typedef struct ol_gradcheck_plan {
    int episodes;    /**< the first so many of the job                                         */
    int after;       /**< meta-steps taken before, in float64, so that moments are as in training */
    int directions;  /**< a tensor                                                             */
    int tensors;     /**< the largest so many, besides all together                            */
    const char *arm; /**< of a job with arms: that one; NULL: all                              */
} ol_gradcheck_plan;

#define OL_GRADCHECK_PLAN_INIT                                                                     \
    {                                                                                              \
        .episodes = 1, .directions = 2, .tensors = 40                                              \
    }

/**
 * A learner on a model, in words that mean the same in both precisions. Everything is borrowed.
 * What the callbacks fill belongs to the callee.
 */
typedef struct ol_gradcheck_spec {
    const char *name; /**< of the arm                                              */
    const ol_model_spec *shape;
    const ol_trained_spec *trained;
    const ol_learner_spec *learner; /**< its learner is found again by name       */
    int N;                          /**< episodes of a meta-step                  */
    uint64_t seed;                  /**< of the directions                        */
    const float *theta;             /**< [P] the start                            */
    /** Values of frozen tensor number i, in the order of the model's table. */
    void (*frozen)(void *payload, int i, double *values);
    ol_status (*draw)(void *payload, int64_t step, int n, ol_episode *episode);
    const char *(*task)(void *payload, int task);
    ol_outer_spec (*outer)(void *payload, int64_t step);
    void *payload;
} ol_gradcheck_spec;

/** What came out. */
typedef struct ol_gradcheck_tally {
    int compared;    /**< quantities            */
    int past;        /**< beyond the tolerance, or not decided */
    double worst;    /**< error (1) of all      */
    char tensor[96]; /**< that it was found in  */
} ol_gradcheck_tally;

/** One quantity: a gradient's product with a direction, and the difference along it. */
typedef struct ol_gradcheck_quantity {
    double norm;                    /**< ‖Δ_T‖, at least the floor                    */
    double slope;                   /**< Δ·u                                          */
    double difference, uncertainty; /**< dq/du and the bound on its error */
} ol_gradcheck_quantity;

/** (1). */
double ol_gradcheck_error(const ol_gradcheck_quantity *quantity);

/** (2), decided and held. A NaN is neither. */
bool ol_gradcheck_holds(const ol_gradcheck_quantity *quantity);

/**
 * Compare, and print a line a tensor to `out` as it goes.
 * @param tally  added to
 * Errors: OL_ENONFINITE when an episode's loss is; OL_ENOMEM; those of `draw`.
 */
ol_status ol_gradcheck(const ol_gradcheck_spec *spec, const ol_gradcheck_plan *plan, FILE *out,
                       ol_gradcheck_tally *tally);

/**
 * The same for a job, in float64: reads it as a run would, with a folder of its own for what that
 * writes, so that the job's output is not touched.
 * Errors: OL_EUSAGE when the job is wrong, there are several ranks, or no learner of it has a
 * gradient; OL_ECHECK when something does not hold; those of ol_setup_create and ol_gradcheck.
 */
ol_status ol_gradcheck_job(ol_comm *comm, const char *path, const char *const *sets, size_t n_sets,
                           const ol_gradcheck_plan *plan, FILE *out);

#endif
