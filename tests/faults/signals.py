# SPDX-License-Identifier: BSD-3-Clause
"""Runs that are asked to stop: by every signal, from the first instant on, twice, by STOP; and ranks
that stand still."""
import contextlib
import os
import signal
import time
from pathlib import Path

from harness import check

NUMBERS = {"USR1": signal.SIGUSR1, "USR2": signal.SIGUSR2, "TERM": signal.SIGTERM, "INT": signal.SIGINT}
LATE = 0.5  # seconds of processor time by which a process heeds signals, wherever it is then


def heeds(process, number):
    """Has it a handler for that signal by now?"""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    except OSError:
        pass
    return False


def processor_seconds(process):
    try:
        words = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / 100.0
    except OSError:
        return 0.0


def all_heed(run, number):
    """True when every process of the run is up and has handlers. No process may be late with them."""
    members = run.members()
    ready = len(members) >= max(1, run.ranks)
    for process in members:
        used = processor_seconds(process)
        if not heeds(process, number):
            ready = False
            check(used < LATE or run.popen.poll() is not None,
                  f"after {used:.2f} s of work it does not heed signal {number}")
    return ready and (not run.ranks or heeds(run.popen.pid, number))


def send(trial, run, name, to):
    """@return  True when the answer must be 85 (or 0: it was done)"""
    sure = all_heed(run, NUMBERS[name])
    if run.popen.poll() is not None:
        return False
    trial.tell(f"{name} to {to} of {run.ranks} at {time.monotonic() - run.began:.2f} s"
               + ("" if sure else " (not up yet)"))
    run.signal(NUMBERS[name], to)
    return sure


def asked(trial):
    """One signal: what is up answers 85; mpirun itself ends its ranks at TERM and INT, with its own code;
    what is not up yet may die of it. In every case the next start comes through."""
    run = trial.start()
    first_second = trial.random.random() < 0.5
    time.sleep(trial.random.uniform(0, 1.0 if first_second else trial.ground.seconds))
    name, to = trial.random.choice(sorted(NUMBERS)), trial.random.choice(("rank", "launcher"))
    sure = send(trial, run, name, to)
    run.wait(killed=not sure)
    own = run.ranks and to == "launcher" and name in ("TERM", "INT")
    if sure and not own:
        check(run.code in (0, 85), f"{name} to {to}: exit {run.code} and not 85: {run.tail()}")
    if run.code == 0:
        trial.verify(run)
    trial.come_through()
    return "same"


def asked_twice(trial):
    """The same signal again at once is one request; again after seconds, or another one, leaves at once."""
    run = trial.start(0)
    time.sleep(trial.random.uniform(0, trial.ground.seconds))
    one, two = trial.random.choice(sorted(NUMBERS)), trial.random.choice(sorted(NUMBERS))
    sure = send(trial, run, one, "rank")
    time.sleep(trial.random.choice((0, 0.02, 0.3)))
    send(trial, run, two, "rank")
    run.wait(killed=True)
    own_end = run.code == -NUMBERS[two] and (one != two or not sure)
    check(run.code in (0, 85) or own_end or not sure, f"{one}, {two}: exit {run.code}: {run.tail()}")
    if run.code == 0:
        trial.verify(run)
    trial.come_through()
    return "same"


def stop_file(trial):
    """A file STOP is a request too; it is taken away when it was heeded."""
    run = trial.start()
    end = time.monotonic() + trial.random.uniform(0, trial.ground.seconds)
    while time.monotonic() < end or (run.popen.poll() is None and not (trial.out / "job.cfg").exists()):
        time.sleep(0.01)
        if run.popen.poll() is not None:
            break
    if trial.out.is_dir():
        (trial.out / "STOP").touch()
    trial.tell(f"STOP at {time.monotonic() - run.began:.2f} s")
    trial.settle(run.wait())
    check(run.code in (0, 85), f"exit {run.code} and not 85: {run.tail()}")
    check(run.code == 0 or not (trial.out / "STOP").exists(), "STOP is still there")
    (trial.out / "STOP").unlink(missing_ok=True)
    trial.come_through()
    return "same"


def stands_still(trial):
    """A rank that stands still for a moment costs that moment."""
    run = trial.start(2)
    time.sleep(trial.random.uniform(0.2, 1.0) * trial.ground.seconds)
    members = run.members()
    run.signal(signal.SIGSTOP, "rank")
    time.sleep(trial.random.uniform(0.1, 1.5))
    for process in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)
    trial.tell("SIGSTOP and SIGCONT of a rank")
    run.wait()
    check(run.code == 0, f"exit {run.code}: {run.tail()}")
    trial.verify(run)
    return "same"


KINDS = {"signal": asked, "two signals": asked_twice, "STOP file": stop_file,
         "rank stands still": stands_still}
