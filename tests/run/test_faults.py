# SPDX-License-Identifier: BSD-3-Clause
"""Ranks that fail alone, at random places, again and again: nobody waits for ever, all leave with one
code, and the run that comes through in the end is the run that never failed. TAP.

usage: test_faults.py PROGRAM FAULTS
"""
import subprocess
import sys

import h5py

from cases import check
from harness import ENV, column, digests, main

FAULTS = sys.argv[2]
SHORT = ("train.steps=6", "train.checkpoint_every=2", "learner.outer.warmup=0", "eval.rows=4", "eval.adapt_steps=[1]")
# Each way to train is under faults on one number of ranks: first order is the way of maml.
MAML_AND_RATES = """
arms = ( { name = "maml"; },
         { name = "rates"; learner = { algorithm = "meta-sgd"; inner = { optimizer = "sgd"; lr = 0.05; };
                                       rates = { per = "weight"; }; }; } );
"""
REPTILE_AND_METAICL = """
arms = ( { name = "reptile"; learner = { algorithm = "reptile"; inner = { moments = "read"; }; }; },
         { name = "metaicl"; learner = { algorithm = "metaicl"; }; } );
"""


def come_through(place, ranks, rate, arms, names):
    """The job with checkpoints every two meta-steps, until it is done."""
    job, out = place.job(more=arms), place.path / "out"
    ran = subprocess.run(["mpirun", "--oversubscribe", "-n", str(ranks), FAULTS, str(rate), "400", job,
                          f"output={out}", *SHORT], env=ENV, text=True, capture_output=True, timeout=300)
    attempts = [line for line in ran.stdout.splitlines() if line.startswith("attempt ")]
    check(ran.returncode == 0, "\n".join([*attempts[-5:], ran.stderr[-2000:]]))
    check(len(attempts) > 3, f"nothing went wrong: {attempts}")
    check(any(" late: injected" in line or " late: rank" in line for line in attempts),
          "no failure on the way:\n" + "\n".join(attempts))
    unbroken = place.undisturbed(*SHORT, more=arms)
    for arm in names:
        check(digests(out / arm) == digests(unbroken / arm), f"{arm}: digests differ")
        check(column(out / arm, "eval/score/score") == column(unbroken / arm, "eval/score/score"),
              f"{arm}: scores differ")
        with h5py.File(out / arm / "metrics.h5", "r") as file:
            check(int(file.attrs["restart_count"]) >= 0, f"{arm}: restarts")


def test_two_ranks(place):
    come_through(place, 2, 0.01, MAML_AND_RATES, ("maml", "rates"))


def test_three_ranks(place):
    come_through(place, 3, 0.008, REPTILE_AND_METAICL, ("reptile", "metaicl"))


if __name__ == "__main__":
    main(globals())
