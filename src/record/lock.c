/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/record/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outerloop/base/clock.h" /* ol_clock_utc */
#include "outerloop/base/log.h"   /* ol_log_warn */

const char ol_run_lock_name[] = "run.lock";

enum { VALUE = 128, TEXT = 1024, TRIES = 10 };

/* What the file says; "" for what it does not. */
typedef struct holder {
    char host[VALUE], boot[VALUE], pid[VALUE], started[VALUE], job[VALUE], slurm_job[VALUE],
        slurm_restart[VALUE];
} holder;

static const struct {
    const char *name;
    size_t at;
} fields[] = {
    {"host", offsetof(holder, host)},
    {"boot", offsetof(holder, boot)},
    {"pid", offsetof(holder, pid)},
    {"started", offsetof(holder, started)},
    {"job", offsetof(holder, job)},
    {"slurm_job", offsetof(holder, slurm_job)},
    {"slurm_restart", offsetof(holder, slurm_restart)},
};

enum { FIELDS = sizeof fields / sizeof *fields };

/* What became of trying to lock the file. */
typedef enum state { OURS, THEIRS, UNKNOWN } state;

/* Changes when a host starts; "" where the kernel does not say. */
static void read_boot(char boot[VALUE])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    boot[0] = '\0';
    if (!file)
        return;
    if (!fgets(boot, VALUE, file))
        boot[0] = '\0';
    boot[strcspn(boot, "\n")] = '\0';
    fclose(file);
}

static void copy_value(char to[VALUE], const char *from)
{
    snprintf(to, VALUE, "%.*s", VALUE - 1, from ? from : "");
}

static void describe_self(const char *digest, holder *self)
{
    char now[32];

    *self = (holder){.host = ""};
    if (gethostname(self->host, sizeof self->host - 1) != 0)
        copy_value(self->host, "unknown host");
    read_boot(self->boot);
    ol_clock_utc(now);
    snprintf(self->pid, sizeof self->pid, "%ld", (long)getpid());
    copy_value(self->started, now);
    copy_value(self->job, digest);
    copy_value(self->slurm_job, getenv("SLURM_JOB_ID"));
    copy_value(self->slurm_restart, getenv("SLURM_RESTART_COUNT"));
}

static void parse_line(const char *line, holder *out)
{
    for (size_t i = 0; i < FIELDS; i++) {
        const size_t n = strlen(fields[i].name);

        if (strncmp(line, fields[i].name, n) == 0 && strncmp(line + n, " = ", 3) == 0)
            copy_value((char *)out + fields[i].at, line + n + 3);
    }
}

static void read_holder(int file, holder *out)
{
    char text[TEXT + 1], *rest = text;
    const ssize_t n = pread(file, text, TEXT, 0);

    *out = (holder){.host = ""};
    text[n > 0 ? n : 0] = '\0';
    for (char *line; (line = strsep(&rest, "\n"));)
        parse_line(line, out);
}

static ol_status write_holder(const char *path, int file, const holder *self)
{
    char text[TEXT];
    size_t n = 0;

    for (size_t i = 0; i < FIELDS; i++) {
        const char *value = (const char *)self + fields[i].at;

        if (value[0])
            n += (size_t)snprintf(text + n, sizeof text - n, "%s = %s\n", fields[i].name, value);
    }
    OL_CHECK(ftruncate(file, 0) == 0 && pwrite(file, text, n, 0) == (ssize_t)n && fsync(file) == 0,
             OL_EIO, "%s: cannot write: %s", path, strerror(errno));
    return OL_OK;
}

static state lock_file(int file)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(file, F_SETLK, &whole) == 0)
        return OURS;
    return errno == EACCES || errno == EAGAIN ? THEIRS : UNKNOWN;
}

/* Is `path` still the file that is open? Its holder may have removed it meanwhile. */
static bool still_there(const char *path, int file)
{
    struct stat named, open;

    return stat(path, &named) == 0 && fstat(file, &open) == 0 && named.st_dev == open.st_dev &&
           named.st_ino == open.st_ino;
}

/* Rules (1) and (2). */
static bool is_stale(const holder *them, const holder *self, state held)
{
    if (them->slurm_job[0] && strcmp(them->slurm_job, self->slurm_job) == 0 &&
        strcmp(them->slurm_restart, self->slurm_restart) != 0)
        return true;
    if (strcmp(them->host, self->host) != 0)
        return !them->host[0] && held == OURS; /* killed before it wrote a word */
    if (strcmp(them->boot, self->boot) != 0 || held == OURS)
        return true;
    return kill((pid_t)atol(them->pid), 0) != 0 && errno == ESRCH;
}

static ol_status refuse(const char *path, const holder *them, state held)
{
    return ol_fail(
        OL_EUSAGE,
        "%.*s: another run is at work here: pid %s on %s since %s (job %.12s%s%s)%s%s%s; "
        "wait for it, or choose another folder with --set output=...",
        (int)(strlen(path) - strlen(ol_run_lock_name) - 1), path, them->pid[0] ? them->pid : "?",
        them->host[0] ? them->host : "?", them->started[0] ? them->started : "?", them->job,
        them->slurm_job[0] ? ", SLURM job " : "", them->slurm_job,
        held == THEIRS ? "" : ". If it is not, remove ", held == THEIRS ? "" : path,
        held == THEIRS ? "" : " and start again");
}

/* With the file open: ours, or whose? `again` when it is not the file of that name any more. */
static ol_status claim(const char *path, int file, bool made, const holder *self, bool *again)
{
    const state held = lock_file(file);
    holder them;

    *again = !still_there(path, file);
    if (*again)
        return OL_OK;
    read_holder(file, &them);
    if (held == THEIRS || (!made && !is_stale(&them, self, held)))
        return refuse(path, &them, held);
    return write_holder(path, file, self);
}

static ol_status open_and_claim(ol_run_lock *lock, const holder *self, bool *again)
{
    bool made;
    ol_status status;

    lock->file = open(lock->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    made = lock->file >= 0;
    if (!made && errno == EEXIST)
        lock->file = open(lock->path, O_RDWR | O_CLOEXEC);
    *again = lock->file < 0 && errno == ENOENT;
    if (*again)
        return OL_OK;
    OL_CHECK(lock->file >= 0, OL_EIO,
             "%s: cannot write there: %s; choose another folder with --set output=...", lock->path,
             strerror(errno));
    status = claim(lock->path, lock->file, made, self, again);
    if (status != OL_OK || *again) {
        close(lock->file);
        lock->file = -1;
    }
    return status;
}

ol_status ol_run_lock_take(const char *folder, const char *digest, ol_run_lock *lock)
{
    bool again = true;
    holder self;
    ol_status status = OL_OK;

    OL_CHECK(!ol_path_exists(folder) || ol_path_is_folder(folder), OL_EUSAGE,
             "%s: is a file, and the output must be a folder: choose another with --set output=...",
             folder);
    lock->made_folder = !ol_path_exists(folder);
    OL_TRY(ol_make_folders(folder));
    OL_TRY(ol_path_format(lock->path, "%s/%s", folder, ol_run_lock_name));
    describe_self(digest, &self);
    for (int i = 0; i < TRIES && again && status == OL_OK; i++)
        status = open_and_claim(lock, &self, &again);
    if (status == OL_OK && lock->file < 0)
        status = ol_fail(OL_EIO, "%s: comes and goes", lock->path);
    if (status != OL_OK)
        lock->path[0] = '\0';
    return status;
}

void ol_run_lock_release(ol_run_lock *lock)
{
    if (!lock->path[0])
        return;
    if (still_there(lock->path, lock->file) && unlink(lock->path) != 0)
        ol_log_warn("%s: cannot remove: %s", lock->path, strerror(errno));
    close(lock->file);
    if (lock->made_folder) {
        *strrchr(lock->path, '/') = '\0';
        rmdir(lock->path); /* only when it is still empty */
    }
    *lock = OL_RUN_LOCK_INIT;
}
