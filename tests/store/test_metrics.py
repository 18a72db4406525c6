# SPDX-License-Identifier: BSD-3-Clause
"""What other programs make of metrics.h5: h5py, h5dump, pandas where it is; while it is written,
while somebody else holds it open, and after its writer was killed.

usage: test_metrics.py METRICS_WRITER"""
import os
import random
import shutil
import signal
import subprocess
import sys
import time

from cases import main, skip_all

try:
    import h5py
except ImportError:
    skip_all("h5py is not installed")

writer = sys.argv[1]


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def whole_rows(path):
    """Rows of the step table; every column must have at least as many as the index."""
    with h5py.File(path, "r") as f:
        table = f["train/step"]
        rows = len(table["step"])
        assert all(len(table[c]) >= rows for c in table), "a column is shorter than the index"
        assert list(table["step"][:rows]) == list(range(rows)), "rows are not 0, 1, 2, ..."
        assert list(table["loss"][:rows]) == [0.5 * i for i in range(rows)], "wrong losses"
        assert all(len(v) == 1 + i % 3 for i, v in
                   enumerate(f["eval/prediction/option_losses"][:rows])), "wrong lists"
        return rows


def describes_itself(f):
    root = dict(f.attrs)
    for name in ("creator", "version", "schema", "schema_version", "run_id", "created", "host",
                 "slurm_job_id", "restart_count", "ranks", "threads", "blas", "mpi", "seed",
                 "job_sha256", "git_commit", "title", "description"):
        assert name in root, f"the root has no {name}"
    assert text(f["job"][()]) == 'name = "θ";\n'
    for table in (f["train/step"], f["eval/prediction"]):
        for group in (table, table.parent):
            assert text(group.attrs["title"]) and text(group.attrs["description"]), f"{group.name} does not say what it is"
        for name, column in table.items():
            assert column.ndim == 1 and column.maxshape == (None,) and column.chunks
            for attribute in ("units", "long_name", "description"):
                assert text(column.attrs[attribute]), f"{name} has no {attribute}"
    assert text(f["train/step/digest"].attrs["long_name"]) == "digest of θ"
    assert f["train/step/loss"].fletcher32


def plots_itself(f):
    """From the root, by NeXus defaults alone, to columns of the same group."""
    assert text(f.attrs["NX_class"]) == "NXroot"
    entry = f[text(f.attrs["default"])]
    assert text(entry.attrs["NX_class"]) == "NXentry"
    data = entry[text(entry.attrs["default"])]
    assert text(data.attrs["NX_class"]) == "NXdata"
    names = [text(data.attrs["signal"])] + [text(a) for a in data.attrs["axes"]] + \
            [text(a) for a in data.attrs["auxiliary_signals"]]
    assert names == ["loss", "step", "loss_before"], names
    assert all(len(data[n]) == len(data["loss"]) for n in names)
    assert "signal" not in f["eval/prediction"].attrs


def has_scales(f):
    for table in (f["train/step"], f["eval/prediction"]):
        index = next(c for c in table.values() if h5py.h5ds.is_scale(c.id))
        for column in table.values():
            if column != index:
                assert column.dims[0][0] == index, f"{column.name} has not the index as scale"
                assert column.dims[0].label == index.name.split("/")[-1]


def is_a_frame(f):
    g = f["train/step"]
    frame = {k: g[k][...] for k in g}
    try:
        import pandas as pd
        hint = f.attrs["description"].split("table]: ")[1]
        frame = eval(hint, {"g": g, "pd": pd, "h5py": h5py})
        assert frame["digest"][1] == "café"
        frame = pd.DataFrame({k: g[k][...] for k in g})
        assert len(frame) == 600 and frame["loss"].iloc[-1] == 299.5
        p = f["eval/prediction"]
        assert len(pd.DataFrame({k: p[k][...] for k in p})) == 600
    except ImportError:
        assert all(len(c) == 600 for c in frame.values())
    assert frame["digest"][1].decode() == "café"
    assert list(f["eval/prediction/option_losses"][2]) == [2, 2.5, 2.75]
    assert f["eval/prediction/predicted"][5].decode() == "größer"


def dumps(path):
    tool = shutil.which("h5dump")
    if tool:
        end = subprocess.run([tool, path], capture_output=True, text=True, timeout=60)
        assert end.returncode == 0 and not end.stderr, end.stderr[:300]


def patient_open(path):
    """A reader that comes between two writes of one append sees half of it: it looks again."""
    for _ in range(1000):
        try:
            return h5py.File(path, "r")
        except OSError:
            time.sleep(0.01)
    return h5py.File(path, "r")


def test_a_reader_that_holds_it_open(folder):
    """With default locking."""
    path = os.path.join(folder, "metrics.h5")
    child = subprocess.Popen([writer, "write", folder, "0", "200"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    child.stdout.readline()
    with patient_open(path) as held:
        held["train/step/loss"][...]
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0 and not err, err
    assert whole_rows(path) == 200


def test_a_reader_that_polls(folder):
    """It may catch a moment between two pages."""
    path = os.path.join(folder, "metrics.h5")
    child = subprocess.Popen([writer, "write", folder, "0", "300"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    child.stdout.readline()
    good = bad = 0
    while child.poll() is None:
        try:
            with h5py.File(path, "r") as f:
                f["train/step/loss"][...]
            good += 1
        except (OSError, KeyError):
            bad += 1
    err = child.communicate()[1]
    assert child.returncode == 0 and not err, err
    assert whole_rows(path) == 300
    assert good >= 5 and bad <= good // 5, f"{good} reads succeeded, {bad} failed"


def killed(folder, seed):
    """kill -9 at any instant: rows that were said to be written are there, or can be had."""
    child = subprocess.Popen([writer, "write", folder, "0", "100000"], stdout=subprocess.PIPE,
                             text=True)
    last = int(child.stdout.readline())
    end = time.monotonic() + 0.03 + random.Random(seed).random() / 10
    while time.monotonic() < end:
        last = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().split()
    child.wait()
    last = int(rest[-1]) if rest and rest[-1].isdigit() else last
    end = subprocess.run([writer, "resume", folder], capture_output=True, text=True, timeout=60)
    assert end.returncode == 0, end.stderr
    rows = whole_rows(os.path.join(folder, "metrics.h5"))
    assert rows >= last, f"{rows} rows, {last} were written ({end.stdout})"


def test_readers(folder):
    end = subprocess.run([writer, "write", folder, "0", "600"], capture_output=True, text=True, timeout=60)
    yield "600 rows are written", end.returncode and end.stderr
    with h5py.File(folder / "metrics.h5", "r") as f:
        for name, test in (("the file describes itself", describes_itself),
                           ("viewers find a plot by its defaults", plots_itself),
                           ("the index is a dimension scale", has_scales),
                           ("a table is a data frame in one line", is_a_frame)):
            test(f)
            yield name, None
    dumps(folder / "metrics.h5")
    yield "h5dump reads it", None


def test_killed_writers(folder):
    for seed in range(8):
        place = folder / str(seed)
        place.mkdir()
        killed(place, seed)
        yield f"its writer may be killed at any instant ({seed})", None


main(globals())
