# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of comm share: a program under mpirun that may hang."""
import os
import subprocess

_shm = os.statvfs("/dev/shm")
roomy = _shm.f_bavail * _shm.f_frsize >= 128 << 20  # not so in many containers
here = {} if roomy else {"OMPI_MCA_shmem": "sysv"}  # where memory can be shared


def run(command, extra=None):
    try:
        return subprocess.run(command, env=dict(os.environ, **(extra or {})), capture_output=True,
                              text=True, timeout=120)
    except subprocess.TimeoutExpired as e:
        return subprocess.CompletedProcess(command, 124, "", f"hangs: {e}")


def mpirun(ranks, *options):
    return ["mpirun", "--oversubscribe", "--bind-to", "none", *options, "-n", str(ranks)]


def told(name, holds, end):
    """A case of a program that has ended: its name, and what it said if something does not hold."""
    return name, None if holds else f"exit {end.returncode}: {end.stderr}{end.stdout}"
