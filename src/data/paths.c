/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/task.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { TRAIN_SEED = 100, METAICL_TRAIN_K = 16384, METAICL_K = 16 };

/* Read a number of a file's name, then the '_' or '.' after it. */
static bool read_number(const char **at, char after, int *out)
{
    char *end;
    const long value = strtol(*at, &end, 10);

    if (end == *at || **at < '0' || **at > '9' || *end != after || value > INT_MAX)
        return false;
    *out = (int)value;
    *at = end + 1;
    return true;
}

/* Take `<task>_<k>_<seed>_<split>.jsonl` apart. */
static bool parse_name(const char *name, const char *task, int seed, const char *split, int *k)
{
    const size_t n = strlen(task), m = strlen(split);
    const char *at = name + n + 1;
    int named_seed;

    return strncmp(name, task, n) == 0 && name[n] == '_' && read_number(&at, '_', k) &&
           read_number(&at, '_', &named_seed) && named_seed == seed && strncmp(at, split, m) == 0 &&
           strcmp(at + m, ".jsonl") == 0;
}

/* Of a task's files for one seed and split: the smallest k >= least, and the largest of all; -1
 * when there is none. */
static void find_k(const char *folder, const char *task, int seed, const char *split, int least,
                   int *smallest, int *largest)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int k;

    *smallest = *largest = -1;
    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        if (!parse_name(entry->d_name, task, seed, split, &k))
            continue;
        if (k >= least && (*smallest < 0 || k < *smallest))
            *smallest = k;
        if (k > *largest)
            *largest = k;
    }
    closedir(dir);
}

/* "SETTING: names task T, but there is no file F", as far as each is known. */
static ol_status missing(const char *named_in, const char *task, const char *folder, int k,
                         int seed, const char *split, const char *remedy)
{
    return ol_fail(OL_EDATA, "%s%stask %s%s there is no file %s/%s_%d_%d_%s.jsonl%s",
                   named_in ? named_in : "", named_in ? ": names " : "", task,
                   named_in ? ", but" : ":", folder, task, k, seed, split, remedy);
}

ol_status ol_task_train_path(const char *root, const char *task, const char *named_in,
                             char path[PATH_MAX], int *k)
{
    char folder[PATH_MAX];
    int smallest;

    OL_TRY(ol_path_format(folder, "%s/data/%s", root, task));
    find_k(folder, task, TRAIN_SEED, "train", 1, &smallest, k);
    if (*k < 0)
        return missing(named_in, task, folder, METAICL_TRAIN_K, TRAIN_SEED, "train",
                       " (nor one of another k); add it or take the task out of the setting");
    return ol_path_format(path, "%s/%s_%d_%d_train.jsonl", folder, task, *k, TRAIN_SEED);
}

ol_status ol_task_target_paths(const char *root, const char *task, const char *named_in, int shots,
                               int seed, char train[PATH_MAX], char test[PATH_MAX])
{
    char folder[PATH_MAX];
    int k, test_k, largest;

    OL_TRY(ol_path_format(folder, "%s/data/%s", root, task));
    find_k(folder, task, seed, "train", shots > 0 ? shots : 1, &k, &largest);
    if (k < 0 && shots > 0) {
        OL_CHECK(largest < 0, OL_EDATA,
                 "task %s: %d shots are asked for, but its largest k-shot file for seed %d is "
                 "%s/%s_%d_%d_train.jsonl; at most %d can be had "
                 "(eval.shots and eval.adapt_rows of a job, --k of prompts)",
                 task, shots, seed, folder, task, largest, seed, largest);
        return missing(named_in, task, folder, shots > METAICL_K ? shots : METAICL_K, seed, "train",
                       "; check the task's name and the seed");
    }
    find_k(folder, task, seed, "test", k > 0 ? k : 1, &test_k, &largest);
    if (test_k < 0)
        return missing(named_in, task, folder, k > 0 ? k : METAICL_K, seed, "test",
                       "; check the task's name and the seed");
    OL_TRY(ol_path_format(test, "%s/%s_%d_%d_test.jsonl", folder, task, test_k, seed));
    if (!train)
        return OL_OK;
    train[0] = '\0';
    if (k > 0)
        OL_TRY(ol_path_format(train, "%s/%s_%d_%d_train.jsonl", folder, task, k, seed));
    return OL_OK;
}
