/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "command.h"
#include "outerloop/base/log.h" /* ol_log_print */
#include "outerloop/data/check.h"
#include "outerloop/package/package.h" /* ol_package_tokenizer */

typedef struct check_options {
    ol_check_spec spec;
    const char *tokenizer;
} check_options;

/* A broken folder is what was asked about: the answer is on standard output, and the exit code 1. */
static ol_status check(check_options *o, ol_tokenizer *tokenizer)
{
    OL_AUTO_TEXT text = {0};
    int faults = 0;

    o->spec.tokenizer = tokenizer;
    OL_TRY(ol_data_check(&o->spec, &text, &faults));
    if (text.data)
        ol_log_print(text.data, text.size);
    OL_CHECK(faults == 0, OL_ECHECK, "%s: %d fault%s", o->spec.root, faults, faults > 1 ? "s" : "");
    return OL_OK;
}

int ol_cmd_data_check(int argc, char **argv)
{
    check_options o = {
        .spec.prompt = {.shots = 16, .max_tokens = 1024, .max_tokens_per_example = 256}};
    ol_prompt_spec *const prompt = &o.spec.prompt;
    const ol_cli_option options[] = {
        {"setting", 0, "S", "this one, task by task (all, in sums)", .text = &o.spec.setting},
        {"tokenizer", 0, "DIR|FILE",
         "count tokens too; a folder with tokenizer.json, or with vocab.json and merges.txt; a "
         "GGUF file; a checkpoint",
         .text = &o.tokenizer},
        {"variant", .help = "of the prompts (direct)", .choice = &prompt->variant,
         .names = ol_variant_names},
        {"shots", 0, "K", "demonstrations of a prompt (16)", .count = &prompt->shots},
        {"max-tokens", 0, "N", "most tokens of a prompt (1024)", .count = &prompt->max_tokens},
        {"max-tokens-per-example", 0, "N", "most tokens of an example (256)",
         .count = &prompt->max_tokens_per_example},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .args = "ROOT",
        .word = &o.spec.root,
        .thing = "folder",
        .which = "The one that holds config/ and data/",
        .doc = "Tell what a task folder in MetaICL's layout holds, and what is wrong with it.\v"
               "Columns: rows of the training files, of a test file of each target; seeds of its "
               "k-shot files; tokens of an example, uncut; percent of examples that lose part of "
               "their input to --max-tokens-per-example and of prompts that lose their first "
               "tokens to --max-tokens; rows that a file has twice; test rows that training, or a "
               "k-shot file of the task, has too. Exit 1 when something is broken, with file and "
               "line. Example:\n\n"
               "  outerloop data check tasks --setting hr_to_lr --tokenizer gpt2",
    };
    ol_tokenizer *tokenizer = NULL;
    ol_status status;

    ol_cli_read(&syntax, argc, argv);
    status = o.tokenizer ? ol_package_tokenizer(o.tokenizer, &tokenizer) : OL_OK;
    if (status == OL_OK)
        status = check(&o, tokenizer);
    ol_tokenizer_destroy(tokenizer);
    return ol_cli_finish(status, false);
}
