# SPDX-License-Identifier: BSD-3-Clause
"""Runs tests/comm/node.c alone and under mpirun, in each place where Open MPI can put a window, on
file systems that are too small, and on two nodes. TAP.

usage: test_node.py PROGRAM LYING_PROGRAM"""
import os
import sys

from cases import Skipped, main
from launch import here, mpirun, roomy, run, told

program, lying = sys.argv[1:]


def passes(name, command, extra=None):
    end = run(command, extra)
    return told(name, end.returncode == 0 and end.stdout == "done\n", end)


def need_to_unshare(what):
    """Skip what needs a namespace of its own where that is not let."""
    if run(["unshare", what, "true"]).returncode:
        raise Skipped("may not unshare " + what)


def on_small(name, folder, command, extra=None, size="40m"):
    """With a file system of that size on `folder`, seen by this command only."""
    mount = f"mount -t tmpfs -o size={size} tmpfs {folder} && exec \"$@\""
    return passes(name, ["unshare", "--mount", "sh", "-c", mount, "sh", *command], extra)


def test_places():
    yield passes("alone", [program, "1", "1"])
    for ranks in (1, 2, 3):
        yield passes(f"{ranks} rank" + "s" * (ranks > 1), mpirun(ranks) + [program, str(ranks), "1"], here)
    for place in ("posix", "sysv") if roomy else ("sysv",):
        yield passes(f"2 ranks, shared memory by {place}", mpirun(2) + [program, "2", "1"], {"OMPI_MCA_shmem": place})
    end = run(mpirun(2) + [program, "2", "1"], {"OMPI_MCA_osc_sm_backing_directory": "/nowhere"})
    yield told("a folder that is not there", end.returncode == 1 and "/nowhere: cannot write there" in end.stderr, end)


def test_small_places(folder):
    need_to_unshare("--mount")
    yield on_small("too small a /dev/shm", "/dev/shm", mpirun(2) + [program, "full", "in /dev/shm, which has"])
    yield on_small("too small a folder of one's own", folder, mpirun(2) + [program, "full", f"in {folder}, which has"],
                   {"OMPI_MCA_osc_sm_backing_directory": str(folder)})
    yield on_small("the setting that the message names helps", "/dev/shm", mpirun(2) + [program, "2", "1"],
                   {"OMPI_MCA_shmem": "sysv"}, size="1m")
    yield on_small("the kernel has the last word", "/dev/shm", mpirun(2) + [lying, "full", "/dev/shm ran full"],
                   {"OMPI_MCA_shmem": "posix"})


def test_lost_ranks(folder):
    end = run(mpirun(2) + [program, "killed"], {"OMPI_MCA_osc_sm_backing_directory": str(folder)})
    yield told("killed ranks leave nothing behind",
               end.returncode != 0 and "has a block" in end.stdout and not os.listdir(folder), end)
    end = run(mpirun(2) + [program, "late", "0.5"], here)
    yield told("a rank that stands still is not waited for without end",
               end.returncode == 1 and "no progress" in end.stderr, end)
    yield passes("however long that is", mpirun(2) + [program, "late", "1e30"], here)


def test_two_nodes(folder):
    """Where mpirun would log in on a node, a shell under the node's name is one."""
    need_to_unshare("--uts")
    agent = folder / "agent"
    agent.write_text('#!/bin/sh\nnode=$1\nshift\nexec unshare --uts sh -c "hostname $node && $*"\n')
    agent.chmod(0o755)
    yield passes("two nodes, of two ranks and of one",
                 mpirun(3, "--mca", "plm_rsh_agent", str(agent), "--host", "olnode1:2,olnode2:1") + [program, "3", "2"],
                 here)


main(globals())
