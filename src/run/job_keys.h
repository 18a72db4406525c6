/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of job.h: every key of a job file. */
#ifndef OL_RUN_JOB_KEYS_H
#define OL_RUN_JOB_KEYS_H

#include <limits.h>

#include "outerloop/run/job.h"

extern const ol_conf_table ol_job_keys;

/* Take the settings of the adapter at model.lora.path over. Those that the job says itself must be the
 * same. Errors: OL_EUSAGE naming both; OL_EDATA when there is no such adapter. */
ol_status ol_job_take_adapter(ol_job *job);

/* Has the key the value that it has when nobody says another? */
bool ol_job_is_preset(const ol_job *job, const char *path);

#endif
