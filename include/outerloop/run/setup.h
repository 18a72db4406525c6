/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/run/setup.h
 * Everything a job needs before its first meta-step, read and checked.
 *
 * All input is looked at here, before any work and before anything of an earlier run is touched:
 * the job, the output folder, tasks, tokenizer, model, the prompts that every arm would train on
 * and every target would be scored with. What is wrong is refused with one message, on all ranks.
 */
#ifndef OUTERLOOP_RUN_SETUP_H
#define OUTERLOOP_RUN_SETUP_H

#include "outerloop/collective/state.h" /* ol_shared_state */
#include "outerloop/comm/comm.h"        /* ol_comm */
#include "outerloop/comm/node.h"        /* ol_node_block */
#include "outerloop/data/cut.h"         /* ol_task_cut */
#include "outerloop/data/overlap.h"     /* ol_overlap */
#include "outerloop/data/sampler.h"     /* ol_sampler */
#include "outerloop/job/job.h"          /* ol_job */
#include "outerloop/meta/outer.h"       /* ol_state */
#include "outerloop/record/folder.h"    /* ol_run_folder */
#include "outerloop/run/pace.h"         /* ol_pace */
#include "outerloop/run/targets.h"      /* ol_targets */

enum { OL_ROW_NAME = 128 /**< bytes of a row's name */ };

/** A row of the final table: an arm of the job, or the start, which nothing is trained in. */
typedef struct ol_arm {
    const ol_job *job;        /**< borrowed from the setup's job, which is the start's */
    ol_model *model;          /**< the job's, with what this arm's inner loop moves    */
    ol_run_folder *folder;    /**< of the setup's                                      */
    char row[OL_ROW_NAME];    /**< what it is called in tables */
    ol_sampler *sampler;      /**< NULL where nothing is trained                       */
    bool shares_sampler;      /**< it is that of an arm before                         */
    ol_extent support, query; /**< bounds of its episodes' sides              */
    ol_task_cut *cuts;        /**< [tasks of sampler] what the caps take.
                                   Prompts are not counted of trainings too long to look at */
    ol_targets *targets;      /**< NULL without eval and adapt; arms may share one */
} ol_arm;

/** A job made ready. Transparent, read-only to others but for `state`. */
typedef struct ol_setup {
    ol_comm *comm;     /**< borrowed */
    const ol_job *job; /**< borrowed */
    ol_comm_layout layout;
    /** [n_folders] of the job, of the start, and of each of job->arms; without any, the only arm works in
     *  that of the job. */
    ol_run_folder *folders;
    int n_folders;
    char root[PATH_MAX]; /**< task folder  */
    char tokenizer_path[PATH_MAX];
    ol_tokenizer *tokenizer;
    ol_model_spec shape; /**< of the model; vocab 0 where that is the tokenizer's */
    ol_model *model;
    ol_node_block *frozen;   /**< what is not trained, one copy a node */
    ol_shared_state *shared; /**< what follows lies in it, one copy a node   */
    ol_real *theta0;         /**< [P] where every arm starts                 */
    ol_state state;          /**< [O] of the arm at work                     */
    size_t O;                /**< enough for the largest                     */
    ol_arm *start, *arms;    /**< [n_arms] right behind the start            */
    int n_arms;
    ol_arm *rows; /**< [n_rows] what there is to do: with `baseline` the start, and the arms */
    int n_rows;
    ol_targets *targets[2]; /**< without and with demonstrations; NULL where no arm needs it */
    ol_overlap overlap;     /**< rank 0's */
    bool looks;             /**< nothing of the job is written             */
    char scratch[PATH_MAX]; /**< of a look: folder of its own, "" for none */
    size_t resident_start;  /**< bytes of this process before it read anything of the job      */
    size_t resident_read;   /**< and with tasks, tokenizer and prompts, before the parameters   */
    ol_pace pace;           /**< of the processors, since training began  */
    bool scored;            /**< there is an eval or adapt stage          */
    bool baseline;          /**< the start is scored beside what was trained from it */
} ol_setup;

/**
 * Read, check and prepare a job. Nothing is written but the folder of the job and, where it asks for
 * the built-in suite, that. Collective: fails on all ranks with one message, or on none.
 * @param job  the same on all ranks; borrowed for the life of the setup
 * @param looks  only look, and refuse in the same words: no folder of the job is made or written to;
 *               the built-in suite goes into a folder for scratch, which goes with the setup
 * @param out  *owned by the caller* (ol_setup_destroy)
 * Errors: OL_EUSAGE, OL_EDATA, OL_EIO, OL_ENOMEM, OL_EMPI.
 */
ol_status ol_setup_create(ol_comm *comm, const ol_job *job, bool resume, bool looks,
                          ol_setup **out);

/** Accepts NULL. */
void ol_setup_destroy(ol_setup *setup);
OL_DROPS(ol_setup, ol_setup_destroy)
#define OL_AUTO_SETUP OL_AUTO(ol_setup_drop) ol_setup

/** Warn, on rank 0, when a job will train on more ranks than an arm of it has episodes for. It needs
 *  no setup, so that it can be said before anything is loaded. */
void ol_describe_idle(const ol_job *job, int ranks);

/** Put the state where the learner of the arm at work starts: θ0, empty moments. Nobody may read it then.
 *  Collective. Errors: OL_EMPI. */
ol_status ol_setup_begin(ol_setup *setup, const ol_arm *arm);

struct ol_memory;

/** Tell what will be done: job, model, ranks, memory, tasks, overlap, work of each arm. Rank 0
 *  speaks. */
void ol_setup_describe(const ol_setup *setup, const struct ol_memory *memory);

#endif
