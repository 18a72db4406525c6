/* SPDX-License-Identifier: BSD-3-Clause */
/* The folder of results: what a checkpoint does there, done once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "doctor_parts.h"
#include "outerloop/base/clock.h"    /* ol_clock_seconds */
#include "outerloop/base/file.h"     /* ol_make_folders */
#include "outerloop/record/folder.h" /* ol_run_folder_make */

enum { TRIAL_BYTES = 8 << 20, LEAST_FILES = 1000 };

static const double SLOW_SECONDS = 2.0; /* of 8 MiB on disk */
static const double LEAST_BYTES = 64.0 * 1048576, FEW_BYTES = 2048.0 * 1048576;

static ol_status write_trial(const char *path)
{
    char *bytes = calloc(1, TRIAL_BYTES);
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    ssize_t wrote = 0;
    bool good = bytes && file >= 0;

    for (ssize_t at = 0; good && at < TRIAL_BYTES; at += wrote) {
        wrote = write(file, bytes + at, (size_t)(TRIAL_BYTES - at));
        good = wrote > 0;
    }
    good = good && fsync(file) == 0;
    if (!good)
        ol_fail(OL_EIO, "%s", strerror(errno));
    if (file >= 0)
        close(file);
    free(bytes);
    return good ? OL_OK : OL_EIO;
}

/* Rank 0: write, sync, rename. False when later looks make no sense. */
static bool try_writing(doctor *d, const char *trial, const char *renamed)
{
    const double begin = ol_clock_seconds();
    double seconds;

    if (write_trial(trial) != OL_OK) {
        doctor_say(d, DOCTOR_FAULT,
                   "output: %s: 8 MiB cannot be written and synced: %s: free some room, or choose "
                   "another folder",
                   d->folder, ol_status_message());
        return false;
    }
    seconds = ol_clock_seconds() - begin;
    if (seconds > SLOW_SECONDS)
        doctor_say(d, DOCTOR_WARNING,
                   "output: %s: 8 MiB took %.1f s to reach the disk: checkpoint less often "
                   "(train.checkpoint_minutes), or choose a faster file system",
                   d->folder, seconds);
    else
        doctor_say(d, DOCTOR_OK, "output: %s: 8 MiB written and synced in %.3f s", d->folder,
                   seconds);
    if (ol_commit_file(trial, renamed) == OL_OK)
        return true;
    doctor_say(d, DOCTOR_FAULT,
               "output: a file is not renamed there, as every checkpoint must be: %s; choose "
               "another folder",
               ol_status_message());
    return false;
}

static void judge_space(doctor *d)
{
    struct statvfs about;
    double bytes;

    if (statvfs(d->folder, &about) != 0)
        return;
    bytes = (double)about.f_bavail * (double)about.f_frsize;
    if (bytes < FEW_BYTES)
        doctor_say(d, bytes < LEAST_BYTES ? DOCTOR_FAULT : DOCTOR_WARNING,
                   "space: %.0f MiB free in %s; `outerloop plan` says what a job writes: remove "
                   "old runs, or choose another folder",
                   bytes / 1048576, d->folder);
    else
        doctor_say(d, DOCTOR_OK, "space: %.1f GiB free in %s (a quota shows only when it is full)",
                   bytes / 1073741824, d->folder);
    if (about.f_files > 0 && about.f_favail < LEAST_FILES)
        doctor_say(d, DOCTOR_FAULT,
                   "space: %s has room for %lu more files: remove some, or choose another folder",
                   d->folder, (unsigned long)about.f_favail);
}

/* As OUTPUT/run.lock is held (record/lock.h); our HDF5 locks nothing. */
static bool lock(int file)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(file, F_SETLK, &whole) == 0;
}

/* All ranks: rank 0 holds the lock; do the others see that? */
static ol_status try_locks(doctor *d, const char *path)
{
    const bool first = ol_comm_rank(d->comm) == 0;
    int file = -1, locked = 0, error = 0;
    bool missed;
    ol_comm_stats unseen;

    if (first) {
        file = open(path, O_RDWR | O_CLOEXEC);
        locked = file >= 0 && lock(file);
        error = errno;
    }
    OL_TRY(ol_comm_broadcast(d->comm, &locked, sizeof locked, 0));
    if (!first)
        file = open(path, O_RDWR | O_CLOEXEC);
    missed = !first && file < 0;
    OL_TRY(ol_comm_reduce(d->comm, missed, &unseen));
    if (!first && file >= 0)
        missed = lock(file);
    OL_TRY(ol_comm_any(d->comm, locked && missed && unseen.sum == 0, &missed));
    if (file >= 0)
        close(file);
    if (!d->out)
        return OL_OK;
    if (unseen.sum > 0)
        doctor_say(d, DOCTOR_FAULT,
                   "output: rank %d does not see a file that rank 0 wrote in %s: results belong on "
                   "a file system that all hosts share",
                   unseen.max.rank, d->folder);
    else if (!locked)
        doctor_say(
            d, DOCTOR_WARNING,
            "locks: files in %s cannot be locked (%s): a run that was killed may leave "
            "run.lock to be removed by hand; mount it with locks (Lustre: -o flock), or, for "
            "what reads results there, export HDF5_USE_FILE_LOCKING=FALSE",
            d->folder, strerror(error));
    else if (missed)
        doctor_say(d, DOCTOR_WARNING,
                   "locks: one rank's lock in %s is not seen by another: two runs in one folder "
                   "notice each other by run.lock alone; mount it so that locks reach all hosts "
                   "(Lustre: -o flock, not localflock; NFS: without nolock)",
                   d->folder);
    else
        doctor_say(d, DOCTOR_OK, "locks: held in %s%s", d->folder,
                   ol_comm_size(d->comm) > 1 ? ", and seen by all ranks" : "");
    return OL_OK;
}

/* Letters of the part of a path that is there. */
static size_t length_there(const char *path)
{
    char part[PATH_MAX];
    char *slash;

    snprintf(part, sizeof part, "%s", path);
    while (part[0] && !ol_path_exists(part)) {
        slash = strrchr(part, '/');
        *(slash ? slash : part) = '\0';
    }
    return strlen(part);
}

/* Take away the folders that were made below it. */
static void remove_made(const char *path, size_t there)
{
    char part[PATH_MAX];

    snprintf(part, sizeof part, "%s", path);
    while (strlen(part) > there && rmdir(part) == 0) {
        char *slash = strrchr(part, '/');

        *(slash ? slash : part) = '\0';
    }
}

ol_status doctor_folder(doctor *d)
{
    const bool first = ol_comm_rank(d->comm) == 0;
    const size_t there = length_there(d->folder);
    char trial[PATH_MAX], renamed[PATH_MAX];
    ol_run_folder folder;
    int good = 0;

    OL_TRY(ol_comm_agree(d->comm, ol_run_folder_name(d->folder, &folder)));
    OL_TRY(ol_comm_agree(d->comm, ol_path_format(trial, "%s/.doctor.tmp", d->folder)));
    OL_TRY(ol_comm_agree(d->comm, ol_path_format(renamed, "%s/.doctor", d->folder)));
    if (first && ol_run_folder_make(&folder) != OL_OK)
        doctor_say(d, DOCTOR_FAULT,
                   "output: %s: results cannot go there: choose another folder, or have this one "
                   "made writable",
                   ol_status_message());
    else if (first)
        good = try_writing(d, trial, renamed);
    OL_TRY(ol_comm_broadcast(d->comm, &good, sizeof good, 0));
    if (good)
        OL_TRY(try_locks(d, renamed));
    if (!first)
        return OL_OK;
    if (ol_path_is_folder(d->folder))
        judge_space(d);
    unlink(trial);
    unlink(renamed);
    remove_made(d->folder, there);
    return OL_OK;
}
