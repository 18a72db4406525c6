# SPDX-License-Identifier: BSD-3-Clause
"""What a run left, as values to compare: all but the times and who worked on what. Read in a forked
child with a deadline, since the files may be damaged and HDF5 may crash or hang on them."""
import json
import os
import pickle
import re
import resource
import signal
from pathlib import Path

import h5py

from cases import Failed

# What a second run of the same job may have otherwise.
VOLATILE = re.compile(r"seconds|tokens_per_second|^rank$")
SECONDS = 30


def apart(work, seconds=SECONDS):
    """work()'s value from a forked child; Failed when it crashes, hangs or raises."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        signal.alarm(seconds)  # ends it: nobody handles SIGALRM
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            answer = ("is", work())
        except Exception as error:  # whatever h5py makes of it
            answer = ("raised", f"{type(error).__name__}: {error}")
        with os.fdopen(write_end, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        data = pipe.read()
    status = os.waitpid(child, 0)[1]
    if status != 0 or not data:
        raise Failed(f"reading the results ended with signal {status & 127}")
    what, answer = pickle.loads(data)
    if what == "raised":
        raise Failed(f"the results cannot be read: {answer}")
    return answer


def columns(path):
    """{dataset: bytes or texts} of a metrics file."""
    found = {}

    def take(name, item):
        if isinstance(item, h5py.Dataset) and name.count("/") == 2:
            values = item[...]
            found[name] = [v.decode(errors="replace") if isinstance(v, bytes) else v for v in values.tolist()]

    with h5py.File(path, "r") as file:
        file.visititems(take)
    return {name: repr(values) for name, values in found.items()}


def lines(path):
    """The journal as {table: [row]}."""
    tables = {}
    for number, line in enumerate(Path(path).read_text(errors="replace").splitlines(), 1):
        try:
            row = json.loads(line)
            table = row.pop("table")
        except (ValueError, KeyError):
            raise Failed(f"{path}:{number}: is not a row") from None
        if table != "run":  # the first line: who and when
            tables.setdefault(table, []).append(row)
    return tables


def state(folder):
    """{tensor: bytes} of the last checkpoint of the unbroken run."""
    found = {}
    path = folder / "checkpoints" / "step-000024.h5"
    if not path.is_file():
        return found
    with h5py.File(path, "r") as file:
        for part in ("params", "moments"):
            file[part].visititems(lambda name, item: found.update({f"{part}/{name}": item[...].tobytes()})
                                  if isinstance(item, h5py.Dataset) else None)
        found["step"] = int(file.attrs["step"])
    return found


def steady(row):
    """What is the same in every run of the job; `line` and `sum` are of the file's lines."""
    return {key: value for key, value in row.items() if not VOLATILE.search(key) and key not in ("line", "sum")}


def read_here(out):
    found = {}
    for folder in (out, out / "untrained"):
        if not folder.is_dir():
            continue
        name = folder.name
        kept = {c: v for c, v in columns(folder / "metrics.h5").items()
                if not VOLATILE.search(c.rsplit("/", 1)[-1])}
        found[f"{name}/metrics.h5"] = kept
        found[f"{name}/metrics.jsonl"] = {table: repr([steady(row) for row in rows])
                                          for table, rows in lines(folder / "metrics.jsonl").items()}
        if folder == out:
            found["checkpoint"] = state(folder)
    return found


def read(out):
    """Everything that must be the same bits in a finished run."""
    return apart(lambda: read_here(Path(out)))


def read_all(folder):
    """Every value of one folder's metrics, times too: what a file that is called whole must have."""
    return apart(lambda: {"metrics.h5": columns(folder / "metrics.h5"),
                          "metrics.jsonl": lines(folder / "metrics.jsonl")})


class Reference:
    """The unbroken run."""

    def __init__(self, found):
        self.found = found

    def differences(self, other):
        """What is missing or differs, in words; "" when nothing does."""
        wrong = []
        for part, values in self.found.items():
            there = other.get(part)
            if there is None:
                wrong.append(f"{part} is missing")
                continue
            missing = sorted(set(values) - set(there))
            differ = sorted(name for name in values if name in there and there[name] != values[name])
            if missing:
                wrong.append(f"{part}: {', '.join(missing[:3])} missing")
            if differ:
                wrong.append(f"{part}: {', '.join(differ[:3])} differ")
        return "; ".join(wrong)
