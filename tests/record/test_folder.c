/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose a run folder is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "outerloop/base/file.h"
#include "outerloop/record/folder.h"

static char scratch[64];
static ol_run_folder folder;

static int set_up(void **state)
{
    char command[192];

    (void)state;
    snprintf(scratch, sizeof scratch, "test-folder-%ld", (long)getpid());
    snprintf(command, sizeof command, "rm -rf %s && mkdir %s", scratch, scratch);
    return system(command) != 0 || ol_run_folder_name(scratch, &folder) != OL_OK;
}

static int tear_down(void **state)
{
    char command[192];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", scratch);
    return system(command);
}

static ol_job *read_job(const char *text)
{
    ol_job *job = NULL;

    if (ol_job_read_text("a.cfg", text, strlen(text), &job) != OL_OK)
        fail_msg("%s", ol_status_message());
    return job;
}

static ol_run_claim claim(const char *text, bool resume)
{
    ol_job *job = read_job(text);

    if (ol_run_folder_claim(&folder, job, resume) != OL_OK)
        fail_msg("%s", ol_status_message());
    ol_job_destroy(job);
    return folder.claim;
}

static void refused(const char *text, bool resume, const char *said)
{
    ol_job *job = read_job(text);

    assert_int_equal(ol_run_folder_claim(&folder, job, resume), OL_EUSAGE);
    assert_false(folder.claim.continues);
    if (!strstr(ol_status_message(), said))
        fail_msg("no \"%s\" in: %s", said, ol_status_message());
    ol_job_destroy(job);
}

static void write_job(const char *text)
{
    ol_job *job = read_job(text);

    assert_int_equal(ol_job_write(job, folder.job), OL_OK);
    ol_job_destroy(job);
}

static void a_new_folder_is_free(void **state)
{
    (void)state;
    assert_false(claim("", false).continues);
    assert_false(claim("", true).continues);
    assert_int_equal(ol_write_file(folder.log, "x", 1), OL_OK); /* a log is nobody's */
    assert_false(claim("", false).continues);
}

static void a_folder_belongs_to_its_job(void **state)
{
    (void)state;
    write_job("seed = 3;");
    refused("seed = 3;", false, "--resume");
    assert_true(claim("seed = 3;", true).continues);
    assert_true(claim("seed = 3; train = { steps = 7; };", true).continues);
    refused("seed = 4;", true, "seed");
    refused("seed = 3; model = { width = 64; };", true, "model.width");
    refused("seed = 3; learner = { inner = { lr = 0.3; }; };", true, "learner.inner.lr");
}

static void scores_count_while_the_same_is_asked(void **state)
{
    static const char *const others[] = {
        "eval = { seeds = [13]; };",     "eval = { adapt_steps = [1]; };",
        "eval = { adapt_lr = 0.125; };", "eval = { rows = 5; };",
        "eval = { shots = 2; };",        "stages = [\"train\", \"eval\"];",
        "eval = { adapt_rows = 3; };",
    };

    (void)state;
    write_job("");
    assert_true(claim("", true).same_evaluation);
    assert_true(claim("train = { keep_last = 9; };", true).same_evaluation);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (claim(others[i], true).same_evaluation)
            fail_msg("%s is taken for the same", others[i]);
}

static void results_without_a_job_are_refused(void **state)
{
    (void)state;
    assert_int_equal(ol_write_file(folder.metrics, "x", 1), OL_OK);
    refused("", true, "job.cfg");
    refused("", false, "job.cfg");
    assert_int_equal(ol_write_file(folder.job, "seed = ", 7), OL_OK); /* torn */
    refused("", true, "job.cfg");
}

static void a_folder_must_be_one_that_can_be_written(void **state)
{
    char path[PATH_MAX];
    ol_run_folder bad;

    (void)state;
    assert_int_equal(ol_path_format(path, "%s/file", scratch), OL_OK);
    assert_int_equal(ol_write_file(path, "x", 1), OL_OK);
    assert_int_equal(ol_run_folder_name(path, &bad), OL_OK);
    assert_int_equal(ol_run_folder_make(&bad), OL_EIO);
    assert_non_null(strstr(ol_status_message(), "file"));
    assert_int_equal(ol_run_folder_make(&folder), OL_OK);
}

static void what_killed_writers_left_is_swept(void **state)
{
    static const char *const names[] = {"job.cfg.tmp-77",
                                        "metrics.h5.rebuild-4",
                                        ".write-test-5",
                                        "suite.tmp-6/data/a.jsonl",
                                        "checkpoints/step-000005.h5.tmp-20260131T120000Z-n-1",
                                        "checkpoints/step-000005.h5",
                                        "my.tmp-notes"};
    char path[PATH_MAX];

    (void)state;
    for (int i = 0; i < 7; i++) {
        assert_int_equal(ol_path_format(path, "%s/%s", scratch, names[i]), OL_OK);
        *strrchr(path, '/') = '\0';
        assert_int_equal(ol_make_folders(path), OL_OK);
        path[strlen(path)] = '/';
        assert_int_equal(ol_write_file(path, "x", 1), OL_OK);
    }
    assert_int_equal(ol_run_folder_make(&folder), OL_OK);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(ol_path_format(path, "%s/%s", scratch, names[i]), OL_OK);
        assert_int_equal(ol_path_exists(path), i > 4);
    }
    assert_int_equal(ol_path_format(path, "%s/suite.tmp-6", scratch), OL_OK);
    assert_false(ol_path_exists(path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_folder_is_free, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_belongs_to_its_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scores_count_while_the_same_is_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(results_without_a_job_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_must_be_one_that_can_be_written, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_killed_writers_left_is_swept, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
