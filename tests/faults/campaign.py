# SPDX-License-Identifier: BSD-3-Clause
"""Faults against whole runs of the program: every trial ends in the bits of the run that nothing happened
to, or in the refusal that the words promise; never in a hang, a crash or a silent loss. TAP, and a table.

usage: campaign.py PROGRAM SHIM [--trials N] [--seed S] [--only N] [--kind WORDS] [--jobs N] [--keep]

Trial N of seed S is the same trial whatever the count is: --only N alone does it again. Instants are
what they are: a kill "at 0.41 s" may hit another instruction the next time; one at a file call does not.
"""
import argparse
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import damage
import disk
import ground
import kills
import signals
import starts
from cases import Failed

KINDS = {**kills.KINDS, **damage.KINDS, **disk.KINDS, **signals.KINDS, **starts.KINDS}
# How often a kind comes in a round of the trials; once where nothing is said.
OFTEN = {"killed at a file call": 8, "killed at an instant": 4, "damaged checkpoints": 4,
         "damaged metrics.h5": 6, "damaged metrics.jsonl": 3, "damaged job.cfg": 2, "both metrics files": 2,
         "failing file calls": 5, "immutable": 2, "removed under way": 2, "signal": 5, "two signals": 2,
         "two starts, one job": 2, "two starts, two jobs": 2}
ANSWERS = ("same", "refused", "skipped", "failed")


def a_round():
    """The kinds in the order of trial numbers: the often ones spread over the round."""
    places = [((i + 0.5) / OFTEN.get(kind, 1), kind) for kind in KINDS for i in range(OFTEN.get(kind, 1))]
    return [kind for _, kind in sorted(places)]


ROUND = a_round()


def kind_of(number):
    """@return  the kind of a trial (from 1), and how many of that kind came before it"""
    turn, place = divmod(number - 1, len(ROUND))
    kind = ROUND[place]
    return kind, turn * ROUND.count(kind) + ROUND[:place].count(kind)


def attempt(trial):
    try:
        return KINDS[trial.kind](trial), ""
    except disk.Cannot as reason:
        return "skipped", str(reason)
    except (Failed, ground.Refused) as reason:
        return "failed", f"{'refused: ' if isinstance(reason, ground.Refused) else ''}{reason}"
    except Exception:  # a broken trial is a failed one, not the end of the others
        return "failed", traceback.format_exc()


def run_trial(arguments):
    place, number, seed, keep = arguments
    kind, occurrence = kind_of(number)
    trial = ground.Trial(place, number, kind, occurrence, random.Random(f"{seed}/{number}"))
    began = time.monotonic()
    answer, reason = attempt(trial)
    for token in range(trial.launches):
        for process in ground.processes(f"{os.getpid()}-{number}-{token}"):
            os.kill(process, 9)
    if not (keep and answer == "failed"):
        trial.clear()
    return number, kind, answer, reason, "; ".join(trial.story), time.monotonic() - began


def note(text):
    """For people: meson shows standard error as it comes, and TAP's comments only after a failure."""
    print(f"# {text}", file=sys.stderr, flush=True)


def tell(done, count, seed):
    number, kind, answer, reason, story, seconds = done
    directive = f" # SKIP {reason}" if answer == "skipped" else ""
    if answer == "failed":
        for line in reason.strip().splitlines():
            note(line)
        note(f"again: tools/check --faults --only {number} --seed {seed}")
    print(f"{'not ok' if answer == 'failed' else 'ok'} {count} - trial {number}: {kind}: "
          f"{story.replace('#', '')} ({answer}, {seconds:.0f} s){directive}", flush=True)


def print_table(answers):
    width = max(map(len, KINDS))
    heads = ("trials", "same bits", "refused", "skipped", "failed")
    note(f"{'kind':<{width}}" + "".join(f"{head:>11}" for head in heads))
    rows = [(kind, [answers[kind, a] for a in ANSWERS]) for kind in KINDS
            if any(answers[kind, a] for a in ANSWERS)]
    for kind, row in [*rows, ("all", [sum(column) for column in zip(*(row for _, row in rows))])]:
        note(f"{kind:<{width}}" + "".join(f"{value:11}" for value in (sum(row), *row)))


def parse():
    parser = argparse.ArgumentParser(description="Faults against whole runs.")
    parser.add_argument("program")
    parser.add_argument("shim")
    parser.add_argument("--trials", type=int, default=240, help="how many; 240")
    parser.add_argument("--seed", type=int, default=1, help="what the trials are drawn from; 1")
    parser.add_argument("--only", type=int, action="append", help="this trial alone; can be repeated")
    parser.add_argument("--kind", help="only kinds with these words")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="at once; the cores")
    parser.add_argument("--keep", action="store_true", help="keep the folders of failed trials")
    return parser.parse_args()


def main():
    o = parse()
    numbers = o.only or [n for n in range(1, o.trials + 1) if not o.kind or o.kind in kind_of(n)[0]]
    answers = Counter()
    path = Path(tempfile.mkdtemp(prefix="outerloop-faults-"))
    place = ground.Ground(path, o.program, o.shim)
    began = time.monotonic()
    try:
        print(f"1..{len(numbers)}", flush=True)
        place.prepare()
        note(f"the run alone takes {place.seconds:.1f} s and {place.calls} file calls")
        with multiprocessing.Pool(o.jobs, maxtasksperchild=20) as pool:
            todo = [(place, number, o.seed, o.keep) for number in numbers]
            for count, done in enumerate(pool.imap(run_trial, todo), 1):
                answers[done[1], done[2]] += 1
                tell(done, count, o.seed)
    finally:
        if not o.keep:
            shutil.rmtree(path, ignore_errors=True)
    print_table(answers)
    note(f"seed {o.seed}, {time.monotonic() - began:.0f} s" + (f"; kept in {path}" if o.keep else ""))
    return 1 if any(answer == "failed" for _, answer in answers.elements()) else 0


if __name__ == "__main__":
    sys.exit(main())
