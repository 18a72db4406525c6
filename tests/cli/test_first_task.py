# SPDX-License-Identifier: BSD-3-Clause
"""The commands of docs/your-first-task.md, one after the other, as they stand. TAP.

usage: test_first_task.py PROGRAM ROOT
"""
import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "run"))
from harness import ENV, PROGRAM, Place, column  # noqa: E402

ROOT = Path(sys.argv[2])
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / "your-first-task.md").read_text(),
                    re.M | re.S)


def scored(folder):
    """The last word: the job has scores of the task in context and after both step counts."""
    return (set(column(folder, "eval/score/task")) == {"mail"}
            and sorted(set(column(folder, "eval/score/adapt_steps"))) == [0, 4, 16]
            and (folder.parent.parent / "mail.html").exists())


def main():
    place, failed = Place(), 0
    (place.path / "build").mkdir()
    (place.path / "build" / "outerloop").symlink_to(Path(PROGRAM).resolve())
    (place.path / "jobs").symlink_to(ROOT / "jobs")
    tasks = place.path / "tasks"
    tasks.rename(place.path / "others")  # the page makes its own
    print(f"1..{len(BLOCKS) + 1}")
    for number, block in enumerate(BLOCKS, 1):
        done = subprocess.run(["sh", "-e", "-c", block], cwd=place.path, env=dict(os.environ, **ENV),
                              capture_output=True, text=True, timeout=120)
        failed += done.returncode != 0
        print("ok" if done.returncode == 0 else "not ok", number, "-", block.split("\n")[0][:60])
        for line in (done.stdout + done.stderr).splitlines():
            print("#", line)
    good = not failed and scored(place.path / "runs" / "mail")
    print("ok" if good else "not ok", len(BLOCKS) + 1, "- the task is scored")
    place.clear()
    return failed > 0 or not good


sys.exit(main())
