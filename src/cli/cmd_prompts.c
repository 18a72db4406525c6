/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "outerloop/base/file.h"
#include "outerloop/base/log.h"
#include "outerloop/base/text.h"
#include "outerloop/data/target.h"
#include "outerloop/run/package.h" /* ol_package_tokenizer */
#include "outerloop/store/archive.h"

typedef struct prompts_options {
    ol_target_spec target;
    const char *tokenizer, *out;
    bool has_seed, has_shots, has_variant;
} prompts_options;

enum {
    KEY_DATA = 1,
    KEY_TASK,
    KEY_SEED,
    KEY_K,
    KEY_VARIANT,
    KEY_TOKENIZER,
    KEY_OUT,
    KEY_ROWS,
    KEY_MAX_TOKENS,
    KEY_MAX_EXAMPLE
};

static const struct argp_option option_table[] = {
    {"data", KEY_DATA, "ROOT", 0, "task folders in MetaICL's layout", 0},
    {"task", KEY_TASK, "TASK", 0, "name of the target task", 0},
    {"seed", KEY_SEED, "S", 0, "which of its k-shot files", 0},
    {"k", KEY_K, "K", 0, "demonstrations a prompt; 0 for none", 0},
    {"variant", KEY_VARIANT, "direct|channel", 0, "what is scored: the output or the input", 0},
    {"tokenizer", KEY_TOKENIZER, "DIR|FILE", 0,
     "folder with tokenizer.json, or with vocab.json and merges.txt; a GGUF file; a checkpoint", 0},
    {"out", KEY_OUT, "FILE.h5", 0, "file to write", 0},
    {"rows", KEY_ROWS, "N", 0, "the first N test rows only (all)", 0},
    {"max-tokens", KEY_MAX_TOKENS, "N", 0, "most tokens of a prompt (1024)", 0},
    {"max-tokens-per-example", KEY_MAX_EXAMPLE, "N", 0, "most tokens of an example (256)", 0},
    {0},
};

static void need(struct argp_state *state, bool given, const char *option)
{
    if (!given)
        argp_error(state, "--%s is missing", option);
}

static void need_all(struct argp_state *state, const prompts_options *o)
{
    need(state, o->target.root, "data");
    need(state, o->target.task, "task");
    need(state, o->has_seed, "seed");
    need(state, o->has_shots, "k");
    need(state, o->has_variant, "variant");
    need(state, o->tokenizer, "tokenizer");
    need(state, o->out, "out");
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    prompts_options *o = state->input;

    switch (key) {
    case KEY_DATA:
        o->target.root = value;
        return 0;
    case KEY_TASK:
        o->target.task = value;
        return 0;
    case KEY_SEED:
        o->target.seed = ol_cli_number(state, "seed", value);
        o->has_seed = true;
        return 0;
    case KEY_K:
        o->target.shots = ol_cli_number(state, "k", value);
        o->has_shots = true;
        return 0;
    case KEY_VARIANT:
        if (ol_variant_parse(value, &o->target.variant) != OL_OK)
            argp_error(state, "--%s", ol_status_message());
        o->has_variant = true;
        return 0;
    case KEY_TOKENIZER:
        o->tokenizer = value;
        return 0;
    case KEY_OUT:
        o->out = value;
        return 0;
    case KEY_ROWS:
        o->target.rows = ol_cli_number(state, "rows", value);
        return 0;
    case KEY_MAX_TOKENS:
        o->target.max_tokens = ol_cli_number(state, "max-tokens", value);
        return 0;
    case KEY_MAX_EXAMPLE:
        o->target.max_tokens_per_example = ol_cli_number(state, "max-tokens-per-example", value);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected \"%s\"", value);
        return EINVAL;
    case ARGP_KEY_END:
        need_all(state, o);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static ol_status write_arrays(ol_archive *file, const ol_batch *batch, int rows,
                              const int32_t *options_per_row)
{
    const int64_t tokens = ol_batch_tokens(batch), offsets = batch->B + 1, n_rows = rows;

    OL_TRY(ol_archive_write_i32(file, "tokens", 1, &tokens, batch->tokens));
    OL_TRY(ol_archive_write_i64(file, "offsets", 1, &offsets, batch->offsets));
    OL_TRY(ol_archive_write_u8(file, "loss_mask", 1, &tokens, batch->loss_mask));
    return ol_archive_write_i32(file, "options_per_row", 1, &n_rows, options_per_row);
}

static ol_status write_attributes(ol_archive *file, const prompts_options *o,
                                  const ol_target *target)
{
    OL_TRY(ol_archive_set_text(file, "/", "format", "outerloop-prompts"));
    OL_TRY(ol_archive_set_i64(file, "/", "version", 1));
    OL_TRY(ol_archive_set_text(file, "/", "task", o->target.task));
    OL_TRY(ol_archive_set_i64(file, "/", "seed", o->target.seed));
    OL_TRY(ol_archive_set_i64(file, "/", "k", o->target.shots));
    OL_TRY(ol_archive_set_text(file, "/", "method", ol_variant_name(o->target.variant)));
    OL_TRY(ol_archive_set_i64(file, "/", "rows", ol_target_rows(target)));
    OL_TRY(ol_archive_set_i64(file, "/", "is_classification", ol_target_is_classification(target)));
    OL_TRY(ol_archive_set_text(file, "/", "metric", ol_target_metric(target)));
    OL_TRY(ol_archive_set_i64(file, "/", "max_tokens", o->target.max_tokens));
    return ol_archive_set_i64(file, "/", "max_tokens_per_example",
                              o->target.max_tokens_per_example);
}

/* Written aside and renamed, so that a file of that name is whole or not there. */
static ol_status write_file(const prompts_options *o, const ol_target *target,
                            const ol_batch *batch, const int32_t *options_per_row)
{
    char aside[PATH_MAX];
    ol_archive *file;
    ol_status status, closed;

    OL_TRY(ol_path_format(aside, "%s.tmp-%ld", o->out, (long)getpid()));
    OL_TRY(ol_archive_create(aside, &file));
    status = write_arrays(file, batch, ol_target_rows(target), options_per_row);
    if (status == OL_OK)
        status = write_attributes(file, o, target);
    closed = ol_archive_close(file);
    status = status == OL_OK ? closed : status;
    if (status == OL_OK)
        status = ol_commit_file(aside, o->out);
    if (status != OL_OK)
        unlink(aside);
    return status;
}

/* Build every prompt, and count those of each row. */
static ol_status build(ol_target *target, ol_batch *batch, int32_t *options_per_row)
{
    for (int row = 0; row < ol_target_rows(target); row++) {
        options_per_row[row] = ol_target_options(target, row);
        OL_TRY(ol_target_row_prompts(target, row, batch));
    }
    return OL_OK;
}

/* Print bytes; what is no UTF-8 (a cap can cut a character in two) becomes a question mark. */
static void print_bytes(char *bytes, size_t n)
{
    while (n > 0) {
        const size_t valid = ol_utf8_valid(bytes, n);

        ol_log_print(bytes, valid);
        bytes += valid;
        n -= valid;
        if (n > 0) {
            putchar('?');
            bytes++;
            n--;
        }
    }
}

static ol_status print_first(const ol_tokenizer *tokenizer, const prompts_options *o,
                             const ol_target *target, const ol_batch *batch)
{
    const int64_t n = batch->offsets[1];
    int64_t scored = 0;
    ol_text before = {0}, after = {0};
    ol_status status;

    while (scored < n && !batch->loss_mask[scored])
        scored++;
    status = ol_tokenizer_decode(tokenizer, batch->tokens, (size_t)scored, &before);
    if (status == OL_OK)
        status =
            ol_tokenizer_decode(tokenizer, batch->tokens + scored, (size_t)(n - scored), &after);
    if (status == OL_OK) {
        printf("%s: %d rows, %d prompts, %lld tokens, the longest %lld -> %s\n", o->target.task,
               ol_target_rows(target), batch->B, (long long)ol_batch_tokens(batch),
               (long long)ol_batch_longest(batch), o->out);
        printf("The first prompt: %lld tokens, %lld of them scored, which stand between [[ and "
               "]]; option \"%s\", right is \"%s\".\n",
               (long long)n, (long long)(n - scored), ol_target_option(target, 0, 0),
               ol_target_option(target, 0, ol_target_gold(target, 0)));
        printf("--------\n");
        print_bytes(before.data ? before.data : "", before.size);
        printf("[[");
        print_bytes(after.data, after.size);
        printf("]]\n--------\n");
    }
    ol_text_finish(&before);
    ol_text_finish(&after);
    return status;
}

static ol_status make_prompts(const prompts_options *o, ol_tokenizer *tokenizer, ol_target *target)
{
    int32_t *options_per_row = calloc((size_t)ol_target_rows(target), sizeof *options_per_row);
    ol_batch batch = {0};
    ol_status status;

    OL_CHECK(options_per_row, OL_ENOMEM, "no memory for %d rows", ol_target_rows(target));
    status = build(target, &batch, options_per_row);
    if (status == OL_OK)
        status = write_file(o, target, &batch, options_per_row);
    if (status == OL_OK)
        status = print_first(tokenizer, o, target, &batch);
    free(options_per_row);
    ol_batch_finish(&batch);
    return status;
}

static void warn_skipped(const ol_target *target)
{
    const char *first;
    const int skipped = ol_target_skipped(target, &first);

    if (skipped > 0)
        ol_log_warn("%d of %d test rows are skipped; the first: %s", skipped,
                    skipped + ol_target_rows(target), first);
}

int ol_cmd_prompts(int argc, char **argv)
{
    static const struct argp argp = {
        .options = option_table,
        .parser = parse,
        .doc = "Write the prompts of a target task exactly as they are scored, and print the "
               "first.\v"
               "One prompt per test row and option: tokens[offsets[i] .. offsets[i+1]-1], with "
               "loss_mask 1 on the scored tokens; options_per_row says how many belong to each "
               "row. Example:\n\n"
               "  outerloop prompts --data tasks --task sst2 --seed 13 --k 4 --variant direct "
               "--tokenizer gpt2 --out prompts.h5",
    };
    prompts_options o = {.target = {.max_tokens = 1024, .max_tokens_per_example = 256}};
    ol_tokenizer *tokenizer = NULL;
    ol_target *target = NULL;
    ol_status status;

    ol_cli_parse(&argp, argc, argv, &o);
    status = ol_package_tokenizer(o.tokenizer, &tokenizer);
    if (status == OL_OK)
        status = ol_target_create(&o.target, tokenizer, &target);
    if (status == OL_OK) {
        warn_skipped(target);
        status = make_prompts(&o, tokenizer, target);
    }
    ol_target_destroy(target);
    ol_tokenizer_destroy(tokenizer);
    return ol_cli_finish(status, status == OL_EIO);
}
