# SPDX-License-Identifier: BSD-3-Clause
"""What a cluster does to runs: signals at any time, two starts in one folder, too little memory. TAP.

usage: test_survive.py PROGRAM
"""
import os
import signal
import subprocess
import time

from harness import (ENV, check, column, command, digests, journal_lines, main, run, start, wait_for)

SHORT = ("train.steps=12", 'stages=["train"]')


def ranks_of(process, ranks):
    """The pids of the ranks, once they are started by mpirun."""
    end = time.time() + 20
    while time.time() < end:
        ran = subprocess.run(["pgrep", "-P", str(process.pid), "outerloop"], text=True, capture_output=True)
        if len(ran.stdout.split()) == ranks:
            return [int(word) for word in ran.stdout.split()]
        time.sleep(0.005)
    check(False, "the ranks did not start")


def catches(pid, number):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def test_signals_while_it_starts(place):
    """From the first instruction of the program on, long before MPI is up, a signal is kept."""
    job, out, unbroken = place.job(), place.path / "out", place.path / "unbroken"
    run(0, job, unbroken, sets=SHORT)
    for ranks, number, pause, flags in ((0, signal.SIGTERM, 0, ()), (2, signal.SIGUSR1, 0, ()),
                                        (2, signal.SIGUSR1, 0.3, ("--resume",)),
                                        (0, signal.SIGINT, 0.1, ("--resume",))):
        process = start(ranks, job, out, *flags, sets=SHORT)
        pids = ranks_of(process, ranks) if ranks else [process.pid]
        for pid in pids:
            while not catches(pid, signal.SIGUSR2):  # main has begun
                check(process.poll() is None, "it ended")
        time.sleep(pause)
        if pause:
            process.send_signal(number)
        else:
            for pid in pids:
                os.kill(pid, number)
        said, _ = process.communicate(timeout=60)
        check(process.returncode == 85, f"{ranks} ranks: exit code {process.returncode}:\n{said}")
        check("everything is saved" in said, said)
    run(2, job, out, "--resume", sets=SHORT)
    check(digests(out) == digests(unbroken), "the digests of θ differ")


def test_one_step_of_adaptation_is_the_most_that_a_signal_waits(place):
    job, out, unbroken = place.job(), place.path / "out", place.path / "unbroken"
    sets = ("train.steps=2", "learner.outer.warmup=0")
    process = start(2, job, out, sets=(*sets, "eval.adapt_steps=[1, 400000]"))
    wait_for(lambda: (out / "untrained" / "metrics.h5").exists(), process)
    time.sleep(0.5)
    began = time.time()
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=30)
    check(process.returncode == 85, f"exit code {process.returncode}, not 85:\n{said}")
    check(time.time() - began < 10, f"it took {time.time() - began:.1f} s")
    run(1, job, out, "--resume", sets=sets)
    run(2, job, unbroken, sets=sets)
    for folder in ("", "untrained"):
        check(column(out / folder, "eval/score/score") == column(unbroken / folder, "eval/score/score"),
              f"{folder}: scores differ")


if __name__ == "__main__":
    main([test for name, test in sorted(globals().items()) if name.startswith("test_")])
