# SPDX-License-Identifier: BSD-3-Clause
"""Rates chosen on training tasks that are held out: the choice, the tasks, stops, ranks. TAP.

usage: test_tune.py PROGRAM
"""
import signal

import h5py

from cases import check
from harness import column, main, read_to, run, start_held

INNER = (0.3, 0.003)
OUTER = (0.05, 0.002)
GRID = """
tune = { holdout = 2; rows = 5;
         grid = ( ( { learner = { inner = { lr = 0.3; }; }; }, { learner = { inner = { lr = 0.003; }; }; } ),
                  ( { learner = { outer = { lr = 0.05; }; }; }, { learner = { outer = { lr = 0.002; }; }; } ) ); };
arms = ( { name = "maml"; }, { name = "same"; },
         { name = "first"; learner = { order = 1; inner = { optimizer = "sgd"; }; };
           tune = { grid = ( ( { learner = { inner = { lr = 0.1; }; }; } ) ); }; },
         { name = "plain"; learner = { algorithm = "multitask"; }; tune = { grid = (); }; } );
"""
SHORT = ("train.steps=3", "learner.outer.warmup=0", "eval.adapt_rows=4", "eval.rows=6")
TRAINING = ("even", "odd", "first", "second")


def mean_score(folder):
    """Of all adapted scores of a run, and which tasks they are of."""
    steps, score = column(folder, "eval/score/adapt_steps"), column(folder, "eval/score/score")
    adapted = [s for n, s in zip(steps, score) if n > 0]
    check(len(adapted) == 2 * 2 * 2, f"{len(adapted)} adapted scores")
    return sum(adapted) / len(adapted), set(column(folder, "eval/score/task"))


def value(job, key):
    """`key` of learner in a resolved job.cfg: the first one there, of inner or outer."""
    group, leaf = key.split(".")
    text = job.read_text()
    text = text[text.index("learner = {"):]
    text = text[text.index(group + " = {"):]
    line = next(line for line in text.splitlines() if line.strip().startswith(leaf + " = "))
    return float(line.split("=")[1].split(";")[0]), line.split("#")[1].strip()


def scores(folder):
    return {arm: (column(folder / arm, "eval/score/score"), column(folder / arm, "eval/score/task"))
            for arm in ("untrained", "maml", "same", "first", "plain")}


def whole(place):
    """A run of two ranks, and two trainings after the choice."""
    return place.undisturbed(*SHORT, "train_seeds=[4, 7]", more=GRID, ranks=2)


def test_choice(place):
    out = whole(place)
    trained, seed = out / "tune" / "trained", out / "seed-4"
    arms = sorted(path.name for path in trained.iterdir() if (path / "checkpoints").is_dir())
    check(arms == ["first.1", "maml.1", "maml.2", "maml.3", "maml.4"], f"arms of the grid: {arms}")

    means, held = zip(*(mean_score(trained / f"maml.{i}") for i in range(1, 5)))
    best = max(range(4), key=lambda i: means[i])  # the first of equals
    for arm in ("maml", "same"):
        check(value(seed / arm / "job.cfg", "inner.lr") == (INNER[best // 2], "tuned"), f"{arm}: inner rate")
        check(value(seed / arm / "job.cfg", "outer.lr") == (OUTER[best % 2], "tuned"), f"{arm}: outer rate")
    check(value(seed / "plain" / "job.cfg", "inner.lr")[0] == 1e-3, "an arm without a grid was changed")
    check(value(seed / "first" / "job.cfg", "inner.lr")[0] == 0.1, "a grid of one cell")

    starts = [mean_score(out / "tune" / "untrained" / f"untrained.{i}")[0] for i in (1, 3)]
    check(value(seed / "untrained" / "job.cfg", "inner.lr")[0] == INNER[starts[1] > starts[0]],
          "adaptation of the start")
    choice = (out / "tune" / "choice.txt").read_text()
    check(f"{100 * means[best]:.1f}" in choice and "* inner.lr" in choice, choice)
    check(choice in (out / "log.txt").read_text(), "log.txt")

    check(len(held[0]) == 2 and held[0] < set(TRAINING), f"held out: {held[0]}")
    for arm in arms:
        seen = set(column(trained / arm, "train/episode/task"))
        check(seen == set(TRAINING) - held[0], f"{arm} was trained on {seen}")
    check(set(column(seed / "maml", "train/episode/task")) == set(TRAINING), "training after the choice")
    check(set(column(trained / "maml.1", "eval/score/rows")) == {5}, "rows of a held-out task")
    check(set(column(seed / "maml", "eval/score/rows")) == {6}, "rows of a target")
    check(set(column(seed / "maml", "eval/score/task")) == {"third", "later"}, "targets")


def test_ranks_seeds_stop_and_resume(place):
    """One process that is stopped while it tunes, and goes on, ends where two ranks do that nothing stops."""
    job, sets, broken = place.job(more=GRID), (*SHORT, "train_seeds=[4, 7]"), place.path / "broken"
    process = start_held(job, broken, sets=sets)
    read_to(process, "\nmaml.2  1/3 ")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    check(process.returncode == 85, f"exit code {process.returncode}, not 85:\n{said}")
    check(not (broken / "seed-4/maml/checkpoints").exists(), "trained before it was tuned")
    refused = run(0, job, broken, sets=sets, code=2).stderr
    check("--resume" in refused, refused)
    said = run(0, job, broken, "--resume", sets=sets).stdout
    choice = (broken / "tune/choice.txt").read_text()
    check(choice in said, said)
    check(choice == (whole(place) / "tune/choice.txt").read_text(), "choices differ")
    for seed in ("seed-4", "seed-7"):
        check(scores(broken / seed) == scores(whole(place) / seed), f"{seed}: scores differ")
    with h5py.File(broken / "tune/trained/maml.1/metrics.h5") as file:
        check(file.attrs["seed"] == 4, "tuning is of the first seed")

    log = broken / "tune/trained/maml.1/log.txt"
    before = log.stat().st_mtime_ns
    said = run(0, job, broken, "--resume", sets=sets).stderr
    check("tuned before" in said, said)
    check(log.stat().st_mtime_ns == before, "tuned again")
    stored = broken / "tune/trained/maml.1/metrics.h5"
    stored.write_bytes(stored.read_bytes()[:-99])
    (broken / "tune/choice.txt").unlink()
    said = run(0, job, broken, "--resume", sets=sets).stderr
    check(f"{stored}.damaged-1" in said, said)
    check((broken / "tune/choice.txt").read_text() == choice, "choices differ")


def test_refusals(place):
    cell = "{ learner = { inner = { lr = 0.1; }; }; }"
    lines = len(place.job().read_text().splitlines())  # the group begins on the next line
    for more, sets, words in (
            (f"tune = {{ grid = ( {cell} ); }};", (), [f"job.cfg:{lines + 1}", "list of axes"]),
            ("tune = {\n grid = ( ( { learner = { inner = { lrr = 0.1; }; }; } ) ); };", (),
             [f"job.cfg:{lines + 2}", "learner.inner.lrr", "did you mean learner.inner.lr"]),
            ("tune = {\n\n grid = ( ( { train = { steps = 3; }; } ) ); };", (),
             [f"job.cfg:{lines + 3}", "only learner"]),
            ("tune = { grid = ( ( ) ); };", (), [f"job.cfg:{lines + 1}", "one or more groups"]),
            ('tune = { grid = ( ( { learner = { algorithm = "mamal"; }; } ) ); };', (),
             [f"job.cfg:{lines + 1}", "mamal", "maml"]),
            ('arms = ( { name = "a";\n tune = { steps = 3; }; } );', (),
             [f"job.cfg:{lines + 2}", "tune.steps"]),
            (f"tune = {{ grid = ( ( {cell} ) ); }};", ['stages=["train"]'], ["tune.grid", "stages"]),
            (f"tune = {{ grid = ( ( {cell} ) ); }};", ["data.holdout=1"], ["data.holdout", "tune.grid"]),
            (f"tune = {{ grid = ( ( {cell} ) ); holdout = 4; }};", SHORT, ["4 training tasks", "tune.holdout"]),
            ("", ["data.holdout=5", *SHORT], ["5 training tasks", "mini.json", "only 4"]),
            ("", ["data.holdout=1", "eval.adapt_rows=60"], ["60 distinct rows", "eval.adapt_rows"])):
        said = run(0, place.job(more=more), place.path / "out", sets=sets, code=2).stderr
        for word in words:
            check(word in said, f"{word!r} is not in:\n{said}")
        check(not list((place.path / "out").rglob("checkpoints")), "something was trained")


def test_holdout_reads_no_target(place):
    (place.root / "data" / "third" / "third_16_13_test.jsonl").unlink()
    run(0, place.job(), place.path / "out", sets=[*SHORT, "data.holdout=1"])
    said = run(0, place.job(), place.path / "not", sets=SHORT, code=2).stderr
    check("third" in said, said)
    said = run(0, place.job(), place.path / "out", "--resume", sets=[*SHORT, "data.holdout=2"], code=2).stderr
    check("data.holdout" in said, said)


main([test_choice, test_ranks_seeds_stop_and_resume, test_refusals, test_holdout_reads_no_target])
