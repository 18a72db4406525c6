/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "outerloop/base/file.h" /* ol_open_own */
#include "outerloop/base/text.h" /* ol_text_fit, ol_text_plain */

static int own_rank = 0;
static FILE *file;
static bool live_shown;

void ol_log_identify(int rank)
{
    own_rank = rank;
}

ol_status ol_log_open(const char *path)
{
    int fd;

    if (file)
        fclose(file);
    file = NULL;
    if (!path || own_rank != 0)
        return OL_OK;
    OL_TRY(ol_open_own(path, O_WRONLY | O_APPEND | O_CREAT, &fd));
    file = fdopen(fd, "a");
    if (!file)
        close(fd);
    OL_CHECK(file, OL_ENOMEM, "%s: no memory for the log", path);
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

void ol_log_print(char *text, size_t size)
{
    ol_text_plain(text, size);
    fwrite(text, 1, size, stdout);
}

void ol_log_result(char *text, size_t size, const char *kept)
{
    putchar('\n');
    ol_log_print(text, size);
    putchar('\n');
    fflush(stdout);
    if (!file)
        return;
    fprintf(file, "\n%s\n", kept);
    fflush(file);
}

#define FORMAT_TO(text, format)                                                                    \
    do {                                                                                           \
        va_list args_;                                                                             \
        va_start(args_, format);                                                                   \
        vsnprintf(text, sizeof text, format, args_);                                               \
        va_end(args_);                                                                             \
        ol_text_plain(text, strlen(text));                                                         \
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
    char text[4608];

    FORMAT_TO(text, format);
    write_line("outerloop: ", text);
}

/* mpirun gives its ranks a pipe and copies what comes out to its own standard output and error; when
 * that is a terminal, it is as good as ours. The path of what it has there. */
static bool find_parent_terminal(int fd, char target[64])
{
    char link[64];
    ssize_t n;

    if (!getenv("OMPI_COMM_WORLD_RANK"))
        return false;
    snprintf(link, sizeof link, "/proc/%ld/fd/%d", (long)getppid(), fd);
    n = readlink(link, target, 63);
    target[n > 0 ? n : 0] = '\0';
    return strncmp(target, "/dev/pts/", 9) == 0 || strncmp(target, "/dev/tty", 8) == 0;
}

bool ol_log_is_live(void)
{
    const char *term = getenv("TERM");
    char terminal[64];

    if (own_rank != 0 || !term || strcmp(term, "dumb") == 0)
        return false;
    return isatty(STDERR_FILENO) || find_parent_terminal(STDERR_FILENO, terminal);
}

static int columns_of(int fd)
{
    struct winsize size = {0};

    return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

int ol_log_columns(int fd)
{
    const char *said = getenv("COLUMNS");
    char terminal[64];
    int columns = columns_of(fd);

    if (columns == 0 && find_parent_terminal(fd, terminal)) {
        const int other = open(terminal, O_RDONLY | O_NOCTTY | O_CLOEXEC);

        if (other >= 0) {
            columns = columns_of(other);
            close(other);
        }
    }
    return columns > 0 ? columns : said ? atoi(said) : 0;
}

/* Bytes of a line that stay on one: its parts, two blanks between them, as far as they fit whole. */
static int bytes_of_line(const char *line, int columns)
{
    const int fit = ol_text_fit(line, columns);
    int end = 0;

    if (!line[fit])
        return fit;
    for (int i = 0; i < fit; i++)
        if (line[i] == ' ' && line[i + 1] == ' ')
            end = i;
    return end > 0 ? end : fit;
}

void ol_log_live(const char *line)
{
    int columns;

    if (!ol_log_is_live() || (!*line && !live_shown))
        return;
    columns = ol_log_columns(STDERR_FILENO);
    fprintf(stderr, "\r\033[K%.*s", bytes_of_line(line, columns > 1 ? columns - 1 : 4096), line);
    fflush(stderr);
    live_shown = *line != '\0';
}
