/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/model/import.h"      /* ol_import_is_model */
#include "outerloop/run/score_prompts.h" /* ol_score_prompts */
#include "outerloop/run/snapshot.h"      /* ol_snapshot_load */

/* The f64 build of the same function; precision.h names it. */
ol_status ol_score_prompts_f64(const ol_score_spec *spec, ol_score_report *report);

struct score_options {
    const char *model;
    ol_score_spec spec;
    bool f64;
};

enum { PROMPTS = 256, ADAPTER, PRECISION, OUT };

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct score_options *o = state->input;

    switch (key) {
    case PROMPTS:
        o->spec.prompts = value;
        return 0;
    case ADAPTER:
        o->spec.adapter = value;
        return 0;
    case OUT:
        o->spec.out = value;
        return 0;
    case PRECISION:
        if (strcmp(value, "f32") != 0 && strcmp(value, "f64") != 0)
            argp_error(state, "--precision is f32 or f64, not \"%s\"", value);
        o->f64 = strcmp(value, "f64") == 0;
        return 0;
    case ARGP_KEY_ARG:
        if (o->model)
            argp_error(state, "one MODEL at a time; \"%s\" is one too many", value);
        o->model = value;
        return 0;
    case ARGP_KEY_END:
        if (!o->model || !o->spec.prompts || !o->spec.out)
            argp_error(state, "MODEL, --prompts and --out are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static ol_status score(const struct score_options *o, const ol_score_spec *spec)
{
    ol_score_report report;

    OL_TRY(o->f64 ? ol_score_prompts_f64(spec, &report) : ol_score_prompts(spec, &report));
    printf("%s: %d rows, %d prompts, mean loss %.6f nats a token -> %s\n", spec->prompts,
           report.rows, report.prompts, report.mean, spec->out);
    return OL_OK;
}

/* A checkpoint: its weights are read here, in float32 as they are stored. */
static ol_status score_checkpoint(const struct score_options *o)
{
    ol_score_spec spec = o->spec;
    ol_job *job = NULL;
    ol_model *model = NULL;
    float *theta = NULL;
    ol_trained_spec trained;
    ol_status status;

    OL_CHECK(!spec.adapter, OL_EUSAGE,
             "--adapter goes with a model folder or GGUF file; a checkpoint brings its own");
    status = ol_snapshot_load(o->model, &job, &model, &theta);
    if (status == OL_OK) {
        trained = ol_job_trained(job);
        trained.frozen_bf16 = false;
        spec.model = model;
        spec.trained = &trained;
        spec.theta = theta;
        status = score(o, &spec);
    }
    if (model)
        free((void *)(uintptr_t)model->block);
    free(theta);
    ol_model_destroy(model);
    ol_job_destroy(job);
    return status;
}

int ol_cmd_score(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"prompts", PROMPTS, "FILE.h5", 0, "prompts, as `outerloop prompts` writes them", 0},
        {"adapter", ADAPTER, "DIR", 0, "a peft adapter beside the model", 0},
        {"precision", PRECISION, "f32|f64", 0, "of the computation (f32)", 0},
        {"out", OUT, "FILE.h5", 0, "where option_losses and picked go", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "MODEL",
        .doc = "Score every option of a prompts file under a model.\v"
               "MODEL is a Hugging Face folder (config.json, model.safetensors), a GGUF file, a "
               "checkpoint, or a folder of checkpoints. option_losses are nats a scored token, one "
               "a prompt; picked "
               "is the option with the lowest one of each row.",
    };
    struct score_options o = {0};
    ol_status status;

    ol_cli_parse(&argp, argc, argv, &o);
    if (ol_import_is_model(o.model)) {
        o.spec.folder = o.model;
        status = score(&o, &o.spec);
    } else {
        status = score_checkpoint(&o);
    }
    return ol_cli_finish(status, status == OL_EIO);
}
