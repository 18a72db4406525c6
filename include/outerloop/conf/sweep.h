/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/conf/sweep.h
 * A sweep: one job many times over, each time with other keys, as one file.
 *
 *     job = "methods.cfg";                     beside this file, or from where the program runs
 *     output = "runs/rates/%a";                each element's folder; %a is its number, from 1
 *     set = { train = { steps = 200; }; };     keys of all elements
 *     grid = ( ( { learner = { inner = { lr = 0.1; }; }; }, { learner = { inner = { lr = 0.3; }; }; } ),
 *              ( { learner = { order = 1; }; }, { learner = { order = 2; }; } ) );
 *     seeds = [1, 2, 3];                       `seed` of each of them
 *
 * The elements of a grid are one group of each axis, in all combinations; `list = ( {...}, {...} )`
 * in its place names them one by one. The last axis changes fastest, seeds faster still. Any keys of
 * a job may stand in a group; those of an arm as arms = { NAME = { learner = { ... }; }; }. What the
 * keys are is not known here: an element is a list of "path=value", as --set takes them. @include
 * works as in jobs. Local.
 */
#ifndef OUTERLOOP_CONF_SWEEP_H
#define OUTERLOOP_CONF_SWEEP_H

#include "outerloop/conf/conf.h" /* ol_conf_sets */

enum { OL_CONF_ELEMENTS = 1000 /**< most of a sweep */ };

typedef struct ol_conf_sweep {
    char *job;              /**< as the file has it                   */
    char *output;           /**< with %a in it                        */
    ol_conf_sets *elements; /**< [n], of each the output last         */
    int n;
} ol_conf_sweep;

/**
 * Read a sweep.
 * @param out  overwritten; *owned by the caller* (ol_conf_sweep_finish)
 * Errors: OL_EUSAGE with file and line; OL_EDATA when the file cannot be read; OL_ENOMEM. Nothing is
 * then left to free.
 */
ol_status ol_conf_sweep_read(const char *path, ol_conf_sweep *out);

/** Accepts a zero struct. */
void ol_conf_sweep_finish(ol_conf_sweep *sweep);

#endif
