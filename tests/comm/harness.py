# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of comm share: a program under mpirun that may hang, and TAP lines."""
import os
import subprocess
import sys

count = 0
failed = False
_shm = os.statvfs("/dev/shm")
roomy = _shm.f_bavail * _shm.f_frsize >= 128 << 20  # not so in many containers
here = {} if roomy else {"OMPI_MCA_shmem": "sysv"}  # where memory can be shared


def report(ok, name, detail=""):
    global count, failed
    count += 1
    failed |= not ok
    print(("ok" if ok else "not ok"), count, "-", name)
    for line in detail.splitlines() if not ok else []:
        print("#", line)


def run(command, extra=None):
    try:
        return subprocess.run(command, env=dict(os.environ, **(extra or {})), capture_output=True,
                              text=True, timeout=120)
    except subprocess.TimeoutExpired as e:
        return subprocess.CompletedProcess(command, 124, "", f"hangs: {e}")


def mpirun(ranks, *options):
    return ["mpirun", "--oversubscribe", "--bind-to", "none", *options, "-n", str(ranks)]


def finish():
    print(f"1..{count}")
    sys.exit(1 if failed else 0)
