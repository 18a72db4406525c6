# SPDX-License-Identifier: BSD-3-Clause
"""The include rules hold; and a seeded violation of each kind is found. TAP.

usage: test_rooms.py ROOT
"""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

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


def check(root):
    return subprocess.run([sys.executable, str(ROOT / "tools" / "rooms"), str(root)],
                          capture_output=True, text=True)


def main():
    failed = 0
    number = 1
    print(f"1..{len(SEEDED) + 2}")

    def report(ok, name, detail=""):
        nonlocal failed, number
        print(("ok" if ok else "not ok"), number, "-", name)
        for line in detail.splitlines():
            print("#", line)
        failed += not ok
        number += 1

    ran = check(ROOT)
    report(ran.returncode == 0, "every include is allowed", ran.stdout + ran.stderr)
    with tempfile.TemporaryDirectory() as folder:
        for top in ("src", "include", "tools"):
            shutil.copytree(ROOT / top, Path(folder) / top)
        for name, path, text in SEEDED:
            seeded = Path(folder) / path
            seeded.parent.mkdir(parents=True, exist_ok=True)
            seeded.write_text("/* seeded */\n" + text)
            ran = check(folder)
            seeded.unlink()
            named = f"{path}:2:" in ran.stdout or f"{path}: no room" in ran.stdout
            report(ran.returncode == 1 and named, f"finds {name}", "" if named else ran.stdout)
        (Path(folder) / "tools" / "rooms.txt").write_text("room a b\nroom b\n")
        report(check(folder).returncode != 0, "finds an arrow that points down")
    return 1 if failed else 0


sys.exit(main())
