/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/memory.h
 * The memory that a job takes of a rank, by cause, known before its first meta-step.
 *
 *   (1) peak = max(setup, libraries + data + parameters + moments + frozen + blas + narrow
 *                         + files + max(gradients + sums + episode, scoring))
 *
 * All but the first two and `setup` follow from the job: the arenas' own layouts, run dry. What the
 * libraries and the data take is what this process has, seen when the job was set up. Bytes that are
 * in memory (resident), which is what ends up over a limit.
 */
#ifndef OUTERLOOP_RUN_MEMORY_H
#define OUTERLOOP_RUN_MEMORY_H

#include "outerloop/run/setup.h" /* ol_setup */

/** Bytes of one rank. Of arms, which run in turn, the most of any. */
typedef struct ol_memory {
    size_t libraries;  /**< program, MPI, HDF5 and the like                              */
    size_t data;       /**< tokenizer, tasks, prompts                                    */
    size_t parameters; /**< the start, and what is trained from it                       */
    size_t moments;    /**< m and v                                                      */
    size_t frozen;     /**< what is not trained; these three are once a node, where there
                            is room to share them, though each rank maps them            */
    size_t gradients;  /**< what an episode leaves behind                                */
    size_t sums;       /**< of it, over the ranks                                        */
    size_t mapped;     /**< of the sums: memory of the node's other ranks, which this one
                            maps too                                                    */
    size_t episode;    /**< tape and scratch of the inner loop                           */
    size_t scoring;    /**< of a target, when training is over                           */
    size_t blas;       /**< what products pack their operands into                       */
    size_t narrow;     /**< what those in bfloat16 keep: operands, and their code         */
    size_t files;      /**< rows on their way into the metrics                           */
    size_t setup;      /**< the most until now: a model is read tensor by tensor         */
    size_t peak;       /**< (1) */
    int sharing;       /**< ranks to a node                                              */
    size_t once;       /**< of all this, what a node has once                            */
} ol_memory;

/** (1) of the other fields. */
size_t ol_memory_peak(const ol_memory *memory);

/** The same without what is other ranks' (mapped): what the node of a rank alone must have. */
size_t ol_memory_own(const ol_memory *memory);

/** What a node of memory->sharing ranks must have. */
size_t ol_memory_node(const ol_memory *memory);

/**
 * The memory of each of `ranks` ranks of the job that was set up. Local.
 * Errors: those of reading a target again, OL_EDATA, OL_ENOMEM. Cost: reading one target.
 */
ol_status ol_memory_plan(const ol_setup *setup, int ranks, ol_memory *out);

#endif
