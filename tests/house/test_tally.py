# SPDX-License-Identifier: BSD-3-Clause
"""The count at the end of tools/check is honest: whatever went wrong counts as failed; also in tests in Python. TAP.

usage: test_tally.py ROOT
"""
import json
import subprocess
import sys
from pathlib import Path

from cases import check, main

TALLY = Path(sys.argv[1]) / "tools" / "tally"

# name, tests as (result, stdout), the last line, exit code
CASES = [
    ("all pass", [("OK", "1..2\nok 1 - a\nok 2 - b\n")], "2 passed, 0 failed, 0 skipped", 0),
    ("a plain test is one", [("OK", "")], "1 passed, 0 failed, 0 skipped", 0),
    ("a line that is not ok", [("FAIL", "1..2\nok 1 - a\nnot ok 2 - b\n")],
     "1 passed, 1 failed, 0 skipped", 1),
    ("a plain failure", [("FAIL", "")], "0 passed, 1 failed, 0 skipped", 1),
    ("a timeout after some lines", [("TIMEOUT", "1..4\nok 1 - a\n")],
     "1 passed, 3 failed, 0 skipped", 1),
    ("a timeout before any line", [("TIMEOUT", "")], "0 passed, 1 failed, 0 skipped", 1),
    ("a crash after the last line", [("ERROR", "1..1\nok 1 - a\n")],
     "1 passed, 1 failed, 0 skipped", 1),
    ("interrupted", [("INTERRUPT", "1..1\nok 1 - a\n")], "1 passed, 1 failed, 0 skipped", 1),
    ("lines missing though all seems well", [("OK", "1..3\nok 1 - a\n")],
     "1 passed, 2 failed, 0 skipped", 1),
    ("skips", [("OK", "1..3\nok 1 - a # SKIP no data\nok 2 - b\nok 3 # skip\n")],
     "1 passed, 0 failed, 2 skipped", 0),
    ("a whole test skipped", [("SKIP", "1..0 # SKIP no data\n"), ("OK", "1..1\nok 1 - a\n")],
     "1 passed, 0 failed, 1 skipped", 0),
    ("nothing but skips", [("SKIP", "1..0 # SKIP no data\n")], "0 passed, 0 failed, 1 skipped", 1),
    ("nothing at all", [], "0 passed, 0 failed, 0 skipped", 1),
    ("an unexpected pass", [("UNEXPECTEDPASS", "")], "0 passed, 1 failed, 0 skipped", 1),
]


# One of each end that a test may come to.
ENDS = """
from cases import Skipped, check, main

def test_passes(folder):
    check(not list(folder.iterdir()), "not empty")

def test_fails():
    check(False, "why")

def test_is_broken():
    return 1 / 0

def test_says_what_is_wrong():
    return "this"

def test_skips():
    raise Skipped("no data")

def test_yields():
    yield "one", None
    yield "two", ["a", "b"]
    raise Skipped("the rest")

main(globals())
"""


def tally(log, tests):
    log.write_text("".join(json.dumps({"name": "t", "result": result, "stdout": stdout}) + "\n" for result, stdout in tests))
    return subprocess.run([sys.executable, str(TALLY), str(log)], capture_output=True, text=True)


def test_tally(folder):
    for name, tests, line, code in CASES:
        ran = tally(folder / "log.json", tests)
        good = ran.returncode == code and ran.stdout.splitlines()[-1:] == [line]
        yield name, None if good else f"exit {ran.returncode}: {ran.stdout}{ran.stderr}"


def test_tests_in_python(folder):
    ran = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True)
    counted = tally(folder / "log.json", [("FAIL", ran.stdout)]).stdout
    check(ran.returncode == 1 and counted.splitlines()[-1:] == ["2 passed, 4 failed, 2 skipped"], ran.stdout + counted)
    nothing = subprocess.run([sys.executable, "-c", "from cases import main; main([])"], capture_output=True)
    check(nothing.returncode == 1, "no case at all is no success")


main(globals())
