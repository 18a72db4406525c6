# SPDX-License-Identifier: BSD-3-Clause
"""outerloop inspect: exit codes, and where it says what. Usage: test_inspect.py OUTERLOOP"""
import subprocess
import sys

import h5py
import numpy

from cases import main

OUTERLOOP = sys.argv[1]


def inspect(*arguments):
    return subprocess.run([OUTERLOOP, "inspect", *arguments], capture_output=True, text=True,
                          timeout=60)


def metrics(path):
    """A metrics file of no rows but one other dataset, in checksummed chunks."""
    with h5py.File(path, "w") as f:
        f.attrs["schema"] = "outerloop-metrics"
        f.create_dataset("train/other", data=numpy.arange(4096.0), chunks=(512,), fletcher32=True)


def flip(path, data):
    with open(path, "r+b") as f:
        at = f.read().index(data)
        f.seek(at)
        f.write(bytes([data[0] ^ 1]))


def test_inspect(folder):
    def told(name, holds):
        return name, None if holds else str(r)

    path = str(folder / "metrics.h5")
    metrics(path)
    r = inspect(path)
    yield told("a whole file is told on standard output", r.returncode == 0 and path in r.stdout and not r.stderr)
    r = inspect("--check", path)
    yield told("and passes --check", r.returncode == 0 and "1 file, all whole" in r.stdout)
    flip(path, numpy.arange(2000.0, 2010.0).tobytes())
    r = inspect("--check", path)
    yield told("a changed byte exits 1 and names file and dataset", r.returncode == 1
               and "train/other" in r.stderr and path in r.stderr and "BROKEN" in r.stdout)

    with h5py.File(folder / "other.h5", "w") as f:
        f["x"] = 1
    (folder / "text.txt").write_text("hello\n")
    (folder / "empty").mkdir()
    for name, what in (("an HDF5 file of others", "other.h5"), ("a text", "text.txt"),
                       ("a folder of nothing", "empty"), ("a path of nothing", "empty/x")):
        r = inspect(str(folder / what))
        yield told(name + " exits 2 and is named", r.returncode == 2 and str(folder / what) in r.stderr and not r.stdout)
    r = inspect()
    yield told("no path exits 2", r.returncode == 2 and "which path" in r.stderr)
    r = inspect("--help")
    yield told("--help says what --check is", r.returncode == 0 and "--check" in r.stdout)


main(globals())
