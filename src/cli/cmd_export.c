/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/run/export_folder.h"

enum { OUT = 256, MERGE, DTYPE, SHARD, TOKENIZER };

/* "--shard-size 500M", "5GB"; a bare number counts MiB. @return false when it is none */
static bool parse_size(const char *value, size_t *bytes)
{
    static const struct {
        const char *unit;
        size_t bytes;
    } units[] = {{"", (size_t)1 << 20},     {"M", (size_t)1 << 20}, {"MiB", (size_t)1 << 20},
                 {"MB", 1000000},           {"G", (size_t)1 << 30}, {"GiB", (size_t)1 << 30},
                 {"GB", (size_t)1000000000}};
    char *unit;
    const unsigned long long number = strtoull(value, &unit, 10);

    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (unit > value && value[0] != '-' && strcmp(unit, units[i].unit) == 0)
            return number > 0 && !__builtin_mul_overflow((size_t)number, units[i].bytes, bytes);
    return false;
}

static bool parse_type(const char *value, ol_stored_type *type)
{
    static const struct {
        const char *word;
        ol_stored_type type;
    } words[] = {{"f32", OL_STORED_F32}, {"bf16", OL_STORED_BF16}, {"f16", OL_STORED_F16}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(value, words[i].word) == 0) {
            *type = words[i].type;
            return true;
        }
    return false;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    ol_export_order *o = state->input;

    switch (key) {
    case OUT:
        o->files.folder = value;
        return 0;
    case MERGE:
        o->merge = true;
        return 0;
    case TOKENIZER:
        o->tokenizer = value;
        return 0;
    case DTYPE:
        if (!parse_type(value, &o->files.type))
            argp_error(state, "--dtype is f32, bf16 or f16, not \"%s\"", value);
        return 0;
    case SHARD:
        if (!parse_size(value, &o->files.shard_bytes))
            argp_error(state, "--shard-size takes a size as 500M or 5GB, not \"%s\"", value);
        return 0;
    case ARGP_KEY_ARG:
        if (o->checkpoint)
            argp_error(state, "one CHECKPOINT at a time; \"%s\" is one too many", value);
        o->checkpoint = value;
        return 0;
    case ARGP_KEY_END:
        if (!o->checkpoint || !o->files.folder)
            argp_error(state, "CHECKPOINT and --out are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int ol_cmd_export(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"out", OUT, "DIR", 0, "the folder; made when it is not there", 0},
        {"merge", MERGE, NULL, 0, "an adapter merged into its base, rather than by itself", 0},
        {"dtype", DTYPE, "f32|bf16|f16", 0, "of a model's weights (f32)", 0},
        {"shard-size", SHARD, "SIZE", 0, "a file holds at most so much: 500M, 5GB (4096 MiB)", 0},
        {"tokenizer", TOKENIZER, "PATH", 0, "whose files to write (the model's or the job's)", 0},
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
    ol_export_order o = {.files = {.shard_bytes = (size_t)4096 << 20}};
    ol_export_report report;
    ol_status status;

    ol_cli_parse(&argp, argc, argv, &o);
    status = ol_export_folder(&o, &report);
    if (status == OL_OK)
        printf("%s: %s of %s -> %s\n", o.checkpoint, report.adapter ? "an adapter" : "a model",
               report.family, o.files.folder);
    return ol_cli_finish(status, status == OL_EIO);
}
