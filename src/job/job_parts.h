/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of `job` share. */
#ifndef JOB_JOB_PARTS_H
#define JOB_JOB_PARTS_H

#include "outerloop/job/job.h"

/* Take the settings of the adapter at model.lora.path over. Those that the job says itself must be the
 * same. Errors: OL_EUSAGE naming both; OL_EDATA when there is no such adapter. */
ol_status ol_job_take_adapter(ol_job *job);

/* Is that word all that model.trained says? */
bool ol_job_trains(const ol_job *job, const char *word);

/* Is there such a learner, and can it do what the job asks? @param where  for messages */
void ol_job_check_learner(const ol_job *job, const char *where, ol_conf_mistakes *mistakes);

/* All else that is wrong with a job whose keys are each fine. @param path  of the job, which names it where
 * it says no name. Errors: OL_ENOMEM. */
ol_status ol_job_check(const ol_job *job, const char *path, ol_conf_mistakes *mistakes);

#endif
