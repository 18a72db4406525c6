# SPDX-License-Identifier: BSD-3-Clause
"""The f32 and the f64 build of a numeric room share no symbol, so one program can hold both. A
function that both define is missing from base/precision.h. TAP.

usage: test_precision.py BUILD
"""
import shutil
import subprocess
import sys
from pathlib import Path

from cases import Skipped, main

BUILD = Path(sys.argv[1])


def symbols(library):
    ran = subprocess.run(["nm", "-g", "--defined-only", str(library)], capture_output=True,
                         text=True, check=True)
    words = [line.split() for line in ran.stdout.splitlines()]
    return {w[2] for w in words if len(w) == 3 and w[2].startswith("ol_")}


def test_precisions():
    pairs = [(f32, f32.with_name(f32.name.replace("_f32.a", "_f64.a")))
             for f32 in sorted(BUILD.glob("src/*/libol_*_f32.a"))]
    if not pairs or not shutil.which("nm"):
        raise Skipped("nm is not installed" if pairs else "no numeric room is built")
    for f32, f64 in pairs:
        both = sorted(symbols(f32) & symbols(f64)) if f64.exists() else ["there is no f64 build"]
        yield f32.name, both if symbols(f32) else "it has no symbols"


main(globals())
