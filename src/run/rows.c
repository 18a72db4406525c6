/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rows of a job's tables are called. */
#include <stdio.h>
#include <string.h>

#include "outerloop/job/start.h" /* ol_start_name */
#include "run_parts.h"

/* Nothing is trained, now or before: every arm scores the start. */
static bool scores_start_alone(const ol_setup *s)
{
    for (int i = 0; i < s->n_arms; i++)
        if (s->arms[i].folder->claim.step > 0)
            return false;
    return !(s->job->stages & OL_STAGE_TRAIN);
}

ol_status ol_setup_name_rows(ol_setup *s)
{
    const bool alone = scores_start_alone(s);
    const ol_job_init init = (ol_job_init)s->job->model.init;
    char name[OL_ROW_NAME] = ""; /* of the start alone: that of what trained it */

    snprintf(name, sizeof name, init == OL_INIT_RANDOM ? "untrained" : "start");
    memcpy(s->start->row, name, sizeof name);
    if (alone && s->n_arms > 1 && !(s->job->stages & OL_STAGE_ADAPT)) {
        s->n_arms = s->n_rows = 1; /* the job itself, in its own folder */
        s->arms[0].job = s->job;
        s->arms[0].folder = s->folders;
    }
    if (alone && init == OL_INIT_CHECKPOINT)
        OL_TRY(OL_ON_FIRST(s->comm, ol_start_name(s->job, name, sizeof name)));
    OL_TRY(ol_comm_broadcast(s->comm, name, sizeof name, 0));
    for (int i = 0; i < s->n_arms; i++) {
        const ol_job *job = s->arms[i].job;
        const char *row = alone && s->n_arms == 1 ? name
                          : s->job->n_arms > 0    ? job->name
                                                  : job->learner.algorithm;

        snprintf(s->arms[i].row, OL_ROW_NAME, "%s", row);
    }
    return OL_OK;
}
