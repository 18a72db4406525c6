/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/meta/learner.h
 * The learners: what one episode contributes to the outer loop, one process, no MPI.
 *
 * From θ and the shared moments (m, v, t), which are data:
 *
 *   (1) g_k = ∇L_support(θ_k), θ_0 = θ;  θ_{k+1}, m, v = inner(θ_k, g_k, m, v, t+k+1),  k < K
 *   (2) q   = L_query(θ_K)
 *   (3) Δ   = dq/dθ through every inner step, the moments' dependence on θ included
 *
 * | learner         | Δ                                                                        |
 * |-----------------|--------------------------------------------------------------------------|
 * | maml, order 2   | (3), exact: one Hessian-vector product a step [Finn et al. 2017]         |
 * | maml, order 1   | the same with g_k taken as data (FOMAML): ∇L_query(θ_K), shrunk by the    |
 * |                 | weight decay of the inner steps                                          |
 * | reptile         | θ - θ_K [Nichol et al. 2018]                                             |
 * | metaicl         | gradient at θ of the mean loss of support and query prompts together     |
 * |                 | [Min et al. 2022]; no inner loop                                         |
 * | multitask       | as metaicl; its prompts come without demonstrations                      |
 *
 * Sources: maml as MAML-en-LLM [Sinha et al. 2024], whose text leaves open how the moments are
 * shared; the four `moments` modes are our readings.
 */
#ifndef OUTERLOOP_META_LEARNER_H
#define OUTERLOOP_META_LEARNER_H

#include "outerloop/base/batch.h"      /* ol_episode */
#include "outerloop/model/objective.h" /* ol_model, ol_extent */
#include "outerloop/optim/adam.h"      /* ol_adam_spec */

typedef enum ol_algorithm { OL_MAML, OL_REPTILE, OL_METAICL, OL_MULTITASK } ol_algorithm;
typedef enum ol_optimizer { OL_SGD, OL_ADAMW } ol_optimizer;

/**
 * What the inner and the outer optimizer share.
 * separate: inner m = v = 0, t = 0 for every task; discarded.
 * read: inner starts from the outer (m, v, t); discarded.
 * carry: as read, and the mean over episodes of the adapted m and v becomes the outer m and v;
 * t advances by K.
 * carry_v: as carry for v and t; the inner m starts at 0 and the outer m is left alone.
 */
typedef enum ol_moments {
    OL_MOMENTS_SEPARATE,
    OL_MOMENTS_READ,
    OL_MOMENTS_CARRY,
    OL_MOMENTS_CARRY_V
} ol_moments;

/** Whether the primal work of the last inner step is kept for its Hessian-vector product. Earlier
 *  steps are always computed again, so that memory does not grow with K but for one gradient. */
typedef enum ol_storage { OL_KEEP, OL_RECOMPUTE } ol_storage;

typedef struct ol_learner_spec {
    ol_algorithm algorithm;
    int order;          /**< of maml: 2 exact, 1 first-order  */
    int steps;          /**< K                                */
    ol_optimizer inner; /**< of the inner loop                */
    ol_adam_spec adam;  /**< its settings; SGD uses lr alone  */
    ol_moments moments;
    ol_storage storage;
    bool measure_before; /**< also evaluate the query loss at θ: one forward pass         */
    bool measure_share; /**< also measure ‖Δ-Δ₁‖/‖Δ₁‖ against the first-order gradient: memory of
                              one more gradient                                             */
    bool (*stop)(void); /**< asked before every inner step, forward and back: true ends the episode
                             with OL_ESTOPPED. NULL: never                                        */
} ol_learner_spec;

/** θ and the shared moments as an episode sees them. Borrowed; nobody writes to them. */
typedef struct ol_state_view {
    const ol_real *theta; /**< [P]                        */
    const ol_real *m;     /**< [P]                        */
    const ol_real *v;     /**< [P]                        */
    int64_t t;            /**< optimizer steps taken so far */
} ol_state_view;

/** What an episode leaves behind for the outer loop. The caller owns the vectors. */
typedef struct ol_contribution {
    ol_real *delta; /**< [P] overwritten: Δ                                          */
    ol_real *m;     /**< [P] overwritten: adapted m, under carry; else NULL          */
    ol_real *v;     /**< [P] overwritten: adapted v, under carry and carry_v; else NULL */
} ol_contribution;

/** Measurements of an episode; losses in nats a token. */
typedef struct ol_episode_report {
    double query_before; /**< at θ; NaN when not measured                          */
    double query_after;  /**< at θ_K (at θ for learners without an inner loop)     */
    double grad_norm;    /**< ‖Δ‖                                                  */
    double second_order; /**< ‖Δ-Δ₁‖/‖Δ₁‖; NaN when not measured                    */
    double inner_seconds;
    double outer_seconds; /**< query gradient and adjoint of the inner loop         */
} ol_episode_report;

/** Inner steps that a learner takes: K, or 0 for those without an inner loop. */
int ol_learner_steps(const ol_learner_spec *spec);

/** True when adapted first (second) moments are summed over episodes for the outer loop. */
bool ol_learner_carries_m(const ol_learner_spec *spec);
bool ol_learner_carries_v(const ol_learner_spec *spec);

/** Scratch bytes of ol_learner_episode for episodes whose sides lie within these extents. */
size_t ol_learner_bytes(const ol_model *model, const ol_learner_spec *spec, ol_extent support,
                        ol_extent query);

/**
 * Run one episode.
 * @param ws            scratch, ol_learner_bytes; rewound on success
 * @param inner_losses  [K] overwritten: support loss before each inner step; may be NULL if K = 0
 * Errors: OL_ENONFINITE, the message naming the inner step or the query loss; OL_ESTOPPED; `out` and
 * `report` are then undefined. Local.
 * Cost in forward passes of the batches: maml order 2: K·(3+6..8) support + 3 query.
 */
ol_status ol_learner_episode(const ol_model *model, const ol_learner_spec *spec,
                             const ol_episode *episode, ol_state_view state, ol_arena *ws,
                             ol_contribution *out, double *inner_losses, ol_episode_report *report);

/**
 * Adapt θ to a batch: `steps` inner steps, as a target task gets before it is scored.
 * The inner optimizer starts as spec->moments says.
 * @param theta   [P] updated in place
 * @param m, v    [P] updated in place: the inner moments; the caller prepares them with
 *                ol_learner_start_moments and may go on adapting with t advanced
 * @param losses  [steps] support loss before each step, or NULL
 * Errors: OL_ENONFINITE. Local.
 */
ol_status ol_learner_adapt(const ol_model *model, const ol_learner_spec *spec,
                           const ol_batch *support, int steps, int64_t t, ol_arena *ws,
                           ol_real *theta, ol_real *m, ol_real *v, double *losses);

/** Inner (m, v) at the start of adaptation under spec->moments; returns the t to count from. */
int64_t ol_learner_start_moments(const ol_model *model, const ol_learner_spec *spec,
                                 ol_state_view state, ol_real *m, ol_real *v);

/** Scratch bytes of ol_learner_adapt for supports within that extent. */
size_t ol_learner_adapt_bytes(const ol_model *model, ol_extent support);

#endif
