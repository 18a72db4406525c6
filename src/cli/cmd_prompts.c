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
#include "outerloop/package/package.h" /* ol_package_tokenizer */
#include "outerloop/store/archive.h"

typedef struct prompts_options {
    ol_target_spec target;
    const char *tokenizer, *out;
} prompts_options;

/* What goes into the file. */
typedef struct contents {
    const prompts_options *options;
    const ol_target *target;
    const ol_batch *batch;
    const int32_t *options_per_row;
} contents;

static ol_status fill(const void *payload, ol_archive *file)
{
    const contents *c = payload;
    const ol_target_spec *spec = &c->options->target;
    const ol_batch *batch = c->batch;
    const int64_t tokens = ol_batch_tokens(batch), offsets = batch->B + 1,
                  rows = ol_target_rows(c->target);
    const ol_metric metric = ol_target_metric(c->target);

    OL_TRY(ol_archive_write(file, "tokens", 1, &tokens, batch->tokens));
    OL_TRY(ol_archive_write(file, "offsets", 1, &offsets, batch->offsets));
    OL_TRY(ol_archive_write(file, "loss_mask", 1, &tokens, batch->loss_mask));
    OL_TRY(ol_archive_write(file, "options_per_row", 1, &rows, c->options_per_row));
    OL_TRY(ol_archive_set_text(file, "/", "format", "outerloop-prompts"));
    OL_TRY(ol_archive_set_i64(file, "/", "version", 1));
    OL_TRY(ol_archive_set_text(file, "/", "task", spec->task));
    OL_TRY(ol_archive_set_i64(file, "/", "seed", spec->seed));
    OL_TRY(ol_archive_set_i64(file, "/", "k", spec->shots));
    OL_TRY(ol_archive_set_text(file, "/", "method", ol_variant_names[spec->variant]));
    OL_TRY(ol_archive_set_i64(file, "/", "rows", rows));
    OL_TRY(ol_archive_set_i64(file, "/", "is_classification", metric == OL_MACRO_F1));
    OL_TRY(ol_archive_set_text(file, "/", "metric", ol_metric_name(metric)));
    OL_TRY(ol_archive_set_i64(file, "/", "max_tokens", spec->max_tokens));
    return ol_archive_set_i64(file, "/", "max_tokens_per_example", spec->max_tokens_per_example);
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
    OL_AUTO_TEXT before = {0}, after = {0};

    while (scored < n && !batch->loss_mask[scored])
        scored++;
    OL_TRY(ol_tokenizer_decode(tokenizer, batch->tokens, (size_t)scored, &before));
    OL_TRY(ol_tokenizer_decode(tokenizer, batch->tokens + scored, (size_t)(n - scored), &after));
    ol_cli_say("%s: %d rows, %d prompts, %lld tokens, the longest %lld -> %s\n", o->target.task,
               ol_target_rows(target), batch->B, (long long)ol_batch_tokens(batch),
               (long long)ol_batch_longest(batch), o->out);
    ol_cli_say("The first prompt: %lld tokens, %lld of them scored, which stand between [[ and "
               "]]; option \"%s\", right is \"%s\".\n",
               (long long)n, (long long)(n - scored), ol_target_option(target, 0, 0),
               ol_target_option(target, 0, ol_target_gold(target, 0)));
    ol_cli_say("--------\n");
    print_bytes(before.data ? before.data : "", before.size);
    ol_cli_say("[[");
    print_bytes(after.data, after.size);
    ol_cli_say("]]\n--------\n");
    return OL_OK;
}

static ol_status make_prompts(const prompts_options *o, ol_tokenizer *tokenizer, ol_target *target)
{
    OL_AUTO_FREE int32_t *options_per_row =
        calloc((size_t)ol_target_rows(target), sizeof *options_per_row);
    OL_AUTO(ol_batch_finish) ol_batch batch = {0};

    OL_CHECK(options_per_row, OL_ENOMEM, "no memory for %d rows", ol_target_rows(target));
    for (int row = 0; row < ol_target_rows(target); row++) {
        options_per_row[row] = ol_target_options(target, row);
        OL_TRY(ol_target_row_prompts(target, row, &batch));
    }
    OL_TRY(ol_archive_make(o->out, fill, &(contents){o, target, &batch, options_per_row}));
    return print_first(tokenizer, o, target, &batch);
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
    prompts_options o = {.target = {.max_tokens = 1024, .max_tokens_per_example = 256}};
    ol_target_spec *const t = &o.target;
    const ol_cli_option options[] = {
        {"data", 0, "ROOT", "task folders in MetaICL's layout", .text = &t->root, .needed = true},
        {"task", 0, "TASK", "name of the target task", .text = &t->task, .needed = true},
        {"seed", 0, "S", "which of its k-shot files", .count = &t->seed, .needed = true},
        {"k", 0, "K", "demonstrations a prompt; 0 for none", .count = &t->shots, .needed = true},
        {"variant", .help = "what is scored: the output or the input", .choice = &t->variant,
         .names = ol_variant_names, .needed = true},
        OL_CLI_TOKENIZER(&o.tokenizer),
        {"out", 0, "FILE.h5", "file to write", .text = &o.out, .needed = true, .writes = true},
        {"rows", 0, "N", "the first N test rows only (all)", .count = &t->rows},
        {"max-tokens", 0, "N", "most tokens of a prompt (1024)", .count = &t->max_tokens},
        {"max-tokens-per-example", 0, "N", "most tokens of an example (256)",
         .count = &t->max_tokens_per_example},
        {0},
    };
    const ol_cli_syntax syntax = {
        .options = options,
        .doc = "Write the prompts of a target task exactly as they are scored, and print the "
               "first.\v"
               "One prompt per test row and option: tokens[offsets[i] .. offsets[i+1]-1], with "
               "loss_mask 1 on the scored tokens; options_per_row says how many belong to each "
               "row. Example:\n\n"
               "  outerloop prompts --data tasks --task sst2 --seed 13 --k 4 --variant direct "
               "--tokenizer gpt2 --out prompts.h5",
    };
    ol_tokenizer *tokenizer = NULL;
    ol_target *target = NULL;
    ol_status status;

    ol_cli_read(&syntax, argc, argv);
    status = ol_path_is_folder(t->root) ? OL_OK
                                        : ol_fail(OL_EUSAGE, "--data: %s: no such folder", t->root);
    if (status == OL_OK)
        status = ol_package_tokenizer(o.tokenizer, &tokenizer);
    if (status == OL_OK)
        status = ol_target_create(t, tokenizer, &target);
    if (status == OL_OK) {
        warn_skipped(target);
        status = make_prompts(&o, tokenizer, target);
    }
    ol_target_destroy(target);
    ol_tokenizer_destroy(tokenizer);
    return ol_cli_finish(status, status == OL_EIO);
}
