# SPDX-License-Identifier: BSD-3-Clause
"""Hostile files of the reference data, each under the commands that it looks made for or under all of them, and
inputs that are no files. TAP.

usage: test_hostile.py PROGRAM [all]
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import hostile
from cases import Skipped, check, main

PROGRAM, REFERENCE = Path(sys.argv[1]).resolve(), Path(os.environ.get("OUTERLOOP_REFERENCE", "/nonexistent"))
ALL = "all" in sys.argv[2:]
FORBIDDEN = re.compile(r"^(execv|execve|execvp|execvpe|execl|execlp|execle|fexecve|system|popen|posix_spawnp?|socket|"
                       r"connect|bind|listen|accept4?|getaddrinfo|gethostbyname|sendto|recvfrom|dlopen)(@.*)?$")


def test_what_is_no_file(work):
    """Pipes, devices and folders where a file should be are refused at once."""
    wrong = []
    os.mkfifo(work / "pipe")
    (work / "folder").mkdir()
    (work / "model").mkdir()
    for number, strange in enumerate([work / "pipe", Path("/dev/zero"), work / "folder"]):
        (work / "model" / "config.json").unlink(missing_ok=True)
        (work / "model" / "config.json").symlink_to(strange)
        job = work / f"job{number}.cfg"
        job.write_text(f'@include "{strange}"\n')
        lines = [["inspect", strange], ["export", strange, "--out", work / "out"],
                 ["score", strange, "--prompts", strange, "--out", work / "o.h5"],
                 ["import", work / "model", "--out", work / "m.h5"], ["tokens", "--tokenizer", strange]]
        if number != 1:  # nobody's output takes their place: not tried with a real device
            lines += [["reference", "--out", strange], ["import", work / "model", "--out", strange]]
        if number == 0:  # these start MPI first, which takes its time
            lines += [["verify", strange], ["run", strange], ["run", job]]
        for line in lines:
            try:
                done = subprocess.run([str(a) for a in [PROGRAM, *line]], timeout=60,
                                      stdin=subprocess.DEVNULL, capture_output=True)
                good = done.returncode in (1, 2) and (done.stderr or done.stdout)
            except subprocess.TimeoutExpired:
                good = False
            if not good and not (line[0] == "inspect" and strange.is_dir() and done.returncode == 0):
                wrong.append(f"{line[0]} {strange}")
    if not (work / "pipe").is_fifo():
        wrong.append("a file took the place of the pipe")
    return "\n".join(wrong)


def test_imports():
    """The dynamic table names nothing that reaches the network or starts programs."""
    if not shutil.which("nm"):
        raise Skipped("nm is not installed")
    table = subprocess.run(["nm", "-D", "--undefined-only", PROGRAM], capture_output=True, text=True, check=True)
    found = [n for n in (line.split()[-1] for line in table.stdout.splitlines()) if FORBIDDEN.match(n)]
    check(table.stdout and not found, f"imports {found}")


def test_hostile_files():
    folder = REFERENCE / "hostile"
    if not folder.is_dir():
        raise Skipped("no reference data with hostile files: -Dreference=FOLDER")
    prompts = sorted((REFERENCE / "oracle" / "prompts").glob("*snarks*direct*.h5"))[0]
    readings, wrong, _ = hostile.read_all(PROGRAM, folder, prompts, REFERENCE / "oracle" / "scores" / "tiny-gpt2",
                                          sanitized="address" in os.environ.get("OUTERLOOP_SANITIZE", ""),
                                          tell=lambda text: print("#", text), all_commands=ALL)
    print(f"# {readings} readings, {len(wrong)} wrong")
    yield "hostile files end well" + " under every command" * ALL, wrong


if __name__ == "__main__":
    main(globals())
