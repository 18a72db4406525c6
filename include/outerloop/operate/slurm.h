/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/operate/slurm.h
 * Batch scripts for SLURM: slurm/run.sbatch, which is part of the program, with sizes and a job of
 * their own. Local.
 */
#ifndef OUTERLOOP_OPERATE_SLURM_H
#define OUTERLOOP_OPERATE_SLURM_H

#include "outerloop/operate/plan.h" /* ol_plan */

/** What a script asks for and runs. Everything is borrowed. */
typedef struct ol_slurm_spec {
    const char *name;
    int tasks, cpus;              /**< ranks, and cores of each                            */
    int mib_a_cpu;                /**< memory                                              */
    int minutes;                  /**< time limit                                          */
    int lead;                     /**< seconds before its end that the signal comes        */
    int array;                    /**< tasks 1 .. array of an array; 0: none               */
    const char *program;          /**< that runs the job                                   */
    const char *folder;           /**< where; relative paths of the job begin there        */
    const char *job;              /**< job file, or folder of them for an array            */
    const char *const *arguments; /**< [n] what follows it                                 */
    size_t n;
    const char *comment; /**< lines to stand in front, without #; or NULL          */
} ol_slurm_spec;

/** Sizes as a plan has them, with something in reserve: a sixth of the memory, a third of the time,
 *  of which a script asks for a day at most, for it goes through as many limits as it takes. */
void ol_slurm_size(const ol_plan *plan, ol_slurm_spec *spec);

/** Append the script. Errors: OL_ENOMEM. */
ol_status ol_slurm_script(const ol_slurm_spec *spec, ol_text *out);

#endif
