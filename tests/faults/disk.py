# SPDX-License-Identifier: BSD-3-Clause
"""Disks that fill up, fail or go away under a run, and files that cannot be changed."""
import resource
import shutil
import signal
import subprocess
import time

from cases import check
from kills import spread


class Cannot(Exception):
    """This machine does not allow the trial."""


def failing_calls(trial):
    """ENOSPC or EIO from a call on, for a while or for ever; then the disk is well again."""
    n = 1 + int(spread(trial.occurrence + 1) * trial.ground.calls)
    error = trial.random.choice(("ENOSPC", "ENOSPC", "EIO", "EROFS"))
    length = trial.random.choice((1, 3, 30, 0))
    trial.tell(f"{error} at file calls {n} to {n + length - 1 if length else 'the end'}")
    if not trial.settle(trial.start(trial.random.choice((0, 2)), fault=f"{error}:{n}:{length}").wait()):
        trial.come_through()
    return "same"


def small_disk(trial):
    """A file system with room for a part of the run, and then for all of it."""
    trial.out.mkdir()
    size = trial.random.randrange(100, 1200)
    trial.tell(f"a disk of {size} KiB")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", str(trial.out)],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        raise Cannot("mounting wants root")
    try:
        if not trial.settle(trial.start().wait()):
            subprocess.run(["mount", "-o", "remount,size=100m", str(trial.out)], check=True)
            trial.come_through()
    finally:
        subprocess.run(["umount", "-l", str(trial.out)], check=False)
    return "same"


def size_limit(trial):
    """RLIMIT_FSIZE from a moment on, with the signal that tells of it heeded or not; then without."""
    size = trial.random.choice((4096, 20000, 50000, 100000, 200000))
    heeded = trial.random.random() < 0.5

    def disposition():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL if heeded else signal.SIG_IGN)

    run = trial.start(0, limit=disposition)
    # MPI has made its own files by then: it does not start under such a limit.
    while run.popen.poll() is None and not trial.out.exists():
        time.sleep(0.002)
    try:
        resource.prlimit(run.popen.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    except ProcessLookupError:
        pass
    trial.tell(f"files of at most {size} bytes, SIGXFSZ {'as it is' if heeded else 'ignored'}")
    if not trial.settle(run.wait()):
        trial.come_through()
    return "same"


def fixed(trial):
    """A file or folder of the run that nobody may change (chattr +i)."""
    state = trial.begin_from(trial.random.choice(("half", "done")))
    names = ["metrics.h5", "metrics.jsonl", "checkpoints", "job.cfg", "log.txt", "."]
    if state == "done":
        names += ["untrained/metrics.h5", "untrained"]
    name = trial.random.choice(names)
    path = trial.out / name
    trial.tell(f"chattr +i {name}")
    if subprocess.run(["chattr", "+i", str(path)], capture_output=True).returncode != 0:
        raise Cannot("chattr +i is not possible here")
    try:
        done = trial.settle(trial.start().wait())
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)
    if not done:
        trial.come_through()
    return "same"


def vanish(path):
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def removed(trial):
    """Something of the run is removed while it runs."""
    names = ("metrics.h5", "metrics.jsonl", "checkpoints", "job.cfg", "log.txt", ".", "untrained",
             "untrained/metrics.h5")
    name = trial.random.choice(names)
    run = trial.start()
    end = time.monotonic() + trial.random.uniform(0.2, 1.0) * trial.ground.seconds
    while run.popen.poll() is None and (time.monotonic() < end or not (trial.out / name).exists()):
        time.sleep(0.005)
    trial.tell(f"{name} removed at {time.monotonic() - run.began:.2f} s"
               + (", after the end" if run.popen.poll() is not None else ""))
    vanish(trial.out / name)
    time.sleep(0.2)
    # Who has looked at all results and only waits for MPI's end cannot know: resuming makes it again.
    ended = run.popen.poll() is not None or "done in" in run.said
    if ended:
        run.wait()
    if ended or not trial.settle(run.wait()):
        trial.come_through()
    return "same"


def not_a_folder(trial):
    """The output's place, or its checkpoints', is taken by a file: refused, and not touched."""
    place = trial.random.choice(("out", "out/checkpoints"))
    if place == "out":
        trial.out.write_text("mine\n")
    else:
        trial.begin_from("half")
        shutil.rmtree(trial.out / "checkpoints")
        (trial.out / "checkpoints").write_text("mine\n")
    trial.tell(f"{place} is a file")
    run = trial.start().wait()
    if run.code == 0:
        trial.verify(run)
        return "same"
    check(run.code in (1, 2) and len(run.messages()) == 1, f"exit {run.code}: {run.tail()}")
    check(place in run.said, f"{place} is not named: {run.tail()}")
    check((trial.path / place).read_text() == "mine\n", f"{place} was overwritten")
    return "refused"


KINDS = {"failing file calls": failing_calls, "full disk": small_disk, "limit on file sizes": size_limit,
         "immutable": fixed, "removed under way": removed, "in the way": not_a_folder}
