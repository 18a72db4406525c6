/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "outerloop/base/clock.h" /* ol_clock_seconds */
#include "outerloop/base/file.h"  /* ol_path_format, ol_path_exists */
#include "outerloop/base/log.h"   /* ol_log_info */

enum { SIGNALS = 4 };

static const int signals[SIGNALS] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
static const double repeat_seconds = 2.0; /* within these another signal is the same request */
static const double look_seconds = 0.25;  /* between two looks for a STOP file */

static volatile sig_atomic_t received;    /* the first signal, 0 when there was none */
static volatile sig_atomic_t received_at; /* in seconds of the monotonic clock */
static const char *folders[OL_STOP_LEVELS];
static char stop_file[PATH_MAX]; /* the one found, "" when none was */
static double looked_at = -1e9;
static bool announced;
static ol_comm *others; /* who is told, and tells; NULL: nobody */

/* Only async-signal-safe calls: the flag, the clock, and on a second request the default effect. */
static void on_signal(int number)
{
    const int saved = errno;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (received && (double)(now.tv_sec - received_at) > repeat_seconds) {
        signal(number, SIG_DFL);
        raise(number);
    }
    if (!received) {
        received_at = (sig_atomic_t)now.tv_sec;
        received = number;
    }
    errno = saved;
}

void ol_stop_install(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &action, NULL);
}

void ol_stop_watch(ol_stop_level level, const char *folder)
{
    for (int i = level; i < OL_STOP_LEVELS; i++)
        folders[i] = NULL;
    folders[level] = folder;
    looked_at = -1e9;
}

static void look_for_file(void)
{
    const double now = ol_clock_seconds();

    if (stop_file[0] || now - looked_at < look_seconds)
        return;
    looked_at = now;
    for (int i = 0; i < OL_STOP_LEVELS; i++) {
        if (!folders[i] || ol_path_format(stop_file, "%s/STOP", folders[i]) != OL_OK)
            continue;
        if (ol_path_exists(stop_file))
            return;
        stop_file[0] = '\0';
    }
}

/* This process itself. */
static bool asked(void)
{
    look_for_file();
    return received != 0 || stop_file[0] != '\0';
}

bool ol_stop_wanted(void)
{
    if (!others)
        return asked();
    if (asked())
        ol_comm_tell_stop(others);
    return ol_comm_attend(others);
}

void ol_stop_join(ol_comm *comm)
{
    others = comm;
}

static void announce(void)
{
    if (announced)
        return;
    announced = true;
    if (stop_file[0]) {
        ol_log_info("found %s: stopping here and saving (the file is removed)", stop_file);
        if (remove(stop_file) != 0)
            ol_log_warn("%s: cannot remove: %s; remove it, or the next start stops there as well",
                        stop_file, strerror(errno));
    } else if (received == SIGINT) {
        ol_log_info("interrupted: stopping here and saving; interrupt again to leave at once");
    } else if (received) {
        ol_log_info("signal %d (%s): stopping here and saving", (int)received, strsignal(received));
    } else {
        ol_log_info("another rank was asked to stop: stopping here and saving");
    }
}

ol_status ol_stop_agree(ol_comm *comm, bool *stop)
{
    OL_TRY(ol_comm_any(comm, asked(), stop));
    if (*stop)
        announce();
    return OL_OK;
}

ol_status ol_stop_here(const char *format, ...)
{
    char where[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(where, sizeof where, format, arguments);
    va_end(arguments);
    return ol_fail(OL_ESTOPPED,
                   "%s, everything is saved; go on with --resume (exit code 85 is no failure)",
                   where);
}
