/* SPDX-License-Identifier: BSD-3-Clause */
/* A rank that multiplies slower than before, as seen by all: with rates that the test makes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "outerloop/base/log.h"
#include "outerloop/kernel/rate.h"
#include "outerloop/run/pace.h"

static ol_comm *comm;
static double rate; /* that the next look finds */

static ol_status measure(double seconds, double *gflops)
{
    assert_true(seconds > 0);
    *gflops = rate;
    return OL_OK;
}

static ol_pace start(double first)
{
    ol_pace pace;

    rate = first;
    assert_int_equal(ol_pace_start(comm, measure, &pace), OL_OK);
    return pace;
}

/* Looks with these rates on the last rank, 40 on others; true when one of them warned. */
static bool look(ol_pace *pace, int n, const double *rates)
{
    double now = pace->due;

    for (int i = 0; i < n; i++, now += OL_PACE_SECONDS) {
        rate = ol_comm_rank(comm) == ol_comm_size(comm) - 1 ? rates[i] : 40;
        assert_int_equal(ol_pace_look(comm, now, pace), OL_OK);
    }
    return pace->said;
}

static void test_slow_rank(void **state)
{
    ol_pace pace = start(40);

    (void)state;
    assert_false(look(&pace, 2, (double[]){20, 20}));
    assert_true(look(&pace, 1, (double[]){20})); /* on every rank alike */
    assert_int_equal(pace.slow, ol_comm_rank(comm) == ol_comm_size(comm) - 1 ? 3 : 0);
}

static void test_disturbances(void **state)
{
    ol_pace pace = start(40);

    (void)state;
    assert_false(look(&pace, 6, (double[]){10, 10, 39, 10, 10, 38}));
    assert_false(look(&pace, 4, (double[]){30, 26, 25, 24.5})); /* warm, no more */
}

/* A run that began while something else was at work. */
static void test_slow_start(void **state)
{
    ol_pace pace = start(20);

    (void)state;
    assert_false(look(&pace, 2, (double[]){20, 41}));
    assert_true(look(&pace, 3, (double[]){21, 21, 21}));
}

static void test_only_when_due(void **state)
{
    ol_pace pace = start(40), never = {0};

    (void)state;
    rate = 1;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ol_pace_look(comm, pace.due - 1, &pace), OL_OK);
        assert_int_equal(ol_pace_look(comm, 1e9, &never), OL_OK);
    }
    assert_int_equal(pace.slow, 0);
}

/* What a person reads, once: which rank, where, and what to do. */
static void test_words(void **state)
{
    char path[] = "/tmp/outerloop_pace_XXXXXX", said[4096] = "";
    const int fd = mkstemp(path);
    char who[OL_HOST_TEXT + 32];
    ol_pace pace;
    FILE *file;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(ol_log_open(path), OL_OK);
    pace = start(40);
    assert_true(look(&pace, 9, (double[]){15, 15, 15, 15, 15, 15, 15, 15, 15}));
    assert_int_equal(ol_log_open(NULL), OL_OK);
    file = fopen(path, "r");
    assert_non_null(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
    unlink(path);
    snprintf(who, sizeof who, "rank %d on host %s multiplies", ol_comm_size(comm) - 1,
             ol_comm_host(comm));
    if (ol_comm_rank(comm) == 0) { /* one host in tests */
        const char *warning = strstr(said, who);

        assert_non_null(warning);
        assert_non_null(strstr(warning, "at 15.0 GFLOP/s, where it had 40.0"));
        assert_non_null(strstr(warning, "--bind-to core"));
        assert_null(strstr(warning + 1, who));
    }
}

/* The product's own measure: a rate, and the stretch of time that was asked for. */
static void test_measure(void **state)
{
    double gflops = 0;

    (void)state;
    assert_int_equal(ol_gemm_pace(0.005, &gflops), OL_OK);
    assert_true(gflops > 0.01 && gflops < 1e5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_rank),  cmocka_unit_test(test_disturbances),
        cmocka_unit_test(test_slow_start), cmocka_unit_test(test_only_when_due),
        cmocka_unit_test(test_words),      cmocka_unit_test(test_measure),
    };
    int failed;

    if (ol_comm_init(&comm) != OL_OK)
        return 1;
    if (ol_comm_rank(comm) > 0 && !freopen("/dev/null", "w", stdout))
        return 1; /* rank 0 speaks for all; a failure elsewhere shows in the exit code */
    ol_log_identify(ol_comm_rank(comm));
    failed = cmocka_run_group_tests_name("pace", tests, NULL, NULL);
    ol_comm_destroy(comm);
    return failed;
}
