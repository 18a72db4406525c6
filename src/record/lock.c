/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/record/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "outerloop/base/clock.h"    /* ol_clock_utc */
#include "outerloop/base/log.h"      /* ol_log_warn */
#include "outerloop/record/folder.h" /* ol_run_folder_members */

const char ol_run_lock_name[] = "run.lock";

enum { VALUE = 128, MOST_TEXT = 1 << 17, TRIES = 10, PATIENCE = 100 /* naps of 10 ms */ };

/* What the file says; "" for what it does not. */
typedef struct holder {
    char host[VALUE], boot[VALUE], pid[VALUE], started[VALUE], job[VALUE], slurm_job[VALUE],
        slurm_restart[VALUE];
    ol_text members; /* names, each between newlines */
} holder;

static void holder_finish(holder *h)
{
    ol_text_finish(&h->members);
}
#define AUTO_HOLDER OL_AUTO(holder_finish) holder

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
static const char member[] = "member = ";

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

static ol_status describe_self(const ol_job *job, holder *self)
{
    char now[32], digest[OL_DIGEST_TEXT];

    OL_TRY(ol_job_digest(job, digest));
    OL_TRY(ol_run_folder_members(job, &self->members));
    if (gethostname(self->host, sizeof self->host - 1) != 0)
        copy_value(self->host, "unknown host");
    read_boot(self->boot);
    ol_clock_utc(now);
    snprintf(self->pid, sizeof self->pid, "%ld", (long)getpid());
    copy_value(self->started, now);
    copy_value(self->job, digest);
    copy_value(self->slurm_job, getenv("SLURM_JOB_ID"));
    copy_value(self->slurm_restart, getenv("SLURM_RESTART_COUNT"));
    return OL_OK;
}

static ol_status parse_line(const char *line, holder *out)
{
    for (size_t i = 0; i < FIELDS; i++) {
        const size_t n = strlen(fields[i].name);

        if (strncmp(line, fields[i].name, n) == 0 && strncmp(line + n, " = ", 3) == 0)
            copy_value((char *)out + fields[i].at, line + n + 3);
    }
    if (strncmp(line, member, sizeof member - 1) == 0)
        return ol_text_format(&out->members, "%s\n", line + sizeof member - 1);
    return OL_OK;
}

static ol_status read_holder(int file, holder *out)
{
    OL_AUTO_FREE char *text = malloc(MOST_TEXT + 1);
    const ssize_t n = text ? pread(file, text, MOST_TEXT, 0) : 0;
    char *rest = text;

    OL_CHECK(text, OL_ENOMEM, "no memory to read a claim");
    text[n > 0 ? n : 0] = '\0';
    for (char *line; (line = strsep(&rest, "\n"));)
        OL_TRY(parse_line(line, out));
    return OL_OK;
}

/* The next name of a holder's members. @param at  start from NULL */
static const char *next_member(const holder *h, const char *at, char name[PATH_MAX])
{
    const char *from = at ? at : h->members.data, *end = from ? strchr(from, '\n') : NULL;

    if (end)
        snprintf(name, PATH_MAX, "%.*s", (int)(end - from), from);
    return end ? end + 1 : NULL;
}

static bool has_member(const holder *h, const char *wanted)
{
    char name[PATH_MAX];

    for (const char *at = NULL; (at = next_member(h, at, name));)
        if (strcmp(name, wanted) == 0)
            return true;
    return false;
}

static ol_status write_holder(const char *path, int file, const holder *self)
{
    char name[PATH_MAX];
    OL_AUTO_TEXT text = {0};

    for (size_t i = 0; i < FIELDS; i++) {
        const char *value = (const char *)self + fields[i].at;

        if (value[0])
            OL_TRY(ol_text_format(&text, "%s = %s\n", fields[i].name, value));
    }
    for (const char *at = NULL; (at = next_member(self, at, name));)
        OL_TRY(ol_text_format(&text, "%s%s\n", member, name));
    OL_CHECK(ftruncate(file, 0) == 0 &&
                 pwrite(file, text.data, text.size, 0) == (ssize_t)text.size && fsync(file) == 0,
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

/* Could it be locked? Without doing so: its own run, starting now, would be refused for it. */
static state probe_file(int file)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(file, F_GETLK, &whole) != 0)
        return UNKNOWN;
    return whole.l_type == F_UNLCK ? OURS : THEIRS;
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
    if (held == OURS && (!them->host[0] || (self->boot[0] && strcmp(them->boot, self->boot) == 0)))
        return true; /* killed before it wrote a word; or this kernel took its lock back */
    if (strcmp(them->host, self->host) != 0)
        return false;
    if (strcmp(them->boot, self->boot) != 0 || held == OURS)
        return true; /* that host has started anew; or it does not say when it did */
    return kill((pid_t)atol(them->pid), 0) != 0 && errno == ESRCH;
}

/* @param path  of their file; the rest says what that has to do with us */
static ol_status __attribute__((format(printf, 4, 5)))
refuse(const char *path, const holder *them, state held, const char *format, ...)
{
    char what[2 * PATH_MAX + 128];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return ol_fail(OL_EUSAGE,
                   "%s: pid %s on %s since %s (job %.12s%s%s)%s%s%s; "
                   "wait for it, or choose another folder with --set output=...",
                   what, them->pid[0] ? them->pid : "?", them->host[0] ? them->host : "?",
                   them->started[0] ? them->started : "?", them->job,
                   them->slurm_job[0] ? ", SLURM job " : "", them->slurm_job,
                   held == THEIRS ? "" : ". If it is not, remove ", held == THEIRS ? "" : path,
                   held == THEIRS ? "" : " and start again");
}

/* What the file says. Its holder writes that right after locking it, which is waited for. */
static ol_status read_words(int file, state held, holder *them)
{
    const struct timespec nap = {.tv_nsec = 10000000};

    OL_TRY(read_holder(file, them));
    for (int i = 0; held == THEIRS && !them->pid[0] && i < PATIENCE; i++) {
        nanosleep(&nap, NULL);
        holder_finish(them);
        *them = (holder){0};
        OL_TRY(read_holder(file, them));
    }
    return OL_OK;
}

/* With the file open: ours, or whose? `again` when it is not the file of that name any more. */
static ol_status claim(const char *path, int file, bool made, const holder *self, bool *again)
{
    const state held = lock_file(file);
    AUTO_HOLDER them = {0};

    *again = !still_there(path, file);
    if (*again)
        return OL_OK;
    OL_TRY(read_words(file, held, &them));
    if (held == THEIRS || (!made && !is_stale(&them, self, held)))
        return refuse(path, &them, held, "%.*s: another run is at work here",
                      (int)(strlen(path) - strlen(ol_run_lock_name) - 1), path);
    return write_holder(path, file, self);
}

static ol_status open_and_claim(ol_run_lock *lock, const holder *self, bool *again)
{
    bool made;
    struct stat st;
    ol_status status = OL_OK;

    lock->file = open(lock->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    made = lock->file >= 0;
    if (!made && errno == EEXIST) {
        status = ol_open_own(lock->path, O_RDWR, &lock->file);
        *again = status != OL_OK && lstat(lock->path, &st) != 0 && errno == ENOENT;
        if (*again)
            return OL_OK;
        OL_TRY(status);
    }
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

/* The claim of another run at work, as its file has it. *them stays empty when there is none. */
static ol_status read_claim(const char *path, const holder *self, holder *them, state *held)
{
    struct stat st;
    int file;

    if (lstat(path, &st) != 0 || ol_open_input(path, &file, &st) != OL_OK)
        return OL_OK;
    *held = probe_file(file);
    const ol_status status = read_words(file, *held, them);
    close(file);
    if (status == OL_OK && (*held == THEIRS || !is_stale(them, self, *held)))
        return OL_OK;
    holder_finish(them);
    *them = (holder){0};
    return status;
}

/* Does a run at work in a folder around this one keep results of its own here? @param real  ours */
static ol_status check_around(const char *folder, const char *real, const holder *self)
{
    char around[PATH_MAX], path[PATH_MAX];

    OL_TRY(ol_path_format(around, "%s", real));
    for (char *slash; (slash = strrchr(around, '/'));) {
        AUTO_HOLDER them = {0};
        state held;

        *slash = '\0';
        OL_TRY(ol_path_format(path, "%s/%s", around, ol_run_lock_name));
        OL_TRY(read_claim(path, self, &them, &held));
        if (has_member(&them, slash + 1))
            return refuse(path, &them, held,
                          "%s: lies in %s/%s, where the run at work in %s keeps results of its own",
                          folder, around, slash + 1, *around ? around : "/");
    }
    return OL_OK;
}

/* Is a run at work in a folder of ours? @param member  a folder where we would keep results */
static ol_status check_within(const char *folder, const char *inner, const holder *self)
{
    char *const roots[] = {(char *)(uintptr_t)inner, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR | FTS_NOSTAT, NULL);
    ol_status status = OL_OK;

    for (FTSENT *e; walk && status == OL_OK && (e = fts_read(walk));) {
        AUTO_HOLDER them = {0};
        state held = UNKNOWN;

        if (strcmp(e->fts_name, ol_run_lock_name) != 0)
            continue;
        status = read_claim(e->fts_path, self, &them, &held);
        if (status == OL_OK && them.host[0])
            status = refuse(e->fts_path, &them, held,
                            "%s: another run is at work in %.*s, where this one would keep results",
                            folder, e->fts_pathlen - e->fts_namelen - 1, e->fts_path);
    }
    if (walk)
        fts_close(walk);
    return status;
}

/* Who holds a folder looks around only then, so of two that start at once one sees the other. */
static ol_status check_neighbours(const char *folder, const holder *self)
{
    OL_AUTO_FREE char *real = realpath(folder, NULL);
    char name[PATH_MAX], inner[PATH_MAX];

    OL_CHECK(real, OL_EIO, "%s: %s", folder, strerror(errno));
    OL_TRY(check_around(folder, real, self));
    for (const char *at = NULL; (at = next_member(self, at, name));) {
        OL_TRY(ol_path_format(inner, "%s/%s", folder, name));
        OL_TRY(check_within(folder, inner, self));
    }
    return OL_OK;
}

ol_status ol_run_lock_take(const ol_job *job, ol_run_lock *lock)
{
    const char *folder = job->output;
    bool again = true;
    AUTO_HOLDER self = {0};
    ol_status status = OL_OK;

    OL_CHECK(!ol_path_exists(folder) || ol_path_is_folder(folder), OL_EUSAGE,
             "%s: is a file, and the output must be a folder: choose another with --set output=...",
             folder);
    OL_TRY(describe_self(job, &self));
    lock->made_folder = !ol_path_exists(folder);
    OL_TRY(ol_make_folders(folder));
    OL_TRY(ol_path_format(lock->path, "%s/%s", folder, ol_run_lock_name));
    for (int i = 0; i < TRIES && again && status == OL_OK; i++)
        status = open_and_claim(lock, &self, &again);
    if (status == OL_OK && lock->file < 0)
        status = ol_fail(OL_EIO, "%s: comes and goes", lock->path);
    if (status != OL_OK)
        lock->path[0] = '\0';
    return status == OL_OK ? check_neighbours(folder, &self) : status;
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
