# SPDX-License-Identifier: BSD-3-Clause
"""The commands of docs/your-first-task.md, one after the other, as they stand. TAP.

usage: test_first_task.py PROGRAM ROOT
"""
import os
import re
import subprocess
import sys
from pathlib import Path

from harness import ENV, PROGRAM, column, main

ROOT = Path(sys.argv[2])
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / "your-first-task.md").read_text(),
                    re.M | re.S)


def scored(folder):
    """The last word: the job has scores of the task in context and after both step counts."""
    return (set(column(folder, "eval/score/task")) == {"mail"}
            and sorted(set(column(folder, "eval/score/adapt_steps"))) == [0, 4, 16]
            and (folder.parent.parent / "mail.html").exists())


def test_page(place):
    (place.path / "build").mkdir()
    (place.path / "build" / "outerloop").symlink_to(Path(PROGRAM).resolve())
    (place.path / "jobs").symlink_to(ROOT / "jobs")
    (place.path / "tasks").rename(place.path / "others")  # the page makes its own
    for block in BLOCKS:
        done = subprocess.run(["sh", "-e", "-c", block], cwd=place.path, env=dict(os.environ, **ENV),
                              capture_output=True, text=True, timeout=120)
        yield block.split("\n")[0][:60], done.returncode and done.stdout + done.stderr
    yield "the task is scored", not scored(place.path / "runs" / "mail") and "it is not"


main(globals())
