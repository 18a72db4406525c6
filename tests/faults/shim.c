/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults at chosen file calls: preloaded before the C library, it counts the calls by which a process
 * changes files below a folder, and lets one of them (or a stretch of them) go wrong.
 *
 *     FAULT_IN     a folder's name: files below one of that name are watched
 *     FAULT_RANK   the MPI rank that is meant; without MPI every process is
 *     FAULT        MODE:FIRST:LENGTH, calls counted from 1; LENGTH 0: for ever
 *                    kill    SIGKILL before the call
 *                    torn    SIGKILL after half of what the call writes; kill at other calls
 *                    ENOSPC, EIO, EROFS    the call fails with that (EROFS and EIO: every call,
 *                    ENOSPC: those that want room: writes and new files)
 *                    count   nothing goes wrong
 *     FAULT_COUNT  a file that gets the number of calls when the process ends
 *
 * Forked children count on with their parent. Streams are rebuilt on counted writes (fopencookie), since
 * the C library's own do not pass through here.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* What a call wants of the disk. */
enum { ROOM = 1, ANY = 2 };

static struct {
    const char *in;
    char mode[16];
    int error; /* 0: a kill or nothing */
    long first, length;
    atomic_long *calls; /* shared with children; NULL: this process is not meant */
    pid_t owner;
} plan;

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int error_of(const char *mode)
{
    return strcmp(mode, "ENOSPC") == 0  ? ENOSPC
           : strcmp(mode, "EIO") == 0   ? EIO
           : strcmp(mode, "EROFS") == 0 ? EROFS
                                        : 0;
}

__attribute__((constructor)) static void begin(void)
{
    const char *fault = getenv("FAULT"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    const char *wanted = getenv("FAULT_RANK");

    plan.in = getenv("FAULT_IN");
    if (!plan.in || !fault || (rank && wanted && strcmp(rank, wanted) != 0))
        return;
    if (sscanf(fault, "%15[^:]:%ld:%ld", plan.mode, &plan.first, &plan.length) != 3) {
        fprintf(stderr, "shim: FAULT=%s is not MODE:FIRST:LENGTH\n", fault);
        _exit(99);
    }
    plan.error = error_of(plan.mode);
    plan.owner = getpid();
    void *shared =
        mmap(NULL, sizeof *plan.calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    plan.calls = shared == MAP_FAILED ? NULL : shared;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("FAULT_COUNT");
    char text[32];
    int fd;

    if (!plan.calls || !path || getpid() != plan.owner || atomic_load(plan.calls) == 0)
        return; /* MPI's own helpers are processes too, and change none of these files */
    fd = NEXT(open)(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    snprintf(text, sizeof text, "%ld\n", atomic_load(plan.calls));
    if (fd < 0 || NEXT(write)(fd, text, strlen(text)) < 0)
        _exit(98);
    close(fd);
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    pause();
}

/* Is there a component of that name in the path? */
static bool watches(const char *path)
{
    const size_t n = plan.calls ? strlen(plan.in) : 0;

    for (const char *at = path; n > 0 && at && (at = strstr(at, plan.in)); at++)
        if ((at == path || at[-1] == '/') && (at[n] == '/' || at[n] == '\0'))
            return true;
    return false;
}

static bool watches_fd(int fd)
{
    char link[40], path[4096];
    ssize_t n;

    if (!plan.calls)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return watches(path);
}

/* Count a call; true when it is to fail (errno set). @param torn  set when half of it is to be done
 * before the end of the process; NULL where there are no halves */
static bool goes_wrong(int wants, bool *torn)
{
    const long n = 1 + atomic_fetch_add(plan.calls, 1);

    if (n < plan.first || (plan.length > 0 && n >= plan.first + plan.length))
        return false;
    if (strcmp(plan.mode, "torn") == 0 && torn) {
        *torn = true;
        return false;
    }
    if (strcmp(plan.mode, "torn") == 0 || strcmp(plan.mode, "kill") == 0)
        die();
    if (!plan.error || (plan.error == ENOSPC && wants != ROOM))
        return false;
    errno = plan.error;
    return true;
}

/* --- writes -------------------------------------------------------------------------------- */

ssize_t write(int fd, const void *data, size_t size)
{
    bool torn = false;

    if (watches_fd(fd)) {
        if (goes_wrong(ROOM, &torn))
            return -1;
        if (torn) {
            if (NEXT(write)(fd, data, size / 2) >= 0)
                die();
        }
    }
    return NEXT(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    bool torn = false;

    if (watches_fd(fd)) {
        if (goes_wrong(ROOM, &torn))
            return -1;
        if (torn) {
            if (NEXT(pwrite)(fd, data, size / 2, at) >= 0)
                die();
        }
    }
    return NEXT(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    return pwrite(fd, data, size, (off_t)at);
}

#define FAILS_FD(wants, fd) (watches_fd(fd) && goes_wrong(wants, NULL))
#define FAILS(wants, path) (watches(path) && goes_wrong(wants, NULL))

int fsync(int fd)
{
    return FAILS_FD(ROOM, fd) ? -1 : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    return FAILS_FD(ROOM, fd) ? -1 : NEXT(fdatasync)(fd);
}

int ftruncate(int fd, off_t size)
{
    return FAILS_FD(ANY, fd) ? -1 : NEXT(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, (off_t)size);
}

int syncfs(int fd)
{
    return FAILS_FD(ROOM, fd) ? -1 : NEXT(syncfs)(fd);
}

int truncate(const char *path, off_t size)
{
    return FAILS(ANY, path) ? -1 : NEXT(truncate)(path, size);
}

int truncate64(const char *path, off64_t size)
{
    return truncate(path, (off_t)size);
}

int posix_fallocate(int fd, off_t at, off_t size)
{
    return FAILS_FD(ROOM, fd) ? errno : NEXT(posix_fallocate)(fd, at, size);
}

/* --- names --------------------------------------------------------------------------------- */

int rename(const char *from, const char *to)
{
    return FAILS(ANY, to) ? -1 : NEXT(rename)(from, to);
}

int unlink(const char *path)
{
    return FAILS(ANY, path) ? -1 : NEXT(unlink)(path);
}

int mkdir(const char *path, mode_t mode)
{
    return FAILS(ROOM, path) ? -1 : NEXT(mkdir)(path, mode);
}

int link(const char *from, const char *to)
{
    return FAILS(ANY, to) ? -1 : NEXT(link)(from, to);
}

/* Opening to write is counted, opening to read is not. */
static bool open_fails(const char *path, int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY && FAILS(flags & O_CREAT ? ROOM : ANY, path);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_fails(path, flags) ? -1 : NEXT(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open(path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_fails(path, flags) ? -1 : NEXT(openat)(folder, path, flags, mode);
}

/* --- streams ------------------------------------------------------------------------------- */

static ssize_t stream_write(void *cookie, const char *data, size_t size)
{
    const ssize_t n = write((int)(intptr_t)cookie, data, size);

    return n < 0 ? 0 : n; /* what fopencookie takes for an error */
}

static int stream_seek(void *cookie, off64_t *at, int whence)
{
    *at = lseek((int)(intptr_t)cookie, *at, whence);
    return *at < 0 ? -1 : 0;
}

static int stream_close(void *cookie)
{
    return close((int)(intptr_t)cookie);
}

FILE *fopen(const char *path, const char *mode)
{
    const cookie_io_functions_t calls = {NULL, stream_write, stream_seek, stream_close};
    const bool appends = mode[0] == 'a';
    FILE *stream;
    int fd;

    if (mode[0] == 'r' || strchr(mode, '+') || !watches(path))
        return NEXT(fopen)(path, mode);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (appends ? O_APPEND : O_TRUNC), 0666);
    if (fd < 0)
        return NULL;
    stream = fopencookie((void *)(intptr_t)fd, mode, calls);
    if (!stream)
        close(fd);
    return stream;
}

FILE *fopen64(const char *path, const char *mode)
{
    return fopen(path, mode);
}
