# SPDX-License-Identifier: BSD-3-Clause
"""The include rules hold; and a seeded violation of each kind is found. TAP.

usage: test_rooms.py ROOT
"""
import shutil
import subprocess
import sys
from pathlib import Path

from cases import check, main

ROOT = Path(sys.argv[1])

SEEDED = [
    ("a room above", "src/kernel/seeded.c", '#include "outerloop/model/model.h"\n'),
    ("a room beside", "src/text/seeded.c", '#include "outerloop/store/archive.h"\n'),
    ("a door", "src/meta/seeded.c", "  #  include <mpi.h>\n"),
    ("a door in a header", "include/outerloop/run/seeded.h", "#include <libconfig.h>\n"),
    ("a file of another room", "src/run/seeded.c", '#include "../conf/internal.h"\n'),
    ("a room without a line", "src/attic/seeded.c", "int x;\n"),
    ("an unknown room", "src/run/seeded.c", '#include "outerloop/attic/x.h"\n'),
]


def rooms(root):
    return subprocess.run([sys.executable, str(ROOT / "tools" / "rooms"), str(root)],
                          capture_output=True, text=True)


def test_rooms():
    ran = rooms(ROOT)
    check(ran.returncode == 0, ran.stdout + ran.stderr)


def test_seeded(folder):
    for top in ("src", "include", "tools"):
        shutil.copytree(ROOT / top, folder / top)
    for name, path, text in SEEDED:
        seeded = folder / path
        seeded.parent.mkdir(parents=True, exist_ok=True)
        seeded.write_text("/* seeded */\n" + text)
        ran = rooms(folder)
        seeded.unlink()
        named = f"{path}:2:" in ran.stdout or f"{path}: no room" in ran.stdout
        yield f"finds {name}", None if ran.returncode == 1 and named else f"exit {ran.returncode}: {ran.stdout}"
    (folder / "tools" / "rooms.txt").write_text("room a b\nroom b\n")
    yield "finds an arrow that points down", rooms(folder).returncode == 0 and "exit 0"


main(globals())
