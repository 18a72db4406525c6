# SPDX-License-Identifier: BSD-3-Clause
"""Read hostile files with every command that could: count what misbehaves.

usage: hostile.py PROGRAM FOLDER PROMPTS MODEL [--sanitized]

FOLDER holds HDF5 files that harm their readers; PROMPTS (a file of `prompts`) and MODEL (a folder) are good ones. Each is given to each command, in a process of its own. Right is a
message and exit code 1 or 2 (0 is noted: a file may be harmless to a command that does not look at its harm), within
5 s of computing and 512 MiB, without a signal, a sanitizer's report, or a control character on the terminal.
"""
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS, PATIENCE, MEMORY = 5.0, 300.0, 512 << 20  # of computing; of waiting, also for a busy machine
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


def run(line, env, out):
    """Exit code (None: it had to be killed), seconds of computing, bytes at the peak; with those of its children."""
    process = subprocess.Popen([str(a) for a in line], stdout=out, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, env=env)
    resource.prlimit(process.pid, resource.RLIMIT_CPU, (int(4 * SECONDS), int(4 * SECONDS)))
    end = time.monotonic() + PATIENCE
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
        if time.monotonic() > end:
            process.kill()
            process.wait()
            return None, PATIENCE, 0
        time.sleep(0.01)


def misbehaviour(line, sanitized):
    """Why a reading is wrong, or None, and its exit code."""
    env = dict(os.environ)
    with tempfile.TemporaryDirectory() as logs, tempfile.TemporaryFile() as out:
        if sanitized:  # children too, whose output goes nowhere
            env["ASAN_OPTIONS"] = f"log_path={logs}/asan:detect_leaks=0:allocator_may_return_null=1"
            env["UBSAN_OPTIONS"] = f"log_path={logs}/ubsan:print_stacktrace=1"
        code, seconds, peak = run(line, env, out)
        out.seek(0)
        said = out.read()
        reports = "".join(p.read_text(errors="replace")[:3000] for p in Path(logs).iterdir())
    if code is None:
        return "hangs", code
    if code < 0 or code > 2:
        return f"ends with {code}", code
    if reports or b"Sanitizer" in said or b"runtime error" in said:
        return "a sanitizer's report: " + reports[:int(os.environ.get("HOSTILE_SHOW", "0"))], code
    if not said.strip():
        return "says nothing", code
    if CONTROL.search(said):
        return "control characters", code
    if seconds > SECONDS * (3 if sanitized else 1):
        return f"computes for {seconds:.1f} s", code
    if peak > MEMORY and not sanitized:
        return f"takes {peak >> 20} MiB", code
    return None, code


def meant_for(path):
    """Commands that a file looks made for, by its name: of metrics, of a checkpoint, of verification."""
    if path.name.startswith(("m.", "m-")):
        return "inspect", "inspect --check", "inspect folder", "report"
    if path.name.startswith("step-"):
        return "inspect --check", "export", "score model", "start"
    return "verify", "inspect", "score prompts", "start"


def read_file(program, path, prompts, model, sanitized, all_commands):
    """Commands on one file: (file, command, why it is wrong or None, exit code)."""
    with tempfile.TemporaryDirectory() as work:
        return [(path.name, name, *misbehaviour(line, sanitized))
                for name, line in commands(program, path, prompts, model, Path(work)).items()
                if all_commands or name in meant_for(path)]


def read_all(program, folder, prompts, model, sanitized=False, tell=print, only=None, all_commands=True):
    """Readings, those that are wrong as (file, command, why), and those that went well as (file, command)."""
    files = [p for p in sorted(Path(folder).iterdir()) if p.suffix != ".md" and (not only or only in p.name)]
    with ThreadPoolExecutor(4) as pool:
        done = [r for of_file in pool.map(
            lambda p: read_file(program, p, prompts, model, sanitized, all_commands), files)
                for r in of_file]
    wrong = [r[:3] for r in done if r[2]]
    for reading in wrong:
        tell(": ".join(reading))
    return len(done), wrong, [r[:2] for r in done if not r[2] and r[3] == 0]


if __name__ == "__main__":
    readings, wrong, passed = read_all(*map(Path, sys.argv[1:5]), sanitized="--sanitized" in sys.argv,
                                       only=os.environ.get("HOSTILE_ONLY"))
    for name, command in passed:
        print(f"{name}: {command}: exit 0")
    print(f"{readings} readings, {len(wrong)} wrong, {len(passed)} with exit code 0")
    sys.exit(1 if wrong else 0)
