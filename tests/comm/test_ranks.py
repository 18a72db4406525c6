#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs tests/comm/ranks.c alone and under mpirun: the same lines on any number of ranks, and a
message instead of N lonely runs where the launcher is not the one of this MPI.

usage: test_ranks.py PROGRAM LYING_PROGRAM"""
import sys

from harness import finish, here, mpirun, report, run

program, lying = sys.argv[1:]

alone = run([program, "1"])
report(alone.returncode == 0 and "done whole" in alone.stdout, "runs alone", alone.stderr)
for ranks in ("1", "2", "3", "4"):
    end = run(mpirun(ranks) + [program, ranks], here)
    report(end.returncode == 0 and end.stdout == alone.stdout and "done whole" in end.stdout,
           f"the same bits on {ranks} ranks", end.stderr + end.stdout)

end = run(mpirun(4) + [lying, "4"])
report(end.returncode == 0 and end.stdout == alone.stdout,
       "the same bits by messages, where there is no room to share", end.stderr + end.stdout)
report("send each other their gradients" in end.stderr and "/dev/shm" in end.stderr,
       "which is said, with the place that lacks the room", end.stderr)

for name, value in (("PMI_SIZE", "4"), ("SLURM_STEP_NUM_TASKS", "3")):
    end = run([program, "1"], {name: value})
    report(end.returncode == 2 and f"started {value} tasks" in end.stderr,
           f"a foreign launcher is found by {name}", end.stderr + end.stdout)
end = run([program, "1"], {"SLURM_NTASKS": "8", "SLURM_JOB_ID": "1"})
report(end.returncode == 0, "a batch script of 8 tasks may run it alone", end.stderr)

finish()
