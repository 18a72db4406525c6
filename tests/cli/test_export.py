# SPDX-License-Identifier: BSD-3-Clause
"""Exports of every kind loaded by transformers and peft themselves (tools/check-export). TAP.

Their libraries are installed into BUILD/export-venv, once; without PyPI the test skips and says so.

usage: test_export.py PROGRAM SOURCE BUILD
"""
import shutil
import subprocess
import sys
from pathlib import Path

from cases import Skipped, check
from harness import main, run
from test_models import command, job, tokenizer

SOURCE, BUILD = Path(sys.argv[2]), Path(sys.argv[3])
NEEDED = ("torch==2.13.0", "transformers==5.23.0", "peft==0.21.2", "h5py")


def libraries():
    """The python of an environment that has them; made when it is not there."""
    folder = BUILD / "export-venv"
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists() and ready.read_text() == " ".join(NEEDED):
        return python
    shutil.rmtree(folder, ignore_errors=True)
    for step in ([sys.executable, "-m", "venv", folder],
                 [python, "-m", "pip", "-q", "--retries", "1", "--timeout", "20", "install", *NEEDED]):
        try:
            done = subprocess.run(list(map(str, step)), text=True, capture_output=True, timeout=900)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Skipped(f"{error}") from None
        if done.returncode:
            last = (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise Skipped(f"PyPI is not reached, or venv is missing: {last[0] if last else step[0]}")
    ready.write_text(" ".join(NEEDED))
    return python


def exports(place):
    """Folders of each family and type, in shards, an adapter, and one merged."""
    cfg, folders, vocabulary = job(place), [], f"data.tokenizer={tokenizer(place)}"
    for arch, more in (("gpt2", ("f32",)), ("llama", ("bf16", "--shard-size", "1MB")), ("qwen2", ("f16",)), ("qwen3", ("f32",))):
        out, folder = place.path / f"run-{arch}", place.path / f"export-{arch}"
        shape = [f"model.arch={arch}", "model.layers=4", "model.width=128", "model.heads=4", "model.context=160",
                 *(["model.kv_heads=2", "model.tied=false"] if arch != "gpt2" else [])]
        run(1, cfg, out, sets=[*shape, vocabulary, 'stages=["train"]', "train.steps=2"])
        command("export", out, "--out", folder, "--dtype", *more)
        folders.append(folder)
    check(len(list(folders[1].glob("*.safetensors"))) > 1, "no shards")
    for arch in ("gpt2", "llama"):
        out = place.path / f"lora-{arch}"
        run(1, cfg, out, sets=["model.init=import", f"model.path={place.path}/export-{arch}", "model.trained=lora",
                               'stages=["train"]'])
        command("export", out, "--out", place.path / f"adapter-{arch}")
        command("export", out, "--out", place.path / f"merged-{arch}", "--merge")
        folders += [place.path / f"adapter-{arch}", place.path / f"merged-{arch}"]
    return folders


def test_exports(place):
    words = [str(libraries()), str(SOURCE / "tools" / "check-export"), "--program", sys.argv[1]]
    folders = exports(place)
    done = subprocess.run([*words, *map(str, folders)], text=True, capture_output=True, timeout=900)
    for line in done.stdout.splitlines():
        print("#", line)
    check(done.returncode == 0, done.stdout + done.stderr)
    check(done.stdout.count("losses differ by") == len(folders), done.stdout)
    check(done.stdout.count("5 of 5 texts") == len(folders) - 2, "a tokenizer was not compared")
    exact = subprocess.run([*words, "--tolerance", "0", str(folders[0])], text=True, capture_output=True, timeout=300)
    check(exact.returncode == 1, f"float32 of two programs is never the same to the bit: {exact.stdout}{exact.stderr}")


main([test_exports])
