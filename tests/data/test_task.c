/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows, task descriptions, settings and file names: what is read, and what is refused. */
#include "world.h"

#include "outerloop/data/task.h"

#define ROW "{\"task\": \"t\", \"input\": \"a\", \"output\": \"b\", \"options\": [\"b\", \"c\"]}\n"

static void good_rows(void **state)
{
    static const char text[] =
        ROW "{\"task\": \"t\", \"input\": \"\", \"output\": \"caf\xC3\xA9\", \"options\": []}\r\n"
            "{\"task\": \"t\", \"input\": \"x\\ny\", \"output\": \"\", \"options\": [\"\"]}";
    char path[PATH_MAX];
    ol_rows rows;

    (void)state;
    world_write("rows.jsonl", text, sizeof text - 1);
    assert_int_equal(ol_path_format(path, "%s/rows.jsonl", world_root), OL_OK);
    assert_int_equal(ol_rows_read(path, NULL, 0, &rows), OL_OK);
    assert_int_equal(rows.n, 3);
    assert_string_equal(rows.rows[0].options[1], "c");
    assert_true(ol_row_is_labelled(&rows.rows[0]));
    assert_string_equal(rows.rows[1].output, "caf\xC3\xA9");
    assert_int_equal(rows.rows[1].line, 2);
    assert_int_equal(rows.rows[1].n_options, 0);
    assert_false(ol_row_is_labelled(&rows.rows[1]));
    assert_string_equal(rows.rows[2].input, "x\ny");
    assert_false(ol_row_is_labelled(&rows.rows[2]));
    ol_rows_finish(&rows);
    assert_int_equal(ol_rows_read(path, NULL, 2, &rows), OL_OK);
    assert_int_equal(rows.n, 2);
    ol_rows_finish(&rows);
    ol_rows_finish(&rows);
    ol_rows_finish(NULL);
}

static void bad_rows(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "rows.jsonl:1: the file is empty"},
        {ROW "\n" ROW, "rows.jsonl:2: the line is empty"},
        {ROW ROW "  \n", "rows.jsonl:3: the line is empty"},
        {ROW "{\"task\": \"t\",\n", "rows.jsonl:2: not JSON"},
        {"\xEF\xBB\xBF" ROW, "rows.jsonl:1: the file begins with a byte order mark"},
        {ROW "nonsense\n", "rows.jsonl:2: not JSON"},
        {ROW "[1, 2]\n", "rows.jsonl:2: a row must be a JSON object"},
        {ROW "{\"task\": \"t\", \"output\": \"b\", \"options\": []}\n",
         "rows.jsonl:2: the row has no \"input\""},
        {"{\"task\": \"t\", \"input\": \"a\", \"options\": []}\n",
         "rows.jsonl:1: the row has no \"output\""},
        {"{\"task\": \"t\", \"input\": \"a\", \"output\": \"b\"}\n",
         "rows.jsonl:1: the row has no \"options\""},
        {"{\"input\": \"a\", \"output\": \"b\", \"options\": []}\n", "the row has no \"task\""},
        {"{\"task\": 1, \"input\": \"a\", \"output\": \"b\", \"options\": []}\n",
         "\"task\" must be a string"},
        {"{\"task\": \"t\", \"input\": 7, \"output\": \"b\", \"options\": []}\n",
         "rows.jsonl:1: \"input\" must be a string"},
        {"{\"task\": \"t\", \"input\": \"a\", \"output\": \"b\", \"options\": \"b\"}\n",
         "\"options\" must be a list"},
        {"{\"task\": \"t\", \"input\": \"a\", \"output\": \"b\", \"options\": [\"b\", 3]}\n",
         "number 2 is none"},
        {ROW "{\"task\": \"t\", \"input\": \"a\", \"output\": \"d\", \"options\": [\"b\"]}\n",
         "rows.jsonl:2: the output \"d\" is not one of the 1 options"},
        {ROW "{\"task\": \"t\", \"input\": \"\xE9t\", \"output\": \"b\", \"options\": []}\n",
         "rows.jsonl:2: byte 25 of the line (0xE9) is not UTF-8"},
    };
    char path[PATH_MAX];
    ol_rows rows;

    (void)state;
    assert_int_equal(ol_path_format(path, "%s/rows.jsonl", world_root), OL_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world_write("rows.jsonl", cases[i].text, strlen(cases[i].text));
        assert_int_equal(ol_rows_read(path, NULL, 0, &rows), OL_EDATA);
        assert_int_equal(rows.n, 0);
        world_said(cases[i].words);
    }
    world_write("rows.jsonl", ROW ROW, 2 * strlen(ROW));
    assert_int_equal(ol_rows_read(path, "u", 0, &rows), OL_EDATA);
    world_said("rows.jsonl:1: the row is of task \"t\", but the file is of task \"u\"");
    assert_int_equal(ol_rows_read(path, "t", 0, &rows), OL_OK);
    ol_rows_finish(&rows);
    assert_int_equal(ol_rows_read("/nonexistent.jsonl", NULL, 0, &rows), OL_EDATA);
    world_said("/nonexistent.jsonl");
}

static void task_configs(void **state)
{
    static const char full[] = "{\"task_type\": \"multi-choice\", \"options\": [\"x\", \"y\"]}";
    static const char null_options[] = "{\"task_type\": \"classification\", \"options\": null}";
    static const char mistyped[] = "{\"task_type\": \"clasification\"}";
    ol_task_config config;

    (void)state;
    world_write("config/tasks/t.json", full, sizeof full - 1);
    assert_int_equal(ol_task_config_read(world_root, "t", &config), OL_OK);
    assert_false(config.is_classification);
    assert_int_equal(config.n_options, 2);
    assert_string_equal(config.options[1], "y");
    ol_task_config_finish(&config);
    world_write("config/tasks/t.json", null_options, sizeof null_options - 1);
    assert_int_equal(ol_task_config_read(world_root, "t", &config), OL_OK);
    assert_true(config.is_classification);
    assert_int_equal(config.n_options, 0);
    ol_task_config_finish(&config);
    world_write("config/tasks/t.json", "{}", 2);
    assert_int_equal(ol_task_config_read(world_root, "t", &config), OL_EDATA);
    world_said("config/tasks/t.json: has no \"task_type\"");
    world_write("config/tasks/t.json", mistyped, sizeof mistyped - 1);
    assert_int_equal(ol_task_config_read(world_root, "t", &config), OL_EDATA);
    world_said("config/tasks/t.json: \"task_type\" is \"clasification\" (did you mean "
               "\"classification\"?)");
    world_write("config/tasks/t.json", "{\n,", 3);
    assert_int_equal(ol_task_config_read(world_root, "t", &config), OL_EDATA);
    world_said("config/tasks/t.json:2: not JSON");
    assert_int_equal(ol_task_config_read(world_root, "nobody", &config), OL_EDATA);
    world_said("config/tasks/nobody.json: is missing");
}

static void write_setting(const char *text)
{
    world_write("config/some_to_other.json", text, strlen(text));
}

static ol_status hold_out(int n, uint64_t seed, ol_setting *setting)
{
    assert_int_equal(ol_setting_read(world_root, "some_to_other", setting), OL_OK);
    return ol_setting_hold_out(world_root, (ol_holdout){n, seed}, setting);
}

/* The held-out tasks are of `train` and leave it, are the same for a seed, and can be scored. */
static void holdout(void **state)
{
    static const char *const tasks[] = {"t0", "t1", "t2", "t3", "free"};
    ol_setting one, two;
    bool differ = false;

    (void)state;
    for (int i = 0; i < 5; i++) {
        const char *config =
            i < 4 ? "{\"task_type\": \"multi-choice\"}" : "{\"task_type\": \"free-form\"}";
        char path[64];

        snprintf(path, sizeof path, "config/tasks/%s.json", tasks[i]);
        world_write(path, config, strlen(config));
    }
    write_setting("{\"train\": [\"t0\", \"free\", \"t1\", \"t2\", \"t3\"], \"test\": [\"ghost\"], "
                  "\"unseen_domain_test\": [\"ghost\"], \"groups\": {\"g\": [\"ghost\"]}}");
    for (uint64_t seed = 0; seed < 8; seed++) {
        assert_int_equal(hold_out(2, seed, &one), OL_OK);
        assert_int_equal(hold_out(2, seed + (seed & 1), &two), OL_OK);
        assert_int_equal(one.train.n, 3);
        assert_int_equal(one.test.n, 2);
        assert_int_equal(one.unseen_domain_test.n + one.n_groups, 0);
        assert_true(one.held_out);
        for (int i = 0; i < 5; i++)
            assert_int_equal(
                ol_names_have(&one.train, tasks[i]) + ol_names_have(&one.test, tasks[i]), 1);
        assert_false(ol_names_have(&one.test, "free"));
        for (int i = 0; i < 2; i++) {
            const bool same = strcmp(one.test.names[i], two.test.names[i]) == 0;

            assert_true(same || seed & 1);
            differ = differ || !same;
        }
        ol_setting_finish(&one);
        ol_setting_finish(&two);
    }
    assert_true(differ);
    assert_int_equal(hold_out(0, 1, &one), OL_OK);
    assert_int_equal(one.train.n, 5);
    assert_false(one.held_out);
    ol_setting_finish(&one);
    assert_int_equal(hold_out(5, 1, &one), OL_EUSAGE);
    world_said("only 4 can be scored");
    ol_setting_finish(&one);
    write_setting("{\"train\": [\"t0\", \"t1\"], \"test\": []}");
    assert_int_equal(hold_out(2, 1, &one), OL_EUSAGE);
    world_said("which is all of");
    ol_setting_finish(&one);
}

static void settings(void **state)
{
    ol_setting setting;

    (void)state;
    write_setting("{\"train\": [\"a\", \"b\"], \"test\": [\"c\"]}");
    assert_int_equal(ol_setting_read(world_root, "some_to_other", &setting), OL_OK);
    assert_int_equal(setting.train.n, 2);
    assert_true(ol_names_have(&setting.test, "c"));
    assert_false(ol_names_have(&setting.test, "a"));
    assert_int_equal(setting.unseen_domain_test.n, 0);
    ol_setting_finish(&setting);
    assert_int_equal(ol_setting_read(world_root, "some_to_othr", &setting), OL_EDATA);
    world_said("has no setting \"some_to_othr\" (did you mean \"some_to_other\"?)");
    assert_int_equal(ol_setting_read("/nonexistent", "x", &setting), OL_EDATA);
    write_setting("{\"train\": [\"a\", \"b\", \"a\"], \"test\": []}");
    assert_int_equal(ol_setting_read(world_root, "some_to_other", &setting), OL_EDATA);
    world_said("names a twice");
    write_setting("{\"train\": [\"a\"]}");
    assert_int_equal(ol_setting_read(world_root, "some_to_other", &setting), OL_EDATA);
    world_said("has no list \"test\"");
    write_setting("{\"train\": [\"a\"], \"test\": [\"c\"], \"unseen_domain_test\": [\"d\"]}");
    assert_int_equal(ol_setting_read(world_root, "some_to_other", &setting), OL_EDATA);
    world_said("names d, which \"test\" does not");
    write_setting("{\"train\": [\"a\"], \"test\": [\"c\", \"d\", \"e\"], "
                  "\"groups\": {\"new\": [\"d\"], \"far\": [\"c\"]}}");
    assert_int_equal(ol_setting_read(world_root, "some_to_other", &setting), OL_OK);
    assert_int_equal(setting.n_groups, 2);
    assert_string_equal(setting.groups[0].name, "new");
    assert_string_equal(ol_setting_group(&setting, "c"), "far");
    assert_string_equal(ol_setting_group(&setting, "e"), "");
    ol_setting_finish(&setting);
    write_setting("{\"train\": [\"a\"], \"test\": [\"c\"], \"groups\": {\"new\": [\"d\"]}}");
    assert_int_equal(ol_setting_read(world_root, "some_to_other", &setting), OL_EDATA);
    world_said("group \"new\" names d, which \"test\" does not");
    write_setting("{\"train\": [\"a\"], \"test\": [\"c\"], \"groups\": [\"d\"]}");
    assert_int_equal(ol_setting_read(world_root, "some_to_other", &setting), OL_EDATA);
    world_said("\"groups\" must name lists of tasks");
    write_setting("{\"train\": [1], \"test\": [\"c\"]}");
    assert_int_equal(ol_setting_read(world_root, "some_to_other", &setting), OL_EDATA);
    world_said("number 1 is none");
}

static void check_ends(const char *path, const char *end)
{
    assert_true(strlen(path) > strlen(end));
    assert_string_equal(path + strlen(path) - strlen(end), end);
}

static void train_files(void **state)
{
    char path[PATH_MAX];
    int k;

    (void)state;
    world_rows("twin", 16, 100, "train", 3);
    world_rows("twin", 16384, 100, "train", 3);
    world_rows("twin", 32768, 13, "train", 3);
    world_rows("twin", 99999, 100, "dev", 3);
    assert_int_equal(ol_task_train_path(world_root, "twin", NULL, path, &k), OL_OK);
    check_ends(path, "/data/twin/twin_16384_100_train.jsonl");
    assert_int_equal(k, 16384);
    assert_int_equal(ol_task_train_path(world_root, "gone", "cfg/some.json", path, &k), OL_EDATA);
    world_said("cfg/some.json: names task gone, but there is no file ");
    world_said("/data/gone/gone_16384_100_train.jsonl");
}

static void target_files(void **state)
{
    char train[PATH_MAX], test[PATH_MAX];

    (void)state;
    world_rows("aim", 4, 13, "train", 4);
    world_rows("aim", 16, 13, "train", 16);
    world_rows("aim", 16, 42, "train", 5);
    world_rows("aim", 16, 13, "test", 5);
    world_rows("bare", 16, 13, "test", 5);
    assert_int_equal(ol_task_target_paths(world_root, "aim", NULL, 4, 13, train, test), OL_OK);
    check_ends(train, "/aim_4_13_train.jsonl"); /* a file of its own */
    check_ends(test, "/aim_16_13_test.jsonl");
    assert_int_equal(ol_task_target_paths(world_root, "aim", NULL, 5, 13, train, test), OL_OK);
    check_ends(train, "/aim_16_13_train.jsonl"); /* the smallest larger one */
    assert_int_equal(ol_task_target_paths(world_root, "aim", NULL, 17, 13, train, test), OL_EDATA);
    world_said("17 shots are asked for");
    world_said("at most 16 can be had: lower eval.shots");
    assert_int_equal(ol_task_target_paths(world_root, "aim", "s.json", 4, 21, train, test),
                     OL_EDATA);
    world_said("s.json: names task aim, but there is no file ");
    world_said("aim_16_21_train.jsonl");
    world_said("of this task there are the seeds 13, 42 ");
    assert_int_equal(ol_task_target_paths(world_root, "bare", NULL, 0, 13, train, test), OL_OK);
    assert_string_equal(train, "");
    check_ends(test, "/bare_16_13_test.jsonl");
    assert_int_equal(ol_task_target_paths(world_root, "twin", NULL, 2, 100, NULL, test), OL_EDATA);
    world_said("_100_test.jsonl");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_rows),    cmocka_unit_test(bad_rows),
        cmocka_unit_test(settings),     cmocka_unit_test(holdout),
        cmocka_unit_test(task_configs), cmocka_unit_test(train_files),
        cmocka_unit_test(target_files),
    };

    return cmocka_run_group_tests_name("task", tests, world_setup, world_teardown);
}
