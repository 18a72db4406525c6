/* SPDX-License-Identifier: BSD-3-Clause */
/* Work in a child: what it answers, how it fails, and that a crash or a hang stays in it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "outerloop/base/child.h"
#include "outerloop/base/clock.h"

static const ol_child_limits limits = {.seconds = 5, .memory = (size_t)64 << 20};

static ol_status doubles(void *payload, void *answer)
{
    int *numbers = payload;

    *(int *)answer = 2 * *numbers;
    *numbers = 0; /* its own copy */
    return OL_OK;
}

static void test_answer(void **state)
{
    int number = 21, answer = 0;

    (void)state;
    assert_int_equal(ol_child_run(doubles, &number, limits, "f", &answer, sizeof answer), OL_OK);
    assert_int_equal(answer, 42);
    assert_int_equal(number, 21);
}

static ol_status fails(void *payload, void *answer)
{
    (void)answer;
    return ol_fail(OL_EIO, "no %s", (const char *)payload);
}

static void test_failure(void **state)
{
    char word[] = "luck";

    (void)state;
    assert_int_equal(ol_child_run(fails, word, limits, "f", NULL, 0), OL_EIO);
    assert_string_equal(ol_status_message(), "no luck");
}

static ol_status crashes(void *payload, void *answer)
{
    (void)payload;
    (void)answer;
    raise(SIGSEGV);
    return OL_OK;
}

static void test_crash(void **state)
{
    (void)state;
    assert_int_equal(ol_child_run(crashes, NULL, limits, "some/file", NULL, 0), OL_EDATA);
    assert_non_null(strstr(ol_status_message(), "some/file: crashes its reader (signal 11"));
}

static ol_status hangs(void *payload, void *answer)
{
    (void)payload;
    (void)answer;
    while (pause() < 0)
        ;
    return OL_OK;
}

static ol_status be_asked_to_stop(void *payload, void *answer)
{
    static const int signals[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP};

    (void)payload;
    (void)answer;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        raise(signals[i]);
    return OL_OK;
}

/* mpirun sends them to the children of a rank too: no crash of what is read. */
static void test_requests_to_stop(void **state)
{
    (void)state;
    assert_int_equal(
        ol_child_run(be_asked_to_stop, NULL, (ol_child_limits){.seconds = 30}, "f.h5", NULL, 0),
        OL_OK);
}

static void test_hang(void **state)
{
    const double began = ol_clock_seconds();

    (void)state;
    assert_int_equal(
        ol_child_run(hangs, NULL, (ol_child_limits){.seconds = 0.3}, "some/file", NULL, 0),
        OL_EDATA);
    assert_non_null(strstr(ol_status_message(), "some/file: work on it does not end"));
    assert_true(ol_clock_seconds() - began < 3);
}

static ol_status spins(void *payload, void *answer)
{
    volatile unsigned turns = 1;

    (void)answer;
    if (payload)
        raise(SIGKILL);
    while (turns > 0)
        turns = turns % 1000 + 1;
    return OL_OK;
}

/* Its own limit and somebody's kill, as for lack of memory, are told apart. */
static void test_killed(void **state)
{
    const ol_child_limits brief = {.seconds = 60, .cpu = 0.1};

    assert_int_equal(ol_child_run(spins, NULL, brief, "some/file", NULL, 0), OL_EDATA);
    assert_non_null(strstr(ol_status_message(), "does not end: stopped after 1 s"));
    assert_int_equal(ol_child_run(spins, state, brief, "some/file", NULL, 0), OL_EDATA);
    assert_non_null(strstr(ol_status_message(), "was killed, most often for lack of memory"));
}

static ol_status leaves(void *payload, void *answer)
{
    (void)payload;
    (void)answer;
    _exit(3);
}

static void test_leaves(void **state)
{
    (void)state;
    assert_int_equal(ol_child_run(leaves, NULL, limits, "some/file", NULL, 0), OL_EDATA);
    assert_non_null(strstr(ol_status_message(), "exit code 3"));
}

/* Memory is taken by bytes that are written, so that no compiler leaves it out. */
static ol_status takes(void *payload, void *answer)
{
    const size_t size = *(const size_t *)payload;
    unsigned char *bytes = malloc(size);

    if (!bytes)
        return ol_fail(OL_ENOMEM, "no memory for %zu bytes", size);
    memset(bytes, 1, size);
    *(int *)answer = bytes[size / 2];
    free(bytes);
    return OL_OK;
}

static void test_memory(void **state)
{
    size_t little = (size_t)8 << 20, much = (size_t)256 << 20;
    int answer = 0;

    (void)state;
    assert_int_equal(ol_child_run(takes, &little, limits, "f", &answer, sizeof answer), OL_OK);
    assert_int_equal(answer, 1);
#ifndef __SANITIZE_ADDRESS__
    assert_int_equal(ol_child_run(takes, &much, limits, "f", &answer, sizeof answer), OL_ENOMEM);
#else
    (void)much;
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer), cmocka_unit_test(test_failure),
        cmocka_unit_test(test_crash),  cmocka_unit_test(test_requests_to_stop),
        cmocka_unit_test(test_hang),   cmocka_unit_test(test_killed),
        cmocka_unit_test(test_leaves), cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
