# SPDX-License-Identifier: BSD-3-Clause
"""The f32 and the f64 build of a numeric room share no symbol, so one program can hold both. A
function that both define is missing from base/precision.h. TAP.

usage: test_precision.py BUILD
"""
import shutil
import subprocess
import sys
from pathlib import Path

BUILD = Path(sys.argv[1])


def symbols(library):
    ran = subprocess.run(["nm", "-g", "--defined-only", str(library)], capture_output=True,
                         text=True, check=True)
    words = [line.split() for line in ran.stdout.splitlines()]
    return {w[2] for w in words if len(w) == 3 and w[2].startswith("ol_")}


def main():
    pairs = [(f32, f32.with_name(f32.name.replace("_f32.a", "_f64.a")))
             for f32 in sorted(BUILD.glob("src/*/libol_*_f32.a"))]
    if not pairs or not shutil.which("nm"):
        print("1..0 # SKIP", "no numeric room is built" if not pairs else "nm is not installed")
        return 0
    failed = 0
    print(f"1..{len(pairs)}")
    for number, (f32, f64) in enumerate(pairs, 1):
        both = sorted(symbols(f32) & symbols(f64)) if f64.exists() else ["there is no f64 build"]
        some = f64.exists() and symbols(f32)
        print("not ok" if both or not some else "ok", number, "-", f32.name)
        for name in both:
            print("#", name)
        failed += bool(both) or not some
    return 1 if failed else 0


sys.exit(main())
