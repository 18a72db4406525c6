/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/suite.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outerloop/base/file.h"
#include "outerloop/base/size.h" /* OL_ALLOCATE */
#include "outerloop/base/text.h"
#include "outerloop/text/bpe_train.h"
#include "layout.h"
#include "suite_parts.h"

enum {
    TRAIN_ROWS = 1000,
    TRAIN_LEAST = 250, /* a training task with fewer different rows than this is a bug */
    SHOTS = 16,
    TEST_ROWS = 100,
    TRIES = 2000,
    LEXICON_COPIES = 2000,
};

enum { SPLIT_TRAINING = 0, SPLIT_TEST = 1, SPLIT_SHOTS = 2 };

static const int target_seeds[] = {100, 13, 21, 42, 87};

enum { TARGET_SEEDS = sizeof target_seeds / sizeof target_seeds[0] };

/* What writing the suite carries along. */
typedef struct suite_writer {
    const char *folder;
    uint64_t seed;
    ol_text training; /* inputs and outputs of all training rows, for the tokenizer */
} suite_writer;

static int compare_inputs(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Is it an input that the task has not used? It has now. @param seen  a tree of tsearch */
static bool add_unseen(void **seen, const char *input)
{
    char *copy = strdup(input);
    char **found = copy ? tsearch(copy, seen, compare_inputs) : NULL;
    const bool is_new = found && *found == copy;

    if (!is_new)
        free(copy);
    return is_new;
}

/* A row whose input the task has not used; false when the task has run out of them. */
static bool make_row(const suite_task *task, int want, ol_rng *rng, void **seen, suite_row *row)
{
    for (int tries = 0; tries < TRIES; tries++) {
        suite_make(task, want, rng, row);
        if (add_unseen(seen, row->input))
            return true;
    }
    return false;
}

static ol_status append_row(ol_text *text, const suite_task *task, const suite_row *row)
{
    const char *options[SUITE_OPTIONS];

    for (int i = 0; i < row->n_options; i++)
        options[i] = row->options[i];
    return layout_append_row(text, task->name, row->input, row->output, options, row->n_options);
}

/* Rows in blocks that hold each label (or place of the right option) once, in random order. */
static ol_status append_rows(suite_writer *writer, const suite_task *task, int n, ol_rng *rng,
                             void **seen, ol_text *text, int *written)
{
    int wants[SUITE_OPTIONS];
    suite_row row;

    for (int i = 0; i < task->choices; i++)
        wants[i] = i;
    for (*written = 0; *written < n; (*written)++) {
        const int place = *written % task->choices;

        if (place == 0)
            ol_rng_shuffle(rng, wants, task->choices);
        if (!make_row(task, wants[place], rng, seen, &row))
            return OL_OK;
        OL_TRY(append_row(text, task, &row));
        if (writer)
            OL_TRY(ol_text_format(&writer->training, "%s\n%s\n\n\n", row.input, row.output));
    }
    return OL_OK;
}

static bool is_taught(const suite_task *task)
{
    return task->role == SUITE_TRAIN || task->role == SUITE_SPARE;
}

static bool is_grouped(const suite_task *task)
{
    return task->group == SUITE_NLI || task->group == SUITE_PARAPHRASE;
}

static ol_status write_training(suite_writer *writer, const suite_task *task, uint32_t number,
                                void **seen)
{
    const int wanted = task->group == SUITE_PRIVATE ? SUITE_PRIVATE_ROWS : TRAIN_ROWS;
    const int least = wanted < TRAIN_LEAST ? wanted : TRAIN_LEAST;
    ol_rng rng = ol_rng_stream(writer->seed, OL_RNG_SUITE, number, SPLIT_TRAINING);
    OL_AUTO_TEXT text = {0};
    int rows;

    OL_TRY(append_rows(writer, task, wanted, &rng, seen, &text, &rows));
    OL_CHECK(rows >= least, OL_ECHECK, "task %s of the built-in suite has only %d different rows",
             task->name, rows);
    return layout_write_rows(writer->folder, task->name, 16384, 100, "train", &text);
}

/* One file of a target task. A task too small for its files is a bug of the table. */
static ol_status target_rows(const suite_task *task, int n, ol_rng *rng, void **seen, ol_text *text)
{
    int rows;

    OL_TRY(append_rows(NULL, task, n, rng, seen, text, &rows));
    OL_CHECK(rows == n, OL_ECHECK, "task %s of the built-in suite has too few different rows",
             task->name);
    return OL_OK;
}

static ol_status write_target_seed(const suite_writer *writer, const suite_task *task,
                                   uint32_t number, int seed, const ol_text *test, void **seen)
{
    static const char *const splits[] = {"train", "dev"};
    ol_rng rng = ol_rng_stream(writer->seed, OL_RNG_SUITE, number, SPLIT_SHOTS + (uint32_t)seed);

    OL_TRY(layout_write_rows(writer->folder, task->name, SHOTS, seed, "test", test));
    for (size_t s = 0; s < 2; s++) {
        OL_AUTO_TEXT text = {0};

        OL_TRY(target_rows(task, SHOTS, &rng, seen, &text));
        OL_TRY(layout_write_rows(writer->folder, task->name, SHOTS, seed, splits[s], &text));
    }
    return OL_OK;
}

static ol_status write_target(const suite_writer *writer, const suite_task *task, uint32_t number,
                              void **seen)
{
    ol_rng rng = ol_rng_stream(writer->seed, OL_RNG_SUITE, number, SPLIT_TEST);
    OL_AUTO_TEXT test = {0};

    OL_TRY(target_rows(task, TEST_ROWS, &rng, seen, &test));
    for (int s = 0; s < TARGET_SEEDS; s++)
        OL_TRY(write_target_seed(writer, task, number, target_seeds[s], &test, seen));
    return OL_OK;
}

static ol_status write_task_config(const suite_writer *writer, const suite_task *task)
{
    const bool choice = task->group == SUITE_QA || task->group == SUITE_PRIVATE;
    const char *type = choice                       ? "multi-choice"
                       : task->group == SUITE_OTHER ? "free-form"
                                                    : "classification";

    return layout_write_task(writer->folder, task->name, type, task->labels,
                             task->labels[0] ? task->choices : 0);
}

static void forget_inputs(void **seen)
{
    tdestroy(*seen, free);
}

static ol_status write_task(suite_writer *writer, const suite_task *task, uint32_t number)
{
    OL_AUTO(forget_inputs) void *seen = NULL;

    OL_TRY(layout_make_folders(writer->folder, task->name));
    OL_TRY(write_task_config(writer, task));
    /* All inference and paraphrase tasks are targets of the settings named after them. */
    if (!is_taught(task) || is_grouped(task))
        OL_TRY(write_target(writer, task, number, &seen));
    if (is_taught(task))
        OL_TRY(write_training(writer, task, number, &seen));
    return OL_OK;
}

#define GROUP(group) (1u << (group))
#define CLASSES (GROUP(SUITE_CLASS) | GROUP(SUITE_NLI) | GROUP(SUITE_PARAPHRASE))
#define QUESTIONS GROUP(SUITE_QA)
#define ALL (CLASSES | QUESTIONS | GROUP(SUITE_OTHER))

/* The setting of the tasks of suite_private.c. */
static const char private_labels[] = "private_labels";

/* A setting as two sets of groups. In a `whole` one, whose two sets are disjoint, the training
 * tasks of the tested group are targets too; a `frugal` one leaves out the tasks that are slow to
 * learn. */
typedef struct suite_setting {
    const char *name;
    unsigned train, test;
    bool whole, frugal;
} suite_setting;

static const suite_setting settings[] = {
    {"hr_to_lr", ALL, ALL, false, true},
    {"class_to_class", CLASSES, CLASSES, false, false},
    {"non_class_to_class", ALL & ~CLASSES, CLASSES, false, false},
    {"qa_to_qa", QUESTIONS, QUESTIONS, false, false},
    {"non_qa_to_qa", ALL & ~QUESTIONS, QUESTIONS, false, false},
    {"non_nli_to_nli", ALL & ~GROUP(SUITE_NLI), GROUP(SUITE_NLI), true, false},
    {"non_paraphrase_to_paraphrase", ALL & ~GROUP(SUITE_PARAPHRASE), GROUP(SUITE_PARAPHRASE), true,
     false},
};

enum { SETTINGS = sizeof settings / sizeof settings[0] };

const char *ol_suite_setting(int i)
{
    return i >= 0 && i < SETTINGS ? settings[i].name : i == SETTINGS ? private_labels : NULL;
}

static ol_status write_setting(const suite_writer *writer, const suite_setting *setting)
{
    json_t *train = json_array(), *test = json_array(), *unseen = json_array();
    char path[PATH_MAX];

    for (int t = 0; t < suite_task_count; t++) {
        const suite_task *task = &suite_tasks[t];
        const bool taught = is_taught(task);

        if (taught && setting->train & GROUP(task->group) &&
            !(task->role == SUITE_SPARE && setting->frugal))
            json_array_append_new(train, json_string(task->name));
        if ((!taught || setting->whole) && setting->test & GROUP(task->group))
            json_array_append_new(test, json_string(task->name));
        if (task->role == SUITE_UNSEEN && setting->test & GROUP(task->group))
            json_array_append_new(unseen, json_string(task->name));
    }
    OL_TRY(ol_path_format(path, "%s/config/%s.json", writer->folder, setting->name));
    return layout_write_json(path, json_pack("{s:o, s:o, s:o}", "train", train, "test", test,
                                             "unseen_domain_test", unseen));
}

/* Names of the tasks of private labels that are of one sort. */
static json_t *names_of(const suite_private *all, suite_sort sort)
{
    json_t *names = json_array();

    for (int i = 0; i < all->n; i++)
        if (all->tasks[i].sort == sort)
            json_array_append_new(names, json_string(all->tasks[i].name));
    return names;
}

/* Targets of three sorts, which tables show apart. */
static ol_status write_private_setting(const suite_writer *writer, const suite_private *all)
{
    static const char *const groups[SUITE_SORTS] = {
        [SUITE_NEW_PAIRINGS] = "new pairings",
        [SUITE_NEW_LABELS] = "new labels",
        [SUITE_NEW_CATEGORIES] = "new categories",
    };
    json_t *test = json_array(), *by_group = json_object();
    char path[PATH_MAX];

    for (int s = SUITE_NEW_PAIRINGS; s < SUITE_SORTS; s++) {
        json_t *names = names_of(all, (suite_sort)s);

        json_array_extend(test, names);
        json_object_set_new(by_group, groups[s], names);
    }
    OL_TRY(ol_path_format(path, "%s/config/%s.json", writer->folder, private_labels));
    return layout_write_json(
        path,
        json_pack("{s:o, s:o, s:o, s:o}", "train", names_of(all, SUITE_SORT_TRAIN), "test", test,
                  "unseen_domain_test", names_of(all, SUITE_NEW_CATEGORIES), "groups", by_group));
}

static ol_status write_private(suite_writer *writer)
{
    OL_AUTO_FREE suite_private *all = NULL;

    OL_TRY(OL_ALLOCATE(all, 1, "families of private labels"));
    suite_private_plan(writer->seed, all);
    for (int i = 0; i < all->n; i++)
        OL_TRY(write_task(writer, &all->tasks[i].task, all->tasks[i].number));
    return write_private_setting(writer, all);
}

static json_t *stamp_of(uint64_t seed)
{
    char digits[24];

    /* As text: JSON numbers above 2^53 do not survive every reader. */
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)seed);
    return json_pack("{s:s, s:i, s:s}", "format", "outerloop task suite", "version",
                     OL_SUITE_VERSION, "seed", digits);
}

/* A word as it stands in rows: after a bracket, or (names of categories) also after a space. */
static ol_status append_word(ol_text *text, const char *before, const char *word)
{
    for (int i = 0; i < LEXICON_COPIES; i++)
        OL_TRY(ol_text_format(text, "%s%s\n", before, word));
    return OL_OK;
}

/* The lexicon and the labels, each word as often as it takes to be worth a token: words of the
 * unseen domains are in no training row, and would otherwise fall to pieces. */
static ol_status append_lexicon(ol_text *text)
{
    for (int c = 0; c < SUITE_CATEGORIES; c++) {
        OL_TRY(append_word(text, "", suite_categories[c].name));
        OL_TRY(append_word(text, "a ", suite_categories[c].name));
        for (int w = 0; w < SUITE_WORDS; w++)
            OL_TRY(append_word(text, "(", suite_categories[c].words[w]));
    }
    for (int p = 0; p < SUITE_OPPOSITES; p++) {
        OL_TRY(append_word(text, "(", suite_opposites[p].a));
        OL_TRY(append_word(text, "(", suite_opposites[p].b));
    }
    for (int p = 0; p < SUITE_SYNONYMS; p++)
        OL_TRY(append_word(text, "(", suite_synonyms[p].b));
    for (int t = 0; t < suite_task_count; t++)
        for (int i = 0; suite_tasks[t].labels[0] && i < suite_tasks[t].choices; i++)
            OL_TRY(append_word(text, "", suite_tasks[t].labels[i]));
    for (int i = 0; suite_private_label(i); i++)
        OL_TRY(append_word(text, "", suite_private_label(i)));
    return OL_OK;
}

static ol_status write_tokenizer(suite_writer *writer)
{
    char path[PATH_MAX];

    OL_TRY(append_lexicon(&writer->training));
    OL_TRY(ol_path_format(path, "%s/tokenizer", writer->folder));
    return ol_tokenizer_train(writer->training.data, writer->training.size, OL_SUITE_VOCAB, path);
}

static ol_status write_all(suite_writer *writer)
{
    char path[PATH_MAX];

    for (uint32_t t = 0; t < (uint32_t)suite_task_count; t++)
        OL_TRY(write_task(writer, &suite_tasks[t], t));
    for (size_t s = 0; s < SETTINGS; s++)
        OL_TRY(write_setting(writer, &settings[s]));
    OL_TRY(write_private(writer));
    OL_TRY(write_tokenizer(writer));
    OL_TRY(ol_path_format(path, "%s/suite.json", writer->folder));
    return layout_write_json(path, stamp_of(writer->seed));
}

/* True when `root` is the suite of this seed, as the stamp written last says. */
static bool is_this_suite(const char *root, uint64_t seed)
{
    char path[PATH_MAX];
    json_auto_t *stamp = NULL, *wanted = stamp_of(seed);

    if (ol_path_format(path, "%s/suite.json", root) == OL_OK)
        stamp = json_load_file(path, 0, NULL);
    return stamp && wanted && json_equal(stamp, wanted);
}

/* One sync for all files, then the name. Another process may have been first with the same. */
static ol_status commit(const char *aside, const char *root, uint64_t seed)
{
    const int fd = open(aside, O_RDONLY | O_DIRECTORY);
    const bool synced = fd >= 0 && syncfs(fd) == 0;
    const int failed = errno;

    if (fd >= 0)
        close(fd);
    OL_CHECK(synced, OL_EIO, "%s: cannot sync to disk: %s", aside, strerror(failed));
    if (rename(aside, root) == 0)
        return OL_OK;
    if (is_this_suite(root, seed)) {
        ol_remove_all(aside);
        return OL_OK;
    }
    return ol_fail(OL_EIO, "%s: cannot rename to %s: %s", aside, root, strerror(errno));
}

ol_status ol_suite_write(const char *path, uint64_t seed)
{
    char root[PATH_MAX], aside[PATH_MAX];
    suite_writer writer = {.folder = aside, .seed = seed};
    ol_status status;

    OL_TRY(ol_path_format(root, "%s", path));
    ol_path_trim(root);
    if (is_this_suite(root, seed))
        return OL_OK;
    OL_CHECK(!ol_path_exists(root) || rmdir(root) == 0, OL_EUSAGE, /* an empty folder makes room */
             "%s: is there already and is not the built-in suite of seed %llu, version %d; name "
             "another folder, or remove this one",
             root, (unsigned long long)seed, OL_SUITE_VERSION);
    OL_TRY(ol_path_format(aside, "%s.tmp-%ld", root, (long)getpid()));
    OL_TRY(ol_make_folders(aside));
    status = write_all(&writer);
    ol_text_finish(&writer.training);
    if (status == OL_OK)
        status = commit(aside, root, seed);
    if (status != OL_OK)
        ol_remove_all(aside);
    return status;
}
