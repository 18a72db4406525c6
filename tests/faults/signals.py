# SPDX-License-Identifier: BSD-3-Clause
"""Runs that are asked to stop: by every signal, from the first instant on, twice, by STOP; and ranks
that stand still."""
import contextlib
import os
import signal
import time
from pathlib import Path

from cases import check

NUMBERS = {"USR1": signal.SIGUSR1, "USR2": signal.SIGUSR2, "TERM": signal.SIGTERM, "INT": signal.SIGINT}


def status_of(process):
    """What /proc says of a process: {name: first word}."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: (rest.split() or [""])[0] for name, _, rest in (line.partition(":") for line in lines)}


def heeds(status, number):
    """Has it a handler for that signal by now?"""
    return bool(int(status.get("SigCgt", "0"), 16) >> (number - 1) & 1)


def all_heed(run, number, to):
    """True when every process that gets the signal is up and has handlers. Nobody starts MPI, whose threads
    show it, before: it takes most of the first second."""
    members = [status_of(process) for process in run.members()]
    ready = len(members) >= max(1, run.ranks)
    for status in members:
        if status and not heeds(status, number):
            ready = False
            check(int(status.get("Threads", "1")) == 1, f"MPI is up, and signal {number} is not heeded")
    return ready and (to == "rank" or heeds(status_of(run.popen.pid), number))


def send(trial, run, name, to):
    """@return  True when the answer must be 85 (or 0: it was done)"""
    sure = all_heed(run, NUMBERS[name], to)
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


def stands_still_for_ever(trial):
    """Then the others say so after train.stall_minutes, and end the run."""
    run = trial.start(2, sets=("train.stall_minutes=0.05",))
    while run.popen.poll() is None and not (trial.out / "untrained").exists():
        time.sleep(0.002)  # MPI is up from here on, and the program can watch its ranks
    time.sleep(trial.random.uniform(0, 0.3) * trial.ground.seconds)
    sure = all_heed(run, signal.SIGUSR1, "rank")
    stopped = run.members()[:1] if trial.random.random() < 0.5 else run.members()[-1:]
    for process in stopped if sure else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGSTOP)
    trial.tell(f"SIGSTOP of a rank for ever at {time.monotonic() - run.began:.2f} s" if sure else "not up yet")
    run.wait(killed=True)  # MPI_Abort is how it is ended
    if run.code == 0:
        trial.verify(run)
        return "same"
    check(run.code == 1 and "stall_minutes" in run.said, f"nobody says who stands still: {run.tail()}")
    trial.come_through()
    return "same"


KINDS = {"signal": asked, "two signals": asked_twice, "STOP file": stop_file,
         "rank stands still": stands_still, "rank is stopped": stands_still_for_ever}
