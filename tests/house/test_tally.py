# SPDX-License-Identifier: BSD-3-Clause
"""The count at the end of tools/check is honest: whatever went wrong counts as failed. TAP.

usage: test_tally.py ROOT
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

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


def main():
    failed = 0
    print(f"1..{len(CASES)}")
    for number, (name, tests, line, code) in enumerate(CASES, 1):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as log:
            for result, stdout in tests:
                log.write(json.dumps({"name": "t", "result": result, "stdout": stdout}) + "\n")
            log.flush()
            ran = subprocess.run([sys.executable, str(TALLY), log.name], capture_output=True,
                                 text=True)
        ok = ran.returncode == code and ran.stdout.splitlines()[-1:] == [line]
        print("ok" if ok else "not ok", number, "-", name)
        if not ok:
            print("#", ran.returncode, ran.stdout.replace("\n", " / "), ran.stderr)
        failed += not ok
    return 1 if failed else 0


sys.exit(main())
