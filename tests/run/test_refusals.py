# SPDX-License-Identifier: BSD-3-Clause
"""What a run refuses, and how it ends: every rank, one message, the right code, no harm. TAP.

usage: test_refusals.py PROGRAM
"""
import hashlib
import json
import os
import re

from cases import check
from harness import ARMS, column, main, run

SHORT = ("train.steps=6", "train.checkpoint_every=3", "learner.outer.warmup=0",
         'stages=["train"]')


def refused(place, *words, job=None, output=None, sets=(), arguments=(), ranks=None):
    """Exit 2 with one message that has these words, and nothing written. The first refusal in a place is on two
    ranks; those after it, which leave by the same way, are by one process, unless `ranks` are asked for."""
    if ranks is None:
        ranks = 0 if place.has_refused else 2
    place.has_refused = True
    output = output or place.path / "out"
    before = state(output)
    said = run(ranks, job or place.job(), output, *arguments, sets=sets, code=2).stderr
    for word in words:
        check(word in said, f"{word!r} is not in:\n{said}")
    check(state(output) == before, "files were written or changed")


def state(folder):
    """Every file below with a hash of what is in it."""
    if not folder.is_dir():
        return None
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def test_keys(place):
    refused(place, "outerloop: --set learner.iner", "learner.inner", sets=["learner.iner.lr=1"])
    refused(place, "episodes", sets=["learner.episodes=0"])
    refused(place, "train.steps", sets=["train.steps=many"])
    refused(place, "nothere.cfg", job=place.job(more='@include "nothere.cfg"\n'))
    refused(place, "missing.cfg", job=place.path / "missing.cfg", ranks=2)
    refused(place, "untrained", job=place.job(more='arms = ( { name = "untrained"; } );'))


def test_folders(place):
    refused(place, "nowhere", sets=[f"data.root={place.path}/nowhere"])
    refused(place, "nosuch", "mini", sets=["data.setting=nosuch"])
    refused(place, "/nonexistent/t", "vocab.json", ranks=2, sets=["data.tokenizer=/nonexistent/t"])


def test_task_without_files(place):
    (place.root / "config" / "mini.json").write_text(
        json.dumps({"train": ["even", "ghost"], "test": ["third"]}))
    refused(place, "ghost", "mini.json")
    (place.root / "config" / "mini.json").write_text(
        json.dumps({"train": ["even"], "test": ["third", "ghost"]}))
    refused(place, "ghost", "mini.json")


def test_names_that_are_not_for_lines(place):
    """Else they would forge lines of logs, and files that hold them could not be read again."""
    (place.root / "config" / "mini.json").write_text(json.dumps({"train": ["even", "odd\x1b[2J"], "test": ["third"]}))
    refused(place, "mini.json", "odd?[2J", "control character")
    refused(place, "name holds a line end", sets=['name="a\\nb"'])


def spoil(place, task, k, seed, split, number, line):
    path = place.root / "data" / task / f"{task}_{k}_{seed}_{split}.jsonl"
    lines = path.read_bytes().splitlines()
    lines[number - 1] = line
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path.name


def test_rows(place):
    for line in (b"{not json", b'{"task": "odd", "input": "a", "options": []}', b"",
                 b'{"task": "odd", "input": "a", "output": "maybe", "options": ["yes", "no"]}',
                 b'{"task": "odd", "input": "\xff", "output": "yes", "options": ["yes", "no"]}'):
        name = spoil(place, "odd", 16384, 100, "train", 7, line)
        refused(place, f"{name}:7")


def test_test_rows(place):
    name = spoil(place, "later", 16, 21, "test", 3, b"[]")
    refused(place, f"{name}:3")


def test_too_few_rows(place):
    refused(place, "rows", sets=["learner.support=100"])
    refused(place, "third", "17 shots", sets=["eval.shots=17"])


def test_prompt_longer_than_the_context(place):
    refused(place, "context", sets=["data.max_tokens=160", "model.context=30"])


def test_vocabulary(place):
    refused(place, "model.vocab", "256", sets=["model.vocab=100"])
    (place.root / "tokenizer" / "merges.txt").write_text("#version: 0.2\nq zz\n")
    refused(place, "merges.txt:2")


def test_import_without_a_model(place):
    shape = ["model.layers=4", "model.width=128", "model.heads=4", "model.context=1024"]
    refused(place, "/nonexistent/config.json",
            sets=["model.init=import", "model.path=/nonexistent", *shape])
    refused(place, "model.width is unused", sets=["model.init=import", "model.path=/nonexistent"])


def test_output_that_cannot_be_written(place):
    (place.path / "file").write_text("not a folder")
    refused(place, "file", output=place.path / "file")
    refused(place, "file", output=place.path / "file" / "below")
    refused(place, "/proc/none", output=place.path.__class__("/proc/none"))
    if os.geteuid() != 0:  # root writes anywhere
        (place.path / "closed").mkdir(mode=0o500)
        refused(place, "closed", output=place.path / "closed")


def test_output_with_a_run(place):
    job, out = place.job(), place.path / "out"
    run(0, job, out, sets=SHORT)
    refused(place, "--resume", "output", job=job, sets=SHORT)
    for key, value in (("seed", "9"), ("model.width", "32"), ("data.shots", "1"),
                       ("learner.inner.lr", "0.5")):
        refused(place, key, job=job, sets=[*SHORT, f"{key}={value}"], arguments=["--resume"])
    refused(place, "has made 6 meta-steps", "train.steps", job=job,
            sets=["train.steps=5", *SHORT[1:]], arguments=["--resume"])
    (out / "job.cfg").unlink()
    refused(place, "job.cfg", job=job, sets=SHORT)
    refused(place, "job.cfg", job=job, sets=[*SHORT, "seed=9"], arguments=["--resume"])
    done = run(2, job, out, "--resume", sets=SHORT) # its checkpoint holds the job
    check(done.stderr.count("job.cfg is missing") == 1, done.stderr)
    check((out / "job.cfg").exists(), "job.cfg was not restored")


def test_arm_of_another_job(place):
    job, out = place.job(more=ARMS), place.path / "out"
    run(0, place.job("other"), out / "reptile", sets=[*SHORT, "seed=77"])
    refused(place, "reptile", job=job)
    refused(place, "seed", job=job, arguments=["--resume"])


def test_checkpoint_of_another_model(place):
    job, first, second = place.job(), place.path / "first", place.path / "second"
    run(0, job, first, sets=SHORT)
    start = first / "checkpoints" / "step-000006.h5"
    sets = [*SHORT, "model.init=checkpoint", f"model.path={start}"]
    refused(place, "width 16 and not 32", job=job, output=second, sets=[*sets, "model.width=32"])
    refused(place, "none.h5", job=job, output=second,
            sets=[*SHORT, "model.init=checkpoint", f"model.path={first}/none.h5"])
    run(0, job, second, sets=sets)
    run(0, job, place.path / "third",
        sets=[*SHORT, "model.init=checkpoint", f"model.path={first}"])
    check(column(second, "train/step/digest") == column(place.path / "third", "train/step/digest"),
          "the file and its run folder are not the same start")
    start.write_bytes(start.read_bytes()[:2000])
    refused(place, start.name, job=job, output=place.path / "fourth", sets=sets)


def test_the_start_is_looked_at_before_the_suite_is_made(place):
    job, first, out = place.job(), place.path / "first", place.path / "out"
    run(0, job, first, sets=SHORT)
    sets = [*SHORT, "data.root=", "data.setting=hr_to_lr", "model.init=checkpoint", f"model.path={first}"]
    for value, word in (("model.width=32", "width 16 and not 32"), ("data.max_tokens=161", "the 160 positions"),
                        ("model.trained=[none.*]", "none.*"), ("model.path=/none", "/none")):
        refused(place, word, job=job, sets=[*sets, value])
        check(not out.exists(), f"{value}: the suite was made")


def test_no_whole_checkpoint(place):
    job, out = place.job(), place.path / "out"
    run(0, job, out, sets=SHORT)
    for path in (out / "checkpoints").glob("*.h5"):
        path.write_bytes(b"torn")
    said = run(2, job, out, "--resume", sets=SHORT, code=1).stderr
    check("step-000006.h5" in said, said)
    check(re.findall(r"rank \d+ on [^ ]+: ", said) == [f"rank 0 on {os.uname().nodename}: "], said)


def test_losses_that_are_not_finite(place):
    job, out = place.job(), place.path / "out"
    bad = ("train.steps=20", "learner.inner.optimizer=sgd", "learner.inner.lr=1e30",
           'stages=["train"]', "train.max_dropped=3", "learner.outer.warmup=0")
    said = run(2, job, out, sets=bad, code=1).stderr
    check("learner.inner.lr" in said and "3 meta-steps in a row" in said, said)
    check(said.count("is dropped") == 12 and "task " in said, said)
    check(column(out, "train/episode/dropped") == [1] * 12, "dropped episodes are not counted")
    check(column(out, "train/step/dropped") == [4] * 3, "dropped episodes are not counted")
    check(len(set(column(out, "train/step/digest"))) == 1, "θ moved without a gradient")
    check(len(list((out / "checkpoints").glob("step-000003.h5"))) == 1, "nothing was saved")


def test_gradients_that_are_doubtful(place):
    """Said once, with the key to change; not at the settings that a job has when it says nothing."""
    job, doubt = place.job(), "learner.inner.eps_root"
    sets = ("train.steps=8", "train.second_order_share=true", 'stages=["train"]')
    said = run(2, job, place.path / "doubtful",
               sets=(*sets, f"{doubt}=0.0", "learner.inner.moments=separate",
                     "learner.inner.lr=0.05")).stderr
    check(said.count(doubt) == 1, said)
    check(doubt not in run(0, job, place.path / "usual", sets=sets).stderr, "a false alarm")


def test_idle_ranks(place):
    """Said before anything is loaded, once for all arms or for each that differs; not otherwise."""
    def warned(ranks, *sets, more=""):
        said = run(ranks, place.job(more=more), place.path / "out", sets=(*sets, "data.root=/none"),
                   code=2).stderr
        check(said.index("/none") > said.rfind("idle"), said)
        return re.findall(r"warning: (.*?)(\d+) of (\d+) ranks will be idle in training: "
                          r"learner.episodes = (\d+).* start (\d+) rank", said)

    check(warned(3, "learner.episodes=2") == [("", "1", "3", "2", "2")], "one job")
    check(warned(3, "learner.episodes=3") == [], "a false alarm")
    check(warned(3, "learner.episodes=1", "stages=eval") == [], "nothing is trained")
    check(warned(4, "learner.episodes=2", more=ARMS) == [("", "2", "4", "2", "2")], "equal arms")
    check(warned(4, "learner.episodes=3", "arms.first.learner.episodes=4", more=ARMS) ==
          [(f"{name}: ", "1", "4", "3", "4") for name in ("maml", "reptile", "rates", "metaicl")],
          "arms that differ")
    said = run(5, place.job(), place.path / "out", sets=[*SHORT[:3], "stages=eval"]).stderr
    check("1 of 5 ranks will be idle in scoring: there are 2 target tasks and 2 seeds" in said, said)


def test_adaptation_that_is_not_finite(place):
    out = place.path / "out"
    said = run(2, place.job(), out, sets=("train.steps=6", "eval.adapt_lr=1e30",
                                          "learner.inner.optimizer=sgd")).stderr
    check("eval.adapt_lr" in said, said)
    adapted = [d for d, n in zip(column(out, "eval/score/diverged"),
                                 column(out, "eval/score/adapt_steps")) if n > 0]
    check(sum(adapted) > 0, "no adaptation is marked")


if __name__ == "__main__":
    main(globals())
