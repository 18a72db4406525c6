# SPDX-License-Identifier: BSD-3-Clause
"""Sources look alike: clang-format's layout, the licence line, at most 600 lines a file. TAP.

usage: test_format.py ROOT
"""
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
LONGEST = 600


def report(number, name, wrong):
    print("not ok" if wrong else "ok", number, "-", name)
    for line in wrong:
        print("#", line)
    return bool(wrong)


def main():
    sources = [s for top in ("src", "include", "tests") for s in sorted((ROOT / top).rglob("*.[ch]"))]
    scripts = [s for top in ("src", "tests", "tools") for s in sorted((ROOT / top).rglob("*"))
               if s.is_file() and (s.suffix == ".py" or s.name == "meson.build")]
    unmarked, long = [], []
    for source in sources + scripts:
        lines = source.read_text().splitlines()
        if not any("SPDX-License-Identifier: BSD-3-Clause" in line for line in lines[:2]):
            unmarked.append(str(source.relative_to(ROOT)))
        if len(lines) > LONGEST:
            long.append(f"{source.relative_to(ROOT)}: {len(lines)} lines")
    print("1..3")
    failed = report(1, "every file names its licence", unmarked)
    failed |= report(2, f"no file is longer than {LONGEST} lines", long)
    formatter = shutil.which("clang-format")
    if not formatter:
        print("ok 3 - layout # SKIP clang-format is not installed")
        return failed
    ran = subprocess.run([formatter, "--dry-run", "-Werror"] + [str(s) for s in sources],
                         capture_output=True, text=True, cwd=ROOT)
    wrong = [line for line in ran.stderr.splitlines() if "error:" in line][:40]
    if ran.returncode != 0 and not wrong:
        wrong = ran.stderr.splitlines()[:5]
    failed |= report(3, "layout", wrong)
    return failed


sys.exit(1 if main() else 0)
