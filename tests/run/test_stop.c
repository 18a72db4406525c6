/* SPDX-License-Identifier: BSD-3-Clause */
/* Being asked to stop. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "outerloop/base/file.h"
#include "outerloop/run/stop.h"

/* In a process that catches signals: two of them, with a pause between. How it ended. */
static int status_of_child(int first, unsigned pause, int second)
{
    const pid_t child = fork();
    int status;

    if (child == 0) {
        ol_stop_install();
        raise(first);
        sleep(pause);
        raise(second);
        _exit(ol_stop_wanted() ? 7 : 8);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void signals_only_raise_a_flag(void **state)
{
    static const int numbers[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};

    (void)state;
    assert_false(ol_stop_wanted());
    for (int i = 0; i < 16; i++) { /* at once: the same request, delivered twice */
        const int status = status_of_child(numbers[i / 4], 0, numbers[i % 4]);

        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
}

static void a_second_signal_takes_its_default_effect(void **state)
{
    const int status = status_of_child(SIGUSR2, 4, SIGTERM);

    (void)state;
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void a_stop_file_is_seen(void **state)
{
    char scratch[] = "test-stop-XXXXXX", path[PATH_MAX];

    (void)state;
    assert_non_null(mkdtemp(scratch));
    ol_stop_watch(OL_STOP_JOB, "no-such-folder");
    ol_stop_watch(OL_STOP_ARM, scratch);
    assert_false(ol_stop_wanted());
    assert_int_equal(ol_path_format(path, "%s/STOP", scratch), OL_OK);
    assert_int_equal(ol_write_file(path, "", 0), OL_OK);
    usleep(300000); /* it looks four times a second */
    assert_true(ol_stop_wanted());
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(scratch), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_only_raise_a_flag),
        cmocka_unit_test(a_second_signal_takes_its_default_effect),
        cmocka_unit_test(a_stop_file_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
