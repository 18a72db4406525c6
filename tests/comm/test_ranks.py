# SPDX-License-Identifier: BSD-3-Clause
"""Runs tests/comm/ranks.c alone and under mpirun: the same lines on any number of ranks, and a
message instead of N lonely runs where the launcher is not the one of this MPI.

usage: test_ranks.py PROGRAM LYING_PROGRAM"""
import sys

from cases import main
from launch import here, mpirun, run, told

program, lying = sys.argv[1:]


def test_ranks():
    alone = run([program, "1"])
    yield told("runs alone", alone.returncode == 0 and "done whole" in alone.stdout, alone)
    for ranks in ("1", "2", "3", "4"):
        end = run(mpirun(ranks) + [program, ranks], here)
        yield told(f"the same bits on {ranks} ranks",
                   end.returncode == 0 and end.stdout == alone.stdout and "done whole" in end.stdout, end)
    end = run(mpirun(4) + [lying, "4"])
    yield told("the same bits by messages, where there is no room to share",
               end.returncode == 0 and end.stdout == alone.stdout, end)
    yield told("which is said, with the place that lacks the room",
               "send each other their gradients" in end.stderr and "/dev/shm" in end.stderr, end)


def test_launchers():
    for name, value in (("PMI_SIZE", "4"), ("SLURM_STEP_NUM_TASKS", "3")):
        end = run([program, "1"], {name: value})
        yield told(f"a foreign launcher is found by {name}",
                   end.returncode == 2 and f"started {value} tasks" in end.stderr, end)
    end = run([program, "1"], {"SLURM_NTASKS": "8", "SLURM_JOB_ID": "1"})
    yield told("a batch script of 8 tasks may run it alone", end.returncode == 0, end)


main(globals())
