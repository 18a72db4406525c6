/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/check/score_prompts.h" /* ol_score_prompts */
#include "outerloop/model/import.h"        /* ol_import_is_model */
#include "outerloop/record/snapshot.h"     /* ol_snapshot_load */

/* The f64 build of the same function; precision.h names it. */
ol_status ol_score_prompts_f64(const ol_score_spec *spec, ol_score_report *report);

struct score_options {
    const char *model;
    ol_score_spec spec;
    unsigned f64;
};

static ol_status score(const struct score_options *o, const ol_score_spec *spec)
{
    ol_score_report report;

    OL_TRY(o->f64 ? ol_score_prompts_f64(spec, &report) : ol_score_prompts(spec, &report));
    ol_cli_say("%s: %d rows, %d prompts, mean loss %.6f nats a token -> %s\n", spec->prompts,
               report.rows, report.prompts, report.mean, spec->out);
    return OL_OK;
}

/* With its block, which is its own. */
static void drop_model(ol_model **model)
{
    if (*model)
        free((void *)(uintptr_t)(*model)->block);
    ol_model_destroy(*model);
}

/* A checkpoint: its weights are read here, in float32 as they are stored. */
static ol_status score_checkpoint(const struct score_options *o)
{
    ol_score_spec spec = o->spec;
    OL_AUTO_JOB *job = NULL;
    OL_AUTO(drop_model) ol_model *model = NULL;
    OL_AUTO_FREE float *theta = NULL;
    ol_trained_spec trained;

    OL_CHECK(!spec.adapter, OL_EUSAGE,
             "--adapter goes with a model folder or GGUF file; a checkpoint brings its own");
    OL_TRY(ol_snapshot_load(o->model, &job, &model, &theta));
    trained = ol_job_trained(job);
    trained.frozen_bf16 = false;
    spec.model = model;
    spec.trained = &trained;
    spec.theta = theta;
    return score(o, &spec);
}

int ol_cmd_score(int argc, char **argv)
{
    struct score_options o = {0};
    const ol_cli_option options[] = {
        {"prompts", 0, "FILE.h5", "prompts, as `outerloop prompts` writes them",
         .text = &o.spec.prompts, .needed = true},
        {"adapter", 0, "DIR", "a peft adapter beside the model", .text = &o.spec.adapter},
        {"precision", 0, "f32|f64", "of the computation (f32)", .choice = &o.f64},
        {"out", 0, "FILE.h5", "where option_losses and picked go", .text = &o.spec.out,
         .needed = true, .writes = true},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .args = "MODEL",
        .word = &o.model,
        .thing = "MODEL",
        .which = "A folder, a GGUF file or a checkpoint",
        .doc = "Score every option of a prompts file under a model.\v"
               "MODEL is a Hugging Face folder (config.json, model.safetensors), a GGUF file, a "
               "checkpoint, or a folder of checkpoints. option_losses are nats a scored token, one "
               "a prompt; picked "
               "is the option with the lowest one of each row.",
    };
    ol_status status;

    ol_cli_read(&syntax, argc, argv);
    if (ol_import_is_model(o.model)) {
        o.spec.folder = o.model;
        status = score(&o, &o.spec);
    } else {
        status = score_checkpoint(&o);
    }
    return ol_cli_finish(status, status == OL_EIO);
}
