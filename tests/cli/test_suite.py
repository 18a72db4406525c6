# SPDX-License-Identifier: BSD-3-Clause
"""The suite command: exit codes and messages. Usage: test_suite.py OUTERLOOP"""
import os
import subprocess
import sys

from cases import main

outerloop = os.path.abspath(sys.argv[1])


def suite(*arguments):
    done = subprocess.run([outerloop, "suite", *arguments], capture_output=True, text=True,
                          timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_suite(folder):
    root = str(folder / "tasks")
    (folder / "empty").mkdir()
    (folder / "file").write_text("")
    for name, words, code, said in (
            ("help", ("--help",), 0, "MetaICL's layout"),
            ("no --out", (), 2, "--out is missing"),
            ("a seed that is no number", ("--out", root, "--seed", "x"), 2, "whole number"),
            ("a seed too large", ("--out", root, "--seed", str(2**64)), 2, "below 2^64"),
            ("nothing to write into", ("--out", str(folder / "file" / "x")), 2, "cannot make the folder"),
            ("an empty folder, with a slash", ("--out", str(folder / "empty") + "/"), 0, "seed 1, version"),
            ("a stray word", ("--out", root, "more"), 2, 'unexpected "more"'),
            ("writes", ("--out", root), 0, "seed 1, version"),
            ("is content with what is there", ("--out", root, "--seed", "1"), 0, "seed 1"),
            ("leaves another suite alone", ("--out", root, "--seed", "2"), 2, "name another folder, or remove this one")):
        got, text = suite(*words)
        yield name, None if got == code and said in text else f"exit {got} (expected {code}): {text!r}"


main(globals())
