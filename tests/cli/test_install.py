# SPDX-License-Identifier: BSD-3-Clause
"""What `meson install` puts where, and that it works there; an archive knows its commit. TAP.

usage: test_install.py BUILD ROOT PREFIX
"""
import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

from cases import Skipped, main

BUILD, ROOT, PREFIX = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].lstrip("/")


def named_paths(top):
    """Below the prefix: what help, manual and README name."""
    texts = [path.read_text().replace("\\-", "-").replace("\\fR", " ")
             for path in (top / "share" / "man").rglob("*.1")]
    for command in ("--help", "report --help"):
        texts.append(subprocess.run([top / "bin" / "outerloop", *command.split()], text=True,
                                    capture_output=True, cwd=top).stdout)
    paths = {top / path for text in texts
             for path in re.findall(rf"/{re.escape(PREFIX)}/(share/[\w/.-]*\w)", text)}
    doc = top / "share" / "doc" / "outerloop"
    return paths | {doc / link for link in
                    re.findall(r"\]\((docs/[^)#]+)[^)]*\)", (doc / "README.md").read_text())}


def installed(folder):
    done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", folder],
                          capture_output=True, text=True, timeout=60)
    if done.returncode:
        return done.stdout + done.stderr
    top = Path(folder, PREFIX)
    data = top / "share" / "outerloop"
    for path in (top / "bin" / "outerloop", data / "jobs" / "quickstart.cfg",
                 data / "cfg" / "model-tiny.cfg", data / "slurm" / "run.sbatch",
                 data / "verification" / "gpt2-adamw-carry-k2.h5",
                 top / "share" / "doc" / "outerloop" / "README.md"):
        if not path.is_file():
            return f"{path} is not there"
    commands = {path.stem.removeprefix("cmd_").replace("_", "-") for path in (ROOT / "src" / "cli").glob("cmd_*.c")}
    pages = {path.name for path in (top / "share" / "man" / "man1").iterdir()}
    if pages != {"outerloop.1", *(f"outerloop-{command}.1" for command in commands)} or \
            not (top / "share" / "man" / "man5" / "outerloop-job.5").is_file():
        return f"the manual pages are {pages}"
    paths = named_paths(top)
    gone = [str(path) for path in paths if not path.exists()]
    if gone or len(paths) < 4:
        return f"of {len(paths)} paths that are named these are not there: {gone}"
    if not os.access(data / "slurm" / "run.sbatch", os.X_OK) and \
            os.access(ROOT / "slurm" / "run.sbatch", os.X_OK):
        return "the batch script cannot be executed"
    for job in sorted((data / "jobs").glob("*.cfg")):
        said = subprocess.run([top / "bin" / "outerloop", "run", job, "--set", "nosuchkey=1"],
                              capture_output=True, text=True, cwd=folder).stderr
        if "nosuchkey" not in said or "@include" in said:
            return f"{job.name} cannot be read where it is installed: {said}"
    return None


def archive(folder):
    """What git packs, or meson dist, knows its commit without .git."""
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True)
    packed = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], capture_output=True)
    if head.returncode or packed.returncode:
        raise Skipped("no git here")
    tarfile.open(fileobj=io.BytesIO(packed.stdout)).extractall(f"{folder}/source")
    done = subprocess.run(["meson", "setup", f"{folder}/source", f"{folder}/build",
                           "-Dsleef=disabled", "-Donednn=disabled"],  # what is looked for long
                          capture_output=True, text=True)
    if done.returncode:
        return done.stdout + done.stderr
    text = Path(folder, "build", "src", "run", "build_id.h").read_text()
    return None if f'"{head.stdout.strip()}"' in text else f"not {head.stdout}: {text}"


main([installed, archive])
