/* SPDX-License-Identifier: BSD-3-Clause */
/* Prompts of real tasks against those that MetaICL's own code makes, token for token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <cmocka.h>

#include "outerloop/base/file.h"
#include "outerloop/data/target.h"
#include "outerloop/store/archive.h"

static const char *reference;
static ol_tokenizer *tokenizer;

static int load(void **state)
{
    char folder[PATH_MAX];

    (void)state;
    reference = getenv("OUTERLOOP_REFERENCE");
    if (!reference || !reference[0])
        return 0;
    assert_int_equal(ol_path_format(folder, "%s/data/gpt2", reference), OL_OK);
    if (ol_tokenizer_load(folder, &tokenizer) != OL_OK)
        fail_msg("%s", ol_status_message());
    return 0;
}

static int unload(void **state)
{
    (void)state;
    ol_tokenizer_destroy(tokenizer);
    return 0;
}

static int64_t get_i64(const ol_archive *file, const char *name)
{
    int64_t value;

    assert_int_equal(ol_archive_get_i64(file, "/", name, &value), OL_OK);
    return value;
}

/* Build the prompts that a reference file is about; the target is the caller's. */
static ol_target *build(const ol_archive *file, ol_batch *batch)
{
    char root[PATH_MAX], *task, *method;
    ol_target_spec spec = {.max_tokens = 1024, .max_tokens_per_example = 256};
    ol_target *target;

    assert_int_equal(ol_path_format(root, "%s/data/bbh", reference), OL_OK);
    assert_int_equal(ol_archive_get_text(file, "/", "task", &task), OL_OK);
    assert_int_equal(ol_archive_get_text(file, "/", "method", &method), OL_OK);
    spec.variant = strcmp(method, ol_variant_names[OL_CHANNEL]) == 0 ? OL_CHANNEL : OL_DIRECT;
    spec.root = root;
    spec.task = task;
    spec.seed = (int)get_i64(file, "seed");
    spec.shots = (int)get_i64(file, "k");
    spec.rows = (int)get_i64(file, "rows");
    if (ol_target_create(&spec, tokenizer, &target) != OL_OK)
        fail_msg("%s", ol_status_message());
    for (int row = 0; row < ol_target_rows(target); row++)
        if (ol_target_row_prompts(target, row, batch) != OL_OK)
            fail_msg("%s", ol_status_message());
    free(task);
    free(method);
    return target;
}

static void compare_batch(const ol_archive *file, const ol_batch *batch)
{
    const size_t n = (size_t)ol_batch_tokens(batch), prompts = (size_t)batch->B;
    int64_t *offsets = malloc((prompts + 1) * sizeof *offsets);
    int32_t *tokens = malloc(n * sizeof *tokens);
    uint8_t *mask = malloc(n);

    assert_int_equal(ol_archive_read(file, "offsets", prompts + 1, offsets), OL_OK);
    assert_memory_equal(offsets, batch->offsets, (prompts + 1) * sizeof *offsets);
    assert_int_equal(ol_archive_read(file, "tokens", n, tokens), OL_OK);
    assert_memory_equal(tokens, batch->tokens, n * sizeof *tokens);
    assert_int_equal(ol_archive_read(file, "loss_mask", n, mask), OL_OK);
    assert_memory_equal(mask, batch->loss_mask, n);
    free(offsets);
    free(tokens);
    free(mask);
}

static void compare_rows(const ol_archive *file, const ol_target *target)
{
    const int rows = ol_target_rows(target);
    int32_t *options = malloc((size_t)rows * sizeof *options);
    char *metric;

    assert_int_equal(ol_archive_read(file, "options_per_row", (size_t)rows, options), OL_OK);
    for (int row = 0; row < rows; row++)
        assert_int_equal(options[row], ol_target_options(target, row));
    assert_int_equal(get_i64(file, "is_classification"), ol_target_metric(target) == OL_MACRO_F1);
    assert_int_equal(ol_archive_get_text(file, "/", "metric", &metric), OL_OK);
    assert_string_equal(metric, ol_metric_name(ol_target_metric(target)));
    free(options);
    free(metric);
}

static void compare_file(const char *path)
{
    ol_archive *file;
    ol_batch batch = {0};
    ol_target *target;

    assert_int_equal(ol_archive_open(path, &file), OL_OK);
    target = build(file, &batch);
    compare_batch(file, &batch);
    compare_rows(file, target);
    printf("# %d prompts, %lld tokens: %s\n", batch.B, (long long)ol_batch_tokens(&batch),
           strrchr(path, '/') + 1);
    ol_target_destroy(target);
    ol_batch_finish(&batch);
    assert_int_equal(ol_archive_close(file), OL_OK);
}

static void token_for_token(void **state)
{
    char folder[PATH_MAX], path[PATH_MAX];
    const struct dirent *entry;
    int files = 0;
    DIR *dir;

    (void)state;
    if (!tokenizer) {
        print_message("# configure with -Dreference=FOLDER to run this test\n");
        skip();
    }
    assert_int_equal(ol_path_format(folder, "%s/oracle/prompts", reference), OL_OK);
    dir = opendir(folder);
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        const size_t n = strlen(entry->d_name);

        if (n < 4 || strcmp(entry->d_name + n - 3, ".h5") != 0)
            continue;
        assert_int_equal(ol_path_format(path, "%s/%s", folder, entry->d_name), OL_OK);
        compare_file(path);
        files++;
    }
    closedir(dir);
    assert_true(files > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(token_for_token)};

    return cmocka_run_group_tests_name("prompts", tests, load, unload);
}
