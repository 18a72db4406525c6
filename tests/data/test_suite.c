/* SPDX-License-Identifier: BSD-3-Clause */
/* The built-in suite: whole, valid, without repeats, the same for the same seed, and not solved by
 * a cue that needs no reading. */
#include "world.h"

#include <dirent.h>

#include "outerloop/base/digest.h"
#include "outerloop/data/suite.h"
#include "outerloop/data/task.h"

static const char *const settings[] = {
    "hr_to_lr",     "class_to_class", "non_class_to_class",           "qa_to_qa",
    "non_qa_to_qa", "non_nli_to_nli", "non_paraphrase_to_paraphrase",
};
static const int seeds[] = {100, 13, 21, 42, 87};

enum {
    SETTINGS = sizeof settings / sizeof settings[0],
    SEEDS = sizeof seeds / sizeof seeds[0],
    MANY = 4096, /* rows of one task, at most */
};

static char root[PATH_MAX];

static void read_train(const char *task, ol_rows *rows)
{
    char path[PATH_MAX];
    int k;

    assert_int_equal(ol_task_train_path(root, task, NULL, path, &k), OL_OK);
    assert_int_equal(k, 16384);
    assert_int_equal(ol_rows_read(path, NULL, 0, rows), OL_OK);
}

static void read_target(const char *task, int seed, ol_rows *train, ol_rows *test)
{
    char path[PATH_MAX], test_path[PATH_MAX];

    assert_int_equal(ol_task_target_paths(root, task, NULL, 16, seed, path, test_path), OL_OK);
    assert_int_equal(ol_rows_read(path, NULL, 0, train), OL_OK);
    assert_int_equal(ol_rows_read(test_path, NULL, 0, test), OL_OK);
    assert_int_equal(train->n, 16);
    assert_int_equal(test->n, 100);
}

static void settings_are_valid(void **state)
{
    int tasks = 0;

    (void)state;
    for (int s = 0; s < SETTINGS; s++) {
        ol_setting setting;

        assert_int_equal(ol_setting_read(root, settings[s], &setting), OL_OK);
        assert_true(setting.train.n >= 5 && setting.test.n >= 4);
        assert_true(setting.unseen_domain_test.n >= 1);
        for (int i = 0; i < setting.test.n; i++)
            assert_false(ol_names_have(&setting.train, setting.test.names[i]));
        for (int i = 0; i < setting.unseen_domain_test.n; i++)
            assert_true(ol_names_have(&setting.test, setting.unseen_domain_test.names[i]));
        if (s == 0) {
            tasks = setting.train.n + setting.test.n;
            assert_true(setting.train.n >= 32 && setting.unseen_domain_test.n >= 2);
        }
        ol_setting_finish(&setting);
    }
    assert_true(tasks >= 40);
}

static void files_are_there_and_their_rows_are_valid(void **state)
{
    (void)state;
    for (int s = 0; s < SETTINGS; s++) {
        ol_setting setting;
        ol_rows train, test;

        assert_int_equal(ol_setting_read(root, settings[s], &setting), OL_OK);
        for (int i = 0; i < setting.train.n; i++) {
            read_train(setting.train.names[i], &train);
            assert_true(train.n >= 250);
            ol_rows_finish(&train);
        }
        for (int i = 0; i < setting.test.n * SEEDS; i++) {
            read_target(setting.test.names[i / SEEDS], seeds[i % SEEDS], &train, &test);
            ol_rows_finish(&train);
            ol_rows_finish(&test);
        }
        ol_setting_finish(&setting);
    }
}

static bool has_label(const char *output, const ol_task_config *config)
{
    for (int i = 0; i < config->n_options; i++)
        if (strcmp(output, config->options[i]) == 0)
            return true;
    return false;
}

/* Each label as often as the others, each place of the right option too. */
static void labels_are_balanced(void **state)
{
    ol_setting setting;

    (void)state;
    assert_int_equal(ol_setting_read(root, settings[0], &setting), OL_OK);
    for (int i = 0; i < setting.train.n; i++) {
        int places[8] = {0};
        ol_task_config config;
        ol_rows rows;

        assert_int_equal(ol_task_config_read(root, setting.train.names[i], &config), OL_OK);
        read_train(setting.train.names[i], &rows);
        for (int r = 0; r < rows.n; r++) {
            const ol_row *row = &rows.rows[r];

            assert_true(!config.is_classification || has_label(row->output, &config));
            for (int o = 0; o < row->n_options; o++)
                places[o] += strcmp(row->options[o], row->output) == 0;
        }
        for (int o = 0; o < rows.rows[0].n_options; o++)
            assert_in_range(places[o], rows.n / rows.rows[0].n_options - 1,
                            rows.n / rows.rows[0].n_options + 1);
        ol_rows_finish(&rows);
        ol_task_config_finish(&config);
    }
    ol_setting_finish(&setting);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_inputs(char **inputs, int *n, const char *path)
{
    ol_rows rows;

    assert_int_equal(ol_rows_read(path, NULL, 0, &rows), OL_OK);
    for (int i = 0; i < rows.n; i++) {
        assert_true(*n < MANY);
        inputs[(*n)++] = strdup(rows.rows[i].input);
    }
    ol_rows_finish(&rows);
}

/* All files of a task; of its test file, which is the same for all seeds, one. */
static void no_input_occurs_twice(void **state)
{
    char data[PATH_MAX], path[PATH_MAX];
    DIR *folder;
    struct dirent *entry, *file;
    int tasks = 0;

    (void)state;
    assert_int_equal(ol_path_format(data, "%s/data", root), OL_OK);
    folder = opendir(data);
    while ((entry = readdir(folder))) {
        char *inputs[MANY];
        int n = 0;
        DIR *files;

        if (entry->d_name[0] == '.')
            continue;
        assert_int_equal(ol_path_format(path, "%s/%s", data, entry->d_name), OL_OK);
        files = opendir(path);
        while ((file = readdir(files))) {
            if (file->d_name[0] == '.' ||
                (strstr(file->d_name, "_test.jsonl") && !strstr(file->d_name, "_100_test")))
                continue;
            assert_int_equal(ol_path_format(path, "%s/%s/%s", data, entry->d_name, file->d_name),
                             OL_OK);
            add_inputs(inputs, &n, path);
        }
        closedir(files);
        qsort(inputs, (size_t)n, sizeof *inputs, compare_texts);
        for (int i = 1; i < n; i++)
            if (strcmp(inputs[i - 1], inputs[i]) == 0)
                fail_msg("%s: \"%s\" occurs twice", entry->d_name, inputs[i]);
        while (n > 0)
            free(inputs[--n]);
        tasks++;
    }
    closedir(folder);
    assert_true(tasks >= 40);
}

static void test_files_of_all_seeds_are_equal(void **state)
{
    ol_setting setting;

    (void)state;
    assert_int_equal(ol_setting_read(root, settings[0], &setting), OL_OK);
    for (int i = 0; i < setting.test.n; i++) {
        char train[PATH_MAX], path[PATH_MAX], *text, *first = NULL;
        size_t size, first_size = 0;

        for (int s = 0; s < SEEDS; s++) {
            assert_int_equal(
                ol_task_target_paths(root, setting.test.names[i], NULL, 16, seeds[s], train, path),
                OL_OK);
            assert_int_equal(ol_read_file(path, &text, &size), OL_OK);
            if (s > 0) {
                assert_int_equal(size, first_size);
                assert_memory_equal(text, first, size);
                free(text);
            } else {
                first = text;
                first_size = size;
            }
        }
        free(first);
    }
    ol_setting_finish(&setting);
}

/* Some words of every unseen domain, none of which is a part of another word. */
static void unseen_domains_are_unseen(void **state)
{
    static const char *const words[] = {"drum", "tango", "ruby", "euro", "raft", "mars"};
    ol_setting setting;

    (void)state;
    assert_int_equal(ol_setting_read(root, settings[0], &setting), OL_OK);
    for (int i = 0; i < setting.train.n; i++) {
        ol_rows rows;

        read_train(setting.train.names[i], &rows);
        for (int r = 0; r < rows.n; r++)
            for (size_t w = 0; w < sizeof words / sizeof words[0]; w++)
                assert_null(strstr(rows.rows[r].input, words[w]));
        ol_rows_finish(&rows);
    }
    ol_setting_finish(&setting);
}

/* Cues: option that a person who does not read would take. -1: none. */
static int cue_first(const ol_row *row, const ol_rows *train)
{
    (void)row;
    (void)train;
    return 0;
}

static int cue_last(const ol_row *row, const ol_rows *train)
{
    (void)train;
    return row->n_options - 1;
}

static int cue_longest(const ol_row *row, const ol_rows *train)
{
    int best = 0;

    (void)train;
    for (int o = 1; o < row->n_options; o++)
        if (strlen(row->options[o]) > strlen(row->options[best]))
            best = o;
    return best;
}

static int option_of(const ol_row *row, const char *text)
{
    for (int o = 0; o < row->n_options; o++)
        if (strcmp(row->options[o], text) == 0)
            return o;
    return 0;
}

static int cue_frequent(const ol_row *row, const ol_rows *train)
{
    int best = 0, most = -1;

    for (int o = 0; o < row->n_options; o++) {
        int n = 0;

        for (int i = 0; i < train->n; i++)
            n += strcmp(train->rows[i].output, row->options[o]) == 0;
        if (n > most) {
            most = n;
            best = o;
        }
    }
    return best;
}

static int cue_previous(const ol_row *row, const ol_rows *train)
{
    return option_of(row, train->rows[train->n - 1].output);
}

static int cue_in_input(const ol_row *row, const ol_rows *train)
{
    (void)train;
    for (int o = 0; o < row->n_options; o++)
        if (strstr(row->input, row->options[o]))
            return o;
    return 0;
}

/* The output of the demonstration that shares the most bytes of a common beginning. */
static int cue_same_beginning(const ol_row *row, const ol_rows *train)
{
    size_t most = 0;
    int best = 0;

    for (int i = 0; i < train->n; i++) {
        const char *a = row->input, *b = train->rows[i].input;
        size_t n = 0;

        while (a[n] && a[n] == b[n])
            n++;
        if (n > most) {
            most = n;
            best = i;
        }
    }
    return option_of(row, train->rows[best].output);
}

static void no_cue_solves_the_targets(void **state)
{
    static int (*const cues[])(const ol_row *, const ol_rows *) = {
        cue_first,    cue_last,     cue_longest,       cue_frequent,
        cue_previous, cue_in_input, cue_same_beginning};
    ol_setting setting;

    (void)state;
    assert_int_equal(ol_setting_read(root, settings[0], &setting), OL_OK);
    for (size_t c = 0; c < sizeof cues / sizeof cues[0]; c++) {
        int solved = 0;

        for (int i = 0; i < setting.test.n; i++) {
            ol_rows train, test;
            int right = 0;

            read_target(setting.test.names[i], seeds[i % SEEDS], &train, &test);
            for (int r = 0; r < test.n; r++) {
                const ol_row *row = &test.rows[r];

                right += strcmp(row->options[cues[c](row, &train)], row->output) == 0;
            }
            solved += right >= 75;
            ol_rows_finish(&train);
            ol_rows_finish(&test);
        }
        assert_true(solved * 2 < setting.test.n);
    }
    ol_setting_finish(&setting);
}

/* Words, labels and names are single tokens, so that prompts are short. */
static void tokenizer_knows_the_words(void **state)
{
    char folder[PATH_MAX];
    ol_tokenizer *tokenizer;
    ol_setting setting;
    int pieces = 0, tokens = 0;

    (void)state;
    assert_int_equal(ol_path_format(folder, "%s/tokenizer", root), OL_OK);
    assert_int_equal(ol_tokenizer_load(folder, &tokenizer), OL_OK);
    assert_in_range(ol_tokenizer_size(tokenizer), 512, OL_SUITE_VOCAB);
    assert_int_equal(ol_setting_read(root, settings[0], &setting), OL_OK);
    for (int i = 0; i < setting.test.n; i++) {
        ol_rows train, test;

        read_target(setting.test.names[i], seeds[0], &train, &test);
        for (int r = 0; r < test.n; r++) {
            ol_tokens out = {0};

            assert_int_equal(ol_tokenizer_encode(tokenizer, test.rows[r].output,
                                                 strlen(test.rows[r].output), &out),
                             OL_OK);
            pieces++;
            tokens += (int)out.n;
            ol_tokens_finish(&out);
        }
        ol_rows_finish(&train);
        ol_rows_finish(&test);
    }
    ol_setting_finish(&setting);
    ol_tokenizer_destroy(tokenizer);
    assert_true(tokens <= pieces + pieces / 10);
}

static ol_text walked;

/* nftw has no order of its own, so a line a file and sort them. */
static int walk(const char *path, const struct stat *st, int type, struct FTW *at)
{
    char digest[OL_DIGEST_TEXT], *text;
    size_t size;

    (void)st;
    (void)at;
    if (type != FTW_F)
        return 0;
    if (ol_read_file(path, &text, &size) != OL_OK)
        return -1;
    ol_digest(text, size, digest);
    free(text);
    return ol_text_format(&walked, "%s %s\n", strrchr(path, '/') + 1, digest) == OL_OK ? 0 : -1;
}

static void digest_folder(const char *folder, char digest[OL_DIGEST_TEXT])
{
    char *lines[4096], *line;
    int n = 0;
    ol_text text = {0};

    walked = (ol_text){0};
    assert_int_equal(nftw(folder, walk, 16, FTW_PHYS), 0);
    for (line = strtok(walked.data, "\n"); line; line = strtok(NULL, "\n"))
        lines[n++] = line;
    qsort(lines, (size_t)n, sizeof *lines, compare_texts);
    for (int i = 0; i < n; i++)
        assert_int_equal(ol_text_format(&text, "%s\n", lines[i]), OL_OK);
    ol_digest(text.data, text.size, digest);
    ol_text_finish(&text);
    ol_text_finish(&walked);
}

static void same_seed_same_bytes(void **state)
{
    char path[PATH_MAX], first[OL_DIGEST_TEXT], second[OL_DIGEST_TEXT], other[OL_DIGEST_TEXT];

    (void)state;
    digest_folder(root, first);
    assert_int_equal(ol_path_format(path, "%s/again", world_root), OL_OK);
    assert_int_equal(ol_suite_write(path, 1), OL_OK);
    digest_folder(path, second);
    assert_string_equal(first, second);
    assert_int_equal(ol_path_format(path, "%s/deep/other", world_root), OL_OK);
    assert_int_equal(ol_suite_write(path, UINT64_MAX), OL_OK);
    digest_folder(path, other);
    assert_string_not_equal(first, other);
}

static void what_is_there_is_kept(void **state)
{
    char path[PATH_MAX], mark[PATH_MAX], before[OL_DIGEST_TEXT], after[OL_DIGEST_TEXT];
    DIR *folder;
    struct dirent *entry;

    (void)state;
    digest_folder(root, before);
    assert_int_equal(ol_suite_write(root, 1), OL_OK);
    assert_int_equal(ol_suite_write(root, 2), OL_EUSAGE);
    assert_non_null(strstr(ol_status_message(), "is not the built-in suite of seed 2"));
    digest_folder(root, after);
    assert_string_equal(before, after);

    world_write("mine/notes.txt", "mine", 4);
    assert_int_equal(ol_path_format(path, "%s/mine", world_root), OL_OK);
    assert_int_equal(ol_suite_write(path, 1), OL_EUSAGE);
    assert_int_equal(ol_path_format(mark, "%s/notes.txt", path), OL_OK);
    assert_true(ol_path_exists(mark));
    assert_int_equal(ol_path_format(path, "%s/mine/notes.txt/suite", world_root), OL_OK);
    assert_int_equal(ol_suite_write(path, 1), OL_EIO);

    folder = opendir(world_root);
    while ((entry = readdir(folder)))
        assert_null(strstr(entry->d_name, ".tmp-"));
    closedir(folder);
}

static int set_up(void **state)
{
    if (world_setup(state) != 0 || ol_path_format(root, "%s/suite", world_root) != OL_OK)
        return -1;
    return ol_suite_write(root, 1) == OL_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_valid),
        cmocka_unit_test(files_are_there_and_their_rows_are_valid),
        cmocka_unit_test(labels_are_balanced),
        cmocka_unit_test(no_input_occurs_twice),
        cmocka_unit_test(test_files_of_all_seeds_are_equal),
        cmocka_unit_test(unseen_domains_are_unseen),
        cmocka_unit_test(no_cue_solves_the_targets),
        cmocka_unit_test(tokenizer_knows_the_words),
        cmocka_unit_test(same_seed_same_bytes),
        cmocka_unit_test(what_is_there_is_kept),
    };

    return cmocka_run_group_tests(tests, set_up, world_teardown);
}
