# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of comm share: a program under mpirun that may hang, and TAP lines."""
import os
import subprocess
import sys

env = dict(os.environ, OMPI_MCA_btl_vader_single_copy_mechanism="none",
           OMPI_MCA_mpi_yield_when_idle="1",
           OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
count = 0
failed = False


def report(ok, name, detail=""):
    global count, failed
    count += 1
    failed |= not ok
    print(("ok" if ok else "not ok"), count, "-", name)
    for line in detail.splitlines() if not ok else []:
        print("#", line)


def run(command, extra=None):
    try:
        return subprocess.run(command, env=dict(env, **(extra or {})), capture_output=True,
                              text=True, timeout=120)
    except subprocess.TimeoutExpired as e:
        return subprocess.CompletedProcess(command, 124, "", f"hangs: {e}")


def mpirun(ranks, *options):
    return ["mpirun", "--oversubscribe", "--bind-to", "none", *options, "-n", str(ranks)]


def finish():
    print(f"1..{count}")
    sys.exit(1 if failed else 0)
