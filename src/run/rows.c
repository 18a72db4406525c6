/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rows of a job's tables are called. */
#include <stdio.h>
#include <string.h>

#include "outerloop/job/start.h" /* ol_start_name */
#include "setup.h"

/* Nothing is trained, now or before: every arm scores the start. */
static bool scores_start_alone(const ol_setup *s)
{
    for (int i = 0; i < s->n_arms; i++)
        if (s->arms[i].folder->claim.step > 0)
            return false;
    return !(s->job->stages & OL_STAGE_TRAIN);
}

/* The start by the name of what trained it. */
static ol_status name_start(const ol_setup *s, char name[OL_ROW_NAME])
{
    if (s->job->model.init == OL_INIT_RANDOM) {
        snprintf(name, OL_ROW_NAME, "untrained");
        return OL_OK;
    }
    snprintf(name, OL_ROW_NAME, "start");
    return s->job->model.init == OL_INIT_CHECKPOINT ? ol_start_name(s->job, name, OL_ROW_NAME)
                                                    : OL_OK;
}

ol_status ol_setup_name_rows(ol_setup *s)
{
    const bool random = s->job->model.init == OL_INIT_RANDOM, alone = scores_start_alone(s);
    char name[OL_ROW_NAME] = "";

    snprintf(s->start->row, OL_ROW_NAME, random ? "untrained" : "start");
    if (alone && s->n_arms > 1 && !(s->job->stages & OL_STAGE_ADAPT)) {
        s->n_arms = s->n_rows = 1; /* the job itself, in its own folder */
        s->arms[0].job = s->job;
        s->arms[0].folder = s->folders;
    }
    OL_TRY(OL_ON_FIRST(s->comm, alone ? name_start(s, name) : OL_OK));
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
