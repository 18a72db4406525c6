/* SPDX-License-Identifier: BSD-3-Clause */
/* A job file, by the table of keys that jobs have. */
#include "fuzz.h"
#include "outerloop/base/status.h"
#include "outerloop/job/job.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    ol_job *job = NULL;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    fuzz_accepted = ol_job_read_text("job.cfg", text, size, &job) == OL_OK;
    ol_job_destroy(job);
    free(text);
    return 0;
}
