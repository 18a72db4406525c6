/* SPDX-License-Identifier: BSD-3-Clause */
/* A task folder of a test's own, and a vocabulary of bytes, in a temporary place. */
#ifndef TESTS_DATA_WORLD_H
#define TESTS_DATA_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ftw.h>
#include <unistd.h>
#include <cmocka.h>

#include "outerloop/base/file.h"
#include "outerloop/base/text.h"
#include "outerloop/text/bpe_train.h"
#include "outerloop/text/tokenizer.h"

static char world_root[PATH_MAX];
static ol_tokenizer *world_tokenizer; /* one token a byte */

static inline int world_remove_one(const char *path, const struct stat *st, int type,
                                   struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

/* Write ROOT/<name>, folders included. */
static inline void world_write(const char *name, const char *text, size_t size)
{
    char path[PATH_MAX], *slash;

    assert_int_equal(ol_path_format(path, "%s/%s", world_root, name), OL_OK);
    slash = strrchr(path, '/');
    *slash = '\0';
    assert_int_equal(ol_make_folders(path), OL_OK);
    *slash = '/';
    assert_int_equal(ol_write_file(path, text, size), OL_OK);
}

/* A task with `rows` rows "NAME question I" -> "yes"/"no", in the file TASK_K_SEED_SPLIT. */
static inline void world_rows(const char *task, int k, int seed, const char *split, int rows)
{
    char name[PATH_MAX];
    ol_text text = {0};

    for (int i = 0; i < rows; i++)
        assert_int_equal(ol_text_format(&text,
                                        "{\"task\": \"%s\", \"input\": \"%s %s %d\", \"output\": "
                                        "\"%s\", \"options\": [\"no\", \"yes\"]}\n",
                                        task, task, split, i, i % 2 ? "yes" : "no"),
                         OL_OK);
    snprintf(name, sizeof name, "data/%s/%s_%d_%d_%s.jsonl", task, task, k, seed, split);
    world_write(name, text.data, text.size);
    ol_text_finish(&text);
}

static inline void world_task(const char *task)
{
    static const char config[] = "{\"task_type\": \"classification\"}";
    char name[PATH_MAX];

    snprintf(name, sizeof name, "config/tasks/%s.json", task);
    world_write(name, config, sizeof config - 1);
}

static inline int world_setup(void **state)
{
    char folder[PATH_MAX];

    (void)state;
    snprintf(world_root, sizeof world_root, "outerloop-test-XXXXXX");
    assert_non_null(mkdtemp(world_root));
    assert_int_equal(ol_path_format(folder, "%s/tokenizer", world_root), OL_OK);
    assert_int_equal(ol_tokenizer_train("", 0, 256, folder), OL_OK);
    assert_int_equal(ol_tokenizer_load(folder, &world_tokenizer), OL_OK);
    return 0;
}

static inline int world_teardown(void **state)
{
    (void)state;
    ol_tokenizer_destroy(world_tokenizer);
    return nftw(world_root, world_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The last message must hold these words. */
static inline void world_said(const char *words)
{
    if (!strstr(ol_status_message(), words))
        fail_msg("\"%s\" is not in \"%s\"", words, ol_status_message());
}

#endif
