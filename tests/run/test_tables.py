# SPDX-License-Identifier: BSD-3-Clause
"""The final table of whole runs: rows, starts, trainings, numbers, widths; and what it is made of. TAP.

usage: test_tables.py PROGRAM
"""
import fcntl
import hashlib
import math
import os
import pty
import re
import struct
import subprocess
import termios

from cases import check
from harness import ENV, PROGRAM, column, command, main, run

SHORT = ("train.steps=6", "learner.outer.warmup=0")
FEW = (*SHORT, "eval.rows=4", "eval.adapt_steps=[1]")
TWO = """arms = ( { name = "maml"; }, { name = "metaicl"; learner = { algorithm = "metaicl"; }; } );"""


def rows(said):
    """Names of the rows of the first block, in their order."""
    block = said.split("learner  ", 1)[1].split("\n\n", 1)[0]
    return [line.split()[0] for line in block.splitlines()[1:]]


def inspect(*arguments, env=None):
    done = subprocess.run([PROGRAM, "inspect", *map(str, arguments)], env=env or ENV, text=True,
                          capture_output=True, timeout=60)
    check(done.returncode == 0, done.stdout + done.stderr)
    return done.stdout


def state(folder):
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("job.cfg"))}


def mean(values):
    return sum(values) / len(values)


def test_table(place):
    """Printed, in the log, and what inspect says again; numbers from the columns."""
    out = place.path / "out"
    said = run(2, place.job(more=TWO), out, sets=SHORT).stdout.strip("\n")
    check(rows(said) == ["chance", "majority", "untrained", "maml", "metaicl"], said)
    check(said in (out / "log.txt").read_text(), "the log has not the table")
    check(said in inspect(out), "inspect says something else")
    check("unseen tasks: 2 tasks, 2 seeds, 1 training; macro-F1 in %" in said, said)
    check("unseen domains: 1 task" in said, said)
    scores = [x for x, n in zip(column(out / "maml", "eval/score/score"),
                                column(out / "maml", "eval/score/adapt_steps")) if n == 0]
    line = next(line for line in said.splitlines() if line.startswith("maml"))
    check(abs(float(line.split()[1]) - 100 * mean(scores)) <= 0.5, f"{line} of {scores}")
    check(re.search(r"\nmaml +\d\.\d+ → \d\.\d+ +\d+ s\n", said), "no gain of the inner loop")
    check(re.search(r"\nmetaicl +- +\d+ s\n", said), "a gain without an inner loop")
    check(re.search(r"\nmaml .*[+-]\d+.*\[.*\]", said), "no differences")


def expected_calibration(file_losses, golds):
    bins = {}
    for losses, gold in zip(file_losses, golds):
        weights = [math.exp(-loss) for loss in losses]
        pick = min(range(len(losses)), key=lambda i: losses[i])
        confidence = weights[pick] / sum(weights)
        bins.setdefault(min(9, int(10 * confidence)), []).append((pick == gold, confidence))
    return sum(abs(sum(right - confidence for right, confidence in rows)) for rows in bins.values()) \
        / len(golds)


def macro_f1(predicted, golds):
    scores = []
    for c in set(golds):
        right = sum(p == g == c for p, g in zip(predicted, golds))
        precision = right / predicted.count(c) if c in predicted else 1
        recall = right / golds.count(c)
        scores.append(2 * precision * recall / (precision + recall) if right else 0)
    return mean(scores)


def test_calibration_and_floors(place):
    """Columns of eval/score against those that follow from eval/prediction."""
    out = place.path / "out"
    run(0, place.job(), out, sets=SHORT)
    losses = column(out, "eval/prediction/option_losses")
    golds = column(out, "eval/prediction/gold_index")
    at = 0
    for n, error, chance, majority in zip(*(column(out, f"eval/score/{name}") for name in (
            "rows", "calibration_error", "chance", "majority"))):
        gold = golds[at:at + n]
        check(abs(error - expected_calibration(losses[at:at + n], gold)) < 1e-12, f"{error}")
        most = max(set(gold), key=gold.count)
        check(abs(majority - macro_f1([most] * n, gold)) < 1e-12, f"majority {majority}")
        shares = [gold.count(c) / n for c in set(gold)]
        check(abs(chance - mean([2 * g * 0.5 / (g + 0.5) for g in shares])) < 1e-12, f"{chance}")
        at += n
    check(at == len(golds), "rows and predictions differ")


def test_trainings(place):
    """Each seed is the run that a job with that seed is; one table for all; --resume goes on."""
    job, out, alone = place.job(more=TWO), place.path / "out", place.path / "alone"
    sets = ["train_seeds=[7, 9]", *FEW]
    said = run(2, job, out, sets=sets).stdout
    check("2 seeds, 2 trainings" in said and said.count("learner  ") == 2, said)
    run(0, job, alone, sets=[*FEW, "seed=9"])
    for arm in ("maml", "metaicl"):
        check(column(out / "seed-9" / arm, "train/step/digest")
              == column(alone / arm, "train/step/digest"), f"{arm} is another run")
        check(column(out / "seed-7" / arm, "train/step/digest")
              != column(alone / arm, "train/step/digest"), f"{arm}: seeds give the same run")
    before = state(out)
    again = run(0, job, out, "--resume", sets=sets).stdout
    check(again == said, f"{said}\nbecame\n{again}")
    check(state(out) == before, "job.cfg of a finished run was written again")
    check(said.strip() in inspect(out, "--check"), "inspect says something else")
    run(0, job, out, "--resume", sets=[*sets, "train.steps=3"], code=2)
    check(state(out) == before, "a refused run changed files")
    said = run(0, job, out, "--resume", sets=["train_seeds=[7, 9, 11]", *FEW]).stdout
    check("3 trainings" in said, said)
    run(0, job, out, "--resume", sets=FEW, code=2)


def test_rows_are_named_after_what_is_scored(place):
    job, out = place.job(more=TWO), place.path / "out"
    run(0, job, out, sets=FEW)
    start = [*FEW[2:], "model.init=checkpoint", f"model.path={out}/maml"]
    said = run(0, job, place.path / "eval", sets=[*start, "stages=[eval]"]).stdout
    check(rows(said) == ["chance", "majority", "maml"], said)
    again = run(0, job, place.path / "eval", "--resume", sets=[*start, "stages=[eval]"]).stdout
    check(again == said, again)
    check(said.strip("\n") in inspect(place.path / "eval"), "inspect says something else")
    said = run(0, job, place.path / "random", sets=[*FEW[2:], "stages=[eval]"]).stdout
    check(rows(said) == ["chance", "majority", "untrained"], said)
    said = run(0, place.job("alone"), place.path / "on", sets=[*start, *SHORT]).stdout
    check(rows(said) == ["chance", "majority", "start", "maml"], said)
    said = run(0, job, out, "--resume", sets=["stages=[eval]", *FEW[1:]]).stdout
    check(rows(said)[2:] == ["maml", "metaicl"], said)


def test_schedule_of_another_length(place):
    job, out = place.job(), place.path / "out"
    sets = ["stages=[train]", "learner.outer.warmup=0"]
    run(0, job, out, sets=[*sets, "train.steps=8"])
    before = state(out)
    run(0, job, out, "--resume", sets=[*sets, "train.steps=4"], code=2)
    check(state(out) == before, "a refused run changed files")
    said = run(0, job, out, "--resume", sets=[*sets, "train.steps=8", "train.keep_last=7"]).stderr
    check(state(out) == before and "schedule" not in said, "a finished run was changed")
    said = run(0, job, out, "--resume", sets=[*sets, "train.steps=16"]).stderr
    check("train.steps was 8 and is 16: at meta-step 9 the outer rate goes from 0 to 0.001" in said,
          said)
    check(state(out) != before, "job.cfg does not say what was run")


def read_terminal(columns, words, env):
    """What a program says on a terminal of so many columns."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(words, env=env, stdout=child, stderr=child)
    os.close(child)
    said = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:
            break
        if not piece:
            break
        said += piece
    os.close(parent)
    check(process.wait() == 0, said.decode())
    return said.decode()


def test_narrow_terminal(place):
    """The live line keeps to one line, and the table to the width."""
    job, out = place.job(more=TWO), place.path / "out"
    env = dict(ENV, TERM="xterm")
    env.pop("COLUMNS", None)
    for ranks in (0, 2):
        sets = ["train.steps=100", *FEW[1:]]
        said = read_terminal(40, command(ranks, job, out / str(ranks), sets=sets), env)
        live = [piece.split("\r")[0].split("\n")[0] for piece in said.split("\r\x1b[K")[1:]]
        live = [line for line in live if "/" in line and "done in" not in line]
        check(any("left" in line or len(line) == 39 for line in live), f"no live line: {said!r}")
        check(all(len(line) <= 39 for line in live if not line.startswith("maml  100")), f"{live}")
        table = said[said.index("unseen tasks:"):said.index("raise" if "raise" in said else "\n\r\n")]
        check(all(len(line) <= 40 for line in table.splitlines()), table)
    wide = inspect(out / "0", env=dict(ENV, COLUMNS="40")).split("unseen tasks:")[1]
    check(all(len(line) <= 40 for line in wide.splitlines()), wide)


if __name__ == "__main__":
    main(globals())
