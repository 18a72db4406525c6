/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>

#include "command.h"
#include "outerloop/base/log.h" /* ol_log_print */
#include "outerloop/data/check.h"

enum { KEY_SETTING = 1, KEY_TOKENIZER, KEY_VARIANT, KEY_SHOTS, KEY_MAX_TOKENS, KEY_MAX_EXAMPLE };

typedef struct check_options {
    ol_check_spec spec;
    const char *tokenizer;
} check_options;

static const struct argp_option option_table[] = {
    {"setting", KEY_SETTING, "S", 0, "this one, task by task (all, in sums)", 0},
    {"tokenizer", KEY_TOKENIZER, "DIR", 0,
     "folder with tokenizer.json, or with vocab.json and merges.txt: count tokens too", 0},
    {"variant", KEY_VARIANT, "direct|channel", 0, "of the prompts (direct)", 0},
    {"shots", KEY_SHOTS, "K", 0, "demonstrations of a prompt (16)", 0},
    {"max-tokens", KEY_MAX_TOKENS, "N", 0, "most tokens of a prompt (1024)", 0},
    {"max-tokens-per-example", KEY_MAX_EXAMPLE, "N", 0, "most tokens of an example (256)", 0},
    {0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    check_options *o = state->input;
    ol_prompt_spec *prompt = &o->spec.prompt;

    switch (key) {
    case KEY_SETTING:
        o->spec.setting = value;
        return 0;
    case KEY_TOKENIZER:
        o->tokenizer = value;
        return 0;
    case KEY_VARIANT:
        if (ol_variant_parse(value, &prompt->variant) != OL_OK)
            argp_error(state, "--%s", ol_status_message());
        return 0;
    case KEY_SHOTS:
        prompt->shots = ol_cli_number(state, "shots", value);
        return 0;
    case KEY_MAX_TOKENS:
        prompt->max_tokens = ol_cli_number(state, "max-tokens", value);
        return 0;
    case KEY_MAX_EXAMPLE:
        prompt->max_tokens_per_example = ol_cli_number(state, "max-tokens-per-example", value);
        return 0;
    case ARGP_KEY_ARG:
        if (o->spec.root)
            argp_error(state, "one folder at a time: \"%s\" is the second", value);
        o->spec.root = value;
        return 0;
    case ARGP_KEY_END:
        if (!o->spec.root)
            argp_error(state, "which folder? The one that holds config/ and data/");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A broken folder is what was asked about: the answer is on standard output, and the exit code 1. */
static ol_status check(check_options *o, ol_tokenizer *tokenizer)
{
    ol_text text = {0};
    int faults = 0;
    ol_status status;

    o->spec.tokenizer = tokenizer;
    status = ol_data_check(&o->spec, &text, &faults);
    if (status == OL_OK && text.data)
        ol_log_print(text.data, text.size);
    ol_text_finish(&text);
    if (status == OL_OK && faults > 0)
        status = ol_fail(OL_ECHECK, "%s: %d fault%s", o->spec.root, faults, faults > 1 ? "s" : "");
    return status;
}

int ol_cmd_data_check(int argc, char **argv)
{
    static const struct argp argp = {
        .options = option_table,
        .parser = parse,
        .args_doc = "ROOT",
        .doc = "Tell what a task folder in MetaICL's layout holds, and what is wrong with it.\v"
               "Columns: rows of the training files, of a test file of each target; seeds of its "
               "k-shot files; tokens of an example, uncut; percent of examples that lose part of "
               "their input to --max-tokens-per-example and of prompts that lose their first "
               "tokens to --max-tokens; rows that a file has twice; test rows that training, or a "
               "k-shot file of the task, has too. Exit 1 when something is broken, with file and "
               "line. Example:\n\n"
               "  outerloop data check tasks --setting hr_to_lr --tokenizer gpt2",
    };
    check_options o = {
        .spec.prompt = {.shots = 16, .max_tokens = 1024, .max_tokens_per_example = 256}};
    ol_tokenizer *tokenizer = NULL;
    ol_status status;

    ol_cli_parse(&argp, argc, argv, &o);
    status = o.tokenizer ? ol_tokenizer_load(o.tokenizer, &tokenizer) : OL_OK;
    if (status == OL_OK)
        status = check(&o, tokenizer);
    ol_tokenizer_destroy(tokenizer);
    return ol_cli_finish(status, false);
}
