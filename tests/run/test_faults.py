# SPDX-License-Identifier: BSD-3-Clause
"""Ranks that fail alone, at random places, again and again: nobody waits for ever, all leave with one
code, and the run that comes through in the end is the run that never failed. TAP.

usage: test_faults.py PROGRAM FAULTS
"""
import subprocess
import sys

import h5py

from harness import ARMS, ARM_NAMES, ENV, check, column, digests, main

FAULTS = sys.argv[2]
EVERY = "train = { checkpoint_every = 3; steps = 12; checkpoint_minutes = 0.0; };"


def come_through(place, ranks, rate):
    """The job with checkpoints every three meta-steps, until it is done."""
    job = place.job(more=ARMS)
    job.write_text(job.read_text().replace("train = { steps = 40; checkpoint_minutes = 0.0; };",
                                           EVERY))
    out = place.path / "out"
    launch = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks else []
    ran = subprocess.run([*launch, FAULTS, job, out, str(rate), "400"], env=ENV, text=True,
                         capture_output=True, timeout=300)
    attempts = [line for line in ran.stdout.splitlines() if line.startswith("attempt ")]
    check(ran.returncode == 0, "\n".join([*attempts[-5:], ran.stderr[-2000:]]))
    check(len(attempts) > 3, f"nothing went wrong: {attempts}")
    check(any(" late: injected" in line or " late: rank" in line for line in attempts),
          "no failure on the way:\n" + "\n".join(attempts))
    unbroken = place.undisturbed("train.steps=12", more=ARMS)
    for arm in ARM_NAMES:
        check(digests(out / arm) == digests(unbroken / arm), f"{arm}: digests differ")
        check(column(out / arm, "eval/score/score") == column(unbroken / arm, "eval/score/score"),
              f"{arm}: scores differ")
        with h5py.File(out / arm / "metrics.h5", "r") as file:
            check(int(file.attrs["restart_count"]) >= 0, f"{arm}: restarts")


def test_two_ranks(place):
    come_through(place, 2, 0.006)


def test_three_ranks(place):
    come_through(place, 3, 0.005)


if __name__ == "__main__":
    main([test for name, test in sorted(globals().items()) if name.startswith("test_")])
