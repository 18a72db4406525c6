/* SPDX-License-Identifier: BSD-3-Clause */
/* Is a job the one that a run began with? */
#include <string.h>

#include "outerloop/job/job.h"

/* True for keys that a run may change on the way without becoming another run. */
static bool may_change(const char *path)
{
    return strncmp(path, "train.", 6) == 0 || strncmp(path, "eval.", 5) == 0 ||
           strncmp(path, "tune.", 5) == 0 || strcmp(path, "name") == 0 ||
           strcmp(path, "output") == 0 || strcmp(path, "stages") == 0 ||
           strcmp(path, "train_seeds") == 0 || strncmp(path, "learner.inner.storage", 21) == 0;
}

/* With or without any, results are in different folders. */
static bool is_train_seeds(size_t key)
{
    return strcmp(ol_job_keys.keys[key].path, "train_seeds") == 0;
}

static ol_status compare_key(const ol_job *job, const ol_job *before, size_t key, const char *name,
                             ol_conf_mistakes *mistakes)
{
    OL_AUTO_TEXT now = {0}, then = {0};

    OL_TRY(ol_conf_value(ol_job_keys, key, job, &now));
    OL_TRY(ol_conf_value(ol_job_keys, key, before, &then));
    if (strcmp(now.data, then.data) != 0)
        ol_conf_mistake(mistakes, name,
                        "this run began with %s = %s and cannot go on with %s (%s); put it back, "
                        "or give the job another output",
                        ol_job_keys.keys[key].path, then.data, now.data,
                        ol_conf_origin(job->conf, key));
    return OL_OK;
}

ol_status ol_job_same_run(const ol_job *job, const char *name, const char *before, size_t size)
{
    ol_conf_mistakes mistakes = {0};
    OL_AUTO_JOB *then = NULL;
    ol_status status = OL_OK;

    OL_TRY(ol_job_read_text(name, before, size, &then));
    for (size_t key = 0; key < ol_job_keys.n && status == OL_OK; key++)
        if (!may_change(ol_job_keys.keys[key].path) ||
            (is_train_seeds(key) && (job->train_seeds.n > 0) != (then->train_seeds.n > 0)))
            status = compare_key(job, then, key, name, &mistakes);
    if (status == OL_OK)
        return ol_conf_report(&mistakes, name);
    ol_text_finish(&mistakes.text);
    return status;
}
