/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/task.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "outerloop/base/rng.h"  /* ol_rng_stream */
#include "outerloop/base/size.h" /* OL_ALLOCATE */
#include "outerloop/base/text.h" /* ol_text */

ol_status names_copy(const char *path, const json_t *list, char ***out, int *n)
{
    const size_t size = json_array_size(list);

    *out = NULL;
    *n = 0;
    if (size == 0)
        return OL_OK;
    OL_TRY(OL_ALLOCATE(*out, size, "strings"));
    for (size_t i = 0; i < size; i++) {
        char *copy = strdup(json_string_value(json_array_get(list, i)));

        OL_CHECK(copy, OL_ENOMEM, "%s: no memory for a list of %zu strings", path, size);
        (*out)[(*n)++] = copy;
    }
    return OL_OK;
}

void names_free(char **names, int n)
{
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

bool names_have(char *const *names, int n, const char *text)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], text) == 0)
            return true;
    return false;
}

bool names_label(char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (names[i][0] != '\0')
            return true;
    return false;
}

/* @param out  owned by the caller (json_decref), also after an error */
static ol_status read_object(const char *path, json_t **out)
{
    OL_AUTO_FREE char *text = NULL;
    size_t size;
    json_error_t error;

    OL_TRY(ol_read_file_within(path, OL_SETTINGS_BYTES, &text, &size));
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    OL_CHECK(*out, OL_EDATA, "%s:%d: not JSON: %s", path, error.line, error.text);
    OL_CHECK(json_is_object(*out), OL_EDATA, "%s:1: must hold one JSON object {...}", path);
    return OL_OK;
}

enum { MOST_NAMES = 10000, MOST_NAME = 200 }; /* of a list, where each is compared with each */

/* A list of strings under `key`; missing or null gives none unless it is required. */
static ol_status read_names(const char *path, json_t *object, const char *key, bool required,
                            char ***out, int *n)
{
    const json_t *list = json_object_get(object, key);

    *out = NULL;
    *n = 0;
    OL_CHECK(list || !required, OL_EDATA, "%s: has no list \"%s\"", path, key);
    if (!list || (json_is_null(list) && !required))
        return OL_OK;
    OL_CHECK(json_is_array(list), OL_EDATA, "%s: \"%s\" must be a list of strings", path, key);
    OL_CHECK(json_array_size(list) <= MOST_NAMES, OL_EDATA, "%s: \"%s\" has %zu names; at most %d",
             path, key, json_array_size(list), MOST_NAMES);
    for (size_t i = 0; i < json_array_size(list); i++)
        OL_CHECK(json_is_string(json_array_get(list, i)), OL_EDATA,
                 "%s: \"%s\" must be a list of strings; number %zu is none", path, key, i + 1);
    return names_copy(path, list, out, n);
}

/* A mistyped "classification" would be scored by accuracy, and nobody told. */
static ol_status check_type(const char *path, const char *type)
{
    static const char *const types[] = {"classification", "multi-choice", "free-form"};
    const size_t n = sizeof types / sizeof *types;
    char meant[OL_TEXT_MEANT];

    for (size_t i = 0; i < n; i++)
        if (strcmp(type, types[i]) == 0)
            return OL_OK;
    return ol_fail(OL_EDATA,
                   "%s: \"task_type\" is \"%.80s\"%s; it must be \"classification\" (scored by "
                   "macro-F1), \"multi-choice\" or \"free-form\" (by accuracy)",
                   path, type, ol_text_meant(type, types, n, meant));
}

static ol_status fill_task_config(const char *path, json_t *object, ol_task_config *out)
{
    const json_t *type = json_object_get(object, "task_type");

    OL_CHECK(json_is_string(type), OL_EDATA,
             "%s: has no \"task_type\"; it is \"classification\", \"multi-choice\" or "
             "\"free-form\"",
             path);
    OL_TRY(check_type(path, json_string_value(type)));
    out->type = strdup(json_string_value(type));
    OL_CHECK(out->type, OL_ENOMEM, "%s: no memory to read it", path);
    out->is_classification = strcmp(out->type, "classification") == 0;
    return read_names(path, object, "options", false, &out->options, &out->n_options);
}

ol_status ol_task_config_read(const char *root, const char *task, ol_task_config *out)
{
    char path[PATH_MAX];
    json_auto_t *object = NULL;
    ol_status status;

    *out = (ol_task_config){0};
    OL_TRY(ol_path_format(path, "%s/config/tasks/%s.json", root, task));
    OL_CHECK(ol_path_exists(path), OL_EDATA,
             "%s: is missing; it describes task %s, for example {\"task_type\": "
             "\"classification\"}",
             path, task);
    OL_TRY(read_object(path, &object));
    status = fill_task_config(path, object, out);
    if (status != OL_OK)
        ol_task_config_finish(out);
    return status;
}

void ol_task_config_finish(ol_task_config *config)
{
    if (!config)
        return;
    free(config->type);
    names_free(config->options, config->n_options);
    *config = (ol_task_config){0};
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

ol_status ol_settings_list(const char *root, ol_names *out)
{
    char folder[PATH_MAX];
    const struct dirent *entry;
    DIR *dir;
    ol_status status = OL_OK;

    *out = (ol_names){0};
    OL_TRY(ol_path_format(folder, "%s/config", root));
    dir = opendir(folder);
    OL_CHECK(dir, OL_EDATA, "%s: is no folder; data.root must hold config/ and data/", folder);
    while (status == OL_OK && (entry = readdir(dir))) {
        const size_t n = strlen(entry->d_name);

        if (n < 6 || strcmp(entry->d_name + n - 5, ".json") != 0)
            continue;
        status = OL_GROW(out->names, out->n, "settings");
        if (status == OL_OK)
            out->names[out->n] = strndup(entry->d_name, n - 5);
        out->n += status == OL_OK && out->names[out->n];
    }
    closedir(dir);
    if (out->n > 0)
        qsort(out->names, (size_t)out->n, sizeof *out->names, compare_names);
    return status;
}

static ol_status unknown_setting(const char *root, const char *setting)
{
    char folder[PATH_MAX], meant[OL_TEXT_MEANT];
    OL_AUTO(ol_names_finish) ol_names there = {0};
    OL_AUTO_TEXT list = {0};

    OL_TRY(ol_path_format(folder, "%s/config", root));
    OL_TRY(ol_settings_list(root, &there));
    for (int i = 0; i < there.n; i++)
        ol_text_format(&list, "%s%s", i > 0 ? ", " : "", there.names[i]);
    return ol_fail(OL_EDATA, "%s: has no setting \"%s\"%s; there %s: %s", folder, setting,
                   ol_text_meant(setting, (const char *const *)there.names, (size_t)there.n, meant),
                   there.n == 1 ? "is" : "are", list.data ? list.data : "none");
}

static ol_status read_groups(json_t *object, ol_setting *out)
{
    json_t *groups = json_object_get(object, "groups"), *list;
    const char *name;

    if (!groups)
        return OL_OK;
    OL_CHECK(json_is_object(groups), OL_EDATA,
             "%s: \"groups\" must name lists of tasks, as {\"new\": [\"task\"]}", out->path);
    OL_TRY(OL_ALLOCATE(out->groups, json_object_size(groups), "groups"));
    json_object_foreach(groups, name, list)
    {
        ol_group *group = &out->groups[out->n_groups++];

        group->name = strdup(name);
        OL_CHECK(group->name, OL_ENOMEM, "%s: no memory to read it", out->path);
        OL_TRY(read_names(out->path, groups, name, true, &group->tasks.names, &group->tasks.n));
        for (int i = 0; i < group->tasks.n; i++)
            OL_CHECK(ol_names_have(&out->test, group->tasks.names[i]), OL_EDATA,
                     "%s: group \"%s\" names %s, which \"test\" does not", out->path, name,
                     group->tasks.names[i]);
    }
    return OL_OK;
}

/* Tasks are folders and files by their names, which must not lead elsewhere. */
static ol_status check_task_names(const char *path, const ol_names *names)
{
    for (int i = 0; i < names->n; i++) {
        const char *name = names->names[i];

        OL_CHECK(*name && *name != '.' && !strchr(name, '/') && ol_text_is_name(name) &&
                     strlen(name) < MOST_NAME,
                 OL_EDATA,
                 "%s: \"%s\" cannot be a task: names have 1 to %d letters, no slash or control "
                 "character, and no dot before them",
                 path, name, MOST_NAME - 1);
    }
    return OL_OK;
}

static ol_status fill_setting(json_t *object, ol_setting *out)
{
    OL_TRY(read_names(out->path, object, "train", true, &out->train.names, &out->train.n));
    OL_TRY(read_names(out->path, object, "test", true, &out->test.names, &out->test.n));
    OL_TRY(read_names(out->path, object, "unseen_domain_test", false,
                      &out->unseen_domain_test.names, &out->unseen_domain_test.n));
    OL_TRY(check_task_names(out->path, &out->train));
    OL_TRY(check_task_names(out->path, &out->test)); /* which the other lists are of */
    for (int i = 0; i < out->train.n; i++)
        for (int j = 0; j < i; j++)
            OL_CHECK(strcmp(out->train.names[i], out->train.names[j]) != 0, OL_EDATA,
                     "%s: \"train\" names %s twice", out->path, out->train.names[i]);
    for (int i = 0; i < out->unseen_domain_test.n; i++)
        OL_CHECK(ol_names_have(&out->test, out->unseen_domain_test.names[i]), OL_EDATA,
                 "%s: \"unseen_domain_test\" names %s, which \"test\" does not", out->path,
                 out->unseen_domain_test.names[i]);
    return read_groups(object, out);
}

ol_status ol_setting_read(const char *root, const char *setting, ol_setting *out)
{
    char path[PATH_MAX];
    OL_AUTO(ol_setting_finish) ol_setting read = {0};
    json_auto_t *object = NULL;

    *out = read;
    OL_TRY(ol_path_format(path, "%s/config/%s.json", root, setting));
    if (!ol_path_exists(path))
        return unknown_setting(root, setting);
    OL_TRY(read_object(path, &object));
    read.path = strdup(path);
    OL_CHECK(read.path, OL_ENOMEM, "%s: no memory to read it", path);
    OL_TRY(fill_setting(object, &read));
    return OL_GIVE(out, read);
}

/* Numbers of the training tasks that can be scored: [*n], for the caller to free. */
static ol_status list_scorable(const char *root, const ol_setting *setting, int **out, int *n)
{
    *n = 0;
    OL_TRY(OL_ALLOCATE(*out, setting->train.n, "tasks"));
    for (int i = 0; i < setting->train.n; i++) {
        OL_AUTO(ol_task_config_finish) ol_task_config config = {0};

        OL_TRY(ol_task_config_read(root, setting->train.names[i], &config));
        if (strcmp(config.type, "free-form") != 0)
            (*out)[(*n)++] = i;
    }
    return OL_OK;
}

static ol_status check_holdout(const ol_setting *setting, int n, int scorable)
{
    OL_CHECK(
        n <= scorable, OL_EUSAGE,
        "%d training tasks are to be held out (data.holdout, or tune.holdout), but of the %d of "
        "%s only %d can be scored, the others being free-form: ask for fewer",
        n, setting->train.n, setting->path, scorable);
    OL_CHECK(
        n < setting->train.n, OL_EUSAGE,
        "%d training tasks are to be held out (data.holdout, or tune.holdout), which is all of "
        "%s: ask for fewer, so that there is something to train on",
        n, setting->path);
    return OL_OK;
}

/* The first n of `drawn` go from `train` to `test`, in the order of the file. */
static ol_status move_to_test(ol_setting *setting, const int *drawn, int n)
{
    OL_AUTO_FREE bool *held = NULL;
    char **test;
    int left = 0, moved = 0;

    OL_TRY(OL_ALLOCATE(held, setting->train.n, "tasks"));
    OL_TRY(OL_ALLOCATE(test, n, "tasks"));
    for (int i = 0; i < n; i++)
        held[drawn[i]] = true;
    for (int i = 0; i < setting->train.n; i++) {
        if (held[i])
            test[moved++] = setting->train.names[i];
        else
            setting->train.names[left++] = setting->train.names[i];
    }
    setting->train.n = left;
    setting->test = (ol_names){test, n};
    setting->held_out = true;
    return OL_OK;
}

static void forget_targets(ol_setting *setting)
{
    names_free(setting->test.names, setting->test.n);
    names_free(setting->unseen_domain_test.names, setting->unseen_domain_test.n);
    for (int i = 0; i < setting->n_groups; i++) {
        free(setting->groups[i].name);
        names_free(setting->groups[i].tasks.names, setting->groups[i].tasks.n);
    }
    free(setting->groups);
    setting->test = setting->unseen_domain_test = (ol_names){0};
    setting->groups = NULL;
    setting->n_groups = 0;
}

ol_status ol_setting_hold_out(const char *root, ol_holdout holdout, ol_setting *setting)
{
    ol_rng rng = ol_rng_stream(holdout.seed, OL_RNG_HELD, 0, 0);
    OL_AUTO_FREE int *scorable = NULL;
    int n = 0;

    if (holdout.n == 0)
        return OL_OK;
    OL_TRY(list_scorable(root, setting, &scorable, &n));
    OL_TRY(check_holdout(setting, holdout.n, n));
    ol_rng_shuffle(&rng, scorable, n);
    forget_targets(setting);
    return move_to_test(setting, scorable, holdout.n);
}

void ol_setting_finish(ol_setting *setting)
{
    if (!setting)
        return;
    free(setting->path);
    names_free(setting->train.names, setting->train.n);
    forget_targets(setting);
    *setting = (ol_setting){0};
}

const char *ol_setting_group(const ol_setting *setting, const char *task)
{
    for (int i = 0; i < setting->n_groups; i++)
        if (ol_names_have(&setting->groups[i].tasks, task))
            return setting->groups[i].name;
    return "";
}

void ol_names_finish(ol_names *names)
{
    names_free(names->names, names->n);
    *names = (ol_names){0};
}

bool ol_names_have(const ol_names *names, const char *name)
{
    return names_have(names->names, names->n, name);
}
