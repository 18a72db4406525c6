/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "outerloop/package/export_folder.h"

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

static void read_size(struct argp_state *state, const char *value, void *bytes)
{
    if (!parse_size(value, bytes))
        argp_error(state, "--shard-size takes a size as 500M or 5GB, not \"%s\"", value);
}

int ol_cmd_export(int argc, char **argv)
{
    static const ol_stored_type types[] = {OL_STORED_F32, OL_STORED_BF16, OL_STORED_F16};
    ol_export_order o = {.files = {.shard_bytes = (size_t)4096 << 20}};
    unsigned type = 0;
    const ol_cli_option options[] = {
        {"out", 0, "DIR", "the folder; made when it is not there", .text = &o.files.folder,
         .needed = true},
        {"merge", .help = "an adapter merged into its base, rather than by itself",
         .flag = &o.merge},
        {"dtype", 0, "f32|bf16|f16", "of a model's weights (f32)", .choice = &type},
        {"shard-size", 0, "SIZE", "a file holds at most so much: 500M, 5GB (4GiB)",
         .read = read_size, .at = &o.files.shard_bytes},
        {"tokenizer", 0, "PATH", "whose files to write (the model's or the job's)",
         .text = &o.tokenizer},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .args = "CHECKPOINT",
        .word = &o.checkpoint,
        .thing = "CHECKPOINT",
        .which = "A checkpoint, or a folder of them",
        .doc =
            "Write a checkpoint as a folder that transformers' or peft's from_pretrained loads.\v"
            "CHECKPOINT is a checkpoint or a folder of them. A run that trained an adapter gives "
            "a peft folder (adapter_config.json, adapter_model.safetensors), any other a model "
            "folder (config.json, model.safetensors, tokenizer). Both hold a card with the job.",
    };
    ol_export_report report;
    ol_status status;

    ol_cli_read(&syntax, argc, argv);
    o.files.type = types[type];
    status = ol_export_folder(&o, &report);
    if (status == OL_OK)
        ol_cli_say("%s: %s of %s -> %s\n", o.checkpoint, report.adapter ? "an adapter" : "a model",
                   report.family, o.files.folder);
    return ol_cli_finish(status, status == OL_EIO);
}
