/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "outerloop/base/clock.h"    /* ol_clock_seconds */
#include "outerloop/base/sanitize.h" /* __SANITIZE_ADDRESS__ */

enum { MESSAGE = 4096 };

#ifdef __SANITIZE_ADDRESS__
static const bool memory_is_limited = false;
#else
static const bool memory_is_limited = true;
#endif

/* What goes through the pipe, before the answer. */
struct report {
    ol_status status;
    char message[MESSAGE];
};

/* Bytes of address space that this process has. */
static size_t mapped_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file) {
        if (fscanf(file, "%lu", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void limit(unsigned resource, rlim_t most, rlim_t spare)
{
    const rlim_t hard = most + spare;
    struct rlimit now;

    if (getrlimit(resource, &now) == 0 && (now.rlim_max == RLIM_INFINITY || hard < now.rlim_max))
        setrlimit(resource, &(struct rlimit){most, hard});
}

static void apply_limits(ol_child_limits limits)
{
    const size_t mapped = mapped_bytes();

    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_CPU, (rlim_t)(limits.cpu > 0 ? limits.cpu : limits.seconds) + 1,
          1); /* at the first SIGXCPU, which nobody else sends */
    if (memory_is_limited && limits.memory > 0 && mapped > 0)
        limit(RLIMIT_AS, mapped + limits.memory, 0);
}

static void be_quiet(void)
{
    const int nowhere = open("/dev/null", O_RDWR);

    for (int fd = STDIN_FILENO; nowhere >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(nowhere, fd);
}

static bool write_all(int fd, const void *data, size_t size)
{
    const char *from = data;

    while (size > 0) {
        const ssize_t n = write(fd, from, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n;
        size -= (size_t)n;
    }
    return true;
}

/* A write that fails is no crash, and neither is a request to stop: launchers send those to a rank's
   children too, and the parent heeds them. */
static void signals_of_child(void)
{
    static const int ignored[] = {SIGXFSZ, SIGPIPE, SIGHUP,  SIGINT,
                                  SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
}

static void be_child(int pipe, ol_child_work work, void *payload, ol_child_limits limits,
                     size_t size)
{
    static struct report report;
    void *answer = calloc(1, size + 1);

    signals_of_child();
    be_quiet();
    apply_limits(limits);
    report.status = answer ? work(payload, answer) : OL_ENOMEM;
    if (report.status != OL_OK)
        snprintf(report.message, sizeof report.message, "%.4095s", ol_status_message());
    _exit(write_all(pipe, &report, sizeof report) && write_all(pipe, answer, size) ? 0 : 1);
}

/* Read all of it before the clock says `end`; false when the child ended, or time did. */
static bool read_all(int fd, double end, void *data, size_t size)
{
    char *to = data;

    while (size > 0) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        const double left = end - ol_clock_seconds();
        ssize_t n;

        if (left <= 0)
            return false;
        if (poll(&wait, 1, left < 1e6 ? (int)(left * 1e3) + 1 : -1) <= 0)
            continue; /* a signal came, or time is over */
        n = read(fd, to, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to += n;
        size -= (size_t)n;
    }
    return true;
}

/* Why a child said nothing. */
static ol_status fail_of(int how, bool late, ol_child_limits limits, const char *subject)
{
    const int number = WIFSIGNALED(how) ? WTERMSIG(how) : 0;

    if (late || number == SIGXCPU)
        return ol_fail(OL_EDATA, "%s: work on it does not end: stopped after %.0f s", subject,
                       late || limits.cpu <= 0 ? limits.seconds : limits.cpu + 1);
    if (number == SIGKILL) /* by somebody else: it is not the file that is at fault */
        return ol_fail(OL_EDATA,
                       "%s: the process at work on it was killed, most often for lack of memory",
                       subject);
    if (number > 0)
        return ol_fail(OL_EDATA, "%s: crashes its reader (signal %d, %s): damaged, or made to",
                       subject, number, strsignal(number));
    return ol_fail(OL_EDATA, "%s: its reader left with exit code %d: damaged, or made to", subject,
                   WEXITSTATUS(how));
}

static ol_status hear(int fd, pid_t child, ol_child_limits limits, const char *subject,
                      void *answer, size_t size)
{
    const double end = ol_clock_seconds() + limits.seconds;
    struct report report;
    void *answered = malloc(size + 1);
    bool heard =
        answered && read_all(fd, end, &report, sizeof report) && read_all(fd, end, answered, size);
    const bool late = !heard && ol_clock_seconds() >= end;
    ol_status status;
    int how = 0;

    if (!heard)
        kill(child, SIGKILL); /* a child that ended already takes no notice */
    while (waitpid(child, &how, 0) < 0 && errno == EINTR)
        ;
    if (!heard)
        status = fail_of(how, late, limits, subject);
    else if (report.status != OL_OK)
        status = ol_fail(report.status, "%.4095s", report.message);
    else
        status = OL_OK;
    if (status == OL_OK && answer)
        memcpy(answer, answered, size);
    free(answered);
    return status;
}

ol_status ol_child_run(ol_child_work work, void *payload, ol_child_limits limits,
                       const char *subject, void *answer, size_t size)
{
    ol_status status;
    int ends[2];
    pid_t child;

    OL_CHECK(pipe2(ends, O_CLOEXEC) == 0, OL_ENOMEM, "%s: no pipe to a process: %s", subject,
             strerror(errno));
    fflush(NULL);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        be_child(ends[1], work, payload, limits, size);
    }
    close(ends[1]);
    if (child < 0)
        status = ol_fail(OL_ENOMEM, "%s: no process for its reading: %s", subject, strerror(errno));
    else
        status = hear(ends[0], child, limits, subject, answer, size);
    close(ends[0]);
    return status;
}
