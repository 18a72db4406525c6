# SPDX-License-Identifier: BSD-3-Clause
"""Each public header compiles alone, in both precisions, under the project's warnings. TAP.

usage: test_headers.py ROOT COMPILER...
"""
import re
import subprocess
import sys
from pathlib import Path

from cases import check, main

ROOT = Path(sys.argv[1])
COMPILER = sys.argv[2:]
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wshadow", "-Wconversion",
         "-Wmissing-prototypes", "-Wstrict-prototypes", "-Werror", "-fsyntax-only", "-x", "c",
         f"-I{ROOT / 'include'}", "-"]


def compiles(text, precision):
    return subprocess.run(COMPILER + precision + FLAGS, input=text, capture_output=True, text=True)


def reaches_precision(header, seen):
    """Whether a header, or what it includes, is another one in the other precision."""
    seen.add(header)
    names = re.findall(r'#include "(outerloop/.*?)"', header.read_text())
    return header.name == "precision.h" or any(
        reaches_precision(ROOT / "include" / name, seen) for name in names if ROOT / "include" / name not in seen)


def test_headers():
    for header in sorted((ROOT / "include").rglob("*.h")):
        name = header.relative_to(ROOT / "include")
        precisions = ([], ["-DOL_F64"]) if reaches_precision(header, set()) else ([],)
        ran = [compiles(f'#include "{name}"\n#include "{name}"\n', precision) for precision in precisions]
        yield str(name), any(r.returncode for r in ran) and "".join(r.stderr for r in ran)


def test_a_header_that_lacks_a_type_fails():
    check(compiles("static int f(struct ol_absent x);\n", []).returncode, "it compiles")


main(globals())
