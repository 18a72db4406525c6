# SPDX-License-Identifier: BSD-3-Clause
"""Two starts at once in one folder: one of them has it, the other is told so; nothing is mixed."""
import time

from cases import check


def at_once(trial, other):
    ranks = trial.random.choice((0, 1))
    first = trial.start(ranks, resume=trial.random.random() < 0.7)
    time.sleep(trial.random.choice((0, 0, 0, trial.random.uniform(0, trial.ground.seconds))))
    second = trial.start(ranks, sets=other, resume=trial.random.random() < 0.7)
    trial.tell(f"two starts, {ranks} ranks, the second with {' '.join(other) or 'the same job'}")
    runs = (first, second)
    try:
        for run in runs:
            run.wait()
    finally:
        for run in runs:
            run.end()
    codes = [run.code for run in runs]
    trial.tell(f"exits {codes}")
    check(set(codes) <= {0, 1, 2, 85}, f"exits {codes}: {second.tail()}")
    for run in runs:
        if run.code in (1, 2):
            check(len(run.messages()) == 1, f"{len(run.messages())} messages: {run.tail()}")
    return codes


def same_job(trial):
    codes = at_once(trial, ())
    check(0 in codes, f"nobody came through: exits {codes}")
    trial.verify()
    trial.come_through()
    return "same"


def different_jobs(trial):
    """Whoever has the folder, it is wholly theirs: ours is there to the bit, or is refused since another is."""
    codes = at_once(trial, ("seed=77",))
    check(codes != [0, 0], "both say that they came through in one folder")
    check(0 in codes, f"nobody came through: exits {codes}")
    run = trial.start(0).wait()
    if run.code == 0:
        trial.verify(run)
        return "same"
    check(run.code == 2 and "seed" in run.said, f"the folder's owner is not told: {run.tail()}")
    run = trial.start(0, sets=("seed=77",)).wait()
    check(run.code == 0, f"it is neither the one's nor the other's: {run.tail()}")
    trial.verify(run, trial.ground.foreign)
    return "refused"


KINDS = {"two starts, one job": same_job, "two starts, two jobs": different_jobs}
