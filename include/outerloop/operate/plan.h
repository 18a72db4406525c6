/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/operate/plan.h
 * What a job would do, before anybody starts it: work, memory, time and disk.
 *
 * The job is read and set up as `run` does, and refused in its words, but nothing is started and no
 * folder of it is made or written to. Memory is what the arenas' own layouts ask for
 * (run/memory.h). Time is foretold from this machine: an episode of the job's own shapes is run
 * where it takes seconds at most, else the rate of a large product and the count of products serve.
 *
 * A run has parts, one after the other: tuning of the start, tuning of the arms, and the arms
 * themselves, as many times as there are train_seeds.
 */
#ifndef OUTERLOOP_OPERATE_PLAN_H
#define OUTERLOOP_OPERATE_PLAN_H

#include <stdio.h>

#include "outerloop/run/memory.h" /* ol_memory */

/** One arm of a part, or a cell of a grid. */
typedef struct ol_plan_arm {
    char name[OL_ROW_NAME];
    int steps, episodes;  /**< meta-steps, episodes of each                            */
    double evaluations;   /**< gradients of one prompt, over all meta-steps            */
    double tokens;        /**< over all meta-steps, from a sample of them              */
    double step_seconds;  /**< of a meta-step, mean                                    */
    double train_seconds; /**< of all of them                                          */
    double score_seconds; /**< of the stages eval and adapt                            */
    double piece_seconds; /**< longest work between two looks at whether to stop       */
    bool measured;        /**< step_seconds: an episode was run; else from the rate    */
} ol_plan_arm;

/** One part of a run. */
typedef struct ol_plan_part {
    const char *what;  /**< static text */
    ol_plan_arm *arms; /**< [n] */
    int n;
    int times;            /**< it is done: once for each of train_seeds       */
    int items;            /**< target tasks × seeds; 0 when nothing is scored */
    double start_seconds; /**< of scoring the start                           */
    double seconds;       /**< of all of it, all times                        */
    size_t checkpoint;    /**< bytes of one, of the largest arm               */
    size_t checkpoints;   /**< bytes of all that are kept, all times          */
    size_t metrics;       /**< bytes of metrics.h5 and metrics.jsonl, all times */
} ol_plan_part;

enum { OL_PLAN_PARTS = 3 };

typedef struct ol_plan {
    char name[OL_ROW_NAME];
    int ranks, threads;
    int episodes; /**< most of any arm: ranks beyond it idle in training */
    int rounds;   /**< most episodes of a rank in a meta-step            */
    ol_plan_part parts[OL_PLAN_PARTS];
    int n_parts;
    ol_memory memory;     /**< of the part that takes most              */
    double seconds;       /**< of the whole run                         */
    double measured;      /**< seconds that measuring took              */
    double gflops;        /**< of a large product here                  */
    double piece_seconds; /**< longest work between two looks           */
    double save_seconds;  /**< of a checkpoint, at a slow disk's rate   */
    int lead;             /**< seconds of warning to ask SLURM for      */
    size_t disk;          /**< bytes in all                             */
} ol_plan;

/**
 * Plan a job. Collective: under mpirun all ranks measure at once, as they would run.
 * @param ranks  to plan for
 * @param out    overwritten; *owned by the caller* (ol_plan_finish)
 * Errors: those of ol_run_job before any work.
 */
ol_status ol_plan_job(ol_comm *comm, ol_job_source source, bool resume, int ranks, ol_plan *out);

/** Accepts a zero struct. */
void ol_plan_finish(ol_plan *plan);

/** Append the plan for people; the last line is of pairs, for programs. Errors: OL_ENOMEM. */
ol_status ol_plan_text(const ol_plan *plan, ol_text *out);

#endif
