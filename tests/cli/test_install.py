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
import tempfile
from pathlib import Path

BUILD, ROOT, PREFIX = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].lstrip("/")
ENV = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def installed():
    with tempfile.TemporaryDirectory() as folder:
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
        if not os.access(data / "slurm" / "run.sbatch", os.X_OK) and \
                os.access(ROOT / "slurm" / "run.sbatch", os.X_OK):
            return "the batch script cannot be executed"
        for job in sorted((data / "jobs").glob("*.cfg")):
            said = subprocess.run([top / "bin" / "outerloop", "run", job, "--set", "nosuchkey=1"],
                                  capture_output=True, text=True, env=ENV, cwd=folder).stderr
            if "nosuchkey" not in said or "@include" in said:
                return f"{job.name} cannot be read where it is installed: {said}"
    return None


def commit():
    archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD", "tools/commit.txt"],
                             capture_output=True)
    if archive.returncode:
        return "SKIP no git here"
    text = tarfile.open(fileobj=io.BytesIO(archive.stdout)).extractfile("tools/commit.txt").read()
    return None if re.fullmatch(rb"[0-9a-f]{40}\n", text) else f"commit.txt holds {text}"


FAILED = 0
print("1..2")
for number, test in enumerate((installed, commit), 1):
    why = test()
    if why and not why.startswith("SKIP"):
        FAILED = 1
        print("not ok", number, "-", test.__name__)
        for line in why.splitlines():
            print("#", line)
    else:
        print("ok", number, "-", test.__name__, f"# {why}" if why else "")
sys.exit(FAILED)
