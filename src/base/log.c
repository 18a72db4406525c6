/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int own_rank = 0;
static int own_size = 1;
static FILE *file;
static bool live_shown;

void ol_log_identify(int rank, int size)
{
    own_rank = rank;
    own_size = size;
}

ol_status ol_log_open(const char *path)
{
    if (file)
        fclose(file);
    file = NULL;
    if (!path || own_rank != 0)
        return OL_OK;
    file = fopen(path, "a");
    OL_CHECK(file, OL_EIO, "%s: cannot append to the log: %s", path, strerror(errno));
    return OL_OK;
}

static void write_line(const char *prefix, const char *text)
{
    ol_log_live("");
    fprintf(stderr, "%s%s\n", prefix, text);
    if (file) {
        const time_t now = time(NULL);
        struct tm utc;
        char stamp[32];

        gmtime_r(&now, &utc);
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
        fprintf(file, "%s %s%s\n", stamp, prefix, text);
        fflush(file);
    }
}

#define FORMAT_TO(text, format)                                                                    \
    do {                                                                                           \
        va_list args_;                                                                             \
        va_start(args_, format);                                                                   \
        vsnprintf(text, sizeof text, format, args_);                                               \
        va_end(args_);                                                                             \
    } while (0)

void ol_log_info(const char *format, ...)
{
    char text[4608];

    if (own_rank != 0)
        return;
    FORMAT_TO(text, format);
    write_line("", text);
}

void ol_log_warn(const char *format, ...)
{
    char text[4608];

    if (own_rank != 0)
        return;
    FORMAT_TO(text, format);
    write_line("warning: ", text);
}

void ol_log_error(const char *format, ...)
{
    char text[4608], host[256] = "unknown host", prefix[320] = "outerloop: ";

    FORMAT_TO(text, format);
    if (own_size > 1) {
        gethostname(host, sizeof host - 1);
        snprintf(prefix, sizeof prefix, "outerloop: rank %d on %s: ", own_rank, host);
    }
    write_line(prefix, text);
}

/* mpirun gives its ranks a pipe and copies what comes out to its own standard error; when that is a
 * terminal, it is as good as ours. */
static bool parent_has_terminal(void)
{
    char link[64], target[64];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/%ld/fd/%d", (long)getppid(), STDERR_FILENO);
    n = readlink(link, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    return strncmp(target, "/dev/pts/", 9) == 0 || strncmp(target, "/dev/tty", 8) == 0;
}

bool ol_log_is_live(void)
{
    const char *term = getenv("TERM");

    if (own_rank != 0 || !term || strcmp(term, "dumb") == 0)
        return false;
    return isatty(STDERR_FILENO) || (getenv("OMPI_COMM_WORLD_RANK") && parent_has_terminal());
}

void ol_log_live(const char *line)
{
    if (!ol_log_is_live() || (!*line && !live_shown))
        return;
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
    live_shown = *line != '\0';
}
