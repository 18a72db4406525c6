# SPDX-License-Identifier: BSD-3-Clause
"""Hostile files of the reference data, each under the commands that it looks made for or under all of them, and
inputs that are no files. TAP.

usage: test_hostile.py PROGRAM [all]
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import hostile

PROGRAM, REFERENCE = Path(sys.argv[1]).resolve(), os.environ.get("OUTERLOOP_REFERENCE")
FORBIDDEN = re.compile(r"^(execv|execve|execvp|execvpe|execl|execlp|execle|fexecve|system|popen|posix_spawnp?|socket|"
                       r"connect|bind|listen|accept4?|getaddrinfo|gethostbyname|sendto|recvfrom|dlopen)(@.*)?$")


def no_files():
    """Pipes, devices and folders where a file should be are refused at once."""
    wrong = []
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
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
    return wrong


def imports():
    """Names of the dynamic table that would reach the network or start programs."""
    table = subprocess.run(["nm", "-D", "--undefined-only", PROGRAM], capture_output=True, text=True)
    if table.returncode != 0:
        return None
    return [n for n in (line.split()[-1] for line in table.stdout.splitlines()) if FORBIDDEN.match(n)]


def tell(number, wrong, text):
    print(f"{'not ' if wrong else ''}ok {number} - {text}")
    for line in wrong or []:
        print(f"# {line}")


def main():
    print("1..3")
    found = imports()
    if found is None:
        print("ok 1 - imports # SKIP no nm")
    else:
        tell(1, found, "neither network nor programs among the imports")
    strange = no_files()
    tell(2, strange, "pipes, devices and folders are no files")
    folder = Path(REFERENCE or "/nonexistent") / "hostile"
    if not folder.is_dir():
        print("ok 3 - hostile files # SKIP no reference data with hostile files: -Dreference=FOLDER")
        return 1 if found or strange else 0
    prompts = sorted((folder.parent / "oracle" / "prompts").glob("*snarks*direct*.h5"))[0]
    readings, wrong, _ = hostile.read_all(PROGRAM, folder, prompts, folder.parent / "oracle" / "scores" / "tiny-gpt2",
                                          sanitized="address" in os.environ.get("OUTERLOOP_SANITIZE", ""),
                                          tell=lambda text: print("#", text),
                                          all_commands="all" in sys.argv[2:])
    print(f"# {readings} readings, {len(wrong)} wrong")
    tell(3, wrong, "hostile files end well under every command" if "all" in sys.argv[2:] else "hostile files end well")
    return 1 if found or strange or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
