/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/collective/meta_step.h
 * One meta-step over all ranks: episodes to ranks, their contributions summed, the outer update.
 * What a contribution is, and what the outer update makes of the sums, is the learner's affair: here
 * it is a list of vectors, each with a sum of its own.
 *
 * Episodes are put in order of predicted cost, the dearest first (ties by number); position p goes
 * to rank p mod size. Contributions are added up exactly (comm/exact_sum.h), so a run gives the same
 * bits on any number of ranks. The ranks of a node wait for each other after each of their episodes,
 * nodes for each other at the end of the meta-step: there what failed on any rank becomes everyone's.
 *
 * An episode whose losses are not finite is dropped by common vote: the mean is then over the
 * others, on every rank alike.
 */
#ifndef OUTERLOOP_COLLECTIVE_META_STEP_H
#define OUTERLOOP_COLLECTIVE_META_STEP_H

#include "outerloop/collective/state.h" /* ol_shared_state */
#include "outerloop/comm/comm.h"        /* ol_comm */
#include "outerloop/meta/outer.h"       /* ol_state, ol_learner_spec */

/** Fills `episode` (batches owned by the caller, cleared here) with episode n of a meta-step. */
typedef ol_status ol_episode_source(void *payload, int64_t step, int n, ol_episode *episode);

/** What one episode was and did; plain data that travels between ranks. */
typedef struct ol_episode_record {
    int episode;    /**< n                                            */
    int task;       /**< as the source numbers them                   */
    int rank;       /**< that ran it                                  */
    int dropped;    /**< 1: not finite, left out of the mean          */
    int64_t tokens; /**< of both sides                           */
    double seconds; /**< of the whole episode                    */
    ol_episode_report report;
} ol_episode_record;

/** What a meta-step did; the same on every rank, but for the seconds. */
typedef struct ol_step_report {
    int episodes;        /**< N                                       */
    int dropped;         /**< of them                                 */
    double query_before; /**< mean over the episodes kept; NaN when not measured */
    double query_after;  /**< mean over the episodes kept             */
    double grad_norm;    /**< ‖G‖ before clipping                     */
    int64_t tokens;      /**< of all episodes                         */
    double inner_seconds, outer_seconds, comm_seconds; /**< of this rank */
} ol_step_report;

/** Memory and plan of meta-steps: made once, used for every step. */
typedef struct ol_meta_stepper ol_meta_stepper;

/**
 * @param comm, model  borrowed for the life of the stepper
 * @param N            episodes a meta-step
 * @param support, query  bounds of any episode's sides
 * @param out          *owned by the caller*
 * Collective: fails on all ranks or none. Errors: OL_ENOMEM, OL_EMPI.
 */
ol_status ol_meta_stepper_create(ol_comm *comm, const ol_model *model, int N,
                                 const ol_learner_spec *learner, ol_extent support, ol_extent query,
                                 ol_meta_stepper **out);

/** Collective. Accepts NULL (on all ranks). */
void ol_meta_stepper_destroy(ol_meta_stepper *stepper);

/**
 * One meta-step. Collective over the stepper's communicator.
 * @param costs    [N] predicted cost of each episode, the same on every rank
 * @param source   called for the episodes of this rank, with `payload`
 * @param state    updated, the same bits on every rank; unchanged when every episode was dropped
 * @param report   overwritten
 * Errors: those of `source`, made everyone's; OL_EMPI. When every episode was dropped the step is
 * skipped: OL_OK with report->dropped = N.
 */
ol_status ol_meta_step(ol_meta_stepper *stepper, const ol_outer_spec *outer, int64_t step,
                       const double *costs, ol_episode_source *source, void *payload,
                       ol_state *state, ol_step_report *report);

/** The states of meta-steps from now on are in this memory, which its ranks step together; at first
 *  each rank has a state of its own. @param shared  borrowed */
void ol_meta_stepper_share(ol_meta_stepper *stepper, ol_shared_state *shared);

/** Whether the episodes of the meta-steps from now on measure their query loss before adaptation too,
 *  which at first is as the learner's spec has it: a forward pass that changes no bit of the state. */
void ol_meta_stepper_measure_before(ol_meta_stepper *stepper, bool measure);

/** Records of the last meta-step on every rank, in order of episode number: [N], borrowed. */
const ol_episode_record *ol_meta_stepper_records(const ol_meta_stepper *stepper);

/** Support losses of episode n of the last meta-step: [K], borrowed. */
const double *ol_meta_stepper_inner_losses(const ol_meta_stepper *stepper, int n);

/**
 * Called after each episode that this rank ran and that was kept, before it is summed.
 * @param out  what it left behind, borrowed
 */
typedef void ol_episode_observer(void *payload, int n, const ol_contribution *out);

/** Have every episode of this rank observed; NULL ends it. */
void ol_meta_stepper_observe(ol_meta_stepper *stepper, ol_episode_observer *observer,
                             void *payload);

#endif
