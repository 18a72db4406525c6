# SPDX-License-Identifier: BSD-3-Clause
"""Each public header compiles alone, in both precisions, under the project's warnings. TAP.

usage: test_headers.py ROOT COMPILER...
"""
import re
import subprocess
import sys
from pathlib import Path

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


def main():
    headers = sorted((ROOT / "include").rglob("*.h"))
    failed = 0
    print(f"1..{len(headers) + 1}")
    for number, header in enumerate(headers, 1):
        name = str(header.relative_to(ROOT / "include"))
        text = f'#include "{name}"\n#include "{name}"\n'
        both = reaches_precision(header, set())
        ran = [compiles(text, precision) for precision in ([], ["-DOL_F64"])[:1 + both]]
        ok = all(r.returncode == 0 for r in ran)
        print("ok" if ok else "not ok", number, "-", name)
        for line in "".join(r.stderr for r in ran).splitlines():
            print("#", line)
        failed += not ok
    broken = compiles("static int f(struct ol_absent x);\n", []).returncode != 0
    print("ok" if broken else "not ok", len(headers) + 1, "- a header that lacks a type fails")
    return 1 if failed or not broken or not headers else 0


sys.exit(main())
