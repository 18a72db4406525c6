# SPDX-License-Identifier: BSD-3-Clause
"""The manual pages tell what --help and the reference tell, and groff has nothing to say. TAP.

usage: test_manual.py PROGRAM PAGES
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

from cases import Skipped, main

PROGRAM, PAGES = sys.argv[1], Path(sys.argv[2])


def said(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=True,
                          timeout=60).stdout


def commands():
    """Their names, as "run" or "data check"."""
    return [re.split("  +", line.strip())[0] for line in said("--help").split("\n\n")[1].splitlines()]


def page_of(command):
    return "-".join(["outerloop", *command.split()])


def page(name):
    """Its text without the marks of roff."""
    path = PAGES / name
    if not path.is_file():
        return ""
    text = re.sub(r"\\f[BIR]|\\&|\\%", "", path.read_text(encoding="ascii"))
    text = re.sub(r"\\\[u([0-9A-F]+)\]", lambda code: chr(int(code[1], 16)), text)
    return text.replace("\\-", "-").replace("\\e", "\\")


def words(text):
    return " ".join(text.split())


def test_program():
    text = page("outerloop.1")
    for command in commands():
        if f"{page_of(command)}(1)" not in text:
            return f"outerloop.1 does not name {command}"
    return None if "85 stopped early" in text and "mpirun -n 2" in text else text


def test_commands():
    listed = {f"{page_of(command)}.1" for command in commands()}
    written = {path.name for path in PAGES.glob("outerloop-*.1")}
    if listed != written:
        return f"pages without a command or commands without a page: {listed ^ written}"
    for command in commands():
        text, told = page(f"{page_of(command)}.1"), said(*command.split(), "--help")
        for option in re.findall(r"^ +(?:-., )?(--[\w-]+(?:=\S+)?)", told, re.M):
            if f"{option}\n" not in text:
                return f"{command}: no {option}"
        usage, rest = told.split("\n", 1)
        if words(usage.removeprefix("Usage:")) not in words(text):
            return f"{command}: no {usage}"
        if words(rest.split("\n\n")[0].split("or:")[-1].split("\n", 1)[-1]) not in words(text):
            return f"{command}: not what it does"
        after = told.split("Give a short usage message\n", 1)[1]
        if words(after) not in words(re.sub(r"(?m)^\.(PP|RS 4|EX|EE|RE)$", "", text)):
            return f"{command}: not what --help ends in"
    return None


def test_job():
    text, group, keys = page("outerloop-job.5"), [], 0
    for line in map(str.strip, said("reference").splitlines()):
        if line.endswith("= {"):
            group.append(line.split()[0])
        elif line == "};":
            group.pop()
        elif line.endswith(";") and not line.startswith("#"):
            keys += 1
            if f"\n{'.'.join([*group, line[:-1]])}\n" not in text:
                return f"no {'.'.join(group)}.{line}"
        elif line.startswith("# ") and keys and line[2:] not in text:
            return f"not said: {line}"
    return None if keys > 50 and "meta-sgd" in text else f"{keys} keys"


def test_groff():
    if not shutil.which("groff"):
        raise Skipped("no groff here")
    for path in sorted(PAGES.glob("outerloop*.[15]")):
        done = subprocess.run(["groff", "-man", "-Tutf8", "-wall", path], capture_output=True,
                              text=True, timeout=60)
        if done.returncode or done.stderr or "SEE ALSO" not in re.sub(r".\x08", "", done.stdout):
            return f"{path.name}: {done.stderr}"
    return None


main([test_program, test_commands, test_job, test_groff])
