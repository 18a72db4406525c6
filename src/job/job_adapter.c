/* SPDX-License-Identifier: BSD-3-Clause */
#include "job_parts.h"

#include <string.h>

#include "outerloop/base/file.h"    /* ol_path_exists           */
#include "outerloop/model/import.h" /* ol_import_adapter_config */

/* Does the job say the value itself? */
static bool is_said(const ol_job *job, const char *path)
{
    return strcmp(ol_job_place(job, path), "default") != 0;
}

/* Two lists of the same names, in any order. */
static bool same_targets(const ol_conf_strings *ours, const ol_adapter_config *theirs)
{
    for (int i = 0; i < ours->n; i++) {
        int j = 0;

        while (j < theirs->n_targets && strcmp(ours->items[i], theirs->targets[j]) != 0)
            j++;
        if (j == theirs->n_targets)
            return false;
    }
    return ours->n == theirs->n_targets;
}

static void list_targets(const ol_adapter_config *config, ol_text *out)
{
    for (int i = 0; i < config->n_targets; i++)
        ol_text_format(out, "%s%s", i > 0 ? ", " : "", config->targets[i]);
}

/* What the job says must be what the adapter has. */
static void compare(const ol_job *job, const ol_adapter_config *config, ol_conf_mistakes *mistakes)
{
    const char *path = job->model.lora.path;
    ol_text names = {0};

    if (is_said(job, "model.lora.rank") && job->model.lora.rank != config->rank)
        ol_conf_mistake(mistakes, ol_job_place(job, "model.lora.rank"),
                        "model.lora.rank = %d, but the adapter %s has r = %d; leave the key out",
                        job->model.lora.rank, path, config->rank);
    if (is_said(job, "model.lora.alpha") && job->model.lora.alpha != config->alpha)
        ol_conf_mistake(mistakes, ol_job_place(job, "model.lora.alpha"),
                        "model.lora.alpha = %g, but the adapter %s has lora_alpha = %g; leave the "
                        "key out",
                        job->model.lora.alpha, path, config->alpha);
    if (is_said(job, "model.lora.rslora") && job->model.lora.rslora != config->rslora)
        ol_conf_mistake(mistakes, ol_job_place(job, "model.lora.rslora"),
                        "model.lora.rslora = %s, but the adapter %s has use_rslora = %s; leave the "
                        "key out",
                        job->model.lora.rslora ? "true" : "false", path,
                        config->rslora ? "true" : "false");
    if (job->model.lora.targets.n > 0 && !same_targets(&job->model.lora.targets, config)) {
        list_targets(config, &names);
        ol_conf_mistake(mistakes, ol_job_place(job, "model.lora.targets"),
                        "model.lora.targets are not those of the adapter %s, target_modules = %s; "
                        "leave the key out",
                        path, names.data ? names.data : "?");
        ol_text_finish(&names);
    }
}

static ol_status take(ol_job *job, const ol_adapter_config *config)
{
    static const char *const derived[] = {"model.lora.rank", "model.lora.alpha",
                                          "model.lora.rslora"};
    ol_conf_mistakes mistakes = {0};

    compare(job, config, &mistakes);
    OL_TRY(ol_conf_report(&mistakes, job->model.lora.path));
    for (size_t i = 0; i < sizeof derived / sizeof *derived; i++)
        if (!is_said(job, derived[i]))
            OL_TRY(ol_conf_derived(job->conf, derived[i]));
    job->model.lora.rank = config->rank;
    job->model.lora.alpha = config->alpha;
    job->model.lora.rslora = config->rslora;
    if (job->model.lora.targets.n > 0)
        return OL_OK;
    OL_TRY(ol_conf_strings_set(&job->model.lora.targets, config->n_targets,
                               (const char *const *)config->targets));
    return ol_conf_derived(job->conf, "model.lora.targets");
}

ol_status ol_job_take_adapter(ol_job *job)
{
    ol_adapter_config config = {0};
    ol_status status;

    /* The job of a checkpoint says everything, and can be read where its adapter is gone. */
    if (job->model.lora.targets.n > 0 && !ol_path_exists(job->model.lora.path))
        return OL_OK;
    OL_TRY(ol_import_adapter_config(job->model.lora.path, &config));
    status = take(job, &config);
    ol_adapter_config_finish(&config);
    return status;
}
