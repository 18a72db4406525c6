/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/overlap.h"

#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_GROW */
#include "row_keys.h"

static ol_status add_file(row_keys *keys, const char *path, int cap, int task)
{
    OL_AUTO_ROWS rows = {0};

    /* Of any kind: whoever trains or scores with the file judges its rows. */
    OL_TRY(ol_rows_read_test(path, NULL, cap, &rows));
    return row_keys_add(keys, &rows, task);
}

static ol_status read_training(const char *root, const ol_setting *setting, int cap,
                               row_keys *train, ol_overlap *out)
{
    for (int i = 0; i < setting->train.n; i++) {
        char path[PATH_MAX];
        int k;

        OL_TRY(ol_task_train_path(root, setting->train.names[i], setting->path, path, &k));
        OL_TRY(add_file(train, path, cap, i));
    }
    out->train_rows = (int64_t)train->n;
    row_keys_distinct(train);
    return OL_OK;
}

/* Add to shared[train task] the target's rows that it holds. */
static void count_shared(const row_keys *train, const row_keys *test, int64_t *shared,
                         ol_overlap *out)
{
    for (size_t i = 0; i < test->n; i++) {
        const char *digest = test->keys[i].digest;
        const size_t first = row_keys_first(train, digest);
        size_t at = first;

        for (; at < train->n && strcmp(train->keys[at].digest, digest) == 0; at++)
            shared[train->keys[at].tag]++;
        out->shared_rows += at > first;
    }
    out->test_rows += (int64_t)test->n;
}

static ol_status add_pair(const ol_setting *setting, int train, int test, int64_t rows,
                          ol_overlap *out)
{
    ol_overlap_pair *pair;

    OL_TRY(OL_GROW(out->pairs, out->n, "overlaps"));
    pair = &out->pairs[out->n++];
    *pair = (ol_overlap_pair){.train = strdup(setting->train.names[train]),
                              .test = strdup(setting->test.names[test]),
                              .rows = rows};
    OL_CHECK(pair->train && pair->test, OL_ENOMEM, "%s: no memory for its overlaps", setting->path);
    pair->same_task = strcmp(pair->train, pair->test) == 0;
    out->same_tasks += pair->same_task;
    return OL_OK;
}

typedef struct search {
    const char *root;
    const ol_setting *setting;
    const int *seeds;
    int n_seeds, shots;
    row_keys train;
    int64_t *shared; /* [setting->train.n] of the present target */
} search;

/* All rows that a target may be scored on. */
static ol_status add_target(const search *s, const char *name, row_keys *test)
{
    char path[PATH_MAX];
    int k;

    if (s->setting->held_out) {
        OL_TRY(ol_task_train_path(s->root, name, s->setting->path, path, &k));
        return add_file(test, path, 0, 0);
    }
    for (int i = 0; i < s->n_seeds; i++) {
        OL_TRY(ol_task_target_paths(s->root, name, s->setting->path, s->shots, s->seeds[i], NULL,
                                    path));
        OL_TRY(add_file(test, path, 0, 0));
    }
    return OL_OK;
}

static ol_status compare_target(search *s, int target, ol_overlap *out)
{
    const ol_setting *setting = s->setting;
    const char *name = setting->test.names[target];
    OL_AUTO(row_keys_finish) row_keys test = {0};

    OL_TRY(add_target(s, name, &test));
    row_keys_distinct(&test);
    memset(s->shared, 0, (size_t)setting->train.n * sizeof *s->shared);
    count_shared(&s->train, &test, s->shared, out);
    for (int i = 0; i < setting->train.n; i++)
        if (s->shared[i] > 0 || strcmp(setting->train.names[i], name) == 0)
            OL_TRY(add_pair(setting, i, target, s->shared[i], out));
    return OL_OK;
}

static void finish_search(search *s)
{
    row_keys_finish(&s->train);
    free(s->shared);
}

ol_status ol_overlap_find(const char *root, const char *setting, ol_holdout holdout, int train_cap,
                          const int *seeds, int n_seeds, int shots, ol_overlap *out)
{
    OL_AUTO(ol_setting_finish) ol_setting lists = {0};
    OL_AUTO(ol_overlap_finish) ol_overlap found = {0};
    OL_AUTO(finish_search)
    search s = {
        .root = root, .setting = &lists, .seeds = seeds, .n_seeds = n_seeds, .shots = shots};

    *out = found;
    OL_TRY(ol_setting_read(root, setting, &lists));
    OL_TRY(ol_setting_hold_out(root, holdout, &lists));
    OL_TRY(read_training(root, &lists, train_cap, &s.train, &found));
    OL_TRY(OL_ALLOCATE(s.shared, lists.train.n, "tasks"));
    for (int i = 0; i < lists.test.n; i++)
        OL_TRY(compare_target(&s, i, &found));
    return OL_GIVE(out, found);
}

void ol_overlap_finish(ol_overlap *overlap)
{
    if (!overlap)
        return;
    for (int i = 0; i < overlap->n; i++) {
        free(overlap->pairs[i].train);
        free(overlap->pairs[i].test);
    }
    free(overlap->pairs);
    *overlap = (ol_overlap){0};
}

ol_status ol_overlap_describe(const ol_overlap *overlap, ol_text *out)
{
    OL_TRY(ol_text_format(out,
                          "overlap of training and targets: %d tasks in both lists; %lld of %lld "
                          "distinct test rows among %lld training rows\n",
                          overlap->same_tasks, (long long)overlap->shared_rows,
                          (long long)overlap->test_rows, (long long)overlap->train_rows));
    for (int i = 0; i < overlap->n; i++) {
        const ol_overlap_pair *pair = &overlap->pairs[i];

        OL_TRY(ol_text_format(out, "  %s is tested on %lld rows that %s trains on%s\n", pair->test,
                              (long long)pair->rows, pair->train,
                              pair->same_task ? " (the same task)" : ""));
    }
    return OL_OK;
}
