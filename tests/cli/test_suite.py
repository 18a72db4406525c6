# SPDX-License-Identifier: BSD-3-Clause
"""The suite command: exit codes and messages. Usage: test_suite.py OUTERLOOP"""
import os
import subprocess
import sys
import tempfile

outerloop = os.path.abspath(sys.argv[1])
number = 0


def suite(*arguments):
    done = subprocess.run([outerloop, "suite", *arguments], capture_output=True, text=True,
                          timeout=60)
    return done.returncode, done.stdout + done.stderr


def check(name, result, code, words):
    global number
    number += 1
    good = result[0] == code and words in result[1]
    print(f"{'ok' if good else 'not ok'} {number} - {name}")
    if not good:
        print(f"# exit {result[0]} (expected {code}): {result[1]!r}")


print("1..8")
with tempfile.TemporaryDirectory() as folder:
    root = os.path.join(folder, "tasks")
    check("help", suite("--help"), 0, "MetaICL's layout")
    check("no --out", suite(), 2, "--out is missing")
    check("a seed that is no number", suite("--out", root, "--seed", "x"), 2, "whole number")
    check("a seed too large", suite("--out", root, "--seed", str(2**64)), 2, "below 2^64")
    check("a stray word", suite("--out", root, "more"), 2, 'unexpected "more"')
    check("writes", suite("--out", root), 0, "seed 1, version")
    check("is content with what is there", suite("--out", root, "--seed", "1"), 0, "seed 1")
    check("leaves another suite alone", suite("--out", root, "--seed", "2"), 2,
          "name another folder, or remove this one")
