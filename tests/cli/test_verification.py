# SPDX-License-Identifier: BSD-3-Clause
"""The verification files that are shipped: this build agrees with them, and their maker makes them. TAP.

usage: test_verification.py PROGRAM ROOT
"""
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

from cases import main

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


def test_its_maker_makes_it(folder):
    shipped = values(ROOT / "verification" / "gpt2-adamw-carry-k2.h5")
    done = subprocess.run([sys.executable, ROOT / "tools" / "make-verification", folder / "a.h5"],
                          capture_output=True, text=True, timeout=300)
    if done.returncode:
        return done.stderr
    made = values(folder / "a.h5")
    if made.keys() != shipped.keys():
        return f"not in both: {sorted(made.keys() ^ shipped.keys())}"
    for name, value in made.items():
        same = value == shipped[name] if isinstance(value, str) else \
            np.allclose(value, shipped[name], rtol=1e-9, atol=1e-12)
        if not same:
            return f"{name} differs"
    return None


def test_float64():
    return agrees("f64")


def test_float32():
    return agrees("f32")


main([test_float64, test_float32, test_its_maker_makes_it])
