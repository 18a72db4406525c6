# SPDX-License-Identifier: BSD-3-Clause
"""Sources look alike: clang-format's layout, the licence line, at most 600 lines a file. TAP.

usage: test_format.py ROOT
"""
import shutil
import subprocess
import sys
from pathlib import Path

from cases import Skipped, main

ROOT = Path(sys.argv[1])
LONGEST = 600


def test_sources():
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
    yield "every file names its licence", unmarked
    yield f"no file is longer than {LONGEST} lines", long
    formatter = shutil.which("clang-format")
    if not formatter:
        raise Skipped("clang-format is not installed")
    ran = subprocess.run([formatter, "--dry-run", "-Werror", *map(str, sources)], capture_output=True, text=True, cwd=ROOT)
    yield "layout", ran.returncode and ([line for line in ran.stderr.splitlines() if "error:" in line][:40] or ran.stderr)


main(globals())
