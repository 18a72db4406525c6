/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/check/bench.h
 * The time and memory of one episode's meta-gradient, on random tokens or on the prompts of a file;
 * and the time of scoring such prompts, with and without shared beginnings.
 *
 * Every random prompt has `seq` tokens of input and scores the last `labels` targets. Of files that
 * `outerloop prompts` wrote, an episode takes the first prompt of a row, from each file in turn: `batch`
 * of them are the support, the `batch` after them the query. θ is random (of an
 * adapter, on q and v, B is too, as some steps of training leave it), the shared moments are those of a run under way (`read`). The same work, given the same numbers, can
 * be done by another program and timed beside it.
 */
#ifndef OUTERLOOP_CHECK_BENCH_H
#define OUTERLOOP_CHECK_BENCH_H

#include "outerloop/base/phase.h"   /* ol_phase_times */
#include "outerloop/meta/learner.h" /* ol_optimizer, ol_storage */

typedef struct ol_bench_spec {
    ol_model_spec model; /**< context is set to the longest prompt */
    int lora;            /**< rank of an adapter; 0: everything is trained */
    bool frozen_bf16;
    const char *const *prompts; /**< [n_prompts] files of prompts, borrowed */
    int n_prompts;              /**< 0: random ones                         */
    int seq;                    /**< tokens of input of a random prompt       */
    int batch;                  /**< prompts of a side                        */
    int labels;                 /**< scored tokens of a random prompt         */
    int steps;                  /**< K                                        */
    ol_optimizer inner;
    int order;
    ol_storage storage;
    int storage_mib; /**< of OL_STORAGE_AUTO                  */
    int reps;        /**< the best of so many         */
    bool timers;     /**< say where its seconds went  */
} ol_bench_spec;

#define OL_BENCH_SPEC_INIT                                                                         \
    {                                                                                              \
        .model = {.layers = 4,                                                                     \
                  .width = 256,                                                                    \
                  .heads = 8,                                                                      \
                  .vocab = 8192,                                                                   \
                  .tied = true,                                                                    \
                  .rope_theta = 10000},                                                            \
        .seq = 256, .batch = 4, .labels = 8, .steps = 1, .inner = OL_ADAMW, .order = 2,            \
        .storage = OL_STORAGE_AUTO, .storage_mib = 512, .reps = 3                                  \
    }

typedef struct ol_bench_report {
    size_t params;       /**< P                                                            */
    size_t frozen_bytes; /**< of the frozen tensors                                        */
    int64_t tokens;      /**< of input, of all prompts of the episode                      */
    double passes;     /**< matrix products of an episode, in those of one forward pass of a side */
    double flop;       /**< of the products of an episode, counted                       */
    double bf16_share; /**< of it, in bfloat16                                            */
    double foretold_flop;  /**< the same by ol_learner_flop                                  */
    size_t foretold_bytes; /**< resident at the beginning, and all that was laid out since   */
    size_t peak_bytes;     /**< most that was resident, the timed episodes included          */
    double best_seconds;   /**< of one episode                                               */
    double gflops;         /**< matrix products done, per second, 10⁹ flop/s                 */
    double product_gflops; /**< rate of one large square product on this core, in this run   */
    double query_loss;     /**< after adaptation, nats a token                               */
    double grad_norm;      /**< ‖Δ‖                                                          */
    double delta_error; /**< ‖Δ-Δ'‖/‖Δ'‖, Δ' by products in f32; 0 where these are used  */
    size_t workspace_bytes; /**< scratch of the episode                                       */
    ol_phase_times phases;  /**< of that episode; 0 where timers are off                      */
} ol_bench_report;

/** What scoring all prompts of a file takes: together, as evaluations score them, so that what
 *  consecutive prompts begin with is computed once; and each on its own. */
typedef struct ol_scoring_report {
    int rows, prompts;
    int64_t tokens;                     /**< of input, of all prompts                      */
    double best_seconds, apart_seconds; /**< together; each on its own                    */
    double difference;                  /**< largest between both of a prompt's loss, nats */
} ol_scoring_report;

/** Run the benchmark in this process. Errors: OL_EUSAGE (an impossible shape), OL_EDATA (prompts that
 *  do not fit), OL_ENOMEM. Local. */
ol_status ol_bench(const ol_bench_spec *spec, ol_bench_report *report);

/** The same of scoring the prompts of one file, spec->prompts[0], under a random model. */
ol_status ol_bench_scoring(const ol_bench_spec *spec, ol_scoring_report *report);

#endif
