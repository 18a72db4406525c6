/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/collective/evaluate.h
 * Score a model on target tasks, spread over ranks.
 *
 * A work item is a (task, seed); item i = (task - first)·n_seeds + seed. Items go to ranks by predicted cost:
 * the dearest first, each to the rank with the least to do so far (ties by number). One item is
 * done by one rank alone, so results are the same bits on any number of ranks; they come together
 * on rank 0 in order of items.
 *
 *     ol_evaluation_spec spec = {...};
 *     OL_TRY(ol_evaluate(comm, model, state, &spec, &evaluation));          every rank
 *     if (ol_comm_rank(comm) == 0)
 *         OL_TRY(ol_evaluation_store(&evaluation, &spec, "maml", sink, payload));
 */
#ifndef OUTERLOOP_COLLECTIVE_EVALUATE_H
#define OUTERLOOP_COLLECTIVE_EVALUATE_H

#include "outerloop/comm/comm.h"         /* ol_comm */
#include "outerloop/eval/target_score.h" /* ol_eval_spec, ol_eval_result */

/**
 * Build a target: called for the items of this rank, in any order.
 * @param task, seed  indices into spec->tasks and spec->seeds
 * @param target      overwritten; what it borrows belongs to `payload` and stays until the next
 *                    call with it
 */
typedef ol_status ol_target_source(void *payload, int task, int seed, ol_eval_target *target);

/** What to evaluate; the same on every rank. Everything is borrowed. */
typedef struct ol_evaluation_spec {
    const char *const *tasks;  /**< names of tasks: these arrays are of all that there are   */
    int first, n_tasks;        /**< those of them that are evaluated                         */
    const bool *unseen;        /**< the task is of an unseen domain; NULL: none is           */
    const char *const *groups; /**< which part of the targets; "": none; NULL: all so       */
    const int *seeds; /**< [n_seeds]                                                      */
    int n_seeds;
    const double *costs; /**< predicted work of each task under each seed, any unit; NULL: equal */
    ol_target_source *source;
    void *payload;
    ol_eval_spec scoring; /**< its learner.stop ends the evaluation */
} ol_evaluation_spec;

/** Results of all items, on rank 0; on other ranks results is NULL. */
typedef struct ol_evaluation {
    ol_eval_result *results; /**< [n] in order of items                      */
    int n;                   /**< n_tasks·n_seeds                            */
    double seconds;          /**< of the slowest rank                        */
    int diverged;            /**< scorings whose adaptation was not finite   */
} ol_evaluation;

/**
 * Score every item. Collective.
 * @param out  overwritten; *owned by the caller* (ol_evaluation_finish)
 * Errors, the same on every rank: those of the source and of ol_eval_target_score, the task and
 * seed named; OL_ESTOPPED when a rank was asked to stop; OL_ENOMEM; OL_EMPI.
 */
ol_status ol_evaluate(ol_comm *comm, const ol_model *model, ol_state_view state,
                      const ol_evaluation_spec *spec, ol_evaluation *out);

/** Free. Accepts NULL and a zero struct. */
void ol_evaluation_finish(ol_evaluation *evaluation);

#endif
