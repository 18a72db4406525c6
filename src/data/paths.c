/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/task.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/size.h" /* OL_GROW */
#include "outerloop/base/text.h" /* ol_text */

enum { TRAIN_SEED = 100, METAICL_TRAIN_K = 16384, METAICL_K = 16 };

/* What the name of a task's file says. */
typedef struct named_file {
    int k, seed;
} named_file;

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
static bool parse_name(const char *name, const char *task, const char *split, named_file *out)
{
    const size_t n = strlen(task), m = strlen(split);
    const char *at = name + n + 1;

    return strncmp(name, task, n) == 0 && name[n] == '_' && read_number(&at, '_', &out->k) &&
           read_number(&at, '_', &out->seed) && strncmp(at, split, m) == 0 &&
           strcmp(at + m, ".jsonl") == 0;
}

/* A task's files of one split; none where there is no folder. @param files  *owned by the caller* */
static ol_status list_files(const char *folder, const char *task, const char *split,
                            named_file **files, int *n)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    ol_status status = OL_OK;
    named_file file;

    *n = 0;
    while (dir && status == OL_OK && (entry = readdir(dir))) {
        if (!parse_name(entry->d_name, task, split, &file))
            continue;
        status = OL_GROW(*files, *n, "files of a task");
        if (status == OL_OK)
            (*files)[(*n)++] = file;
    }
    if (dir)
        closedir(dir);
    return status;
}

/* Of a task's files for one seed and split: the smallest k >= least, and the largest of all; -1
 * when there is none. */
static ol_status find_k(const char *folder, const char *task, int seed, const char *split,
                        int least, int *smallest, int *largest)
{
    OL_AUTO_FREE named_file *files = NULL;
    int n;

    *smallest = *largest = -1;
    OL_TRY(list_files(folder, task, split, &files, &n));
    for (int i = 0; i < n; i++) {
        const int k = files[i].seed == seed ? files[i].k : -1;

        if (k >= least && (*smallest < 0 || k < *smallest))
            *smallest = k;
        if (k > *largest)
            *largest = k;
    }
    return OL_OK;
}

static int by_seed(const void *a, const void *b)
{
    const int x = ((const named_file *)a)->seed, y = ((const named_file *)b)->seed;

    return (x > y) - (x < y);
}

ol_status ol_task_seeds(const char *root, const char *task, const char *split, int **seeds, int *n)
{
    char folder[PATH_MAX];
    OL_AUTO_FREE named_file *files = NULL;
    int n_files;

    *seeds = NULL;
    *n = 0;
    OL_TRY(ol_path_format(folder, "%s/data/%s", root, task));
    OL_TRY(list_files(folder, task, split, &files, &n_files));
    if (n_files > 0)
        qsort(files, (size_t)n_files, sizeof *files, by_seed);
    OL_TRY(OL_ALLOCATE(*seeds, n_files, "seeds"));
    for (int i = 0; i < n_files; i++)
        if (files[i].k != METAICL_TRAIN_K && (*n == 0 || files[i].seed != (*seeds)[*n - 1]))
            (*seeds)[(*n)++] = files[i].seed;
    return OL_OK;
}

/* "SETTING: names task T, but there is no file F", as far as each is known. */
static ol_status missing(const char *named_in, const char *task, const char *folder, int k,
                         int seed, const char *split, const char *remedy)
{
    return ol_fail(OL_EDATA, "%s%stask %s%s there is no file %s/%s_%d_%d_%s.jsonl%s",
                   named_in ? named_in : "", named_in ? ": names " : "", task,
                   named_in ? ", but" : ":", folder, task, k, seed, split, remedy);
}

/* The same of a file of one seed, with the seeds that there are, so that one can be chosen. */
static ol_status missing_seed(const char *root, const char *task, const char *named_in,
                              const char *folder, int k, int seed, const char *split)
{
    OL_AUTO_TEXT remedy = {0};
    OL_AUTO_FREE int *seeds = NULL;
    int n;

    OL_TRY(ol_task_seeds(root, task, split, &seeds, &n));
    if (n == 0)
        ol_text_format(&remedy, "; there is none of another seed either: check the task's name");
    for (int i = 0; i < n; i++)
        ol_text_format(&remedy, "%s%d", i == 0 ? "; of this task there are the seeds " : ", ",
                       seeds[i]);
    if (n > 0)
        ol_text_format(&remedy, " (eval.seeds of a job, --seed of prompts)");
    return missing(named_in, task, folder, k, seed, split, remedy.data ? remedy.data : "");
}

ol_status ol_task_train_path(const char *root, const char *task, const char *named_in,
                             char path[PATH_MAX], int *k)
{
    char folder[PATH_MAX];
    int smallest;

    OL_TRY(ol_path_format(folder, "%s/data/%s", root, task));
    OL_TRY(find_k(folder, task, TRAIN_SEED, "train", 1, &smallest, k));
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
    OL_TRY(find_k(folder, task, seed, "train", shots > 0 ? shots : 1, &k, &largest));
    if (k < 0 && shots > 0) {
        OL_CHECK(largest < 0, OL_EDATA,
                 "task %s: %d shots are asked for, but its largest k-shot file for seed %d is "
                 "%s/%s_%d_%d_train.jsonl; at most %d can be had: lower eval.shots or "
                 "eval.adapt_rows of a job, --k of prompts, to that",
                 task, shots, seed, folder, task, largest, seed, largest);
        return missing_seed(root, task, named_in, folder, shots > METAICL_K ? shots : METAICL_K,
                            seed, "train");
    }
    OL_TRY(find_k(folder, task, seed, "test", k > 0 ? k : 1, &test_k, &largest));
    if (test_k < 0)
        return missing_seed(root, task, named_in, folder, k > 0 ? k : METAICL_K, seed, "test");
    OL_TRY(ol_path_format(test, "%s/%s_%d_%d_test.jsonl", folder, task, test_k, seed));
    if (!train)
        return OL_OK;
    train[0] = '\0';
    if (k > 0)
        OL_TRY(ol_path_format(train, "%s/%s_%d_%d_train.jsonl", folder, task, k, seed));
    return OL_OK;
}
