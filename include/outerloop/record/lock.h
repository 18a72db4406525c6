/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/record/lock.h
 * One run at a time in an output folder: a file OUTPUT/run.lock, there while a run is.
 *
 *     host = node1
 *     boot = 3d1c...            this start of that host's kernel
 *     pid = 4711
 *     started = 2026-01-31T12:00:00Z
 *     job = 0f3a...             digest of the job (ol_job_digest)
 *     slurm_job = 1234          where SLURM runs it
 *     slurm_restart = 0
 *     member = untrained        a folder below OUTPUT that this run has to itself; one line each
 *
 * It is made with O_EXCL, which NFS heeds since version 3, and its maker keeps a POSIX lock on it,
 * which the kernel takes back when the process ends, however it ends. So a file whose lock can be had
 * tells of a run that is gone, and is taken over without a word,
 *
 *   (1) when it is of this host, also under another name, as containers have: the kernel knows; where
 *       a file system has no locks, the pid does
 *   (2) when it is of this SLURM job before it was requeued: SLURM runs a job once at a time
 *
 * and one of another host is refused all the same, since not every file system passes locks on to
 * other hosts: the message says who holds it and what to remove if that run is no more.
 *
 * Output folders may lie in one another, as long as nobody writes where another does: a start is also
 * refused
 *
 *   (3) in or below a folder that the run at work further up names as a member
 *   (4) where a run is at work in or below one of its own members
 *
 * A run looks after it has made its own file, so that of two which start at once at least one sees
 * the other; both may.
 *
 * Local: rank 0 does it once for the whole output, its arms, seeds and tuning included.
 */
#ifndef OUTERLOOP_RECORD_LOCK_H
#define OUTERLOOP_RECORD_LOCK_H

#include "outerloop/base/file.h" /* PATH_MAX */
#include "outerloop/job/job.h"   /* ol_job */

/** The name of the file in the folder. */
extern const char ol_run_lock_name[];

/** A folder held; start from OL_RUN_LOCK_INIT. */
typedef struct ol_run_lock {
    char path[PATH_MAX]; /**< of the file; "" when none is held           */
    int file;            /**< kept open: closing it gives the lock back   */
    bool made_folder;    /**< the folder was not there: it goes if unused */
} ol_run_lock;

#define OL_RUN_LOCK_INIT ((ol_run_lock){.path = "", .file = -1})

/**
 * Take the output folder of a job, making it where it is missing.
 * @param lock  OL_RUN_LOCK_INIT; ol_run_lock_release gives the folder back, after an error too
 * Errors: OL_EUSAGE when another run holds it, or (3) or (4), with host, pid, start, job and the file;
 * OL_EIO when nothing can be written there. Cost: a listing of what is below the job's members.
 */
ol_status ol_run_lock_take(const ol_job *job, ol_run_lock *lock);

/** Give it back: the file goes, and a folder that was made for it and is empty. Accepts
 *  OL_RUN_LOCK_INIT. */
void ol_run_lock_release(ol_run_lock *lock);

#endif
