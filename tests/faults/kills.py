# SPDX-License-Identifier: BSD-3-Clause
"""Runs that are killed: at random instants, and before or in the middle of a chosen file call."""
import signal
import time


def spread(n):
    """The n-th of numbers that fill 0..1 evenly, however many there are (van der Corput)."""
    value, part = 0.0, 0.5
    while n:
        n, digit = divmod(n, 2)
        value += digit * part
        part /= 2
    return value


def at_an_instant(trial):
    """kill -9 of a rank, of all or of mpirun alone; up to four times in a row; each start goes on."""
    for _ in range(trial.random.randint(1, 4)):
        run = trial.start()
        to = trial.random.choice(("rank", "all", "launcher"))
        wait = trial.random.uniform(0, 1.2 * trial.ground.seconds)
        trial.tell(f"{run.ranks} ranks, kill -9 {to} at {wait:.2f} s")
        time.sleep(wait)
        if run.popen.poll() is None:
            run.signal(signal.SIGKILL, to)
        run.wait(killed=True)
        if run.code == 0:
            trial.verify(run)
    trial.come_through()
    return "same"


def at_a_call(trial):
    """Killed at a call; sometimes the start that goes on is, too."""
    share = spread(trial.occurrence + 1)
    for again in range(trial.random.choice((1, 1, 2))):
        n = 1 + int(share * trial.ground.calls)
        mode = trial.random.choice(("kill", "torn"))
        trial.tell(f"{mode} at file call {n} of {trial.ground.calls}")
        run = trial.start(trial.random.choice((0, 1, 2)), fault=f"{mode}:{n}:1").wait(killed=True)
        if run.code == 0:
            trial.verify(run)
        share = trial.random.random() * 0.5
    trial.come_through()
    return "same"


KINDS = {"killed at an instant": at_an_instant, "killed at a file call": at_a_call}
