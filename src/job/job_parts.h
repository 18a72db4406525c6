/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of `job` share. */
#ifndef JOB_JOB_PARTS_H
#define JOB_JOB_PARTS_H

#include "outerloop/job/job.h"

/* Take the settings of the adapter at model.lora.path over. Those that the job says itself must be the
 * same. Errors: OL_EUSAGE naming both; OL_EDATA when there is no such adapter. */
ol_status ol_job_take_adapter(ol_job *job);

#endif
