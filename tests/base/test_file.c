/* SPDX-License-Identifier: BSD-3-Clause */
/* Files: written whole or not at all, and messages that name the path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "outerloop/base/file.h"

static char folder[PATH_MAX / 2];

static int make_folder(void **state)
{
    (void)state;
    const char *place = getenv("TMPDIR");

    snprintf(folder, sizeof folder, "%s/ol-file-XXXXXX", place ? place : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[PATH_MAX];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static const char *in(const char *name)
{
    static char path[4][PATH_MAX];
    static int next;
    char *at = path[next = (next + 1) % 4];

    snprintf(at, PATH_MAX, "%s/%s", folder, name);
    return at;
}

static void holds(const char *path, const char *text, size_t n)
{
    char *read = NULL;
    size_t size = 0;

    assert_int_equal(ol_read_file(path, &read, &size), OL_OK);
    assert_int_equal(size, n);
    assert_memory_equal(read, text, n + 1); /* with the NUL that size does not count */
    free(read);
}

static void test_write_and_read(void **state)
{
    const size_t large = (1 << 17) + 5;
    char *text = malloc(large + 1);

    (void)state;
    assert_non_null(text);
    memset(text, 'a', large);
    text[large] = '\0';
    assert_int_equal(ol_write_file(in("a"), "old", 3), OL_OK);
    holds(in("a"), "old", 3);
    assert_int_equal(ol_write_file(in("a"), text, large), OL_OK);
    holds(in("a"), text, large);
    assert_int_equal(ol_write_file(in("a"), "", 0), OL_OK);
    holds(in("a"), "", 0);
    /* sizes at which reading grows its buffer */
    for (size_t n = (1 << 16) - 1; n <= (1 << 16) + 1; n++) {
        assert_int_equal(ol_write_file(in("b"), text + large - n, n), OL_OK);
        holds(in("b"), text + large - n, n);
    }
    free(text);
}

static void said(const char *path)
{
    if (!strstr(ol_status_message(), path))
        fail_msg("no \"%s\" in: %s", path, ol_status_message());
}

static void test_refusals(void **state)
{
    char *text = NULL;
    size_t size;

    (void)state;
    assert_int_equal(ol_read_file(in("none"), &text, &size), OL_EDATA);
    said("none");
    assert_int_equal(ol_read_file(folder, &text, &size), OL_EDATA);
    said(folder);
    assert_int_equal(ol_write_file(in("none/file"), "x", 1), OL_EIO);
    said("none/file");
    assert_int_equal(ol_commit_file(in("none"), in("other")), OL_EIO);
    said("none");
    /* A folder cannot be replaced by a file: it stays, and nothing is left aside. */
    assert_int_equal(ol_make_folders(in("target/inner")), OL_OK);
    assert_int_equal(ol_write_file(in("target"), "x", 1), OL_EIO);
    assert_true(ol_path_is_folder(in("target/inner")));
    char aside[PATH_MAX];

    snprintf(aside, sizeof aside, "%s/target.tmp-%ld", folder, (long)getpid());
    assert_false(ol_path_exists(aside));
}

static void test_commit(void **state)
{
    (void)state;
    assert_int_equal(ol_write_file(in("from"), "new", 3), OL_OK);
    assert_int_equal(ol_write_file(in("to"), "old", 3), OL_OK);
    assert_int_equal(ol_commit_file(in("from"), in("to")), OL_OK);
    holds(in("to"), "new", 3);
    assert_false(ol_path_exists(in("from")));
}

/* It says that it is regular and empty, and never ends. */
static void test_a_file_without_an_end(void **state)
{
    char *text = NULL;
    size_t size;

    (void)state;
    if (!ol_path_exists("/proc/self/pagemap"))
        skip();
    assert_int_equal(ol_read_file("/proc/self/pagemap", &text, &size), OL_EDATA);
    said("pagemap");
}

static void test_folders(void **state)
{
    char path[PATH_MAX], endless[PATH_MAX + 10];

    (void)state;
    assert_int_equal(ol_make_folders(in("x/y//z/")), OL_OK);
    assert_true(ol_path_is_folder(in("x/y/z")));
    assert_int_equal(ol_make_folders(in("x/y")), OL_OK);
    assert_int_equal(ol_write_file(in("plain"), "", 0), OL_OK);
    assert_false(ol_path_is_folder(in("plain")));
    assert_true(ol_path_exists(in("plain")));
    assert_int_equal(ol_make_folders(in("plain/under")), OL_EIO);
    said("plain");
    if (ol_path_is_folder("/sys")) { /* nobody may: that is the reason, not that it is missing */
        assert_int_equal(ol_make_folders("/sys/outerloop"), OL_EIO);
        assert_null(strstr(ol_status_message(), "No such file"));
    }
    memset(endless, 'a', sizeof endless);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(ol_path_format(path, "%s", endless), OL_EUSAGE);
    assert_int_equal(ol_path_format(path, "%s/%d", "a", 7), OL_OK);
    assert_string_equal(path, "a/7");
}

/* A rename takes the place of whatever has the name: for root, of a device too. */
static void test_what_is_no_file_is_not_replaced(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(mkfifo(in("pipe"), 0666), 0);
    assert_int_equal(ol_make_folders(in("taken")), OL_OK);
    assert_int_equal(ol_write_file(in("pipe"), "x", 1), OL_EIO);
    said("pipe");
    assert_int_equal(ol_write_file(in("taken"), "x", 1), OL_EIO);
    said("folder");
    assert_int_equal(ol_write_file(in("good"), "x", 1), OL_OK);
    assert_int_equal(symlink("pipe", in("link")), 0);
    assert_int_equal(ol_commit_file(in("good"), in("link")), OL_EIO);
    holds(in("good"), "x", 1);
    assert_int_equal(stat(in("pipe"), &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_commit),
        cmocka_unit_test(test_a_file_without_an_end),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_what_is_no_file_is_not_replaced),
    };

    return cmocka_run_group_tests_name("files", tests, make_folder, remove_folder);
}
