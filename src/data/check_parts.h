/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two files of `data check` share: looking (check.c) and telling (check_table.c). */
#ifndef DATA_CHECK_PARTS_H
#define DATA_CHECK_PARTS_H

#include "outerloop/data/check.h"
#include "outerloop/data/cut.h"    /* ol_cut    */
#include "outerloop/data/target.h" /* ol_target */
#include "row_keys.h"

/* A task in one of its roles. */
typedef struct task_check {
    char *name;
    bool target;
    int rows, seeds, twice;
    int32_t *lengths; /* [n_lengths] tokens of examples */
    size_t n_lengths;
    ol_cut cut;
    row_keys keys;  /* of training rows, or of test rows   */
    row_keys shots; /* of the k-shot files of a target     */
} task_check;

typedef struct setting_check {
    const char *name;
    int n_train, n_test;
    int *tasks;    /* [n_train + n_test] numbers of task_checks */
    row_keys keys; /* of all its training rows, sorted          */
    ol_text both;  /* lines: tasks in both lists, which is no fault (data/overlap.h) */
} setting_check;

typedef struct checker {
    const ol_check_spec *spec;
    task_check *tasks; /* [n] each task and role once, whatever the settings */
    int n;
    int faults;
    ol_text said; /* of the faults */
} checker;

/* The two lines above the table. */
ol_status check_heading(const checker *c, ol_text *out);

/* A setting's lines: training tasks and targets in all; each task below them where `details`. */
ol_status check_describe(const checker *c, const setting_check *s, bool details, ol_text *out);

#endif
