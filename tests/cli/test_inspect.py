#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""outerloop inspect: exit codes, and where it says what. Usage: test_inspect.py OUTERLOOP"""
import os
import subprocess
import sys
import tempfile

import h5py
import numpy

OUTERLOOP = sys.argv[1]
failed = 0
count = 0


def check(name, holds, told=""):
    global failed, count
    count += 1
    print(("ok" if holds else "not ok"), count, "-", name)
    if not holds:
        failed = 1
        for line in str(told).splitlines():
            print("#", line)


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


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "metrics.h5")
    metrics(path)
    r = inspect(path)
    check("a whole file is told on standard output", r.returncode == 0 and path in r.stdout
          and not r.stderr, r)
    r = inspect("--check", path)
    check("and passes --check", r.returncode == 0 and "1 file, all whole" in r.stdout, r)
    flip(path, numpy.arange(2000.0, 2010.0).tobytes())
    r = inspect("--check", path)
    check("a changed byte exits 1 and names file and dataset", r.returncode == 1
          and "train/other" in r.stderr and path in r.stderr and "BROKEN" in r.stdout, r)

    other = os.path.join(folder, "other.h5")
    with h5py.File(other, "w") as f:
        f["x"] = 1
    text = os.path.join(folder, "text.txt")
    with open(text, "w") as f:
        f.write("hello\n")
    empty = os.path.join(folder, "empty")
    os.mkdir(empty)
    for name, what in (("an HDF5 file of others", other), ("a text", text),
                       ("a folder of nothing", empty), ("a path of nothing", empty + "/x")):
        r = inspect(what)
        check(name + " exits 2 and is named", r.returncode == 2 and what in r.stderr
              and not r.stdout, r)
    r = inspect()
    check("no path exits 2", r.returncode == 2 and "which path" in r.stderr, r)
    r = inspect("--help")
    check("--help says what --check is", r.returncode == 0 and "--check" in r.stdout, r)

print("1..%d" % count)
sys.exit(failed)
