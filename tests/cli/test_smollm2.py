# SPDX-License-Identifier: BSD-3-Clause
"""A real pretrained model, SmolLM2-135M-Instruct as a GGUF file of 4 bits a number: the ids of its tokenizer and the
losses of its weights. Expected ones, in smollm2.json, are those of transformers 5.23 and torch 2.13 in float32 on
the same weights, widened. TAP.

usage: test_smollm2.py PROGRAM MODEL.gguf (tools/smollm2 --fetch)
"""
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy

from cases import Skipped, main

PROGRAM, MODEL = sys.argv[1:]
TEXTS = json.loads(Path(__file__).with_name("smollm2.json").read_text(encoding="utf-8"))
CLOSE = 1e-5  # of the norm of all losses


def run(*words, given=""):
    if not Path(MODEL).exists():
        raise Skipped("tools/smollm2 --fetch brings the model")
    done = subprocess.run([PROGRAM, *map(str, words)], input=given, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ids(folder):
    lines = "".join(json.dumps({"text": one["text"]}) + "\n" for one in TEXTS)
    for one, line in zip(TEXTS, run("tokens", "--tokenizer", MODEL, given=lines).splitlines(), strict=True):
        assert json.loads(line)["ids"] == one["ids"], one["text"]


def test_losses(folder):
    """Of all tokens of a text but the first."""
    prompts, out = folder / "prompts.h5", folder / "losses.h5"
    with h5py.File(prompts, "w") as file:
        file["tokens"] = numpy.concatenate([one["ids"] for one in TEXTS]).astype("i4")
        file["offsets"] = numpy.cumsum([0] + [len(one["ids"]) for one in TEXTS]).astype("i8")
        file["loss_mask"] = numpy.concatenate([[0] + [1] * (len(one["ids"]) - 1) for one in TEXTS]).astype("u1")
        file["options_per_row"] = numpy.ones(len(TEXTS), "i4")
    run("score", MODEL, "--prompts", prompts, "--out", out)
    with h5py.File(out) as file:
        losses = file["option_losses"][...]
    expected = numpy.array([one["loss"] for one in TEXTS])
    error = numpy.linalg.norm(losses - expected) / numpy.linalg.norm(expected)
    print(f"# losses differ by {error:.1e}")
    assert error <= CLOSE, f"losses differ by {error:.1e}"


if __name__ == "__main__":
    main([test_ids, test_losses])
