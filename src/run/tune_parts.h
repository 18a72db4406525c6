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

/* One run over the cells of some subjects. */
typedef struct tune_search {
    bool trained; /* false: of the start */
    char *output;
    tune_subject *subjects; /* [n_subjects] */
    int n_subjects;
    char **known; /* [n] what tells the arms from one another */
    int n;
    ol_text arms; /* of the job, as they stand in its file */
    ol_job *job;  /* NULL without subjects */
    int counts;     /* step counts that are scored */
    double *scores; /* [n, counts + 1] means at each count, then over all */
} tune_search;

/* Does the key tell two cells of the search apart? */
bool tune_counts_for(const tune_search *s, const char *path);

/* Mean score of a cell after its i-th step count; over all where i = s->counts. */
double tune_score(const tune_search *s, const tune_subject *of, int cell, int i);

/* Append a table for each subject of the searches, [2]. Errors: OL_ENOMEM. */
ol_status tune_table(const tune_search *searches, const ol_job *job, ol_text *out);

#endif
