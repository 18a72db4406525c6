/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/operate/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/operate/slurm.h" /* ol_slurm_script */
#include "outerloop/run/run.h"       /* ol_run_look_at */

/* The job beside the file, else as it is named. */
static ol_status find_job(const char *path, ol_sweep *s)
{
    const char *slash = strrchr(path, '/');

    if (slash && s->conf.job[0] != '/') {
        OL_TRY(ol_path_format(s->job, "%.*s/%s", (int)(slash - path), path, s->conf.job));
        if (ol_path_exists(s->job))
            return OL_OK;
    }
    OL_TRY(ol_path_format(s->job, "%s", s->conf.job));
    OL_CHECK(ol_path_exists(s->job), OL_EUSAGE,
             "%s: job = \"%s\": no such file is beside it or in the folder of this command", path,
             s->conf.job);
    return OL_OK;
}

/* Beside the folders of elements: "runs/rates/%a" has "runs/rates/sweep". */
static ol_status find_folder(const char *folder, ol_sweep *s)
{
    const char *number = strstr(s->conf.output, "%a");
    size_t n = (size_t)(number - s->conf.output);

    if (folder)
        return ol_path_format(s->folder, "%s", folder);
    while (n > 0 && s->conf.output[n - 1] != '/')
        n--;
    return ol_path_format(s->folder, "%.*ssweep", (int)n, s->conf.output);
}

/* Which element, in front of what is wrong with it. */
static ol_status name_element(const char *path, int i, ol_status status)
{
    return status == OL_OK
               ? OL_OK
               : ol_fail(status, "%s: element %d: %s", path, i + 1, ol_status_message());
}

/* Gradient evaluations of all arms. */
static double work_of(const ol_job *job)
{
    double work = 0;

    for (int i = 0; i < ol_job_arms(job); i++)
        work += ol_job_evaluations_per_step(ol_job_arm(job, i)) * ol_job_arm(job, i)->train.steps;
    return work;
}

static ol_status check_element(ol_comm *comm, int i, int ranks, ol_sweep *s, double *most)
{
    OL_AUTO_RUN_LOOK look = {0};
    ol_memory memory;

    OL_TRY(ol_run_look_at(comm, ol_sweep_source(s, i), true, &look));
    OL_TRY(ol_comm_agree(comm, ol_memory_plan(look.setup, ranks, &memory)));
    s->bytes = memory.peak > s->bytes ? memory.peak : s->bytes;
    if (work_of(look.job) > *most) {
        *most = work_of(look.job);
        s->dearest = i;
    }
    return OL_OK;
}

/* Keys are cheap to check, data and models are not: all keys first. */
static ol_status check_keys(ol_comm *comm, int i, const ol_sweep *s)
{
    OL_AUTO_JOB *job = NULL;

    return ol_comm_agree(comm, ol_job_read(ol_sweep_source(s, i), &job));
}

static ol_status check_all(ol_comm *comm, const char *path, int ranks, ol_sweep *s)
{
    double most = -1;

    for (int i = 0; i < s->conf.n; i++)
        OL_TRY(name_element(path, i, check_keys(comm, i, s)));
    if (ranks == 0)
        return OL_OK;
    for (int i = 0; i < s->conf.n; i++)
        OL_TRY(name_element(path, i, check_element(comm, i, ranks, s, &most)));
    return OL_OK;
}

ol_status ol_sweep_read(ol_comm *comm, const char *path, const char *folder, int ranks,
                        ol_sweep *out)
{
    ol_status status;

    *out = (ol_sweep){0};
    status = ol_conf_sweep_read(path, &out->conf);
    if (status == OL_OK)
        status = find_job(path, out);
    if (status == OL_OK)
        status = find_folder(folder, out);
    status = ol_comm_agree(comm, status);
    if (status == OL_OK)
        status = check_all(comm, path, ranks, out);
    if (status != OL_OK)
        ol_sweep_finish(out);
    return status;
}

void ol_sweep_finish(ol_sweep *sweep)
{
    ol_conf_sweep_finish(&sweep->conf);
    *sweep = (ol_sweep){0};
}

ol_job_source ol_sweep_source(const ol_sweep *sweep, int i)
{
    return ol_job_source_of(sweep->job, &sweep->conf.elements[i]);
}

/* Numbers of one width, so that the N-th by name is element N. */
ol_status ol_sweep_job_name(const ol_sweep *s, int i, char path[PATH_MAX])
{
    return ol_path_format(path, "%s/element-%0*d.cfg", s->folder, s->conf.n > 999 ? 4 : 3, i + 1);
}

static ol_status write_element(const ol_sweep *s, int i)
{
    char path[PATH_MAX];
    OL_AUTO_JOB *job = NULL;

    OL_TRY(ol_sweep_job_name(s, i, path));
    OL_TRY(ol_job_read(ol_sweep_source(s, i), &job));
    return ol_job_write(job, path);
}

static ol_status write_script(const ol_sweep *s, const ol_plan *plan, const char *program)
{
    char path[PATH_MAX];
    OL_AUTO_FREE char *here = realpath(".", NULL), *folder = realpath(s->folder, NULL);
    ol_plan largest = *plan;
    ol_slurm_spec spec = {.name = plan->name,
                          .array = s->conf.n,
                          .program = program,
                          .folder = here,
                          .job = folder,
                          .comment = "An array: task N runs the N-th job file of a folder, sized "
                                     "for the dearest of them."};
    OL_AUTO_TEXT text = {0};

    OL_CHECK(here && folder, OL_EIO, "%s: is not there any more", s->folder);
    if (s->bytes > largest.memory.peak)
        largest.memory.peak = s->bytes;
    ol_slurm_size(&largest, &spec);
    OL_TRY(ol_slurm_script(&spec, &text));
    OL_TRY(ol_path_format(path, "%s/submit.sbatch", s->folder));
    return ol_write_file(path, text.data, text.size);
}

ol_status ol_sweep_write(const ol_sweep *s, const ol_plan *plan, const char *program)
{
    OL_TRY(ol_make_folders(s->folder));
    for (int i = 0; i < s->conf.n; i++)
        OL_TRY(write_element(s, i));
    return write_script(s, plan, program);
}
