/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/bench.h
 * The time and memory of one episode's meta-gradient, on random tokens.
 *
 * Every prompt has `seq` tokens of input and scores the last `labels` targets. θ is random, the
 * shared moments are those of a run under way (`read`). The same work, given the same numbers, can
 * be done by another program and timed beside it.
 */
#ifndef OUTERLOOP_RUN_BENCH_H
#define OUTERLOOP_RUN_BENCH_H

#include "outerloop/meta/learner.h" /* ol_optimizer, ol_storage */

typedef struct ol_bench_spec {
    int layers, width, heads, vocab;
    int seq;    /**< tokens of input of a prompt    */
    int batch;  /**< prompts of a side              */
    int labels; /**< scored tokens of a prompt      */
    int steps;  /**< K                              */
    ol_optimizer inner;
    int order;
    ol_storage storage;
    int reps; /**< the best of so many            */
} ol_bench_spec;

#define OL_BENCH_SPEC_INIT                                                                         \
    {                                                                                              \
        .layers = 4, .width = 256, .heads = 8, .vocab = 8192, .seq = 256, .batch = 4, .labels = 8, \
        .steps = 1, .inner = OL_ADAMW, .order = 2, .storage = OL_KEEP, .reps = 3                   \
    }

typedef struct ol_bench_report {
    size_t params;         /**< P                                                            */
    double best_seconds;   /**< of one episode                                               */
    double gflops;         /**< matrix products done, per second, 10⁹ flop/s                 */
    double product_gflops; /**< rate of one large square product on this core, in this run   */
    double query_loss;     /**< after adaptation, nats a token                               */
    double grad_norm;      /**< ‖Δ‖                                                          */
    size_t workspace_bytes; /**< scratch of the episode                                       */
} ol_bench_report;

/** Run the benchmark in this process. Errors: OL_EUSAGE (an impossible shape), OL_ENOMEM. Local. */
ol_status ol_bench(const ol_bench_spec *spec, ol_bench_report *report);

#endif
