/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/base/file.h"    /* ol_make_folders */
#include "outerloop/base/text.h"    /* ol_text */
#include "outerloop/model/export.h" /* ol_export_model */
#include "outerloop/run/snapshot.h" /* ol_snapshot_load */

struct export_options {
    const char *checkpoint, *out, *tokenizer;
    ol_export_spec spec;
    bool merged;
};

enum { OUT = 256, MERGED, DTYPE, SHARD, TOKENIZER };

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct export_options *o = state->input;
    char *end;

    switch (key) {
    case OUT:
        o->out = value;
        return 0;
    case MERGED:
        o->merged = true;
        return 0;
    case TOKENIZER:
        o->tokenizer = value;
        return 0;
    case DTYPE:
        if (strcmp(value, "f32") != 0 && strcmp(value, "bf16") != 0)
            argp_error(state, "--dtype is f32 or bf16, not \"%s\"", value);
        o->spec.type = strcmp(value, "bf16") == 0 ? OL_STORED_BF16 : OL_STORED_F32;
        return 0;
    case SHARD:
        o->spec.shard_bytes = (size_t)strtoull(value, &end, 10) << 20;
        if (*end || o->spec.shard_bytes == 0)
            argp_error(state, "--shard-mib takes a whole number of at least 1, not \"%s\"", value);
        return 0;
    case ARGP_KEY_ARG:
        if (o->checkpoint)
            argp_error(state, "one CHECKPOINT at a time; \"%s\" is one too many", value);
        o->checkpoint = value;
        return 0;
    case ARGP_KEY_END:
        if (!o->checkpoint || !o->out)
            argp_error(state, "CHECKPOINT and --out are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The tokenizer's files, as they are. */
static ol_status copy_tokenizer(const char *from, const char *to)
{
    static const char *const files[] = {"tokenizer.json", "vocab.json", "merges.txt",
                                        "tokenizer_config.json", "special_tokens_map.json"};

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char source[PATH_MAX], target[PATH_MAX], *text;
        size_t size;
        ol_status status;

        OL_TRY(ol_path_format(source, "%s/%s", from, files[i]));
        OL_TRY(ol_path_format(target, "%s/%s", to, files[i]));
        if (!ol_path_exists(source))
            continue;
        OL_TRY(ol_read_file(source, &text, &size));
        status = ol_write_file(target, text, size);
        free(text);
        OL_TRY(status);
    }
    return OL_OK;
}

/* A model card: where the weights come from, with the whole job. */
static ol_status write_card(const struct export_options *o, const ol_job *job,
                            const ol_model *model, bool adapter)
{
    char path[PATH_MAX], digest[OL_DIGEST_TEXT];
    ol_text card = {0};
    ol_status status = ol_job_digest(job, digest);

    if (status == OL_OK)
        status = ol_text_format(
            &card,
            "---\nlibrary_name: %s\n---\n# %s\n\n%s meta-trained with outerloop: learner %s, "
            "family %s, %zu parameters trained.\n\nThe job (digest %s):\n\n```\n",
            adapter ? "peft" : "transformers", job->name, adapter ? "An adapter" : "A model",
            job->learner.algorithm, ol_model_families[model->spec.family], model->P, digest);
    if (status == OL_OK)
        status = ol_job_text(job, &card);
    if (status == OL_OK)
        status = ol_text_format(&card, "```\n");
    if (status == OL_OK)
        status = ol_path_format(path, "%s/README.md", o->out);
    if (status == OL_OK)
        status = ol_write_file(path, card.data, card.size);
    ol_text_finish(&card);
    return status;
}

static ol_status write_folder(const struct export_options *o, const ol_job *job,
                              const ol_model *model, const float *theta)
{
    const bool adapter = model->lora && !o->merged;
    const bool imported = job->model.init == OL_INIT_IMPORT;
    const ol_trained_spec trained = ol_job_trained(job);
    const char *tokenizer = o->tokenizer             ? o->tokenizer
                            : job->data.tokenizer[0] ? job->data.tokenizer
                            : imported               ? job->model.path
                                                     : "";

    OL_CHECK(model->lora || !o->merged, OL_EUSAGE, "--merged: %s trains no adapter", o->checkpoint);
    OL_TRY(ol_make_folders(o->out));
    if (adapter)
        OL_TRY(
            ol_export_adapter(&o->spec, model, &trained, imported ? job->model.path : "", theta));
    else
        OL_TRY(ol_export_model(&o->spec, model, theta));
    if (tokenizer[0] && !adapter)
        OL_TRY(copy_tokenizer(tokenizer, o->out));
    OL_TRY(write_card(o, job, model, adapter));
    printf("%s: %s of %s -> %s\n", o->checkpoint, adapter ? "an adapter" : "a model",
           ol_model_families[model->spec.family], o->out);
    return OL_OK;
}

int ol_cmd_export(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"out", OUT, "DIR", 0, "the folder; made when it is not there", 0},
        {"merged", MERGED, NULL, 0, "an adapter merged into its base, rather than by itself", 0},
        {"dtype", DTYPE, "f32|bf16", 0, "of a model's weights (f32)", 0},
        {"shard-mib", SHARD, "N", 0, "a file holds at most so many MiB (4096)", 0},
        {"tokenizer", TOKENIZER, "DIR", 0, "whose files to copy (the job's)", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "CHECKPOINT",
        .doc =
            "Write a checkpoint as a folder that transformers' or peft's from_pretrained loads.\v"
            "CHECKPOINT is a checkpoint or a folder of them. A run that trained an adapter gives "
            "a peft folder (adapter_config.json, adapter_model.safetensors), any other a model "
            "folder (config.json, model.safetensors, tokenizer). Both hold a card with the job.",
    };
    struct export_options o = {.spec = {.shard_bytes = (size_t)4096 << 20}};
    ol_job *job = NULL;
    ol_model *model = NULL;
    float *theta = NULL;
    ol_status status;

    ol_cli_parse(&argp, argc, argv, &o);
    o.spec.folder = o.out;
    status = ol_snapshot_load(o.checkpoint, &job, &model, &theta);
    if (status == OL_OK)
        status = write_folder(&o, job, model, theta);
    if (model)
        free((void *)(uintptr_t)model->block);
    free(theta);
    ol_model_destroy(model);
    ol_job_destroy(job);
    return ol_cli_finish(status, status == OL_EIO);
}
