/* SPDX-License-Identifier: BSD-3-Clause */
/* What the choice of settings and its table share. */
#ifndef RUN_TUNE_PARTS_H
#define RUN_TUNE_PARTS_H

#include "outerloop/job/job.h" /* ol_job */

enum { TUNE_LEARNER = 8 /* letters of "learner.", which all keys of a grid begin with */ };

/* What is chosen for: an arm, or the start. */
typedef struct tune_subject {
    const ol_job *job; /* the arm, or the job itself; its grid */
    const char *name;
    int n;    /* cells                                        */
    int *arm; /* [n] the arm of the search that a cell is     */
    int best; /* cell                                         */
} tune_subject;

/* An arm of the search. */
typedef struct tune_arm {
    char *told;                     /* all that counts for it      */
    double means[OL_CONF_LIST + 1]; /* rank 0's: its scores at each step count, then over all */
} tune_arm;

/* One run over the cells of some subjects. */
typedef struct tune_search {
    bool trained;           /* false: of the start */
    tune_subject *subjects; /* [n_subjects] */
    int n_subjects;
    tune_arm *arms; /* [n] */
    int n;
    ol_text text; /* of the arms, as they stand in the job's file */
    ol_job *job;  /* NULL without subjects */
    int counts;   /* step counts that are scored */
} tune_search;

/* Does the key tell two cells of the search apart? */
bool tune_counts_for(const tune_search *s, const char *path);

/* Mean scores of a cell: [counts + 1]. */
static inline const double *tune_means(const tune_search *s, const tune_subject *of, int cell)
{
    return s->arms[of->arm[cell]].means;
}

/* Append a table for each subject of the searches, [2]. Errors: OL_ENOMEM. */
ol_status tune_table(const tune_search *searches, const ol_job *job, ol_text *out);

#endif
