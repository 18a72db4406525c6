/* SPDX-License-Identifier: BSD-3-Clause */
/* Private labels: no label can be learned, no row is on both sides, and the files are the plan's. */
#include "world.h"

#include "outerloop/data/suite.h"
#include "outerloop/data/task.h"
#include "suite_parts.h"

enum { LABELS = 28, KINDS = 4, SEEDS = 5, INPUTS = 65536 };

static const int seeds[SEEDS] = {100, 13, 21, 42, 87};

static char root[PATH_MAX];
static suite_private plan;
static ol_setting setting;

static int label_number(const char *label)
{
    for (int i = 0; suite_private_label(i); i++)
        if (strcmp(suite_private_label(i), label) == 0)
            return i;
    fail_msg("%s is no label", label);
    return -1;
}

static const suite_private_task *planned(const char *name)
{
    for (int i = 0; i < plan.n; i++)
        if (strcmp(plan.tasks[i].name, name) == 0)
            return &plan.tasks[i];
    fail_msg("%s is not planned", name);
    return NULL;
}

/* Over the training tasks each concept of a kind wears each label, and all equally often: knowing
 * the concept says nothing of the label, nor the label of the concept. */
static void every_concept_wears_every_label_equally_often(void **state)
{
    static int worn[KINDS][SUITE_KNOWN][LABELS];

    (void)state;
    for (int i = 0; i < plan.n; i++) {
        const suite_task *task = &plan.tasks[i].task;

        for (int j = 0; j < task->choices && plan.tasks[i].sort == SUITE_SORT_TRAIN; j++)
            worn[task->variant][task->masks[j]][label_number(task->labels[j])]++;
    }
    for (int kind = 0; kind < KINDS; kind++)
        for (int concept = 0; concept < SUITE_KNOWN && worn[kind][concept][0] > 0; concept ++)
            for (int label = 0; label < LABELS; label++)
                assert_int_equal(worn[kind][concept][label], worn[kind][0][0]);
    for (int kind = 0; kind < KINDS; kind++)
        assert_true(worn[kind][0][0] > 0);
    assert_true(worn[SUITE_CATEGORY][SUITE_KNOWN - 1][0] > 0);
}

static void tasks_have_three_to_five_of_each(void **state)
{
    (void)state;
    for (int i = 0; i < plan.n; i++) {
        const suite_task *task = &plan.tasks[i].task;

        assert_in_range(task->choices, 3, 5);
        for (int j = 0; j < task->choices; j++)
            for (int k = 0; k < j; k++) {
                assert_true(task->masks[j] != task->masks[k]);
                assert_string_not_equal(task->labels[j], task->labels[k]);
            }
    }
}

static int shared_pairs(const suite_task *a, const suite_task *b)
{
    int n = 0;

    for (int i = 0; i < a->choices; i++)
        for (int j = 0; j < b->choices; j++)
            n += a->variant == b->variant && a->masks[i] == b->masks[j] &&
                 strcmp(a->labels[i], b->labels[j]) == 0;
    return n;
}

/* What each sort of target promises, against all training tasks. */
static void targets_are_what_they_are_called(void **state)
{
    (void)state;
    for (int i = 0; i < plan.n; i++) {
        const suite_private_task *one = &plan.tasks[i];

        for (int j = 0; j < one->task.choices; j++) {
            const bool new_label = label_number(one->task.labels[j]) >= LABELS;
            const bool new_category =
                one->task.variant == SUITE_CATEGORY && one->task.masks[j] >= SUITE_KNOWN;

            assert_int_equal(new_label, one->sort == SUITE_NEW_LABELS);
            assert_int_equal(new_category, one->sort == SUITE_NEW_CATEGORIES);
        }
        for (int j = 0; j < i && one->sort != SUITE_SORT_TRAIN; j++)
            assert_true(shared_pairs(&one->task, &plan.tasks[j].task) < 2);
    }
}

static void settings_name_the_plan(void **state)
{
    int grouped = 0;

    (void)state;
    assert_int_equal(setting.n_groups, 3);
    assert_string_equal(setting.groups[0].name, "new pairings");
    assert_string_equal(setting.groups[1].name, "new labels");
    assert_string_equal(setting.groups[2].name, "new categories");
    for (int g = 0; g < setting.n_groups; g++) {
        grouped += setting.groups[g].tasks.n;
        for (int i = 0; i < setting.groups[g].tasks.n; i++)
            assert_int_equal(planned(setting.groups[g].tasks.names[i])->sort,
                             SUITE_NEW_PAIRINGS + g);
    }
    assert_int_equal(grouped, setting.test.n);
    assert_int_equal(setting.train.n + setting.test.n, plan.n);
    assert_int_equal(setting.unseen_domain_test.n, setting.groups[2].tasks.n);
}

/* True when a word of the input is of that category. */
static bool speaks_of(const char *input, uint64_t category)
{
    for (int w = 0; w < SUITE_WORDS; w++)
        if (strstr(input, suite_categories[category].words[w]))
            return true;
    return false;
}

static void check_row(const suite_task *task, const ol_row *row, int *counts)
{
    int label = 0;

    assert_int_equal(row->n_options, task->choices);
    for (int i = 0; i < task->choices; i++)
        assert_string_equal(row->options[i], task->labels[i]);
    while (strcmp(row->output, task->labels[label]) != 0)
        label++;
    counts[label]++;
    if (task->variant == SUITE_CATEGORY && !speaks_of(row->input, task->masks[label]))
        fail_msg("%s: \"%s\" -> %s", task->name, row->input, row->output);
}

/* Rows of a file: right, and each label as often as the others but for one. Their inputs are kept. */
static void check_file(const suite_task *task, const char *path, char **inputs, int *n)
{
    int counts[SUITE_OPTIONS] = {0};
    ol_rows rows;

    assert_int_equal(ol_rows_read(path, NULL, 0, &rows), OL_OK);
    for (int r = 0; r < rows.n; r++) {
        check_row(task, &rows.rows[r], counts);
        assert_true(*n < INPUTS);
        inputs[(*n)++] = strdup(rows.rows[r].input);
    }
    for (int i = 0; i < task->choices; i++)
        assert_in_range(counts[i], rows.n / task->choices, rows.n / task->choices + 1);
    ol_rows_finish(&rows);
}

static void read_targets(const ol_names *names, char **inputs, int *n)
{
    for (int i = 0; i < names->n; i++)
        for (int s = 0; s < SEEDS; s++) {
            char train[PATH_MAX], test[PATH_MAX];
            const suite_task *task = &planned(names->names[i])->task;

            assert_int_equal(
                ol_task_target_paths(root, names->names[i], NULL, 16, seeds[s], train, test),
                OL_OK);
            check_file(task, train, inputs, n);
            if (s == 0)
                check_file(task, test, inputs, n);
        }
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void apart(char **a, int n, char **b, int m)
{
    qsort(a, (size_t)n, sizeof *a, compare_texts);
    for (int i = 0; i < m; i++)
        if (bsearch(&b[i], a, (size_t)n, sizeof *a, compare_texts))
            fail_msg("\"%s\" is on two sides", b[i]);
}

/* Training and targets have no row in common, whatever the label. */
static void rows_are_right_and_on_one_side(void **state)
{
    static char *inputs[2][INPUTS];
    int n[2] = {0};

    (void)state;
    for (int i = 0; i < setting.train.n; i++) {
        char path[PATH_MAX];
        int k;

        assert_int_equal(ol_task_train_path(root, setting.train.names[i], NULL, path, &k), OL_OK);
        check_file(&planned(setting.train.names[i])->task, path, inputs[0], &n[0]);
    }
    read_targets(&setting.test, inputs[1], &n[1]);
    assert_int_equal(n[0], setting.train.n * SUITE_PRIVATE_ROWS);
    apart(inputs[0], n[0], inputs[1], n[1]);
    for (int side = 0; side < 2; side++)
        while (n[side] > 0)
            free(inputs[side][--n[side]]);
}

/* A model that knows no label picks one of 3 to 5: scored as accuracy, so chance is their mean. */
static void chance_is_about_a_quarter(void **state)
{
    double chance = 0.0;

    (void)state;
    for (int i = 0; i < setting.test.n; i++) {
        ol_task_config config;

        assert_int_equal(ol_task_config_read(root, setting.test.names[i], &config), OL_OK);
        assert_false(config.is_classification);
        chance += 1.0 / config.n_options / setting.test.n;
        ol_task_config_finish(&config);
    }
    assert_true(chance > 0.25 && chance < 0.28);
}

/* Labels are whole tokens, the new ones too, and no word of any row. */
static void labels_are_tokens_and_no_words(void **state)
{
    char folder[PATH_MAX];
    ol_tokenizer *tokenizer;

    (void)state;
    assert_int_equal(ol_path_format(folder, "%s/tokenizer", root), OL_OK);
    assert_int_equal(ol_tokenizer_load(folder, &tokenizer), OL_OK);
    for (int i = 0; suite_private_label(i); i++) {
        const char *label = suite_private_label(i);
        ol_tokens out = {0};

        assert_int_equal(ol_tokenizer_encode(tokenizer, label, strlen(label), &out), OL_OK);
        assert_int_equal(out.n, 1);
        ol_tokens_finish(&out);
        for (int c = 0; c < SUITE_CATEGORIES; c++)
            for (int w = 0; w < SUITE_WORDS; w++)
                assert_string_not_equal(label, suite_categories[c].words[w]);
    }
    ol_tokenizer_destroy(tokenizer);
}

static void the_plan_follows_from_the_seed(void **state)
{
    static suite_private again;
    int differ = 0;

    (void)state;
    suite_private_plan(1, &again);
    assert_int_equal(again.n, plan.n);
    for (int i = 0; i < plan.n; i++)
        assert_int_equal(shared_pairs(&plan.tasks[i].task, &again.tasks[i].task),
                         plan.tasks[i].task.choices);
    suite_private_plan(2, &again);
    for (int i = 0; i < plan.n; i++)
        differ += shared_pairs(&plan.tasks[i].task, &again.tasks[i].task) == 0;
    assert_true(differ > plan.n / 2);
}

static int set_up(void **state)
{
    if (world_setup(state) != 0 || ol_path_format(root, "%s/suite", world_root) != OL_OK)
        return -1;
    suite_private_plan(1, &plan);
    return ol_suite_write(root, 1) == OL_OK &&
                   ol_setting_read(root, "private_labels", &setting) == OL_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    ol_setting_finish(&setting);
    return world_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_concept_wears_every_label_equally_often),
        cmocka_unit_test(tasks_have_three_to_five_of_each),
        cmocka_unit_test(targets_are_what_they_are_called),
        cmocka_unit_test(settings_name_the_plan),
        cmocka_unit_test(rows_are_right_and_on_one_side),
        cmocka_unit_test(chance_is_about_a_quarter),
        cmocka_unit_test(labels_are_tokens_and_no_words),
        cmocka_unit_test(the_plan_follows_from_the_seed),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
