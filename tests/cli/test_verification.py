# SPDX-License-Identifier: BSD-3-Clause
"""The verification files that are shipped: this build agrees with them, and their maker makes them. TAP.

usage: test_verification.py PROGRAM ROOT
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

PROGRAM, ROOT = sys.argv[1], Path(sys.argv[2])
FILES = sorted((ROOT / "verification").glob("*.h5"))


def agrees(precision):
    done = subprocess.run([PROGRAM, "verify", *FILES, "--precision", precision],
                          capture_output=True, text=True, timeout=60)
    return None if FILES and done.returncode == 0 else done.stdout + done.stderr


def values(path):
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[...]
        found.update({f"{name}@{key}": value for key, value in item.attrs.items()})

    with h5py.File(path) as file:
        file.visititems(keep)
    return found


def is_made_again():
    shipped = values(ROOT / "verification" / "gpt2-adamw-carry-k2.h5")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, ROOT / "tools" / "make-verification", f"{folder}/a.h5"],
                              capture_output=True, text=True, timeout=300)
        if done.returncode:
            return done.stderr
        made = values(f"{folder}/a.h5")
    if made.keys() != shipped.keys():
        return f"not in both: {sorted(made.keys() ^ shipped.keys())}"
    for name, value in made.items():
        same = value == shipped[name] if isinstance(value, str) else \
            np.allclose(value, shipped[name], rtol=1e-9, atol=1e-12)
        if not same:
            return f"{name} differs"
    return None


TESTS = {"float64": lambda: agrees("f64"), "float32": lambda: agrees("f32"),
         "its maker makes it": is_made_again}
failed = 0
print(f"1..{len(TESTS)}")
for number, (name, test) in enumerate(TESTS.items(), 1):
    why = test()
    failed += why is not None
    print("not ok" if why else "ok", number, "-", name)
    for line in (why or "").splitlines():
        print("#", line)
sys.exit(failed > 0)
