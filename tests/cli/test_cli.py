# SPDX-License-Identifier: BSD-3-Clause
"""The command line: help, versions, mistakes and their exit codes, alone and under mpirun. TAP.

usage: test_cli.py PROGRAM ROOT
"""
import shutil
import subprocess
import sys
from pathlib import Path

from cases import Failed, Skipped, main

PROGRAM, ROOT = str(Path(sys.argv[1]).resolve()), Path(sys.argv[2])
LAUNCH = ["mpirun", "--oversubscribe", "-n", "2"]


def run(*arguments, launch=(), cwd=None):
    return subprocess.run([*launch, PROGRAM, *arguments], capture_output=True, text=True,
                          timeout=60, cwd=cwd)


def expect(ran, code, *said):
    text = ran.stdout + ran.stderr
    if ran.returncode != code:
        raise Failed(f"exit {ran.returncode}, not {code}: {text}")
    for word in said:
        if word not in text:
            raise Failed(f"no {word!r} in: {text}")


def commands():
    """Names of all commands, each of one word or two."""
    lines = run("--help").stdout.split("\n\n")[1].splitlines()
    return [line.strip().split("  ")[0] for line in lines]


def test_help():
    expect(run("--help"), 0, "Usage: outerloop COMMAND", "run ", "Example", "mpirun -n 2")
    expect(run(), 2, "Usage")
    listed = commands()
    if "run" not in listed or "reference" not in listed:
        raise Failed(f"commands are {listed}")


def test_help_of_each_command():
    for command in commands():
        ran = run(*command.split(), "--help")
        expect(ran, 0, f"Usage: outerloop {command}")
        if not ran.stdout.endswith("\n") or ran.stdout.endswith("\n\n"):
            raise Failed(f"{command} --help ends in {ran.stdout[-20:]!r}: a last line as wide as the page loses its end")


def test_bad_option_of_each_command():
    for command in commands():
        expect(run(*command.split(), "--no-such-option"), 2, "--no-such-option")


def test_version():
    expect(run("--version"), 0, "outerloop ", ", commit ", "OpenBLAS", "MPI", "HDF5")


def test_unknown_command():
    expect(run("rum"), 2, 'no command "rum"', 'did you mean "run"?')
    expect(run("data"), 2, '"data" wants a second word', '"outerloop data check"')
    expect(run("data", "chek"), 2, '"outerloop data check"')
    expect(run("zzzzzzzz"), 2, "outerloop --help")
    expect(run("--rum"), 2)


def test_reference(folder):
    ran = run("reference")
    expect(ran, 0)
    if ran.stdout != (ROOT / "cfg" / "reference.cfg").read_text():
        raise Failed("cfg/reference.cfg is old: build/outerloop reference --out cfg/reference.cfg")
    expect(run("reference", "--out", f"{folder}/none/r.cfg"), 2, "none/r.cfg")
    expect(run("reference", "--out", f"{folder}/r.cfg"), 0)
    if (folder / "r.cfg").read_text() != ran.stdout:
        raise Failed("--out writes something else")


def test_answer_on_a_full_disk():
    with open("/dev/full", "w") as full:
        ran = subprocess.run([PROGRAM, "reference"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    if ran.returncode != 1 or "standard output" not in ran.stderr:
        raise Failed(f"exit {ran.returncode}: {ran.stderr}")


def test_run_mistakes(folder):
    job = folder / "a.cfg"
    job.write_text("seed = 1;\nlearner = { ordr = 2; };\n")
    expect(run("run"), 2, "which job file")
    expect(run("run", "a", "b"), 2, "second")
    expect(run("run", "absent.cfg", cwd=folder), 2, "absent.cfg: cannot open")
    expect(run("run", "a.cfg", cwd=folder), 2, "a.cfg:2: unknown key learner.ordr",
           "did you mean learner.order?")
    job.write_text("@include \"gone.cfg\"\n")
    expect(run("run", "a.cfg", cwd=folder), 2, "a.cfg:1: @include: gone.cfg")
    job.write_text("seed = 1;\n")
    expect(run("run", "a.cfg", "--set", "learner.episodes=0", cwd=folder), 2,
           "--set learner.episodes=0", "1 to")
    left = sorted(p.name for p in folder.iterdir())
    if left != ["a.cfg"]:
        raise Failed(f"a refused job left {left}")


def test_one_message_on_two_ranks(folder):
    if not shutil.which("mpirun"):
        raise Skipped("mpirun is not there")
    (folder / "a.cfg").write_text("sed = 1;\n")
    for arguments, word in ((["run"], "which job file"), (["run", "a.cfg"], "unknown key sed")):
        ran = run(*arguments, launch=LAUNCH, cwd=folder)
        expect(ran, 2, word)
        if (ran.stdout + ran.stderr).count(word) != 1:
            raise Failed(f"said more than once: {ran.stderr}")


main(globals())
