# SPDX-License-Identifier: BSD-3-Clause
"""`outerloop prompts`: the reference files, token for token, and what is refused. TAP.

usage: test_prompts.py PROGRAM       (reference folder from OUTERLOOP_REFERENCE)
"""
import os
import subprocess
import sys
from pathlib import Path

from cases import main, skip_all

try:
    import h5py
    import numpy
except ImportError:
    skip_all("needs python3-h5py")

PROGRAM = sys.argv[1]
REFERENCE = os.environ.get("OUTERLOOP_REFERENCE")
if not REFERENCE:
    skip_all("configure with -Dreference=FOLDER to run this test")
ARRAYS = {"tokens": "<i4", "offsets": "<i8", "loss_mask": "|u1", "options_per_row": "<i4"}
ATTRIBUTES = ("task", "seed", "k", "method", "rows", "is_classification", "metric")


def run(*words):
    return subprocess.run([PROGRAM, "prompts", *map(str, words)], capture_output=True, text=True,
                          timeout=60)


def options(out, **changed):
    given = {"data": f"{REFERENCE}/data/bbh", "tokenizer": f"{REFERENCE}/data/gpt2", "seed": 13,
             "task": "bbh-ruin_names", "k": 2, "variant": "direct", "out": out}
    given.update(changed)
    return [word for key, value in given.items() if value is not None
            for word in (f"--{key.replace('_', '-')}", value)]


def differences(expected, path):
    """What a reference file and the command's file do not share."""
    wrong = []
    attributes = expected.attrs
    done = run(*options(path, task=attributes["task"], seed=attributes["seed"],
                        k=attributes["k"], variant=attributes["method"], rows=attributes["rows"]))
    if done.returncode != 0:
        return [f"exit {done.returncode}: {done.stderr}"]
    if "[[" not in done.stdout or attributes["task"] not in done.stdout:
        wrong.append("the first prompt is not printed")
    with h5py.File(path) as made:
        for name, kind in ARRAYS.items():
            if made[name].dtype != kind:
                wrong.append(f"{name} is {made[name].dtype}, not {kind}")
            if not numpy.array_equal(made[name], expected[name]):
                wrong.append(f"{name} differs")
        for name in ATTRIBUTES:
            if made.attrs[name] != attributes[name]:
                wrong.append(f"{name}: {made.attrs[name]!r}, not {attributes[name]!r}")
    return wrong


def test_reference_files(folder):
    for path in sorted(Path(REFERENCE, "oracle", "prompts").glob("*.h5")):
        with h5py.File(path) as expected:
            yield path.stem, differences(expected, f"{folder}/{path.name}")


def test_refusals(folder):
    """Each ends with exit 2, says these words, and writes nothing."""
    out = f"{folder}/refused.h5"
    cases = [
        ("no task", options(out, task=None), "--task is missing"),
        ("a variant that is none", options(out, variant="chanel"), '"chanel"'),
        ("a number that is none", options(out, k="four"), '"four"'),
        ("an unknown task", options(out, task="bbh-snark"), "bbh-snark_16_13_train.jsonl"),
        ("an unknown seed", options(out, seed=14), "bbh-ruin_names_16_14_train.jsonl"),
        ("too many shots", options(out, k=17), "at most 16 can be had"),
        ("no tokenizer", options(out, tokenizer=folder), "vocab.json"),
        ("an example too short for its options", options(out, max_tokens_per_example=4),
         "raise data.max_tokens_per_example"),
    ]
    for name, words, said in cases:
        done = run(*words)
        wrong = []
        if done.returncode != 2:
            wrong.append(f"exit {done.returncode}, not 2")
        if said not in done.stderr:
            wrong.append(f"{said!r} is not in {done.stderr!r}")
        if os.path.exists(out):
            wrong.append("a file was written")
        yield "refused: " + name, wrong
    done = run(*options(f"{folder}/nowhere/out.h5"))
    yield "a folder that is not there: exit 2", (
        [] if done.returncode == 2 and "nowhere/out.h5" in done.stderr
        else [f"exit {done.returncode}: {done.stderr}"])


main(globals())
