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
 * | meta-sgd        | as maml, and dq/dα: its inner steps are θ - α∘g with learned rates α     |
 * |                 | [Li et al. 2017]                                                         |
 * | reptile         | θ - θ_K; the outer loop interpolates [Nichol et al. 2018]                |
 * | metaicl         | gradient at θ of the mean loss of support and query prompts together     |
 * |                 | [Min et al. 2022]; no inner loop                                         |
 * | multitask       | as metaicl; its prompts come without demonstrations                      |
 *
 * A learner is one constant struct in one file; the list of them is in src/meta/learner.c. Whoever
 * runs them asks the struct and knows no learner by name.
 *
 * The outer state is one flat vector of O = P + E reals: θ, and behind it the E outer parameters of
 * the learner's own (meta-sgd's rates; most have none). Its moments are alike.
 *
 * Sources: maml as MAML-en-LLM [Sinha et al. 2024], whose text leaves open how the moments are
 * shared; the four `moments` modes are our readings.
 */
#ifndef OUTERLOOP_META_LEARNER_H
#define OUTERLOOP_META_LEARNER_H

#include "outerloop/base/batch.h"      /* ol_episode */
#include "outerloop/model/objective.h" /* ol_model, ol_extent */
#include "outerloop/optim/adam.h"      /* ol_adam_spec */

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

/**
 * Of which inner steps the tape (the primal work that a Hessian-vector product reads, objective.h) is
 * kept. Where it is not, it is computed again: two passes more a step, and the same bits.
 * auto: of the last step, and of as many before it as fit storage_bytes. keep: of the last step.
 * recompute: of none. Under these two memory does not grow with K but for one gradient each.
 */
typedef enum ol_storage { OL_STORAGE_AUTO, OL_STORAGE_KEEP, OL_STORAGE_RECOMPUTE } ol_storage;

/** The words of these, as files and command lines have them, by number; NULL ends a list. */
extern const char *const ol_optimizer_names[], *const ol_moments_names[], *const ol_storage_names[];

/** What a learned rate moves. */
typedef enum ol_rates { OL_RATES_TENSOR, OL_RATES_WEIGHT } ol_rates;

typedef struct ol_learner ol_learner;

typedef struct ol_learner_spec {
    const ol_learner *learner; /**< ol_learner_find                                      */
    int order;                 /**< 2 exact, 1 first-order, where the learner has orders */
    int steps;                 /**< K                                                    */
    ol_optimizer inner;        /**< of the inner loop                                    */
    ol_adam_spec adam;         /**< its settings; SGD uses lr alone                      */
    ol_moments moments;
    ol_storage storage;
    size_t storage_bytes; /**< of OL_STORAGE_AUTO, for tapes beside the last step's */
    ol_rates rates;       /**< of meta-sgd, which start at adam.lr */
    bool measure_before;  /**< also evaluate the query loss at θ: one forward pass, which decides
                              nothing: Δ has the same bits without                         */
    bool measure_share; /**< also measure ‖Δ-Δ₁‖/‖Δ₁‖ against the first-order gradient: memory of
                              one more gradient                                             */
    bool (*stop)(void); /**< asked before every inner step, forward, back and in adaptation: true
                             ends the work with OL_ESTOPPED. NULL: never                                       */
} ol_learner_spec;

/** The outer state as an episode sees it. Borrowed; nobody writes to it. */
typedef struct ol_state_view {
    const ol_real *theta; /**< [O] θ, then the learner's own  */
    const ol_real *m;     /**< [O]                            */
    const ol_real *v;     /**< [O]                            */
    int64_t t;            /**< optimizer steps taken so far   */
} ol_state_view;

/** What becomes of a part of the contributions of all episodes. */
typedef enum ol_reduction { OL_MEAN, OL_SUM } ol_reduction; /**< over the episodes kept */

/** One vector that an episode leaves behind for the outer loop. */
typedef struct ol_part {
    const char *name; /**< static text */
    size_t size;      /**< reals       */
    ol_reduction reduction;
    ol_real *vector; /**< [size] the caller's; overwritten by an episode */
} ol_part;

enum { OL_PARTS = 8 };

/**
 * The list of them: declared by the learner, laid out, summed and handed back to its outer step by
 * the caller, who need not know what they are. The first one is always "delta": Δ [O].
 */
typedef struct ol_contribution {
    int n;
    ol_part parts[OL_PARTS];
} ol_contribution;

/** Measurements of an episode; losses in nats a token. */
typedef struct ol_episode_report {
    double query_before; /**< at θ; NaN when not measured                          */
    double query_after;  /**< at θ_K (at θ for learners without an inner loop)     */
    double grad_norm;    /**< ‖Δ‖ over θ                                           */
    double second_order; /**< ‖Δ-Δ₁‖/‖Δ₁‖ over θ; NaN when not measured            */
    double inner_seconds;
    double outer_seconds; /**< query gradient and adjoint of the inner loop         */
} ol_episode_report;

/** A tensor of the outer state. */
typedef struct ol_tensor {
    char name[96];  /**< "h.0.attn.c_attn.weight", "rates.h.0.attn.c_attn.weight" */
    size_t offset;  /**< in the state's vectors, in reals                         */
    size_t size;    /**< in reals                                                 */
    int rows, cols; /**< cols 0 for a vector                                      */
} ol_tensor;

struct ol_task;
struct ol_state;
struct ol_outer_spec;
struct ol_outer_share;

/** A learner. Functions that may be NULL say so. */
struct ol_learner {
    const char *name;    /**< as jobs spell it            */
    const char *help;    /**< one line                    */
    bool inner_loop;     /**< K steps lead to θ_K         */
    bool ordered;        /**< spec->order counts          */
    bool demonstrations; /**< its prompts have demonstrations before the target            */
    bool interpolates;   /**< its outer step is θ + ε (mean θ_K - θ), the rate being ε      */
    const char *own;     /**< what its own outer parameters are, as their names begin; or NULL */

    /** What is wrong with these settings, in words of the job's keys; NULL: nothing. May be NULL. */
    const char *(*misfit)(const ol_learner_spec *spec);
    /** Work of an episode, in gradients of one prompt, for so many support and query prompts. Any
     *  other measure of the two sides does as well. */
    double (*evaluations)(const ol_learner_spec *spec, double support, double query);
    /** Name the parts of a contribution and their sizes. */
    void (*declare)(const ol_model *model, const ol_learner_spec *spec, ol_contribution *out);
    /** Scratch bytes of `episode`. */
    size_t (*bytes)(const ol_model *model, const ol_learner_spec *spec, ol_extent support,
                    ol_extent query);
    /** Run one (src/meta/inner.h has the task). */
    ol_status (*episode)(const struct ol_task *task);
    /** The outer step, on a share of the state; see outer.h, ol_outer_adamw. The mean, which other
     *  ranks read too, stays as it is. */
    void (*outer)(const ol_learner_spec *spec, const struct ol_outer_spec *outer,
                  const struct ol_outer_share *share, const ol_contribution *mean,
                  struct ol_state *state);

    /** Its own tensors, offsets from P on. @param out  NULL, or room for as many as are returned.
     *  NULL where `own` is. */
    int (*tensors)(const ol_model *model, const ol_learner_spec *spec, ol_tensor *out);
    /** E, the reals of all of them. NULL: 0. */
    size_t (*size)(const ol_model *model, const ol_learner_spec *spec);
    /** Set them, own [E], to what they start from. NULL where E = 0. */
    void (*start)(const ol_learner_spec *spec, size_t E, ol_real *own);
    /** An inner step in place of SGD's: x [P] moves along -g; own [E]. NULL: spec->inner. */
    void (*step)(const ol_model *model, const ol_learner_spec *spec, const ol_real *own,
                 const ol_real *g, ol_real *x);
    /** Its adjoint: lg [P] = (∂x_next/∂g)ᵀ lx, overwritten, or NULL when not wanted;
     *  own_bar [E] += (∂x_next/∂own)ᵀ lx. lg may be g. NULL as `step` is. */
    void (*pullback)(const ol_model *model, const ol_learner_spec *spec, const ol_real *own,
                     const ol_real *g, const ol_real *lx, ol_real *lg, ol_real *own_bar);
};

/** The learner of that name, or NULL. */
const ol_learner *ol_learner_find(const char *name);

/** Learner i = 0, 1, ... of the list; NULL past its end. */
const ol_learner *ol_learner_at(int i);

/** Inner steps that a learner takes: K, or 0 for those without an inner loop. */
int ol_learner_steps(const ol_learner_spec *spec);

/** True where a Δ has a second-order part. */
bool ol_learner_exact(const ol_learner_spec *spec);

/** Tensors of the outer state: the model's, then the learner's own (spec NULL: none).
 *  @param out  NULL, or room for as many as are returned */
int ol_learner_tensors(const ol_model *model, const ol_learner_spec *spec, ol_tensor *out);

/** O, the reals of the outer state. */
size_t ol_learner_size(const ol_model *model, const ol_learner_spec *spec);

/** The list of what an episode leaves behind, with the vectors laid out in an arena (NULL when it is
 *  dry). */
ol_contribution ol_contribution_layout(ol_arena *arena, const ol_model *model,
                                       const ol_learner_spec *spec);

/** The vector of that name, or NULL when the learner has none. */
ol_real *ol_contribution_part(const ol_contribution *contribution, const char *name);

/**
 * Floating-point operations of an episode, foretold (model/cost.h): gradients, Hessian-vector products
 * and what is computed again for them, and the query's loss before where that is measured.
 */
double ol_learner_flop(const ol_model *model, const ol_learner_spec *spec,
                       const ol_prompts_size *support, const ol_prompts_size *query);

/** Scratch bytes of ol_learner_episode for episodes whose sides lie within these extents. */
size_t ol_learner_bytes(const ol_model *model, const ol_learner_spec *spec, ol_extent support,
                        ol_extent query);

/**
 * Run one episode.
 * @param ws            scratch, ol_learner_bytes; rewound on success
 * @param out           as ol_contribution_layout makes it
 * @param inner_losses  [K] overwritten: support loss before each inner step; may be NULL if K = 0
 * Errors: OL_ENONFINITE, the message naming the inner step or the query loss; OL_ESTOPPED; `out` and
 * `report` are then undefined. Local.
 * Cost in forward passes of the batches: maml order 2: K·(3+6) support + 3 query, and 2 more for
 * each inner step whose tape is not kept.
 */
ol_status ol_learner_episode(const ol_model *model, const ol_learner_spec *spec,
                             const ol_episode *episode, ol_state_view state, ol_arena *ws,
                             const ol_contribution *out, double *inner_losses,
                             ol_episode_report *report);

/**
 * Adapt θ to a batch: `steps` inner steps, as a target task gets before it is scored.
 * The inner optimizer starts as spec->moments says.
 * @param theta   [O] θ is updated in place; the learner's own behind it are read
 * @param m, v    [P] updated in place: the inner moments; the caller prepares them with
 *                ol_learner_start_moments and may go on adapting with t advanced
 * @param losses  [steps] support loss before each step, or NULL
 * Errors: OL_ENONFINITE; OL_ESTOPPED between two steps. Local.
 */
ol_status ol_learner_adapt(const ol_model *model, const ol_learner_spec *spec,
                           const ol_batch *support, int steps, int64_t t, ol_arena *ws,
                           ol_real *theta, ol_real *m, ol_real *v, double *losses);

/** Inner (m, v) [P] at the start of adaptation under spec->moments; returns the t to count from. */
int64_t ol_learner_start_moments(const ol_model *model, const ol_learner_spec *spec,
                                 ol_state_view state, ol_real *m, ol_real *v);

/** Scratch bytes of ol_learner_adapt for supports within that extent. */
size_t ol_learner_adapt_bytes(const ol_model *model, ol_extent support);

#endif
