#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs tests/comm/node.c alone and under mpirun, in each place where Open MPI can put a window, on
file systems that are too small, and on two nodes. TAP.

usage: test_node.py PROGRAM LYING_PROGRAM"""
import os
import sys
import tempfile

from harness import finish, here, mpirun, report, roomy, run

program, lying = sys.argv[1:]
scratch = tempfile.TemporaryDirectory(prefix="outerloop-node-")


def passes(name, command, extra=None):
    end = run(command, extra)
    report(end.returncode == 0 and end.stdout == "done\n", name, end.stderr + end.stdout)


def without_rights(name, what):
    """Skip a test that needs a namespace of its own and is not let."""
    if run(["unshare", *what, "true"]).returncode == 0:
        return False
    report(True, name + " # SKIP may not unshare " + " ".join(what))
    return True


def on_small(name, folder, command, extra=None, size="40m"):
    """With a file system of that size on `folder`, seen by this command only."""
    if not without_rights(name, ["--mount"]):
        mount = f"mount -t tmpfs -o size={size} tmpfs {folder} && exec \"$@\""
        passes(name, ["unshare", "--mount", "sh", "-c", mount, "sh", *command], extra)


passes("alone", [program, "1", "1"])
for ranks in (1, 2, 3):
    passes(f"{ranks} rank" + "s" * (ranks > 1), mpirun(ranks) + [program, str(ranks), "1"], here)
for place in ("posix", "sysv") if roomy else ("sysv",):
    passes(f"2 ranks, shared memory by {place}", mpirun(2) + [program, "2", "1"],
           {"OMPI_MCA_shmem": place})

moved = {"OMPI_MCA_osc_sm_backing_directory": scratch.name}
on_small("too small a /dev/shm", "/dev/shm", mpirun(2) + [program, "full", "in /dev/shm, which has"])
on_small("too small a folder of one's own", scratch.name,
         mpirun(2) + [program, "full", f"in {scratch.name}, which has"], moved)
on_small("the setting that the message names helps", "/dev/shm", mpirun(2) + [program, "2", "1"],
         {"OMPI_MCA_shmem": "sysv"}, size="1m")
on_small("the kernel has the last word", "/dev/shm",
         mpirun(2) + [lying, "full", "/dev/shm ran full"], {"OMPI_MCA_shmem": "posix"})

end = run(mpirun(2) + [program, "killed"], moved)
left = os.listdir(scratch.name)
report(end.returncode != 0 and "has a block" in end.stdout and not left,
       "killed ranks leave nothing behind", end.stderr + end.stdout + " ".join(left))

end = run(mpirun(2) + [program, "late", "0.5"], here)
report(end.returncode == 1 and "no progress" in end.stderr, "a rank that stands still is not waited for without end",
       end.stderr + end.stdout)
passes("however long that is", mpirun(2) + [program, "late", "1e30"], here)

end = run(mpirun(2) + [program, "2", "1"], {"OMPI_MCA_osc_sm_backing_directory": "/nowhere"})
report(end.returncode == 1 and "/nowhere: cannot write there" in end.stderr,
       "a folder that is not there", end.stderr + end.stdout)

name = "two nodes, of two ranks and of one"
if not without_rights(name, ["--uts"]):
    # Where mpirun would log in on a node, a shell under the node's name is one.
    agent = os.path.join(scratch.name, "agent")
    with open(agent, "w") as script:
        script.write('#!/bin/sh\nnode=$1\nshift\n'
                     'exec unshare --uts sh -c "hostname $node && $*"\n')
    os.chmod(agent, 0o755)
    passes(name, mpirun(3, "--mca", "plm_rsh_agent", agent, "--host", "olnode1:2,olnode2:1")
           + [program, "3", "2"], here)

finish()
