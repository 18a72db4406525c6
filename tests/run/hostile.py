# SPDX-License-Identifier: BSD-3-Clause
"""Read hostile files with every command that could: count what misbehaves.

usage: hostile.py PROGRAM FOLDER PROMPTS MODEL [--sanitized]

FOLDER holds HDF5 files that harm their readers; PROMPTS (a file of `prompts`) and MODEL (a folder) are good ones. Each is given to each command, in a process of its own. Right is a
message and exit code 1 or 2 (0 is noted: a file may be harmless to a command that does not look at its harm), within
5 s and 512 MiB, without a signal, a sanitizer's report, or a control character on the terminal.
"""
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS, MEMORY = 5.0, 512 << 20
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")


def commands(program, path, prompts, model, work):
    """What may read a file: name, and the command line."""
    run = work / "run"
    run.mkdir()
    shutil.copy(path, run / "metrics.h5")
    job = work / "job.cfg"
    job.write_text('name = "h";\nstages = ["eval"];\n')
    return {
        "verify": [program, "verify", path],
        "inspect": [program, "inspect", path],
        "inspect --check": [program, "inspect", path, "--check"],
        "inspect folder": [program, "inspect", run],
        "report": [program, "report", run],
        "export": [program, "export", path, "--out", work / "export"],
        "score model": [program, "score", path, "--prompts", prompts, "--out", work / "out.h5"],
        "score prompts": [program, "score", model, "--prompts", path, "--out", work / "out2.h5"],
        "start": [program, "run", job, "--set", "model.init=checkpoint", "--set", f"model.path={path}",
                  "--set", f"output={work / 'o'}"],
    }


def misbehaviour(line, sanitized):
    """Why a reading is wrong, or None, its exit code and its seconds."""
    logs = Path(tempfile.mkdtemp())
    env = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    if sanitized:  # children too, whose output goes nowhere
        env["ASAN_OPTIONS"] = f"log_path={logs}/asan:detect_leaks=0:allocator_may_return_null=1"
        env["UBSAN_OPTIONS"] = f"log_path={logs}/ubsan"
    began = time.monotonic()
    process = subprocess.Popen([str(a) for a in line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, env=env)
    try:
        said = process.communicate(timeout=4 * SECONDS)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        shutil.rmtree(logs)
        return "hangs", None, 4 * SECONDS
    seconds = time.monotonic() - began
    reports = [p.name for p in logs.iterdir()]
    text = "".join(p.read_text(errors="replace")[:3000] for p in logs.iterdir())
    shutil.rmtree(logs)
    if os.environ.get("HOSTILE_SHOW") and text:
        print(text)
    if process.returncode < 0 or process.returncode > 2:
        return f"ends with {process.returncode}", process.returncode, seconds
    if reports or b"Sanitizer" in said or b"runtime error" in said:
        return "a sanitizer's report", process.returncode, seconds
    if not said.strip():
        return "says nothing", process.returncode, seconds
    if CONTROL.search(said):
        return "control characters", process.returncode, seconds
    if seconds > SECONDS * (3 if sanitized else 1):
        return f"takes {seconds:.1f} s", process.returncode, seconds
    return None, process.returncode, seconds


def peak_of_children():
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def read_all(program, folder, prompts, model, sanitized=False, tell=print, only=None):
    """Readings, and those that are wrong as (file, command, why)."""
    wrong, readings, passed = [], 0, []
    for path in sorted(Path(folder).iterdir()):
        if path.suffix == ".md" or (only and only not in path.name):
            continue
        with tempfile.TemporaryDirectory() as work:
            for name, line in commands(program, path, prompts, model, Path(work)).items():
                readings += 1
                why, code, _ = misbehaviour(line, sanitized)
                if why:
                    wrong.append((path.name, name, why))
                    tell(f"{path.name}: {name}: {why}")
                elif code == 0:
                    passed.append((path.name, name))
    if not sanitized and peak_of_children() > MEMORY:
        wrong.append(("some file", "some command", f"{peak_of_children() >> 20} MiB at the peak"))
        tell(f"peak {peak_of_children() >> 20} MiB")
    return readings, wrong, passed


if __name__ == "__main__":
    readings, wrong, passed = read_all(*map(Path, sys.argv[1:5]), sanitized="--sanitized" in sys.argv,
                                       only=os.environ.get("HOSTILE_ONLY"))
    for name, command in passed:
        print(f"{name}: {command}: exit 0")
    print(f"{readings} readings, {len(wrong)} wrong, {len(passed)} with exit code 0")
    sys.exit(1 if wrong else 0)
